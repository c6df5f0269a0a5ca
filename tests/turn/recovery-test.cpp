// Every error of the RFCs, and what a TURN client does about it: the table of docs/turn.md.
#include "recovery_fixture.hpp"

namespace p2p::test {
namespace {

// 300: one hop, by the same scheme, without a loop.

Answer
alternate (const char *ip, std::uint16_t port) {
  Answer out = error (300);
  out.extra = [ip, port] (MessageWriter *message) {
    std::string value = {0, 1, static_cast<char> (port >> 8), static_cast<char> (port)};
    const auto to = address (ip, port);
    value.append (reinterpret_cast<const char *> (to.ip.data ()), 4);
    message->add_text (turn::kAlternateServer, value);
    message->add_text (turn::kAlternateDomain, "turn.example.org");
  };
  return out;
}

TEST_F (TurnRecovery, Error300IsFollowedForOneHopByTheSameScheme) {
  bench.server ("192.0.2.55");
  script (Method::allocate, alternate ("192.0.2.55", 3479));
  bench.allocate (bench.config ({"one"}, Protocol::tls));
  const auto &target = bench.targets.back ();
  EXPECT_EQ (target.host, "192.0.2.55");
  EXPECT_EQ (target.port, 3479);
  EXPECT_EQ (target.protocol, Protocol::tls);
  EXPECT_EQ (target.tls_name, "turn.example.org");
  EXPECT_EQ (bench.last (Event::Kind::redirected)->reason, P2P_TURN_REASON_TRY_ALTERNATE);
}

TEST_F (TurnRecovery, Error300FromTheSecondServerIsNotFollowed) {
  bench.server ("192.0.2.55");
  bench.server ("192.0.2.56");
  script (Method::allocate, alternate ("192.0.2.55", 3478));
  script (Method::allocate, alternate ("192.0.2.56", 3478), "192.0.2.55");
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed));
  EXPECT_TRUE (bench.server ("192.0.2.56").seen.empty ());
}

TEST_F (TurnRecovery, Error300ToItselfAndWithoutAnAddressIsNotFollowed) {
  script (Method::allocate, alternate ("192.0.2.55", 3478));
  auto config = bench.config ();
  config.servers[0].host = "192.0.2.55";
  script (Method::allocate, alternate ("192.0.2.55", 3478), "192.0.2.55");
  bench.start (config);
  ASSERT_TRUE (bench.until (Event::Kind::failed));
  EXPECT_EQ (bench.targets.size (), 1U);

  TurnBench other;
  other.server ().script[Method::allocate].push_back (error (300));
  other.start (other.config ());
  ASSERT_TRUE (other.until (Event::Kind::failed));
}

TEST_F (TurnRecovery, Error300OnRefreshMovesTheAllocation) {
  connect ();
  script (Method::refresh, error (300));
  until_lost ();
  expect_recovery (P2P_TURN_REASON_TRY_ALTERNATE);
}

// 400

TEST_F (TurnRecovery, Error400OnAllocateLeavesThisServerForTheNext) {
  script (Method::allocate, error (400));
  bench.allocate (bench.config ({"one", "two"}));
  EXPECT_EQ (bench.last (Event::Kind::server_failed)->reason, P2P_TURN_REASON_BAD_REQUEST);
  EXPECT_EQ (bench.server ("two").allocations (), 1U);
}

TEST_F (TurnRecovery, Error400OnASignedAllocateAsksForOtherCredentialsOnce) {
  server ().password = "other";
  bench.fresh = turn::Credentials{"user", "other"};
  script (Method::allocate, {400, false, false, {}, {}, false});
  bench.allocate ();
  EXPECT_EQ (bench.wanted, 1);
  // Before there was a challenge it cannot be meant.
  TurnBench other;
  other.server ().script[Method::allocate].push_back ({400, false, false, {}, {}, true});
  other.allocate (other.config ({"one", "two"}));
  EXPECT_EQ (other.wanted, 0);
}

TEST_F (TurnRecovery, Error400OnRefreshIsALostAllocation) {
  connect ();
  script (Method::refresh, error (400));
  until_lost ();
  expect_recovery (P2P_TURN_REASON_BAD_REQUEST);
}

TEST_F (TurnRecovery, Error400ForAPeerMayMeanThatTheAllocationIsLost) {
  for (const Method method : {Method::create_permission, Method::channel_bind}) {
    TurnBench one;
    one.allocate ();
    one.server ().restart ();
    one.server ().script[method].push_back (error (400));
    one.server ()
        .script[method == Method::channel_bind ? Method::create_permission : Method::channel_bind]
        .push_back ({0, true, true, {}, {}, false});
    ASSERT_FALSE (one.client->add_peer (kPeer));
    EXPECT_EQ (one.client->send (kPeer, view ("waits")), Sent::waiting);
    ASSERT_TRUE (one.until (Event::Kind::recovered));
    EXPECT_EQ (one.last (Event::Kind::network_bad)->reason, P2P_TURN_REASON_ALLOCATION_MISMATCH);
    one.clock.run_for (kSecond);
    EXPECT_EQ (one.server ().relayed_data.size (), 1U);
  }
}

TEST_F (TurnRecovery, Error400ForAPeerOfALivingAllocationConcernsThatPeerAlone) {
  connect ();
  const Address other = address ("198.51.100.8", 4000);
  script (Method::create_permission, error (400));
  script (Method::create_permission, error (400));
  ASSERT_FALSE (bench.client->add_peer (other));
  ASSERT_TRUE (bench.until (Event::Kind::peer_refused));
  EXPECT_EQ (*bench.last (Event::Kind::peer_refused)->peer, other.without_port ());
  EXPECT_EQ (bench.last (Event::Kind::peer_refused)->reason, P2P_TURN_REASON_BAD_REQUEST);
  EXPECT_EQ (bench.client->send (other, view ("no")), Sent::refused);
  EXPECT_EQ (bench.client->send (kPeer, view ("yes")), Sent::sent);
  EXPECT_EQ (bench.count (Event::Kind::network_bad), 0);
}

TEST_F (TurnRecovery, Error400ForAChannelAloneLeavesSendIndications) {
  bench.allocate ();
  script (Method::channel_bind, error (400));
  script (Method::channel_bind, error (400));
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  bench.clock.run_for (20 * kSecond);
  EXPECT_EQ (bench.client->send (kPeer, view ("hello")), Sent::sent);
  bench.clock.run_for (kSecond);
  EXPECT_EQ (server ().relayed_data.back (), "198.51.100.7:4000~hello");
  EXPECT_EQ (bench.count (Event::Kind::network_bad), 0);
}

// 401

TEST_F (TurnRecovery, Error401WithCredentialsAsksForOthersOnce) {
  server ().password = "other";
  bench.fresh = turn::Credentials{"user", "other"};
  bench.allocate ();
  EXPECT_EQ (bench.wanted, 1);
}

TEST_F (TurnRecovery, Error401WithTheLastCredentialsEndsThisServer) {
  server ().password = "other";
  bench.fresh = turn::Credentials{"user", "wrong as well"};
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed));
  EXPECT_EQ (bench.last (Event::Kind::failed)->reason, P2P_TURN_REASON_UNAUTHORIZED);
  EXPECT_EQ (bench.wanted, 1);
  EXPECT_LE (server ().seen.size (), 4U);
}

TEST_F (TurnRecovery, Error401OnRefreshIsAnsweredWithFreshCredentials) {
  connect ();
  server ().password = "next hour";
  bench.fresh = turn::Credentials{"user", "next hour"};
  bench.clock.run_for (600 * kSecond);
  EXPECT_EQ (bench.wanted, 1);
  EXPECT_EQ (bench.count (Event::Kind::network_bad), 0);
  EXPECT_EQ (bench.client->send (kPeer, view ("after")), Sent::sent);
}

TEST_F (TurnRecovery, Error401ForAPeerIsAnsweredWithFreshCredentials) {
  bench.allocate ();
  server ().password = "next hour";
  bench.fresh = turn::Credentials{"user", "next hour"};
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  ASSERT_TRUE (bench.until (Event::Kind::peer_granted));
  EXPECT_EQ (bench.wanted, 1);
}

TEST_F (TurnRecovery, Error401WithoutFreshCredentialsIsLostWhenTheAllocationEnds) {
  connect ();
  server ().password = "next hour";
  ASSERT_TRUE (bench.until (Event::Kind::failed, 1200 * kSecond));
  EXPECT_EQ (bench.last (Event::Kind::network_bad)->reason, P2P_TURN_REASON_UNAUTHORIZED);
  EXPECT_GT (bench.wanted, 1);
}

TEST_F (TurnRecovery, CredentialsThatNobodyGivesAreNotWaitedForForever) {
  class Mute : public TurnBench {
    void credentials_wanted (const turn::Server &) override {}
  } mute;
  mute.server ().password = "other";
  mute.start (mute.config ());
  ASSERT_TRUE (mute.until (Event::Kind::failed));
  EXPECT_NEAR (static_cast<double> (mute.clock.now ()),
               static_cast<double> (Client::kCredentialsLimit), kSecond);
}

// 403

TEST_F (TurnRecovery, Error403OnAllocateLeavesThisServer) {
  script (Method::allocate, error (403));
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed));
  EXPECT_EQ (bench.last (Event::Kind::failed)->reason, P2P_TURN_REASON_FORBIDDEN);
}

TEST_F (TurnRecovery, Error403ForOnePeerOfManyConcernsThatPeerAlone) {
  bench.allocate ();
  const Address bad = address ("198.51.100.66", 4000);
  server ().forbidden = {bad.without_port ()};
  for (const char *ip : {"198.51.100.65", "198.51.100.66", "198.51.100.67"})
    ASSERT_FALSE (bench.client->add_peer (address (ip, 4000)));
  bench.client->send (bad, view ("dropped"));
  ASSERT_TRUE (bench.until ([&] {
    return bench.count (Event::Kind::peer_granted) == 2 &&
           bench.count (Event::Kind::peer_refused) == 1;
  }));
  EXPECT_EQ (*bench.last (Event::Kind::peer_refused)->peer, bad.without_port ());
  EXPECT_EQ (bench.client->stats ().peers.dropped_sends, 1U);
  // Another day, another answer.
  server ().forbidden.clear ();
  ASSERT_FALSE (bench.client->add_peer (bad));
  EXPECT_TRUE (bench.until ([&] { return bench.count (Event::Kind::peer_granted) == 3; }));
}

// 405, 420, 440: less is asked for.

TEST_F (TurnRecovery, Error405LeavesOutMobility) {
  script (Method::allocate, error (405));
  bench.allocate ();
  EXPECT_FALSE (server ().last (Method::allocate).attributes.count (turn::kMobilityTicket));
}

TEST_F (TurnRecovery, Error420LeavesOutWhatIsNotKnown) {
  Answer how = error (420);
  how.extra = [] (MessageWriter *out) {
    out->add (turn::kUnknownAttributes, ByteView ("\0\x1a\x80\x00", 4));
  };
  script (Method::allocate, how);
  auto config = bench.config ();
  config.wishes.dont_fragment = config.wishes.both_families = true;
  bench.allocate (config);
  const auto &asked = server ().last (Method::allocate).attributes;
  EXPECT_FALSE (asked.count (turn::kDontFragment));
  EXPECT_FALSE (asked.count (turn::kAdditionalAddressFamily));
}

TEST_F (TurnRecovery, Error420ThatNamesNothingOfOursEndsThisServer) {
  script_always (Method::allocate, 420);
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed));
  EXPECT_EQ (bench.last (Event::Kind::failed)->reason, P2P_TURN_REASON_UNKNOWN_ATTRIBUTE);
  EXPECT_EQ (server ().count (Method::allocate), 2);
}

TEST_F (TurnRecovery, Error440EndsTheServerThatLacksTheFamily) {
  bench.server ("two").ipv6 = true;
  bench.server ("two").relay_ip = "2001:db8::9";
  auto config = bench.config ({"one", "two"});
  config.wishes.family = turn::Family::ipv6;
  bench.allocate (config);
  EXPECT_EQ (bench.last (Event::Kind::server_failed)->reason, P2P_TURN_REASON_ADDRESS_FAMILY);
  EXPECT_EQ (bench.client->relayed ()[0].family, turn::Family::ipv6);
}

TEST_F (TurnRecovery, Error440ToBothFamiliesLeavesTheFirst) {
  script (Method::allocate, error (440));
  auto config = bench.config ();
  config.wishes.both_families = true;
  bench.allocate (config);
  EXPECT_FALSE (
      server ().last (Method::allocate).attributes.count (turn::kAdditionalAddressFamily));
}

// 437

TEST_F (TurnRecovery, Error437OnAllocateReleasesWhatIsOursAndTakesAnotherFiveTuple) {
  script (Method::allocate, error (437));
  bench.allocate ();
  EXPECT_EQ (bench.tuples, 2U);
  EXPECT_EQ (server ().last (Method::refresh).lifetime_s, 0U);
  EXPECT_EQ (server ().last (Method::refresh).tuple, 1U);
}

TEST_F (TurnRecovery, Error437WithoutASignatureIsSeen) {
  // As coturn gives it to the first request, before any challenge.
  script (Method::allocate, {437, false, false, {}, {}, true});
  bench.allocate ();
  EXPECT_EQ (bench.tuples, 2U);
  EXPECT_LT (bench.clock.now (), kSecond);
}

TEST_F (TurnRecovery, Error437OnEveryFiveTupleIsBounded) {
  script_always (Method::allocate, 437);
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed, 600 * kSecond));
  EXPECT_LE (bench.tuples, static_cast<unsigned> (Client::kMaxRounds * (Client::kMaxTuples + 1)));
}

TEST_F (TurnRecovery, Error437OnRefreshMakesAnotherAllocationWithinTwoRoundTrips) {
  connect ();
  script (Method::refresh, error (437));
  server ().restart ();
  // A restarted server has other nonces as well; one that lost the allocation alone has not.
  until_lost ();
  const TimeUs lost_at = bench.clock.now ();
  bench.client->send (kPeer, view ("meanwhile"));
  ASSERT_TRUE (bench.until ([&] { return server ().relayed_data.size () == 2; }));
  // Allocate with the nonce that the 438 before brought, CreatePermission, and half a round trip.
  EXPECT_LE (bench.clock.now () - lost_at, 2 * kRoundTrip + kOneWay + 100 * kMillisecond);
  EXPECT_EQ (bench.tuples, 1U);
}

TEST_F (TurnRecovery, Error437ForAPermissionOrAChannelMakesAnotherAllocation) {
  for (const Method method : {Method::create_permission, Method::channel_bind}) {
    bench.~TurnBench ();
    new (&bench) TurnBench;
    connect ();
    script (method, error (437));
    until_asked_again (method);
    ASSERT_EQ (bench.count (Event::Kind::network_bad), 1);
    server ().restart ();
    expect_recovery (P2P_TURN_REASON_ALLOCATION_MISMATCH);
  }
}

TEST_F (TurnRecovery, AServerThatGrantsAndTakesAwayAtOnceIsNotAskedForever) {
  script_always (Method::create_permission, 437);
  script_always (Method::channel_bind, 437);
  bench.start (bench.config ({"one", "two"}));
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  ASSERT_TRUE (bench.until ([&] { return bench.server ("two").allocations () == 1; }));
  EXPECT_LE (server ().count (Method::allocate), 12);
}

// 438

TEST_F (TurnRecovery, Error438IsAnsweredWithTheNewNonce) {
  connect ();
  for (int i = 0; i < 100; ++i) {
    server ().stale ();
    bench.clock.run_for (7 * kSecond);
  }
  EXPECT_EQ (bench.events.size (), 2U);
  EXPECT_EQ (bench.client->send (kPeer, view ("after")), Sent::sent);
}

TEST_F (TurnRecovery, Error438WithoutEndOnAllocateIsBounded) {
  server ().stale_always = true;
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed, 600 * kSecond));
  EXPECT_EQ (bench.last (Event::Kind::failed)->reason, P2P_TURN_REASON_STALE_NONCE);
  EXPECT_LE (server ().count (Method::allocate), Client::kMaxRounds * (Client::kMaxTuples + 1) * 8);
}

TEST_F (TurnRecovery, Error438WithoutEndOnAnAllocationGoesToAnotherFiveTuple) {
  connect (bench.config ({"one", "two"}));
  server ().stale_always = true;
  until_lost ();
  expect_recovery (P2P_TURN_REASON_STALE_NONCE, "two");
}

// 441, 442, 443, 446, 447

TEST_F (TurnRecovery, Error441OnRefreshAllocatesWithTheCredentialsOfNow) {
  connect ();
  script (Method::refresh, error (441));
  until_lost ();
  expect_recovery (P2P_TURN_REASON_WRONG_CREDENTIALS);
  EXPECT_EQ (bench.tuples, 2U);
}

TEST_F (TurnRecovery, Error441OnAllocateTakesAnotherFiveTuple) {
  script (Method::allocate, error (441));
  bench.allocate ();
  EXPECT_EQ (bench.tuples, 2U);
}

TEST_F (TurnRecovery, Error442LeavesThisServer) {
  script (Method::allocate, error (442));
  bench.allocate (bench.config ({"one", "two"}));
  EXPECT_EQ (bench.last (Event::Kind::server_failed)->reason,
             P2P_TURN_REASON_UNSUPPORTED_TRANSPORT);
}

TEST_F (TurnRecovery, Errors443And446And447ConcernThePeerAlone) {
  connect ();
  const std::pair<int, P2pTurnReason> rows[] = {{443, P2P_TURN_REASON_PEER_ADDRESS_FAMILY},
                                                {446, P2P_TURN_REASON_CONNECTION_EXISTS},
                                                {447, P2P_TURN_REASON_CONNECTION_FAILED}};
  int refused = 0;
  for (const auto &[code, reason] : rows) {
    script (Method::create_permission, error (code));
    ASSERT_FALSE (
        bench.client->add_peer (address ("198.51.100.8", static_cast<std::uint16_t> (code))));
    ++refused;
    ASSERT_TRUE (bench.until ([&] { return bench.count (Event::Kind::peer_refused) == refused; }));
    EXPECT_EQ (bench.last (Event::Kind::peer_refused)->reason, reason);
    EXPECT_EQ (bench.last (Event::Kind::peer_refused)->code, code);
  }
  EXPECT_EQ (bench.count (Event::Kind::network_bad), 0);
  EXPECT_EQ (bench.client->send (kPeer, view ("still")), Sent::sent);
}

// 486, 487, 500, 508

TEST_F (TurnRecovery, Errors486And500And508GoToTheNextServerAtOnce) {
  const std::pair<int, P2pTurnReason> rows[] = {{486, P2P_TURN_REASON_QUOTA},
                                                {500, P2P_TURN_REASON_SERVER_ERROR},
                                                {508, P2P_TURN_REASON_CAPACITY}};
  for (const auto &[code, reason] : rows) {
    TurnBench one;
    one.server ().script[Method::allocate].push_back (error (code));
    one.allocate (one.config ({"one", "two"}));
    EXPECT_EQ (one.last (Event::Kind::server_failed)->reason, reason);
    EXPECT_LE (one.clock.now (), 4 * kRoundTrip);
  }
}

TEST_F (TurnRecovery, Errors486And500And508AreAskedAgainLaterAndNotForever) {
  for (const int code : {486, 500, 508}) {
    TurnBench one;
    one.server ().script[Method::allocate].push_back (error (code));
    one.allocate ();
    EXPECT_GE (one.clock.now (), Client::kFirstWait);
    EXPECT_LE (one.clock.now (), Client::kFirstWait + 5 * kRoundTrip);

    TurnBench never;
    for (int i = 0; i < 100; ++i) never.server ().script[Method::allocate].push_back (error (code));
    never.start (never.config ());
    ASSERT_TRUE (never.until (Event::Kind::failed, 600 * kSecond));
    EXPECT_EQ (never.last (Event::Kind::failed)->code, code);
    EXPECT_EQ (never.count (Event::Kind::server_failed), Client::kMaxRounds - 1);
  }
}

TEST_F (TurnRecovery, Errors486And500And508OnRefreshDoNotEndALivingAllocation) {
  connect ();
  for (const int code : {486, 500, 508}) script (Method::refresh, error (code));
  bench.clock.run_for (120 * kSecond);
  EXPECT_EQ (bench.count (Event::Kind::network_bad), 0);
}

TEST_F (TurnRecovery, Error508ForAPeerIsAskedAgain) {
  bench.allocate ();
  script (Method::create_permission, error (508));
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  bench.client->send (kPeer, view ("waits"));
  ASSERT_TRUE (bench.until (Event::Kind::peer_granted));
  bench.clock.run_for (kSecond);
  EXPECT_EQ (server ().relayed_data.size (), 1U);
}

TEST_F (TurnRecovery, Error508ForAPeerWithoutEndRefusesIt) {
  bench.allocate ();
  script_always (Method::create_permission, 508);
  ASSERT_FALSE (bench.client->add_peer (kPeer));
  ASSERT_TRUE (bench.until (Event::Kind::peer_refused));
  EXPECT_EQ (bench.last (Event::Kind::peer_refused)->reason, P2P_TURN_REASON_CAPACITY);
}

TEST_F (TurnRecovery, Error487IsNoTurnServer) {
  script (Method::allocate, error (487));
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed));
  EXPECT_EQ (bench.last (Event::Kind::failed)->reason, P2P_TURN_REASON_ROLE_CONFLICT);
  EXPECT_EQ (server ().count (Method::allocate), 2);
}

TEST_F (TurnRecovery, AnErrorThatNoRfcKnowsEndsThisServerAndIsTold) {
  script (Method::allocate, error (499));
  bench.start (bench.config ());
  ASSERT_TRUE (bench.until (Event::Kind::failed));
  EXPECT_EQ (bench.last (Event::Kind::failed)->code, 499);
}

}  // namespace
}  // namespace p2p::test
