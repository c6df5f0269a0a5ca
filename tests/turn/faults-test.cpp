// Servers that fall silent, restart, move, or talk nonsense: what a TURN client does about it.
#include <random>

#include "recovery_fixture.hpp"

namespace p2p::test {
namespace {

// Silence

TEST_F (TurnRecovery, AServerThatDoesNotAnswerIsLeftForTheNext) {
  server ().dead = true;
  bench.allocate (bench.config ({"one", "two"}));
  EXPECT_EQ (bench.last (Event::Kind::server_failed)->reason, P2P_TURN_REASON_TIMEOUT);
  EXPECT_LE (bench.clock.now (), 10 * kSecond);
}

TEST_F (TurnRecovery, AServerThatDiesIsNoticedWithoutARefreshThatIsDue) {
  connect (bench.config ({"one", "two"}));
  server ().dead = true;
  const TimeUs died = bench.clock.now ();
  bench.client->send (kPeer, view ("into the void"));
  until_lost ();
  EXPECT_LE (bench.clock.now () - died, 20 * kSecond);
  expect_recovery (P2P_TURN_REASON_TIMEOUT, "two");
}

TEST_F (TurnRecovery, AServerThatRestartsIsNoticedAndAskedAnew) {
  connect ();
  server ().restart ();
  const TimeUs restarted = bench.clock.now ();
  bench.client->send (kPeer, view ("into the void"));
  until_lost ();
  EXPECT_LE (bench.clock.now () - restarted, 6 * kSecond);
  expect_recovery (P2P_TURN_REASON_ALLOCATION_MISMATCH);
}

TEST_F (TurnRecovery, AnIcmpErrorIsAskedAboutAtOnce) {
  connect ();
  server ().restart ();
  bench.client->transport_doubtful ();
  ASSERT_TRUE (bench.until (Event::Kind::network_bad, kSecond));
  // Of somebody who can spoof ICMP nothing is lost.
  TurnBench other;
  other.allocate ();
  for (int i = 0; i < 10; ++i) other.client->transport_doubtful ();
  other.clock.run_for (kSecond);
  EXPECT_EQ (other.count (Event::Kind::network_bad), 0);
  EXPECT_EQ (other.server ().count (Method::refresh), 1);
}

TEST_F (TurnRecovery, AServerThatComesBackWithOtherAddressesIsUsed) {
  connect ();
  server ().restart ();
  server ().relay_ip = "203.0.113.200";
  until_lost ();
  expect_recovery (P2P_TURN_REASON_ALLOCATION_MISMATCH);
  EXPECT_EQ (bench.client->relayed ()[0].ip_text (), "203.0.113.200");
}

TEST_F (TurnRecovery, AStreamThatEndsIsOpenedAgain) {
  connect (bench.config ({"one"}, Protocol::tcp));
  bench.stream_ends ();
  server ().restart ();
  expect_recovery (P2P_TURN_REASON_DISCONNECTED);
}

TEST_F (TurnRecovery, AServerThatCannotBeReachedIsLeftForTheNext) {
  server ().connects = false;
  bench.allocate (bench.config ({"one", "two"}, Protocol::tls));
  EXPECT_EQ (bench.last (Event::Kind::server_failed)->reason, P2P_TURN_REASON_DISCONNECTED);
}

TEST_F (TurnRecovery, WhenAllHaveFailedResetBeginsAnew) {
  server ().dead = true;
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed, 600 * kSecond));
  server ().dead = false;
  bench.client->reset ();
  EXPECT_TRUE (bench.until (Event::Kind::allocated));
}

TEST_F (TurnRecovery, ResetGivesUpTheOldAllocationAndMakesAnother) {
  connect ();
  bench.client->reset ();
  expect_recovery (P2P_TURN_REASON_REQUESTED);
  EXPECT_EQ (server ().allocations (), 1U);
}

TEST_F (TurnRecovery, LostPacketsAreSentAgain) {
  script (Method::allocate, {0, true, true, {}, {}, false});
  script (Method::allocate, {0, true, true, {}, {}, false});
  bench.allocate ();
  EXPECT_EQ (bench.client->stats ().repeated_requests, 2U);
}

// Nonsense

TEST_F (TurnRecovery, ASuccessThatGrantsNothingIsNone) {
  const std::function<void (MessageWriter *)> rows[] = {
      [] (MessageWriter *) {},
      [] (MessageWriter *out) {
        out->add_xor_address (turn::kXorRelayedAddress, address ("203.0.113.9", 0));
      },
      [] (MessageWriter *out) {
        out->add_xor_address (turn::kXorRelayedAddress, address ("203.0.113.9", 1));
        out->add_u32 (turn::kLifetime, 0);
      },
      [] (MessageWriter *out) {
        out->add_xor_address (turn::kXorRelayedAddress, address ("203.0.113.9", 1));
        out->add_u32 (0x7abc, 0);
      }};
  for (const auto &row : rows) {
    TurnBench one;
    one.server ().script[Method::allocate].push_back ({0, false, true, row, {}, false});
    one.allocate (one.config ({"one", "two"}));
    EXPECT_EQ (one.last (Event::Kind::server_failed)->reason, P2P_TURN_REASON_PROTOCOL);
  }
}

TEST_F (TurnRecovery, AnUnsignedOrWronglySignedAnswerIsNotTheServers) {
  script (Method::allocate, {0,
                             false,
                             false,
                             [] (MessageWriter *out) {
                               out->add_xor_address (turn::kXorRelayedAddress,
                                                     address ("203.0.113.66", 1));
                             },
                             {},
                             false});
  script (Method::allocate, {403,
                             false,
                             false,
                             [] (MessageWriter *out) {
                               out->add_integrity (turn::kMessageIntegrity, {1, 2, 3});
                             },
                             {},
                             false});
  bench.allocate ();
  EXPECT_EQ (bench.client->stats ().rejected_answers, 2U);
  EXPECT_EQ (bench.client->relayed ()[0].ip_text (), "203.0.113.9");
}

TEST_F (TurnRecovery, GarbageIsCountedAndNothingElse) {
  connect ();
  for (const char *text :
       {"", "x", "\x40", "\x40\x01\xff\xff", "\x7f\xff\xff\xff\xff", "GET / HTTP/1.1\r\n\r\n"})
    bench.client->receive (ByteView (std::string_view (text)));
  EXPECT_EQ (bench.client->stats ().malformed + bench.client->stats ().peers.malformed, 6U);
  EXPECT_EQ (bench.client->state (), State::allocated);
}

TEST_F (TurnRecovery, RandomScriptsEndInAnAllocationOrInAReason) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random (seed);
    TurnBench one;
    const int codes[] = {0,   300, 400, 401, 403, 405, 420, 437, 438, 440, 441,
                         442, 443, 446, 447, 486, 487, 500, 508, 600, 499};
    for (const char *host : {"one", "two"})
      for (const Method method :
           {Method::allocate, Method::refresh, Method::create_permission, Method::channel_bind})
        for (int i = 0; i < 30; ++i) {
          Answer how = error (codes[random () % std::size (codes)]);
          how.silent = random () % 10 == 0;
          how.is_signed = random () % 3 != 0;
          how.at_once = random () % 5 == 0;
          one.server (host).script[method].push_back (how);
        }
    one.fresh = turn::Credentials{"user", "secret"};
    one.start (one.config ({"one", "two"}, seed % 2 ? Protocol::udp : Protocol::tcp));
    for (int i = 0; i < 5; ++i)
      ASSERT_FALSE (one.client->add_peer (address ("198.51.100." + std::to_string (i), 4000)));
    for (int i = 0; i < 40; ++i) {
      one.clock.run_for (static_cast<TimeUs> (random () % 60) * kSecond);
      one.client->send (address ("198.51.100.1", 4000), view ("data"));
      if (random () % 20 == 0) one.client->move ();
      if (random () % 40 == 0) one.client->reset ();
      if (random () % 10 == 0) one.server ().restart ();
      if (random () % 10 == 0 && one.tuple) one.stream_ends ();
    }
    one.clock.run_for (300 * kSecond);
    const State state = one.client->state ();
    EXPECT_TRUE (state == State::allocated || state == State::failed)
        << "seed " << seed << " state " << static_cast<int> (state);
    for (const Event &event : one.events)
      if (event.kind == Event::Kind::network_bad || event.kind == Event::Kind::failed) {
        EXPECT_NE (event.reason, P2P_TURN_REASON_NONE);
        EXPECT_FALSE (event.message.empty ());
      }
    one.client->close ();
    ASSERT_TRUE (one.until (Event::Kind::closed, 2 * kSecond)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace p2p::test
