// What a peer, a user or a name server may say wrongly never ends the process.
#include <gio/gio.h>

#include <random>

#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

constexpr char kValid[] =
    "candidate:12 1 UDP 2130706431 192.0.2.1 4711 typ srflx raddr 10.0.0.1 rport 99 generation 0";

TEST (IceInput, MalformedCandidatesAreErrorsAndTheRestGoesOn) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  on_core ([&] {
    for (const char *bad : {"", "candidate:", "a=candidate:1", "candidate:1 1 UDP 1 x! 1 typ host",
                            "candidate:1 1 TCP 1 127.0.0.1 1 typ host"}) {
      const Status error = couple.a.transport->add_remote_candidate (bad);
      ASSERT_TRUE (error) << bad;
      EXPECT_EQ (error->code, P2P_ERROR_INVALID_ARGUMENT);
    }
    for (const char *other :
         {"candidate:1 2 UDP 1 127.0.0.1 1 typ host", "candidate:1 1 UDP 1 example.org 1 typ host",
          "candidate:1 1 UDP 1 127.0.0.1 1 typ prflx"})
      EXPECT_FALSE (couple.a.transport->add_remote_candidate (other)) << other;
    EXPECT_TRUE (couple.a.transport->set_remote_credentials ({"x", "y"}));
  });
  EXPECT_TRUE (couple.wait_usable ());
}

TEST (IceInput, MutatedCandidatesNeverAbort) {
  std::mt19937 random (20261120);
  const std::string alphabet = std::string (" 0159:.%aT-_\xff\n") + '\0';
  const auto pick = [&] (std::size_t n) {
    return std::uniform_int_distribution<std::size_t> (0, n - 1) (random);
  };
  unsigned accepted = 0, refused = 0;
  for (int round = 0; round < 40; ++round) {
    IceEnd end;
    on_core ([&] {
      IceConfig config = loopback_config (round % 2 == 0);
      ASSERT_FALSE (end.open (config));
      ASSERT_FALSE (end.transport->set_remote_credentials ({"abcd", std::string (22, 'p')}));
      for (int i = 0; i < 100; ++i) {
        std::string sdp = kValid;
        for (std::size_t n = 1 + pick (4); n > 0; --n) {
          const std::size_t at = pick (sdp.size ());
          switch (pick (3)) {
            case 0:
              sdp[at] = alphabet[pick (alphabet.size ())];
              break;
            case 1:
              sdp.erase (at, 1 + pick (12));
              break;
            default:
              sdp.insert (at, 1, alphabet[pick (alphabet.size ())]);
          }
          if (sdp.empty ()) sdp = "c";
        }
        ++(end.transport->add_remote_candidate (sdp) ? refused : accepted);
      }
    });
  }
  // Both must have happened, or nothing was tried.
  EXPECT_GT (accepted, 100U);
  EXPECT_GT (refused, 1000U);
}

TEST (IceInput, TooManyCandidatesAreIgnoredWithOneWarning) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  on_core ([&] {
    for (int i = 0; i < 1000; ++i)
      EXPECT_FALSE (couple.a.transport->add_remote_candidate (
          "candidate:1 1 UDP 1 127.0.0.1 " + std::to_string (1 + i) + " typ host"));
  });
  ASSERT_TRUE (wait_until ([&] { return !couple.a.warnings.empty (); }));
  ASSERT_TRUE (couple.exchange ("still here"));
  on_core ([&] {
    ASSERT_EQ (couple.a.warnings.size (), 1U);
    EXPECT_EQ (couple.a.warnings[0].code, P2P_ERROR_LIMIT);
  });
}

TEST (IceInput, TheSameCandidateAgainIsNotAnotherOne) {
  IceEnd end;
  on_core ([&] {
    ASSERT_FALSE (end.open (loopback_config (true)));
    for (int i = 0; i < 1000; ++i) EXPECT_FALSE (end.transport->add_remote_candidate (kValid));
  });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done > 0; }));
  on_core ([&] { EXPECT_TRUE (end.warnings.empty ()); });
}

TEST (IceInput, RelayOnlyWithoutATurnServerIsAnError) {
  IceEnd end;
  on_core ([&] {
    IceConfig config = loopback_config (true);
    config.relay_only = true;
    const Status error = end.open (config);
    ASSERT_TRUE (error);
    EXPECT_EQ (error->code, P2P_ERROR_INVALID_ARGUMENT);
    EXPECT_NE (error->message.find ("TURN"), std::string::npos);
  });
}

TEST (IceInput, ImpossiblePortsAndAddressesAreErrors) {
  IceEnd end;
  on_core ([&] {
    IceConfig config = loopback_config (true);
    config.port_min = 20;
    config.port_max = 10;
    Status error = end.open (config);
    ASSERT_TRUE (error);
    EXPECT_EQ (error->code, P2P_ERROR_INVALID_ARGUMENT);

    config = loopback_config (true);
    config.local_addresses = {"not an address"};
    error = end.open (config);
    ASSERT_TRUE (error);
    EXPECT_EQ (error->code, P2P_ERROR_INVALID_ARGUMENT);

    // An address of somebody else (RFC 5737).
    config.local_addresses = {"203.0.113.77"};
    error = end.open (config);
    ASSERT_TRUE (error);
    EXPECT_EQ (error->code, P2P_ERROR_UNREACHABLE);
    EXPECT_NE (error->message.find ("203.0.113.77"), std::string::npos) << error->message;
  });
}

TEST (IceInput, ServersWithoutAnAddressAreWarningsAndGatheringEnds) {
  IceCouple couple;
  IceConfig a = loopback_config (true);
  a.stun_servers = {{"does-not-exist.invalid", 3478}};
  a.turn_servers = {{"turn.does-not-exist.invalid", 3478, turn::Protocol::udp, {"user", "SECRET"}}};
  ASSERT_TRUE (couple.connect (a, loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (wait_until ([&] { return couple.a.gathering_done == 1; }));
  on_core ([&] {
    ASSERT_EQ (couple.a.warnings.size (), 2U);
    for (const auto &warning : couple.a.warnings) {
      EXPECT_EQ (warning.code, P2P_ERROR_UNREACHABLE);
      EXPECT_NE (warning.message.find ("does-not-exist.invalid"), std::string::npos);
      EXPECT_EQ (warning.message.find ("SECRET"), std::string::npos);
    }
  });
}

TEST (IceInput, AServerOfTheOtherFamilyIsAWarning) {
  IceEnd end;
  on_core ([&] {
    IceConfig config = loopback_config (true);
    config.stun_servers = {{"2001:db8::1", 3478}};
    ASSERT_FALSE (end.open (config));
  });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }));
  on_core ([&] {
    ASSERT_EQ (end.warnings.size (), 1U);
    EXPECT_NE (end.warnings[0].message.find ("IPv6"), std::string::npos);
  });
}

// A port of 127.0.0.1 that is taken for UDP and for TCP.
class TakenPort {
 public:
  TakenPort () {
    udp_ = bound (G_SOCKET_TYPE_DATAGRAM, 0);
    const auto address =
        Ref<GSocketAddress>::adopt (g_socket_get_local_address (udp_.get (), nullptr));
    number =
        g_inet_socket_address_get_port (reinterpret_cast<GInetSocketAddress *> (address.get ()));
    tcp_ = bound (G_SOCKET_TYPE_STREAM, number);
    EXPECT_TRUE (g_socket_listen (tcp_.get (), nullptr));
  }
  std::uint16_t number = 0;

 private:
  static Ref<GSocket> bound (GSocketType type, std::uint16_t port) {
    auto socket = Ref<GSocket>::adopt (
        g_socket_new (G_SOCKET_FAMILY_IPV4, type, G_SOCKET_PROTOCOL_DEFAULT, nullptr));
    const auto address =
        Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string ("127.0.0.1", port));
    EXPECT_TRUE (g_socket_bind (socket.get (), address.get (), FALSE, nullptr));
    return socket;
  }
  Ref<GSocket> udp_, tcp_;
};

TEST (IceInput, TakenPortsAreAnErrorAtOnceOrAfterTheNamesWereLookedUp) {
  const TakenPort taken;
  IceConfig config = loopback_config (true);
  config.port_min = config.port_max = taken.number;
  IceEnd end;
  on_core ([&] {
    const Status error = end.open (config);
    ASSERT_TRUE (error);
    EXPECT_EQ (error->code, P2P_ERROR_UNREACHABLE);
    EXPECT_NE (error->message.find (std::to_string (taken.number)), std::string::npos);

    config.stun_servers = {{"127.0.0.1", 3478}};
    ASSERT_FALSE (end.open (config));
  });
  ASSERT_TRUE (wait_until ([&] { return end.failed (); }));
  on_core ([&] {
    EXPECT_EQ (end.gathering_done, 1U);
    ASSERT_EQ (end.warnings.size (), 1U);
    EXPECT_NE (end.warnings[0].message.find (std::to_string (taken.number)), std::string::npos);
  });
}

TEST (IceInput, AnMdnsNameThatNobodyAnswersIsAWarning) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  on_core ([&] {
    EXPECT_FALSE (couple.a.transport->add_remote_candidate (
        "candidate:1 1 UDP 1 3f2504e0-4f89-41d3-9a0c-0305e82c3301.local 4711 typ host"));
  });
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (wait_until ([&] { return couple.a.warnings.size () == 1; }));
  on_core ([&] { EXPECT_NE (couple.a.warnings[0].message.find (".local"), std::string::npos); });
}

}  // namespace
}  // namespace p2p::test
