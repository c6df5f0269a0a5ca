// A handshake's first datagrams, before any check was answered.
#include <algorithm>

#include "ice_fixture.hpp"
#include "udp_forwarder.hpp"

namespace p2p::test {
namespace {

bool
has (const IceEnd &end, const std::string &text) {
  return std::find (end.received.begin (), end.received.end (), text) != end.received.end ();
}

// Answers come to `a` only once the forwarder lets them: until then neither end has a pair.
class IceEarly : public testing::TestWithParam<bool> {
 protected:
  void SetUp () override {
    on_core ([&] {
      nat = std::make_unique<UdpForwarder> ();
      nat->close_inward ();
      IceConfig config = loopback_config (GetParam ());
      config.tcp = false;
      ASSERT_FALSE (a.open (config));
      config.controlling = !GetParam ();
      ASSERT_FALSE (b.open (config));
    });
    ASSERT_TRUE (wait_until ([&] { return a.gathering_done && b.gathering_done; }));
    on_core ([&] {
      const std::string &sdp = b.candidates.front ();
      const std::string address = "127.0.0.1 ";
      nat->set_outer_end (static_cast<std::uint16_t> (
          std::stoul (sdp.substr (sdp.find (address) + address.size ()))));
    });
  }
  void TearDown () override {
    on_core ([&] {
      a.close ();
      b.close ();
      nat.reset ();
    });
  }
  void introduce () {
    ASSERT_FALSE (b.transport->set_remote_credentials (a.transport->local_credentials ()));
    ASSERT_FALSE (b.transport->add_remote_candidate (nat->outer_candidate ()));
    ASSERT_FALSE (a.transport->add_remote_candidate (nat->inner_candidate ()));
    ASSERT_FALSE (a.transport->set_remote_credentials (b.transport->local_credentials ()));
  }

  IceEnd a, b;
  std::unique_ptr<UdpForwarder> nat;
};

TEST_P (IceEarly, WhatIsSentBeforeAnAnswerIsThereWhenThePairIs) {
  on_core ([&] {
    a.transport->send_before_checks ();
    introduce ();
    EXPECT_EQ (a.unproven, 0U) << "after the check";
  });
  ASSERT_TRUE (wait_until ([&] { return a.unproven == 1; }));
  on_core ([&] {
    EXPECT_FALSE (a.usable ());
    a.send ("first");
    EXPECT_EQ (a.sent, Path::Sent::all);
    a.send ("second");
    EXPECT_EQ (a.sent, Path::Sent::all);
    a.send ("third");
    EXPECT_EQ (a.sent, Path::Sent::would_block);
    EXPECT_FALSE (has (b, "first"));
    nat->open_inward ();
  });
  ASSERT_TRUE (wait_until ([&] { return a.usable () && b.usable (); }));
  ASSERT_TRUE (wait_until ([&] { return has (b, "first") && has (b, "second"); }));
  on_core ([&] {
    EXPECT_EQ (a.unproven, 1U);
    EXPECT_EQ (a.writable, 1U);
    a.send ("third");
    EXPECT_EQ (a.sent, Path::Sent::all);
  });
  EXPECT_TRUE (wait_until ([&] { return has (b, "third"); }));
}

TEST_P (IceEarly, NothingIsSentUnlessItIsAskedFor) {
  on_core ([&] { introduce (); });
  ASSERT_TRUE (wait_until ([&] { return !a.states.empty (); }));
  on_core ([&] {
    a.send ("first");
    EXPECT_EQ (a.sent, Path::Sent::would_block);
    nat->open_inward ();
  });
  ASSERT_TRUE (wait_until ([&] { return a.usable () && b.usable (); }));
  on_core ([&] {
    EXPECT_EQ (a.unproven, 0U);
    // There is a pair already.
    a.transport->send_before_checks ();
  });
  ASSERT_TRUE (wait_until ([&] { return a.ready () && b.ready (); }));
  on_core ([&] { EXPECT_EQ (a.unproven, 0U); });
}

INSTANTIATE_TEST_SUITE_P (Roles, IceEarly, testing::Bool (), [] (const auto &param) {
  return param.param ? "Controlling" : "Controlled";
});

}  // namespace
}  // namespace p2p::test
