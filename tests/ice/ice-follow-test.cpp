// The peer's address changes while this side lives on: it follows, or not, and finds back.
#include <dlfcn.h>
#include <netinet/in.h>
#include <nice/agent.h>
#include <stun/usages/ice.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "ice/fast_udp_abilities.hpp"
#include "ice/pair_check.hpp"
#include "ice_fixture.hpp"
#include "udp_forwarder.hpp"

namespace {

// What sets the check apart from trains of data: whether its socket sends without the DF bit.
std::atomic<int> last_check_discovery{-1};
std::atomic<unsigned> selections{0};  // of pairs, by us

}  // namespace

// These stand before libc's and libnice's functions of the same names.
extern "C" ssize_t
sendmsg (int fd, const msghdr *message, int flags) {
  static const auto original = reinterpret_cast<decltype (&sendmsg)> (dlsym (RTLD_NEXT, "sendmsg"));
  int value = -1;
  socklen_t value_size = sizeof value;
  const bool is_request = message->msg_iovlen == 1 && message->msg_iov->iov_len > 20 &&
                          std::memcmp (message->msg_iov->iov_base, "\0\1", 2) == 0;
  if (is_request && getsockopt (fd, IPPROTO_IP, IP_MTU_DISCOVER, &value, &value_size) == 0)
    last_check_discovery = value;
  return original (fd, message, flags);
}

extern "C" gboolean
nice_agent_set_selected_pair (NiceAgent *agent, guint stream, guint component, const gchar *local,
                              const gchar *remote) {
  static const auto original = reinterpret_cast<decltype (&nice_agent_set_selected_pair)> (
      dlsym (RTLD_NEXT, "nice_agent_set_selected_pair"));
  const gboolean done = original (agent, stream, component, local, remote);
  if (done) ++selections;
  return done;
}

namespace p2p::test {
namespace {

// libnice by itself would need 4 s, or stay away for ever.
constexpr TimeUs kSoon = kSecond;

std::uint16_t
port_of (const sockaddr_storage &address) {
  return ntohs (reinterpret_cast<const sockaddr_in &> (address).sin_port);
}

std::uint16_t
remote_port (const IceEnd &end) {
  return port_of (end.transport->selected_pair ()->remote_address);
}

std::uint16_t
base_port (const IceEnd &end) {
  const auto pair = end.transport->selected_pair ();
  return pair ? pair->local_base_port : std::uint16_t{0};
}

IceConfig
udp_config (bool controlling) {
  IceConfig config = loopback_config (controlling);
  config.tcp = false;
  return config;
}

// A newcomer that speaks as the generation behind `old` did, from a socket of its own.
void
speak_as (IceEnd &newcomer, const IceCredentials &old, bool controlling, const IceEnd &survivor) {
  IceConfig config = udp_config (controlling);
  config.credentials = old;
  ASSERT_FALSE (newcomer.open (config));
  EXPECT_EQ (newcomer.transport->local_credentials ().ufrag, old.ufrag);
  EXPECT_EQ (newcomer.transport->local_credentials ().pwd, old.pwd);
  ASSERT_FALSE (
      newcomer.transport->set_remote_credentials (survivor.transport->local_credentials ()));
  for (const auto &sdp : survivor.candidates)
    ASSERT_FALSE (newcomer.transport->add_remote_candidate (sdp));
}

bool
exchange (IceEnd &a, IceEnd &b, const std::string &text) {
  const auto arrived = [&] (const IceEnd &end) {
    return std::find (end.received.begin (), end.received.end (), text) != end.received.end ();
  };
  return wait_until (
      [&] {
        if (!arrived (a)) b.send (text);
        if (!arrived (b)) a.send (text);
        return arrived (a) && arrived (b);
      },
      kSoon);
}

// Parametrised by the role of the side that stays.
class IceFollow : public testing::TestWithParam<bool> {
 protected:
  void SetUp () override {
    ASSERT_TRUE (couple.connect (udp_config (GetParam ()), udp_config (!GetParam ())));
    ASSERT_TRUE (couple.wait_usable ());
    ASSERT_TRUE (couple.exchange ("first"));
    on_core ([&] { old = couple.b.transport->local_credentials (); });
  }
  void arrive () {
    on_core ([&] { speak_as (newcomer, old, !GetParam (), couple.a); });
  }
  bool learned (unsigned count) {
    return wait_until ([&] { return couple.a.transport->moves ().learned == count; });
  }

  IceCouple couple;
  IceEnd newcomer;
  IceCredentials old;
};

TEST_P (IceFollow, APeerThatBeganAnewWithTheSameCredentials) {
  unsigned changes = 0;
  on_core ([&] {
    couple.b.close ();
    couple.a.transport->follow_peer (true);
    changes = couple.a.changes;
  });
  const gint64 began = g_get_monotonic_time ();
  arrive ();
  ASSERT_TRUE (exchange (couple.a, newcomer, "second"));
  RecordProperty ("milliseconds", static_cast<int> ((g_get_monotonic_time () - began) / 1000));
  on_core ([&] {
    EXPECT_EQ (remote_port (couple.a), base_port (newcomer));
    EXPECT_EQ (couple.a.pairs.back ().remote_type, "prflx");
    EXPECT_EQ (couple.a.pairs.back ().remote.compare (0, 6, "prflx "), 0);
    EXPECT_EQ (couple.a.changes, changes + 1);
    EXPECT_EQ (couple.a.failures, 0U);
    const IceMoves moves = couple.a.transport->moves ();
    EXPECT_EQ (moves.learned, 1U);
    EXPECT_EQ (moves.followed, 1U);
    EXPECT_EQ (moves.ignored, 0U);
  });
}

TEST_P (IceFollow, OnlyWhenSwitchedOn) {
  std::uint16_t before = 0;
  on_core ([&] { before = remote_port (couple.a); });
  arrive ();
  ASSERT_TRUE (learned (1));
  // The old peer still lives, and nothing has changed for it.
  ASSERT_TRUE (exchange (couple.a, couple.b, "as before"));
  on_core ([&] {
    EXPECT_EQ (remote_port (couple.a), before);
    EXPECT_EQ (couple.a.transport->moves ().followed, 0U);
    couple.b.close ();
    couple.a.transport->follow_peer (true);
  });
  ASSERT_TRUE (exchange (couple.a, newcomer, "at last"));
  on_core ([&] {
    EXPECT_EQ (remote_port (couple.a), base_port (newcomer));
    EXPECT_EQ (couple.a.transport->moves ().followed, 1U);
    // It was followed once; switching on again brings nothing.
    couple.a.transport->follow_peer (false);
    couple.a.transport->follow_peer (true);
    EXPECT_EQ (couple.a.transport->moves ().followed, 1U);
  });
}

TEST_P (IceFollow, GoesBackWhenTheNewAddressIsOfNoUse) {
  on_core ([&] {
    EXPECT_FALSE (couple.a.transport->go_back ());
    couple.a.transport->follow_peer (true);
  });
  arrive ();
  ASSERT_TRUE (wait_until ([&] { return couple.a.transport->moves ().followed == 1; }));
  ASSERT_TRUE (exchange (couple.a, newcomer, "there"));
  on_core ([&] {
    newcomer.close ();
    couple.a.transport->follow_peer (false);
    EXPECT_TRUE (couple.a.transport->go_back ());
  });
  ASSERT_TRUE (exchange (couple.a, couple.b, "and back again"));
  on_core ([&] {
    EXPECT_EQ (remote_port (couple.a), base_port (couple.b));
    EXPECT_EQ (couple.a.transport->moves ().returned, 1U);
    EXPECT_FALSE (couple.a.transport->go_back ());
    EXPECT_EQ (couple.a.failures, 0U);
  });
}

INSTANTIATE_TEST_SUITE_P (Roles, IceFollow, testing::Bool (), [] (const auto &param) {
  return param.param ? "Controlling" : "Controlled";
});

// The inner end `a` is behind the forwarder; the outer one sees the forwarder's outer port.
class IceBehindNat : public testing::TestWithParam<bool> {
 protected:
  void SetUp () override {
    on_core ([&] {
      nat = std::make_unique<UdpForwarder> ();
      ASSERT_FALSE (a.open (udp_config (GetParam ())));
      ASSERT_FALSE (b.open (udp_config (!GetParam ())));
    });
    ASSERT_TRUE (wait_until ([&] { return a.gathering_done && b.gathering_done; }));
    on_core ([&] {
      // "candidate:1 1 UDP 2 127.0.0.1 4711 typ host"
      const std::string &sdp = b.candidates.front ();
      const std::string address = "127.0.0.1 ";
      const auto at = sdp.find (address) + address.size ();
      nat->set_outer_end (static_cast<std::uint16_t> (std::stoul (sdp.substr (at))));
      ASSERT_FALSE (a.transport->set_remote_credentials (b.transport->local_credentials ()));
      ASSERT_FALSE (b.transport->set_remote_credentials (a.transport->local_credentials ()));
      ASSERT_FALSE (a.transport->add_remote_candidate (nat->inner_candidate ()));
      ASSERT_FALSE (b.transport->add_remote_candidate (nat->outer_candidate ()));
    });
    ASSERT_TRUE (wait_until ([&] { return a.usable () && b.usable (); }));
    ASSERT_TRUE (exchange (a, b, "first"));
  }
  void TearDown () override {
    on_core ([&] {
      a.close ();
      b.close ();
      nat.reset ();
    });
  }

  IceEnd a, b;
  std::unique_ptr<UdpForwarder> nat;
};

TEST_P (IceBehindNat, ACheckTellsThePeerOfANewMapping) {
  on_core ([&] {
    b.transport->follow_peer (true);
    nat->rebind ();
    last_check_discovery = -1;
    a.transport->check_pair ();
    const std::string engine = a.transport->path ().info ().engine;
    if (engine.find ("own socket") != std::string::npos) {
      EXPECT_EQ (last_check_discovery, IP_PMTUDISC_DONT) << engine;
    }
  });
  ASSERT_TRUE (exchange (a, b, "second"));
  on_core ([&] {
    EXPECT_EQ (remote_port (b), nat->outer_port ());
    EXPECT_EQ (b.transport->moves ().learned, 1U);
    EXPECT_EQ (b.transport->moves ().followed, 1U);
    // For the inner end nothing has changed.
    EXPECT_EQ (a.transport->moves ().learned, 0U);
  });
}

TEST_P (IceBehindNat, FollowsSixteenAddressesAndNoMore) {
  on_core ([&] { b.transport->follow_peer (true); });
  for (unsigned i = 1; i <= kMaxLearnedAddresses + 3; ++i) {
    on_core ([&] {
      nat->rebind ();
      a.transport->check_pair ();
    });
    ASSERT_TRUE (wait_until ([&] { return b.transport->moves ().learned == i; }));
    if (i > kMaxLearnedAddresses) continue;
    ASSERT_TRUE (wait_until ([&] { return remote_port (b) == nat->outer_port (); }));
    ASSERT_TRUE (exchange (a, b, std::to_string (i)));
  }
  on_core ([&] {
    EXPECT_EQ (b.transport->moves ().followed, kMaxLearnedAddresses);
    EXPECT_EQ (b.transport->moves ().ignored, 3U);
    for (unsigned i = 0; i < kMaxLearnedAddresses; ++i) EXPECT_TRUE (b.transport->go_back ());
    EXPECT_FALSE (b.transport->go_back ());
    EXPECT_EQ (b.transport->moves ().returned, kMaxLearnedAddresses);
  });
}

TEST_P (IceBehindNat, ACheckThatIsNotAnsweredIsNoEndOfThePairInUse) {
  on_core ([&] {
    b.transport->follow_peer (true);
    nat->rebind ();
    a.transport->check_pair ();
  });
  ASSERT_TRUE (wait_until ([&] { return b.transport->moves ().followed == 1; }));
  ASSERT_TRUE (exchange (a, b, "second"));
  unsigned before = 0;
  on_core ([&] {
    // libnice checks back, in vain, and has no other pair: it says that all has failed.
    nat->close_inward ();
    a.transport->check_pair ();
    before = selections;
  });
  // By b, of its own pair.
  ASSERT_TRUE (wait_until ([&] { return selections > before; }));
  on_core ([&] {
    EXPECT_EQ (b.failures, 0U);
    EXPECT_TRUE (b.usable ());
    b.send ("into the void");
    EXPECT_EQ (b.sent, Path::Sent::all);
  });
}

INSTANTIATE_TEST_SUITE_P (Roles, IceBehindNat, testing::Bool (), [] (const auto &param) {
  return param.param ? "InnerControls" : "OuterControls";
});

TEST (IceFollowPair, TellsWhatWasSaidOfThePeerAndWhereItsOwnEndIs) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  on_core ([&] { EXPECT_FALSE (couple.a.transport->selected_pair ()); });
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("first"));
  on_core ([&] {
    const auto &transport = *couple.a.transport;
    EXPECT_EQ (transport.remote_credentials ()->pwd, couple.b.transport->local_credentials ().pwd);
    EXPECT_EQ (transport.remote_candidates (), couple.b.candidates);
    EXPECT_EQ (transport.selected_pair ()->local_base_address, "127.0.0.1");
    EXPECT_EQ (base_port (couple.a), remote_port (couple.b));
    EXPECT_FALSE (couple.a.transport->path ().info ().own_relay);
  });
}

TEST (IceFollowPair, NothingHappensBeforeThereIsOne) {
  IceEnd end;
  on_core ([&] {
    ASSERT_FALSE (end.open (udp_config (true)));
    EXPECT_FALSE (end.transport->remote_credentials ());
    end.transport->follow_peer (true);
    end.transport->check_pair ();
    EXPECT_FALSE (end.transport->go_back ());
  });
}

TEST (IceFollowPair, CredentialsMustBeThoseOfIce) {
  IceEnd end;
  on_core ([&] {
    IceConfig config = udp_config (true);
    config.credentials = IceCredentials{"abc", std::string (22, 'p')};
    const Status error = end.open (config);
    ASSERT_TRUE (error);
    EXPECT_NE (error->message.find ("local ufrag"), std::string::npos) << error->message;
  });
}

TEST (IceFollowPair, ALostTcpConnectionIsToldAndUdpIsFollowed) {
  IceCouple couple;
  IceEnd newcomer;
  couple.a.let_through = couple.b.let_through = [] (const std::string &sdp) {
    return sdp.find (" TCP ") != std::string::npos;
  };
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("over TCP"));
  IceCredentials old;
  on_core ([&] {
    old = couple.b.transport->local_credentials ();
    ASSERT_TRUE (couple.a.transport->selected_pair ()->tcp);
    couple.a.transport->check_pair ();  // which it does not, over TCP
    couple.b.close ();
  });
  ASSERT_TRUE (wait_until ([&] { return couple.a.failed (); }));
  on_core ([&] {
    EXPECT_EQ (couple.a.failures, 1U);
    couple.a.send ("nobody hears it");
    EXPECT_EQ (couple.a.sent, Path::Sent::failed);
    couple.a.transport->follow_peer (true);
    speak_as (newcomer, old, false, couple.a);
  });
  ASSERT_TRUE (wait_until (
      [&] {
        couple.a.send ("over UDP");
        return !newcomer.received.empty ();
      },
      kSoon));
  on_core ([&] {
    EXPECT_TRUE (couple.a.usable ());
    EXPECT_FALSE (couple.a.transport->selected_pair ()->tcp);
    EXPECT_FALSE (couple.a.transport->go_back ());
  });
}

TEST (PairCheck, IsABindingRequestThatThePeerAccepts) {
  for (const bool controlling : {true, false}) {
    PairCheck check;
    check.local = {"mine", std::string (22, 'm')};
    check.remote = {"yours", std::string (22, 'y')};
    check.controlling = controlling;
    check.tie_breaker = 0x0123456789abcdef;
    check.local_priority = (126U << 24) | 0x123456;
    auto bytes = make_pair_check (check);
    ASSERT_FALSE (bytes.empty ());

    static const std::uint16_t known[] = {
        STUN_ATTRIBUTE_USERNAME,        STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
        STUN_ATTRIBUTE_PRIORITY,        STUN_ATTRIBUTE_USE_CANDIDATE,
        STUN_ATTRIBUTE_FINGERPRINT,     STUN_ATTRIBUTE_ICE_CONTROLLED,
        STUN_ATTRIBUTE_ICE_CONTROLLING, 0};
    StunAgent agent;
    stun_agent_init (&agent, known, STUN_COMPATIBILITY_RFC5389,
                     static_cast<StunAgentUsageFlags> (STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS |
                                                       STUN_AGENT_USAGE_USE_FINGERPRINT));
    std::string user = "yours:mine";
    StunDefaultValidaterData passwords[] = {
        {reinterpret_cast<std::uint8_t *> (user.data ()), user.size (),
         reinterpret_cast<std::uint8_t *> (check.remote.pwd.data ()), check.remote.pwd.size ()},
        {nullptr, 0, nullptr, 0}};
    StunMessage message;
    EXPECT_EQ (stun_agent_validate (&agent, &message, bytes.data (), bytes.size (),
                                    stun_agent_default_validater, passwords),
               STUN_VALIDATION_SUCCESS);
    EXPECT_EQ (stun_usage_ice_conncheck_use_candidate (&message), controlling);
    EXPECT_EQ (stun_usage_ice_conncheck_priority (&message), (110U << 24) | 0x123456);
    std::uint64_t tie_breaker = 0;
    EXPECT_EQ (
        stun_message_find64 (
            &message, controlling ? STUN_ATTRIBUTE_ICE_CONTROLLING : STUN_ATTRIBUTE_ICE_CONTROLLED,
            &tie_breaker),
        STUN_MESSAGE_RETURN_SUCCESS);
    EXPECT_EQ (tie_breaker, check.tie_breaker);
  }
}

}  // namespace
}  // namespace p2p::test
