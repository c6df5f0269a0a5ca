// What a TURN client does where nothing goes wrong.
#include "scripted_server.hpp"

namespace p2p::test {
namespace {

using turn::Client;
using turn::Protocol;
using turn::Sent;

TEST (TurnClient, AllocatesWithinTwoRoundTripsAndTellsItsAddresses) {
  TurnBench bench;
  bench.allocate ();
  EXPECT_EQ (bench.clock.now (), 2 * kRoundTrip);
  ASSERT_EQ (bench.client->relayed ().size (), 1U);
  EXPECT_EQ (bench.client->relayed ()[0].text (), "203.0.113.9:50000");
  EXPECT_EQ (bench.client->mapped ()->text (), "192.0.2.1:1024");
  EXPECT_EQ (bench.server ().count (Method::allocate), 2);
}

TEST (TurnClient, SendsByIndicationUntilTheChannelIsThere) {
  TurnBench bench;
  bench.allocate ();
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  EXPECT_EQ (bench.client->send (kPeer, ByteView (std::string_view ("first"))), Sent::waiting);
  bench.clock.run_for (kRoundTrip);
  EXPECT_EQ (bench.client->send (kPeer, ByteView (std::string_view ("second"))), Sent::sent);
  bench.clock.run_for (kRoundTrip);
  EXPECT_EQ (bench.server ().relayed_data,
             (std::vector<std::string>{"198.51.100.7:4000~first", "198.51.100.7:4000=second"}));
  bench.peer_sends ("hello", kPeer);
  EXPECT_EQ (bench.received, std::vector<std::string>{"198.51.100.7:4000=hello"});
  EXPECT_EQ (bench.last (Event::Kind::peer_granted)->peer->ip_text (), "198.51.100.7");
}

TEST (TurnClient, HearsOtherPortsOfAPeersAddressAndNobodyElse) {
  TurnBench bench;
  bench.allocate ();
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  bench.clock.run_for (kRoundTrip);
  bench.peer_sends ("other port", address ("198.51.100.7", 4001));
  EXPECT_EQ (bench.received, std::vector<std::string>{"198.51.100.7:4001=other port"});
  bench.client->remove_peer (kPeer);
  bench.peer_sends ("late", kPeer);
  EXPECT_EQ (bench.received.size (), 1U);
  EXPECT_EQ (bench.client->stats ().peers.dropped_receives, 1U);
  EXPECT_EQ (bench.client->send (kPeer, ByteView (std::string_view ("gone"))), Sent::refused);
}

TEST (TurnClient, APeerDoesWithoutAChannelUntilItIsAddedWithOne) {
  TurnBench bench;
  bench.allocate ();
  ASSERT_FALSE (bench.client->add_peer (kPeer, false));
  bench.clock.run_for (kRoundTrip);
  EXPECT_EQ (bench.server ().count (Method::channel_bind), 0);
  bench.client->send (kPeer, ByteView (std::string_view ("first")));
  ASSERT_FALSE (bench.client->add_peer (kPeer, true));
  bench.clock.run_for (kRoundTrip);
  EXPECT_EQ (bench.server ().count (Method::channel_bind), 1);
  EXPECT_EQ (bench.server ().count (Method::create_permission), 1);
  bench.client->send (kPeer, ByteView (std::string_view ("second")));
  bench.clock.run_for (kRoundTrip);
  EXPECT_EQ (bench.server ().relayed_data,
             (std::vector<std::string>{"198.51.100.7:4000~first", "198.51.100.7:4000=second"}));
}

TEST (TurnClient, AsksForSeveralPeersWithOneRequest) {
  TurnBench bench;
  bench.start (bench.config ());
  for (int i = 1; i <= 40; ++i)
    ASSERT_FALSE (bench.client->add_peer (address ("198.51.100." + std::to_string (i), 4000)));
  ASSERT_TRUE (bench.until ([&] { return bench.count (Event::Kind::peer_granted) == 40; }));
  EXPECT_EQ (bench.server ().count (Method::create_permission), 3);
}

TEST (TurnClient, KeepsAllocationPermissionsAndChannelsForHours) {
  TurnBench bench;
  bench.allocate ();
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  bench.clock.run_for (2 * 3600 * kSecond);
  EXPECT_EQ (bench.events.size (), 2U);  // allocated, peer_granted
  auto &server = bench.server ();
  EXPECT_GE (server.count (Method::refresh), 2 * 3600 / 540);
  EXPECT_NEAR (server.count (Method::create_permission), 2 * 3600 / 240, 2);
  EXPECT_NEAR (server.count (Method::channel_bind), 2 * 3600 / 540, 2);
  EXPECT_EQ (bench.client->send (kPeer, ByteView (std::string_view ("still"))), Sent::sent);
  EXPECT_EQ (server.allocations (), 1U);
}

TEST (TurnClient, RefreshesAShortLifetimeBeforeItsEnd) {
  TurnBench bench;
  bench.server ().lifetime_s = 4;
  bench.allocate ();
  bench.clock.run_for (60 * kSecond);
  EXPECT_GE (bench.server ().count (Method::refresh), 28);
  EXPECT_EQ (bench.events.size (), 1U);
}

TEST (TurnClient, ClosesByReleasingTheAllocation) {
  TurnBench bench;
  bench.allocate ();
  bench.client->close ();
  ASSERT_TRUE (bench.until (Event::Kind::closed));
  EXPECT_EQ (bench.server ().allocations (), 0U);
  EXPECT_EQ (bench.tuple, 0U);
  bench.clock.run_for (3600 * kSecond);
  EXPECT_EQ (bench.last (Event::Kind::closed), &bench.events.back ());
}

TEST (TurnClient, ClosesInTimeWhenTheServerIsDead) {
  TurnBench bench;
  bench.allocate ();
  bench.server ().dead = true;
  const TimeUs begun = bench.clock.now ();
  bench.client->close ();
  ASSERT_TRUE (bench.until (Event::Kind::closed));
  EXPECT_LE (bench.clock.now () - begun, Client::kCloseLimit);
}

TEST (TurnClient, ThatIsDestroyedLeavesNoAllocationBehind) {
  TurnBench bench;
  bench.allocate ();
  bench.client.reset ();
  bench.clock.run_for (kSecond);
  EXPECT_EQ (bench.server ().allocations (), 0U);
}

TEST (TurnClient, AsksForBothFamiliesAndTakesWhatThereIs) {
  for (const bool ipv6 : {true, false}) {
    TurnBench bench;
    bench.server ().ipv6 = ipv6;
    auto config = bench.config ();
    config.wishes.both_families = true;
    bench.allocate (config);
    EXPECT_EQ (bench.client->relayed ().size (), ipv6 ? 2U : 1U);
    EXPECT_TRUE (
        bench.server ().last (Method::allocate).attributes.count (turn::kAdditionalAddressFamily));
  }
}

TEST (TurnClient, SaysDontFragmentWhereThatIsWished) {
  TurnBench bench;
  auto config = bench.config ();
  config.wishes.dont_fragment = true;
  bench.allocate (config);
  EXPECT_TRUE (bench.server ().last (Method::allocate).attributes.count (turn::kDontFragment));
}

TEST (TurnClient, PadsChannelDataOnAStream) {
  TurnBench bench;
  bench.allocate (bench.config ({"one"}, Protocol::tcp));
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  bench.clock.run_for (kRoundTrip);
  bench.client->send (kPeer, ByteView (std::string_view ("five.")));
  bench.clock.run_for (kRoundTrip);
  EXPECT_EQ (bench.server ().relayed_data.back (), "198.51.100.7:4000=five.");
}

TEST (TurnClient, MovesItsAllocationByTicket) {
  TurnBench bench;
  bench.server ().mobility = true;
  bench.allocate ();
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  bench.clock.run_for (kSecond);
  const auto before = bench.client->relayed ();
  bench.client->move ();
  EXPECT_EQ (bench.client->send (kPeer, ByteView (std::string_view ("meanwhile"))), Sent::waiting);
  ASSERT_TRUE (bench.until (Event::Kind::recovered));
  EXPECT_EQ (bench.client->relayed (), before);
  bench.clock.run_for (kSecond);
  EXPECT_EQ (bench.server ().relayed_data.back (), "198.51.100.7:4000=meanwhile");
  EXPECT_EQ (bench.server ().count (Method::allocate), 2);
}

TEST (TurnClient, AllocatesAnewWhereTheTicketIsWorthNothing) {
  TurnBench bench;
  bench.server ().mobility = true;
  bench.allocate ();
  bench.server ().restart ();
  bench.client->move ();
  ASSERT_TRUE (bench.until (Event::Kind::recovered));
  EXPECT_EQ (bench.client->relayed ()[0].port, 50001);
}

TEST (TurnClient, UsesSha256AndHidesTheUserWhereTheServerOffersThat) {
  TurnBench bench;
  bench.server ().sha256 = bench.server ().anonymous = true;
  bench.allocate ();
  const auto &asked = bench.server ().last (Method::allocate).attributes;
  EXPECT_TRUE (asked.count (turn::kMessageIntegritySha256));
  EXPECT_TRUE (asked.count (turn::kPasswordAlgorithm));
  EXPECT_TRUE (asked.count (turn::kPasswordAlgorithms));
  EXPECT_TRUE (asked.count (turn::kUserhash));
  EXPECT_FALSE (asked.count (turn::kUsername));
  EXPECT_FALSE (asked.count (turn::kMessageIntegrity));
}

TEST (TurnClient, DoesNotAnswerAChallengeThatWasWeakened) {
  TurnBench bench;
  bench.server ().sha256 = bench.server ().hide_algorithms = true;
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed, 600 * kSecond));
  for (const Seen &one : bench.server ().seen)
    EXPECT_FALSE (one.attributes.count (turn::kUsername));
  EXPECT_EQ (bench.last (Event::Kind::failed)->reason, P2P_TURN_REASON_PROTOCOL);
}

TEST (TurnClient, HoldsOnToSha256WhenALaterChallengeTakesItBack) {
  TurnBench bench;
  bench.server ().sha256 = true;
  bench.allocate ();
  bench.server ().sha256 = false;
  bench.server ().stale ();
  bench.clock.run_for (20 * kSecond);
  for (const Seen &one : bench.server ().seen)
    EXPECT_FALSE (one.attributes.count (turn::kMessageIntegrity));
}

TEST (TurnClient, NeverAsksForPeersThatARelayShouldNotReach) {
  TurnBench bench;
  bench.allocate ();
  for (const char *ip :
       {"127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.1.1",
        "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1",
        "ff02::1", "fd00::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"}) {
    const Status refused = bench.client->add_peer (address (ip, 4000));
    ASSERT_TRUE (refused) << ip;
    EXPECT_EQ (refused->code, P2P_ERROR_REFUSED) << ip;
  }
  EXPECT_EQ (bench.client->stats ().peers.refused_peers, 18U);
  bench.clock.run_for (kSecond);
  EXPECT_EQ (bench.server ().count (Method::create_permission), 0);
  // What is sent to the relay's own address comes back, wherever that is.
  EXPECT_FALSE (bench.client->add_peer (bench.client->relayed ()[0]));
}

TEST (TurnClient, AsksForPrivatePeersWhereTheyAreAllowed) {
  TurnBench bench;
  auto config = bench.config ();
  config.policy.allow_private = true;
  bench.allocate (config);
  EXPECT_FALSE (bench.client->add_peer (address ("10.0.0.1", 4000)));
  EXPECT_TRUE (bench.client->add_peer (address ("127.0.0.1", 4000)));
}

TEST (TurnClient, BoundsWhatWaits) {
  TurnBench bench;
  bench.start (bench.config ());
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  const std::string text (1000, 'x');
  for (std::size_t i = 0; i < turn::Peers::kMaxWaiting; ++i)
    ASSERT_EQ (bench.client->send (kPeer, ByteView (text)), Sent::waiting);
  EXPECT_EQ (bench.client->send (kPeer, ByteView (text)), Sent::full);
  EXPECT_EQ (bench.client->stats ().peers.dropped_sends, 0U) << "it may be tried again";
  EXPECT_EQ (bench.client->send (kPeer, ByteView (std::string (65536, 'x'))), Sent::too_long);
  bench.clock.run_for (kSecond);
  EXPECT_EQ (bench.server ().relayed_data.size (), turn::Peers::kMaxWaiting);
}

TEST (TurnClient, BoundsItsPeers) {
  TurnBench bench;
  bench.start (bench.config ());
  for (std::size_t i = 0; i < turn::Peers::kMaxPeers; ++i)
    ASSERT_FALSE (
        bench.client->add_peer (address ("198.51.100.1", static_cast<std::uint16_t> (i + 1))));
  const Status refused = bench.client->add_peer (kPeer);
  ASSERT_TRUE (refused);
  EXPECT_EQ (refused->code, P2P_ERROR_LIMIT);
}

}  // namespace
}  // namespace p2p::test
