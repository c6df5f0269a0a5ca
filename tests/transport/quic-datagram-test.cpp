// QUIC datagrams: sized, bounded, acknowledged or reported lost.
#include <numeric>
#include <set>

#include "quic-bench.hpp"

using namespace p2p;

namespace {

bool
send (QuicBench &bench, const std::string &text, std::uint64_t tag) {
  const ByteView all (text);
  return bench.client_transport->send_datagram ({}, all.sub (0, 3), all.sub (3), tag);
}

}  // namespace

TEST (QuicDatagram, ArriveWholeAndAreAcknowledged) {
  QuicBench bench;
  bench.set_delay (5 * kMillisecond);
  EXPECT_EQ (bench.link->stats ().sent, 0u);
  bench.connect ();
  const std::size_t most = bench.client_transport->max_datagram_payload_bytes ();
  EXPECT_GE (most, 1150u);
  EXPECT_LT (most, 1200u);
  const std::vector<std::string> sent = {"abcdef", "", std::string (most, 'm')};
  for (std::size_t i = 0; i < sent.size (); ++i) EXPECT_TRUE (send (bench, sent[i], i));
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->acked.size () == 3; }, kSecond));
  EXPECT_EQ (bench.server->datagrams, sent);
  const std::size_t now = bench.client_transport->max_datagram_payload_bytes ();
  EXPECT_FALSE (send (bench, std::string (now + 1, 'm'), 9));
  EXPECT_EQ (bench.client_transport->stats ().datagrams_dropped, 1u);
}

TEST (QuicDatagram, LargestStillFitsBesideOtherFrames) {
  QuicBench bench;
  bench.set_delay (5 * kMillisecond);
  bench.connect ();
  const StreamId id = bench.open ();
  bench.server->on_opened = [&] (StreamId stream) {
    bench.server_transport->write (stream, make_bytes (pattern (500000, 1)), true);
  };
  bench.client_transport->write (id, make_bytes ("go"), true);
  std::uint64_t accepted = 0;
  for (int i = 0; i < 50; ++i) {
    const std::string text (bench.client_transport->max_datagram_payload_bytes (), 'd');
    accepted += send (bench, text, static_cast<std::uint64_t> (i));
    bench.scheduler.run_for (3 * kMillisecond);
  }
  bench.scheduler.run_for (kSecond);
  EXPECT_EQ (accepted, 50u);
  EXPECT_EQ (bench.client->acked.size (), 50u);
  EXPECT_TRUE (bench.client->streams[id].fin);
}

TEST (QuicDatagram, AFullQueueRefusesTheNewAndCounts) {
  QuicBench bench;
  bench.connect ();
  int accepted = 0;
  for (int i = 0; i < 400; ++i) accepted += send (bench, "abcd", 0);
  EXPECT_EQ (accepted, 256);
  EXPECT_EQ (bench.client_transport->stats ().datagrams_dropped, 144u);
  bench.scheduler.run_for (2 * kSecond);
  EXPECT_EQ (bench.server->datagrams.size (), 256u);
}

class QuicDatagramLoss : public testing::TestWithParam<std::uint64_t> {};

TEST_P (QuicDatagramLoss, IsReported) {
  QuicBench bench (GetParam ());
  bench.options.loss = 0.1;
  bench.set_delay (10 * kMillisecond);
  bench.connect ();
  const StreamId id = bench.open ();
  for (std::uint64_t i = 0; i < 500; ++i) {
    EXPECT_TRUE (send (bench, "number " + std::to_string (i), i));
    bench.scheduler.run_for (2 * kMillisecond);
  }
  bench.client_transport->write (id, make_bytes ("end"), true);
  std::set<std::uint64_t> known;
  ASSERT_TRUE (bench.run_until ([&] {
    known.insert (bench.client->acked.begin (), bench.client->acked.end ());
    known.insert (bench.client->lost.begin (), bench.client->lost.end ());
    return known.size () == 500;
  })) << known.size ();
  EXPECT_NEAR (static_cast<double> (bench.client->lost.size ()), 50, 30);
  EXPECT_GE (bench.client_transport->stats ().packets_lost, bench.client->lost.size ());
}

INSTANTIATE_TEST_SUITE_P (Seeds, QuicDatagramLoss, testing::Range<std::uint64_t> (1, 31));

// Lost are a probe of the packet size, two alone, and the last of four: an empty frame of the
// stream may have gone with each of them, and with none that arrives.
TEST (QuicDatagram, MayBeLostBesideAStreamThatHasSentNothing) {
  QuicBench bench;
  bench.set_delay (10 * kMillisecond);
  bench.connect ();
  const StreamId id = bench.open ();
  bench.scheduler.run_for (kSecond);
  std::size_t size = 0;
  bench.client_path->on_send = [&] (ByteView datagram) { size = datagram.size; };
  bench.client_path->drop = [&] { return size < 400 || size > 1200; };
  const std::string short_one (300, 's'), long_one (900, 'l');
  EXPECT_TRUE (send (bench, short_one, 1));
  bench.scheduler.run_for (kMillisecond);
  EXPECT_TRUE (send (bench, short_one, 2));
  bench.scheduler.run_for (kMillisecond);
  for (std::uint64_t tag = 3; tag <= 5; ++tag) EXPECT_TRUE (send (bench, long_one, tag));
  EXPECT_TRUE (send (bench, short_one, 6));
  bench.scheduler.run_for (30 * kMillisecond);
  EXPECT_EQ (bench.client->acked, (std::vector<std::uint64_t>{3, 4, 5}));
  bench.client_path->drop = nullptr;
  bench.client_transport->write (id, make_bytes ("first word"), true);
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->lost.size () == 3; }));
  EXPECT_EQ (bench.server->streams[id].bytes, "first word");
}

TEST (QuicDatagram, NeitherStarvesStreamsNorIsStarved) {
  QuicBench bench;
  bench.options.rate_bits_per_s = 10'000'000;
  bench.set_delay (10 * kMillisecond);
  bench.connect ();
  const StreamId id = bench.open ();
  bench.client_transport->write (id, make_bytes (pattern (8 << 20, 1)), false);
  const std::string text (1000, 'd');
  for (int i = 0; i < 2000; ++i) {
    while (send (bench, text, 0)) {
    }
    bench.scheduler.run_for (kMillisecond);
  }
  const double datagrams = static_cast<double> (bench.server->datagrams.size ()) * 1000;
  const double stream = static_cast<double> (bench.server->streams[id].bytes.size ());
  EXPECT_GT (datagrams, 0.25 * stream);
  EXPECT_GT (stream, 0.25 * datagrams);
}

TEST (QuicDatagram, FlowAgainAfterAnOutageThatFilledTheWindow) {
  QuicBench bench;
  bench.client_config.keep_alive_us = bench.server_config.keep_alive_us = 2 * kSecond;
  bench.set_delay (10 * kMillisecond);
  bench.connect ();
  bench.client_transport->write (bench.open (), make_bytes ("control"), false);
  const std::string text (1000, 'd');
  const auto feed = [&] (TimeUs span) {
    const TimeUs end = bench.scheduler.now () + span;
    while (bench.scheduler.now () < end) {
      while (send (bench, text, 0)) {
      }
      bench.scheduler.run_for (kMillisecond);
    }
  };
  feed (200 * kMillisecond);
  bench.options.down = true;
  bench.link->set_options (bench.options);
  feed (6 * kSecond);
  bench.options.down = false;
  bench.link->set_options (bench.options);
  feed (6 * kSecond);
  const std::size_t before = bench.server->datagrams.size ();
  feed (kSecond);
  EXPECT_GT (bench.server->datagrams.size (), before + 100);
}

TEST (QuicDatagram, TooLargeForAShrunkenPathIsReportedLost) {
  QuicBench bench;
  bench.set_delay (5 * kMillisecond);
  bench.connect ();
  EXPECT_TRUE (send (bench, "a reason to look for a larger size", 76));
  bench.scheduler.run_for (3 * kSecond);
  const std::size_t most = bench.client_transport->max_datagram_payload_bytes ();
  ASSERT_GT (most, 1300u);
  EXPECT_TRUE (send (bench, std::string (most, 'd'), 77));
  bench.client_path->tell_changed ();
  EXPECT_TRUE (send (bench, "small", 78));
  ASSERT_TRUE (bench.run_until ([&] { return bench.client->acked.size () == 2; }, kSecond));
  EXPECT_EQ (bench.client->lost, std::vector<std::uint64_t>{77});
}
