// Through a real TURN server (coturn), and through it alone.
#include "../turn/coturn.hpp"
#include "ice/turn_front.hpp"
#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

using turn::Protocol;

class IceRelay : public testing::TestWithParam<Protocol> {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
    coturn_ = std::make_unique<Coturn> ();
    ASSERT_TRUE (coturn_->start ()) << coturn_->log ();
  }
  IceConfig config (bool controlling, bool relay_only) const {
    IceConfig out = loopback_config (controlling);
    out.relay_only = relay_only;
    out.turn_servers = {coturn_->server (GetParam ())};
    out.turn_tls_database = coturn_->database ();
    return out;
  }
  std::unique_ptr<Coturn> coturn_;
};

TEST_P (IceRelay, RelayOnlyConnectsAndShowsNoOtherAddress) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (config (true, true), config (false, true)));
  ASSERT_TRUE (couple.wait_usable ()) << coturn_->log ();
  ASSERT_TRUE (couple.exchange ("through the relay"));
  ASSERT_TRUE (
      wait_until ([&] { return couple.a.gathering_done == 1 && couple.b.gathering_done == 1; }));
  on_core ([&] {
    for (IceEnd *end : {&couple.a, &couple.b}) {
      ASSERT_FALSE (end->candidates.empty ());
      for (const auto &candidate : end->candidates) {
        EXPECT_NE (candidate.find (" typ relay raddr 0.0.0.0 rport 0"), std::string::npos)
            << candidate;
      }
      EXPECT_TRUE (end->pairs.back ().relayed);
      EXPECT_EQ (end->pairs.back ().local_type, "relay");
      EXPECT_TRUE (end->transport->path ().info ().relayed);
      EXPECT_EQ (end->transport->path ().max_datagram_bytes (), kMinDatagramBytes);
      EXPECT_TRUE (end->warnings.empty ());
    }
    // The largest datagrams of a full burst pass.
    couple.b.received.clear ();
    const std::string burst (4 * 1200, 'r');
    EXPECT_EQ (couple.a.transport->path ().send (ByteView (burst), 1200), Path::Sent::all);
  });
  EXPECT_TRUE (wait_until ([&] { return couple.b.received.size () == 4; }));
}

TEST_P (IceRelay, OneRelayIsEnoughAndIsReleasedAtTheEnd) {
  {
    IceCouple couple;
    ASSERT_TRUE (couple.connect (config (true, true), loopback_config (false)));
    ASSERT_TRUE (couple.wait_usable ()) << coturn_->log ();
    ASSERT_TRUE (couple.exchange ("one relay"));
  }
  // Not left to the allocation's lifetime of ten minutes.
  EXPECT_TRUE (coturn_->is_left_with_nothing ()) << coturn_->log ();
}

TEST_P (IceRelay, FollowsAPeerFromTheRelay) {
  for (const bool controlling : {true, false}) {
    IceCouple couple;
    IceEnd newcomer;
    IceConfig direct = loopback_config (!controlling);
    direct.tcp = false;
    ASSERT_TRUE (couple.connect (config (controlling, true), direct));
    ASSERT_TRUE (couple.wait_usable ()) << coturn_->log ();
    ASSERT_TRUE (couple.exchange ("first"));
    on_core ([&] {
      const auto &survivor = *couple.a.transport;
      EXPECT_TRUE (couple.a.transport->path ().info ().own_relay);
      EXPECT_EQ (survivor.selected_pair ()->local_base_address, "127.0.0.1");
      direct.credentials = couple.b.transport->local_credentials ();
      couple.b.close ();
      couple.a.transport->follow_peer (true);
      ASSERT_FALSE (newcomer.open (direct));
      ASSERT_FALSE (newcomer.transport->set_remote_credentials (survivor.local_credentials ()));
      for (const auto &sdp : couple.a.candidates)
        ASSERT_FALSE (newcomer.transport->add_remote_candidate (sdp));
    });
    // Sooner than libnice would give the newcomer up.
    EXPECT_TRUE (wait_until (
        [&] {
          couple.a.send ("second");
          newcomer.send ("second");
          return !newcomer.received.empty () && newcomer.usable () &&
                 couple.a.received.back () == "second";
        },
        2 * kSecond));
    on_core ([&] { EXPECT_EQ (couple.a.pairs.back ().local_type, "relay"); });
  }
}

TEST_P (IceRelay, WhenItsServerGoesThatIsToldOverTcp) {
  if (turn::is_datagram (GetParam ())) GTEST_SKIP () << "over UDP it is silence and no end";
  IceCouple couple;
  ASSERT_TRUE (couple.connect (config (true, true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ()) << coturn_->log ();
  ASSERT_TRUE (couple.exchange ("first"));
  coturn_.reset ();
  ASSERT_TRUE (wait_until ([&] { return couple.a.failed (); }));
  on_core ([&] {
    EXPECT_EQ (couple.a.failures, 1U);
    EXPECT_TRUE (couple.a.transport->path ().info ().own_relay);
    EXPECT_FALSE (couple.a.transport->go_back ());
    couple.a.transport->check_pair ();
    EXPECT_EQ (couple.b.failures, 0U);
  });
}

// Its address is another one then, or nobody's: only a new generation helps.
TEST_P (IceRelay, AServerThatBeganAnewHasLostTheRelay) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (config (true, true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ()) << coturn_->log ();
  ASSERT_TRUE (couple.exchange ("first"));
  coturn_->stop ();
  ASSERT_TRUE (coturn_->start ());
  ASSERT_TRUE (wait_until ([&] {
    // As a line does that hears nothing.
    couple.a.transport->check_pair ();
    return couple.a.failed ();
  }));
  on_core ([&] {
    EXPECT_EQ (couple.a.failures, 1U);
    EXPECT_NE (couple.a.failure.find ("is lost"), std::string::npos) << couple.a.failure;
    couple.a.send ("second");
    EXPECT_EQ (couple.a.sent, Path::Sent::failed);
    EXPECT_EQ (couple.b.failures, 0U);
  });
}

TEST_P (IceRelay, GoesAlongToAnotherConnectionWhereTheServerLetsIt) {
  if (!turn::is_datagram (GetParam ())) GTEST_SKIP () << "an allocation ends with its stream";
  coturn_ = std::make_unique<Coturn> (std::vector<std::string>{"127.0.0.1"},
                                      std::vector<std::string>{"--mobility"});
  ASSERT_TRUE (coturn_->start ()) << coturn_->log ();
  IceCouple couple;
  ASSERT_TRUE (couple.connect (config (true, true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ()) << coturn_->log ();
  ASSERT_TRUE (couple.exchange ("first"));
  on_core ([&] {
    ASSERT_EQ (couple.a.transport->relays ().size (), 1U);
    EXPECT_EQ (couple.a.transport->relays ()[0].stats.losses, 0U);
    couple.a.transport->move_relays ();
    couple.a.send ("on the way");
    EXPECT_EQ (couple.a.sent, Path::Sent::all);
  });
  ASSERT_TRUE (wait_until ([&] { return couple.b.received.back () == "on the way"; }));
  ASSERT_TRUE (couple.exchange ("second"));
  on_core ([&] {
    const TurnRelayState relay = couple.a.transport->relays ()[0];
    EXPECT_EQ (relay.stats.losses, 1U);
    EXPECT_EQ (relay.stats.allocations, 1U);
    EXPECT_FALSE (relay.lost);
    EXPECT_EQ (relay.server.find (Coturn::kPassword), std::string::npos);
    EXPECT_EQ (relay.realm, Coturn::kRealm);
    EXPECT_GT (relay.left, 0);
    EXPECT_LE (relay.left, relay.lifetime);
    EXPECT_EQ (couple.a.failures, 0U);
    EXPECT_EQ (couple.a.transport->selected_pair ()->local_base_address, "127.0.0.1");
  });
}

// The server is asked over IPv4 by a side that has nothing else.
TEST_P (IceRelay, AnIpv6RelayReachesAPeerThatHasOnlyIpv6) {
  if (GetParam () != Protocol::udp) GTEST_SKIP () << "it is the same over the others";
  coturn_ = std::make_unique<Coturn> (std::vector<std::string>{"127.0.0.1", "::1"});
  ASSERT_TRUE (coturn_->start ()) << coturn_->log ();
  IceCouple couple;
  IceConfig a = config (true, true), b = loopback_config (false);
  a.turn_servers = {coturn_->server (Protocol::udp, "localhost")};
  b.local_addresses = {"::1"};
  ASSERT_TRUE (couple.connect (a, b));
  ASSERT_TRUE (couple.wait_usable ()) << coturn_->log ();
  ASSERT_TRUE (couple.exchange ("over IPv6"));
  ASSERT_TRUE (wait_until ([&] { return couple.a.gathering_done == 1; }));
  on_core ([&] {
    EXPECT_EQ (couple.a.candidates.size (), 2U);
    EXPECT_EQ (couple.a.pairs.back ().local_type, "relay");
    EXPECT_NE (couple.a.pairs.back ().local.find ("[::1]"), std::string::npos);
    EXPECT_EQ (couple.a.pairs.back ().local_base_address, "127.0.0.1");
    EXPECT_TRUE (couple.a.warnings.empty ());
  });
}

TEST_P (IceRelay, AWrongPasswordEndsTheGatheringWithoutARelay) {
  IceEnd end;
  IceConfig wrong = config (true, true);
  wrong.turn_servers[0].credentials.password = "wrong";
  on_core ([&] { ASSERT_FALSE (end.open (wrong)); });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }));
  on_core ([&] {
    EXPECT_TRUE (end.candidates.empty ());
    ASSERT_EQ (end.warnings.size (), 1U);
    EXPECT_NE (end.warnings[0].message.find ("user and password"), std::string::npos)
        << end.warnings[0].message;
  });
}

INSTANTIATE_TEST_SUITE_P (
    Coturn, IceRelay, testing::Values (Protocol::udp, Protocol::tcp, Protocol::tls, Protocol::dtls),
    [] (const testing::TestParamInfo<Protocol> &row) { return turn::protocol_name (row.param); });

}  // namespace
}  // namespace p2p::test
