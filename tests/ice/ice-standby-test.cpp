// Two real TURN servers (coturn): which of them a generation uses, and what becomes of it when one
// dies.
#include <algorithm>

#include "../turn/coturn.hpp"
#include "ice/turn_front.hpp"
#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

using turn::Protocol;

constexpr char kFirst[] = "127.0.0.1", kSecond[] = "127.0.0.2";

class IceStandby : public testing::Test {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
    ASSERT_TRUE (first_.start ()) << first_.log ();
    ASSERT_TRUE (second_.start ()) << second_.log ();
  }
  IceConfig config (bool controlling, Protocol protocol = Protocol::udp) const {
    IceConfig out = loopback_config (controlling);
    out.relay_only = true;
    out.turn_servers = {first_.server (protocol, kFirst), second_.server (protocol, kSecond)};
    return out;
  }
  static std::vector<std::string> relays (const IceEnd &end) {
    return end.transport->path ().info ().relays;
  }
  // Both have a pair that takes one server. That is mostly the one configured first, but where the
  // check through another is answered before, libnice drops what is not yet begun (RFC 5245
  // section 8.1.2).
  static bool share_one (const IceCouple &couple) {
    return wait_until ([&] {
      return couple.a.gathering_done == 1 && couple.b.gathering_done == 1 && couple.a.ready () &&
             couple.b.ready () && relays (couple.a).size () == 1 &&
             relays (couple.b) == relays (couple.a);
    });
  }
  static bool shows (const IceEnd &end, const std::string &ip) {
    return std::any_of (
        end.candidates.begin (), end.candidates.end (),
        [&] (const std::string &sdp) { return sdp.find (" " + ip + " ") != std::string::npos; });
  }

  Coturn first_{{kFirst}}, second_{{kSecond}};
};

TEST_F (IceStandby, BothSidesUseOneServerAndKeepTheOther) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (config (true), config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (share_one (couple));
  ASSERT_TRUE (couple.exchange ("through one"));
  on_core ([&] {
    EXPECT_TRUE (shows (couple.a, kFirst) && shows (couple.a, kSecond));
    EXPECT_EQ (couple.a.transport->relays ().size (), 2U);
  });
}

TEST_F (IceStandby, WhatSharesNoRelayOutlivesTheServerOfTheOther) {
  IceCouple in_use, standby;
  IceConfig a = config (true), b = config (false);
  a.without_relays = b.without_relays = {kSecond};
  ASSERT_TRUE (in_use.connect (a, b));
  ASSERT_TRUE (share_one (in_use));
  a.without_relays = b.without_relays = {kFirst};
  ASSERT_TRUE (standby.connect (a, b));
  ASSERT_TRUE (share_one (standby));
  ASSERT_TRUE (in_use.exchange ("first"));
  on_core ([&] {
    for (const IceEnd *end : {&standby.a, &standby.b}) {
      EXPECT_EQ (relays (*end), std::vector<std::string>{kSecond});
      EXPECT_FALSE (shows (*end, kFirst));
      EXPECT_TRUE (end->warnings.empty ());
    }
  });
  first_.stop ();
  ASSERT_TRUE (standby.exchange ("second"));
  ASSERT_TRUE (first_.start ());
  ASSERT_TRUE (wait_until ([&] {
    in_use.a.transport->check_pair ();
    return in_use.a.failed ();
  }));
  // Its server is asked again, and gives a relay for another generation.
  ASSERT_TRUE (wait_until ([&] { return in_use.a.relays_back == 1; }));
  on_core ([&] { EXPECT_EQ (standby.a.failures + standby.b.failures, 0U); });
}

TEST_F (IceStandby, OneThatIsLostAndNotInUseIsAWarningAndItsServerIsAskedAgain) {
  IceCouple couple;
  IceConfig a = config (true, Protocol::tcp), b = loopback_config (false);
  a.relay_only = false;
  ASSERT_TRUE (couple.connect (a, b));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (wait_until ([&] { return couple.a.gathering_done == 1; }));
  ASSERT_TRUE (couple.exchange ("directly"));
  second_.stop ();
  ASSERT_TRUE (wait_until ([&] { return !couple.a.warnings.empty (); }));
  on_core ([&] {
    EXPECT_NE (couple.a.warnings[0].message.find ("is lost"), std::string::npos);
    const auto states = couple.a.transport->relays ();
    EXPECT_EQ (std::count_if (states.begin (), states.end (),
                              [] (const TurnRelayState &state) { return state.lost.has_value (); }),
               1);
    EXPECT_EQ (couple.a.relays_back, 0U);
  });
  ASSERT_TRUE (second_.start ());
  ASSERT_TRUE (wait_until ([&] { return couple.a.relays_back == 1; }));
  ASSERT_TRUE (couple.exchange ("all the time"));
  on_core ([&] {
    EXPECT_EQ (couple.a.failures + couple.b.failures, 0U);
    EXPECT_EQ (couple.a.warnings.size (), 1U);
  });
}

TEST_F (IceStandby, OfOneRelayTheFirstServerThatAnswersIsTheOnlyOne) {
  for (const bool first_is_there : {true, false}) {
    if (!first_is_there) first_.stop ();
    IceCouple couple;
    IceConfig a = config (true), b = config (false);
    a.one_relay = b.one_relay = true;
    ASSERT_TRUE (couple.connect (a, b));
    ASSERT_TRUE (couple.wait_usable ());
    ASSERT_TRUE (couple.exchange ("through one"));
    ASSERT_TRUE (
        wait_until ([&] { return couple.a.gathering_done == 1 && couple.b.gathering_done == 1; }));
    on_core ([&] {
      for (const IceEnd *end : {&couple.a, &couple.b}) {
        EXPECT_EQ (shows (*end, kFirst), first_is_there);
        EXPECT_EQ (shows (*end, kSecond), !first_is_there);
      }
    });
  }
}

}  // namespace
}  // namespace p2p::test
