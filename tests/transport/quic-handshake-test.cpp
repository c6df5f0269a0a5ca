// How a QUIC connection comes up, whom it refuses, and how it ends.
#include "quic-bench.hpp"

using namespace p2p;

namespace {

std::shared_ptr<Identity>
stranger () {
  static const std::shared_ptr<Identity> kStranger = *Identity::create_ephemeral ();
  return kStranger;
}

void
expect_refused_on_both_sides (QuicBench &bench, P2pError code) {
  bench.set_delay (25 * kMillisecond);
  bench.start ();
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->closed && bench.server->closed; },
                                500 * kMillisecond));
  EXPECT_EQ (bench.client->closed->error.code, code) << bench.client->closed->error.message;
  EXPECT_EQ (bench.server->closed->error.code, code) << bench.server->closed->error.message;
  EXPECT_FALSE (bench.server->ready);
  EXPECT_NE (bench.client->closed->by_peer, bench.server->closed->by_peer);
}

}  // namespace

TEST (QuicHandshake, TakesOneRoundTrip) {
  QuicBench bench;
  bench.set_delay (25 * kMillisecond);
  bench.connect ();
  EXPECT_EQ (bench.client->ready_at, 50 * kMillisecond);
  EXPECT_EQ (bench.server->ready_at, 75 * kMillisecond);
  const TransportStats stats = bench.client_transport->stats ();
  EXPECT_EQ (stats.handshake_us, 50 * kMillisecond);
  EXPECT_EQ (stats.cipher, "AES-128-GCM");
  EXPECT_EQ (stats.congestion_control, "bbr");
  EXPECT_NEAR (static_cast<double> (stats.min_rtt_us), 50e3, 1e3);
}

TEST (QuicHandshake, BringsTheServersGreeting) {
  QuicBench bench;
  bench.set_delay (25 * kMillisecond);
  bench.server_config.greeting = "welcome";
  bench.client_config.greeting = "clients greet nobody";
  bench.start ();
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->ready; }));
  EXPECT_EQ (bench.scheduler.now (), 50 * kMillisecond);
  EXPECT_FALSE (bench.server->ready);
  EXPECT_EQ (bench.client_transport->take_greeting (), "welcome");
  EXPECT_EQ (bench.client_transport->take_greeting (), "") << "it was taken";
  ASSERT_TRUE (bench.run_until ([&] { return bench.server->ready; }));
  EXPECT_EQ (bench.server_transport->take_greeting (), "welcome") << "it knows what it has told";
}

TEST (QuicHandshake, AServerNeedNotGreet) {
  QuicBench bench;
  bench.connect ();
  EXPECT_EQ (bench.client_transport->take_greeting (), "");
  EXPECT_EQ (bench.server_transport->take_greeting (), "");
}

TEST (QuicHandshake, TheGreetingArrivesUnderHeavyLoss) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    QuicBench bench (seed);
    bench.options.loss = 0.3;
    bench.client_config.handshake_timeout_us = bench.server_config.handshake_timeout_us =
        120 * kSecond;
    bench.server_config.greeting = "welcome";
    bench.set_delay (10 * kMillisecond);
    bench.start ();
    ASSERT_TRUE (
        bench.run_until ([&] { return bench.client->ready && bench.server->ready; }, 120 * kSecond))
        << seed;
    EXPECT_EQ (bench.client_transport->take_greeting (), "welcome") << seed;
    EXPECT_EQ (bench.server_transport->take_greeting (), "welcome") << seed;
  }
}

TEST (QuicHandshake, AGreetingThatIsTooLongEndsIt) {
  QuicBench bench;
  bench.server_config.greeting = std::string (1025, 'x');
  bench.start ();
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->closed && bench.server->closed; }));
  EXPECT_FALSE (bench.client->ready);
}

TEST (QuicHandshake, ServerMayComeLater) {
  QuicBench bench;
  bench.start_client ();
  bench.scheduler.run_for (3 * kSecond);
  bench.start_server ();
  EXPECT_TRUE (
      bench.run_until ([&] { return bench.client->ready && bench.server->ready; }, 5 * kSecond));
}

TEST (QuicHandshake, GoesOnUnderHeavyLoss) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    QuicBench bench (seed);
    bench.options.loss = 0.2;
    bench.client_config.handshake_timeout_us = bench.server_config.handshake_timeout_us =
        30 * kSecond;
    bench.set_delay (10 * kMillisecond);
    bench.connect ();
  }
}

TEST (QuicHandshake, ServerRefusesTheWrongClient) {
  QuicBench bench;
  bench.server_config.peer_fingerprint = stranger ()->fingerprint ();
  expect_refused_on_both_sides (bench, P2P_ERROR_NOT_AUTHORIZED);
  EXPECT_TRUE (bench.client->closed->by_peer);
}

TEST (QuicHandshake, ClientRefusesTheWrongServer) {
  QuicBench bench;
  bench.client_config.peer_fingerprint = stranger ()->fingerprint ();
  expect_refused_on_both_sides (bench, P2P_ERROR_NOT_AUTHORIZED);
  EXPECT_FALSE (bench.client->ready);
  EXPECT_FALSE (bench.client->closed->by_peer);
  EXPECT_NE (bench.client->closed->error.message.find (stranger ()->fingerprint ()),
             std::string::npos);
}

TEST (QuicHandshake, AnEmptyPinFitsNobody) {
  QuicBench bench;
  bench.client_config.peer_fingerprint = "";
  expect_refused_on_both_sides (bench, P2P_ERROR_NOT_AUTHORIZED);
}

TEST (QuicHandshake, ClientWithoutACertificateIsRefused) {
  QuicBench bench;
  bench.client_config.identity = nullptr;
  expect_refused_on_both_sides (bench, P2P_ERROR_NOT_AUTHORIZED);
}

TEST (QuicHandshake, AnotherProtocolIsRefused) {
  QuicBench bench;
  bench.client_config.alpn = "p2p/0";
  expect_refused_on_both_sides (bench, P2P_ERROR_PROTOCOL);
}

TEST (QuicHandshake, RefusalArrivesThoughTheFirstCloseIsLost) {
  QuicBench bench;
  bench.client_config.peer_fingerprint = stranger ()->fingerprint ();
  bench.set_delay (25 * kMillisecond);
  int sent = 0;
  bench.client_path->drop = [&] { return ++sent == 2; };  // the first is the Initial
  bench.start ();
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->closed.has_value (); }, kSecond));
  EXPECT_EQ (sent, 2);
  ASSERT_TRUE (bench.run_until ([&] { return bench.server->closed.has_value (); }, 3 * kSecond));
  EXPECT_EQ (bench.server->closed->error.code, P2P_ERROR_NOT_AUTHORIZED);
}

TEST (QuicHandshake, TimesOutWithoutAnAnswer) {
  QuicBench bench;
  bench.client_config.handshake_timeout_us = 4 * kSecond;
  bench.start_client ();
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->closed.has_value (); }));
  EXPECT_EQ (bench.client->closed->error.code, P2P_ERROR_TIMED_OUT);
  EXPECT_NEAR (static_cast<double> (bench.client->closed_at), 4e6, 1e4);
}

TEST (QuicHandshake, KeepsTheFixedBitSoThatNothingLooksLikeStun) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    QuicBench bench (seed);
    int seen = 0;
    const auto look = [&] (ByteView datagram) {
      ++seen;
      EXPECT_TRUE (datagram[0] & 0x40) << "first byte " << int{datagram[0]};
    };
    bench.client_path->on_send = bench.server_path->on_send = look;
    bench.connect ();
    const StreamId id = bench.open ();
    bench.client_transport->write (id, make_bytes (pattern (100000, 1)), true);
    ASSERT_TRUE (bench.run_until ([&] { return bench.server->streams[id].fin; }));
    EXPECT_GT (seen, 70);
  }
}

TEST (QuicHandshake, NoKeepAliveBeforeItIsComplete) {
  QuicBench bench;
  bench.client_config.keep_alive_us = 10 * kMillisecond;
  bench.set_delay (200 * kMillisecond);
  int sent = 0;
  bench.client_path->on_send = [&] (ByteView) { ++sent; };
  bench.start ();
  // Short of the first probe timeout, which is three times the assumed round trip.
  bench.scheduler.run_for (2 * bench.client_config.initial_rtt_us);
  EXPECT_EQ (sent, 1);
}

TEST (QuicHandshake, GarbageBeforeTheFirstPacketIsIgnored) {
  QuicBench bench;
  bench.start_server ();
  std::uint32_t state = 7;
  for (int i = 0; i < 3000; ++i) {
    std::string junk (1200 + i % 200, '\0');
    for (char &c : junk) c = static_cast<char> ((state = state * 1664525u + 1013904223u) >> 24);
    // Many of them look like a QUIC 1 Initial up to the connection ids.
    if (i % 2) junk.replace (0, 6, std::string ("\xc3\x00\x00\x00\x01\x08", 6));
    if (i % 4 == 3) junk[14] = 8;
    bench.server_path->deliver (ByteView (std::string_view (junk).substr (0, i % 7 ? 1400 : 5)));
  }
  bench.server_path->deliver ({});
  EXPECT_FALSE (bench.server->closed);
  bench.start_client ();
  EXPECT_TRUE (bench.run_until ([&] { return bench.client->ready && bench.server->ready; }));
}

TEST (QuicEnd, OrderlyCloseIsToldToTheOtherSideOnly) {
  QuicBench bench;
  bench.set_delay (5 * kMillisecond);
  bench.connect ();
  bench.client_transport->close (0, "done");
  ASSERT_TRUE (bench.run_until ([&] { return bench.server->closed.has_value (); }, kSecond));
  EXPECT_TRUE (bench.server->closed->by_peer);
  EXPECT_EQ (bench.server->closed->code, 0u);
  EXPECT_EQ (bench.server->closed->error.code, P2P_ERROR_CLOSED);
  EXPECT_NE (bench.server->closed->error.message.find ("done"), std::string::npos);
  bench.scheduler.run_for (60 * kSecond);
  EXPECT_FALSE (bench.client->closed);
}

TEST (QuicEnd, CodeAndReasonArrive) {
  QuicBench bench;
  bench.connect ();
  bench.server_transport->close (4711, std::string (5000, 'x') + "\n\xff");
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->closed.has_value (); }, kSecond));
  EXPECT_EQ (bench.client->closed->code, 4711u);
  EXPECT_TRUE (bench.client->closed->by_peer);
}

TEST (QuicEnd, CloseIsRepeatedWhileThePeerStillSends) {
  QuicBench bench;
  bench.connect ();
  bench.options.down = true;
  bench.link->set_options (bench.options);
  bench.client_transport->close (5, "");
  bench.scheduler.run_for (kMillisecond);
  bench.options.down = false;
  bench.link->set_options (bench.options);
  auto id = bench.server_transport->open_stream ({});
  ASSERT_TRUE (id);
  bench.server_transport->write (*id, make_bytes ("are you there?"), false);
  ASSERT_TRUE (bench.run_until ([&] { return bench.server->closed.has_value (); }, kSecond));
  EXPECT_EQ (bench.server->closed->code, 5u);
}

TEST (QuicEnd, SilenceEndsInATimeout) {
  QuicBench bench;
  bench.client_config.idle_timeout_us = bench.server_config.idle_timeout_us = 8 * kSecond;
  bench.client_config.keep_alive_us = bench.server_config.keep_alive_us = 3 * kSecond;
  bench.connect ();
  bench.scheduler.run_for (60 * kSecond);
  EXPECT_FALSE (bench.client->closed) << "keep-alive did not keep it";
  bench.options.down = true;
  bench.link->set_options (bench.options);
  const TimeUs cut = bench.scheduler.now ();
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->closed && bench.server->closed; }));
  EXPECT_EQ (bench.client->closed->error.code, P2P_ERROR_TIMED_OUT);
  EXPECT_EQ (bench.server->closed->error.code, P2P_ERROR_TIMED_OUT);
  EXPECT_LT (bench.client->closed_at - cut, 15 * kSecond);
}

TEST (QuicEnd, AFailedPathEndsAHandshake) {
  QuicBench bench;
  bench.start ();
  bench.client_path->tell_failed ({P2P_ERROR_UNREACHABLE, "The path is gone."});
  bench.scheduler.run_for (kMillisecond);
  ASSERT_TRUE (bench.client->closed);
  EXPECT_EQ (bench.client->closed->error.code, P2P_ERROR_UNREACHABLE);
}

TEST (QuicEnd, AFailedPathThatComesBackIsUsedAgain) {
  QuicBench bench;
  bench.connect ();
  // What the transport waits for when the path fails never comes.
  bench.client_path->refuse = [] { return true; };
  auto id = bench.client_transport->open_stream ({});
  ASSERT_TRUE (id);
  bench.client_transport->write (*id, make_bytes ("it arrives"), true);
  bench.scheduler.run_for (kMillisecond);
  bench.client_path->refuse = nullptr;
  bench.client_path->tell_failed ({P2P_ERROR_UNREACHABLE, "The path is gone."});
  bench.client_path->tell_changed ();
  ASSERT_TRUE (bench.run_until ([&] { return bench.server->streams[*id].fin; }));
  EXPECT_EQ (bench.server->streams[*id].bytes, "it arrives");
  EXPECT_FALSE (bench.client->closed);
}

TEST (QuicEnd, EveryCallIsHarmlessBeforeReadyAndAfterClose) {
  QuicBench bench;
  bench.start ();
  const auto poke = [] (Transport &t) {
    auto id = t.open_stream ({});
    EXPECT_FALSE (id);
    t.write (0, make_bytes ("x"), true);
    t.write (99, Ref<GBytes> (), true);
    t.consume (0, 1000);
    t.reset (0, 1);
    t.stop (4, 1);
    EXPECT_EQ (t.unsent_bytes (7), 0u);
    EXPECT_EQ (t.max_datagram_payload_bytes (), 0u);
    EXPECT_FALSE (t.send_datagram ({}, ByteView (std::string_view ("a")), {}, 1));
    (void)t.stats ();
  };
  poke (*bench.client_transport);
  poke (*bench.server_transport);
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->ready && bench.server->ready; }));
  bench.client_transport->close (1, "");
  bench.client_transport->close (2, "");
  ASSERT_TRUE (bench.run_until ([&] { return bench.server->closed.has_value (); }));
  poke (*bench.client_transport);
  poke (*bench.server_transport);
  bench.scheduler.run_for (60 * kSecond);
}

TEST (QuicEnd, ObserverMayCloseFromInsideOfAnyCallback) {
  for (int where = 0; where < 5; ++where) {
    QuicBench bench;
    bench.start ();
    const auto close = [&] { bench.server_transport->close (42, "enough"); };
    if (where == 0) bench.server->on_ready = close;
    if (where == 1) bench.server->on_opened = [&] (StreamId) { close (); };
    if (where == 2) bench.server->on_data = [&] (StreamId) { close (); };
    if (where == 3) bench.server->on_datagram = close;
    if (where == 4) bench.server->on_closed = close;
    bench.client->on_ready = [&] {
      const StreamId id = bench.open ();
      bench.client_transport->write (id, make_bytes (pattern (50000, 2)), true);
      bench.client_transport->send_datagram ({}, ByteView (std::string_view ("hi")), {}, 1);
      if (where == 4) bench.client_transport->close (42, "");
    };
    if (where == 4) {
      ASSERT_TRUE (bench.run_until ([&] { return bench.server->closed.has_value (); }));
    } else {
      ASSERT_TRUE (bench.run_until ([&] { return bench.client->closed.has_value (); })) << where;
      EXPECT_EQ (bench.client->closed->code, 42u);
    }
    bench.scheduler.run_for (kSecond);
  }
}

TEST (QuicEnd, MutatedPacketsAbortNothing) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    QuicBench bench (seed);
    std::uint32_t state = static_cast<std::uint32_t> (seed);
    const auto draw = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
    std::vector<std::pair<TapPath *, std::string>> extra;
    const auto mutate = [&] (TapPath *to, ByteView datagram) {
      std::string copy = datagram.to_string ();
      const std::uint32_t kind = draw () % 4;
      if (kind == 0) copy.resize (draw () % copy.size ());
      if (kind == 1) copy += std::string (draw () % 50, 'z');
      for (std::uint32_t i = draw () % 4; !copy.empty () && i > 0; --i) {
        copy[draw () % copy.size ()] = static_cast<char> (draw ());
      }
      if (kind == 3 && !copy.empty ()) copy[0] = static_cast<char> (draw ());
      extra.emplace_back (to, std::move (copy));
    };
    bench.client_path->on_send = [&] (ByteView d) { mutate (bench.server_path.get (), d); };
    bench.server_path->on_send = [&] (ByteView d) { mutate (bench.client_path.get (), d); };
    bench.start ();
    bench.client->on_ready = [&] {
      for (std::uint32_t i = 0; i < 4; ++i) {
        bench.client_transport->write (bench.open (), make_bytes (pattern (400000, i)), true);
      }
    };
    std::size_t injected = 0;
    const auto done = [&] {
      std::size_t fins = 0;
      for (const auto &[id, stream] : bench.server->streams) fins += stream.fin;
      return fins == 4 || bench.server->closed || bench.client->closed;
    };
    while (!done () && bench.scheduler.now () < 20 * kSecond) {
      if (!bench.scheduler.run_next ()) break;
      std::vector<std::pair<TapPath *, std::string>> now;
      now.swap (extra);
      injected += now.size ();
      for (const auto &[to, bytes] : now) to->deliver (ByteView (std::string_view (bytes)));
      if (extra.size () > 2000) extra.clear ();
    }
    EXPECT_GT (injected, 1000u);
    std::size_t intact = 0;
    for (const auto &[id, stream] : bench.server->streams) {
      intact += stream.bytes == pattern (400000, static_cast<std::uint32_t> (id / 4));
    }
    EXPECT_EQ (intact, 4u) << "forged packets broke an authenticated connection";
  }
}
