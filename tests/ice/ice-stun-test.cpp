// Server-reflexive candidates, from a STUN server of this test's own.
#include <gio/gio.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/ptr.hpp"
#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

// Answers Binding requests on 127.0.0.1 as a NAT at 203.0.113.9:5555 would make it. Lives on core.
class StunServerOnCore {
 public:
  StunServerOnCore () {
    socket_ = Ref<GSocket>::adopt (g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM,
                                                 G_SOCKET_PROTOCOL_UDP, nullptr));
    const auto any =
        Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string ("127.0.0.1", 0));
    EXPECT_TRUE (g_socket_bind (socket_.get (), any.get (), FALSE, nullptr));
    g_socket_set_blocking (socket_.get (), FALSE);
    const auto bound =
        Ref<GSocketAddress>::adopt (g_socket_get_local_address (socket_.get (), nullptr));
    port = g_inet_socket_address_get_port (reinterpret_cast<GInetSocketAddress *> (bound.get ()));

    source_.reset (g_socket_create_source (socket_.get (), G_IO_IN, nullptr));
    const GSocketSourceFunc on_request = [] (GSocket *, GIOCondition, gpointer self) -> gboolean {
      static_cast<StunServerOnCore *> (self)->answer ();
      return G_SOURCE_CONTINUE;
    };
    g_source_set_callback (source_.get (), G_SOURCE_FUNC (on_request), this, nullptr);
    g_source_attach (source_.get (), core_loop ().context ());
  }
  ~StunServerOnCore () {
    on_core ([this] { source_.reset (); });
  }
  StunServerOnCore (const StunServerOnCore &) = delete;
  StunServerOnCore &operator= (const StunServerOnCore &) = delete;

  std::uint16_t port = 0;
  unsigned requests = 0;

 private:
  void answer () {
    std::array<char, 1500> request{};
    GSocketAddress *raw_from = nullptr;
    const gssize size = g_socket_receive_from (socket_.get (), &raw_from, request.data (),
                                               request.size (), nullptr, nullptr);
    const auto from = Ref<GSocketAddress>::adopt (raw_from);
    if (size < 20 || !from) return;
    ++requests;
    // Binding success with MAPPED-ADDRESS, which every version of STUN understands: libnice's
    // requests to plain STUN servers are those of RFC 3489, without the magic cookie.
    std::array<unsigned char, 32> reply = {0x01, 0x01, 0, 12};
    std::memcpy (reply.data () + 4, request.data () + 4, 16);
    const std::array<unsigned char, 12> mapped = {0,         1,           0,   8, 0,   1,
                                                  5555 >> 8, 5555 & 0xff, 203, 0, 113, 9};
    std::memcpy (reply.data () + 20, mapped.data (), mapped.size ());
    g_socket_send_to (socket_.get (), from.get (), reinterpret_cast<const char *> (reply.data ()),
                      reply.size (), nullptr, nullptr);
  }

  Ref<GSocket> socket_;
  UniqueSource source_;
};

IceConfig
config_with (const StunServerOnCore &server) {
  IceConfig config = loopback_config (true);
  config.tcp = false;
  config.stun_servers = {{"127.0.0.1", server.port}};
  return config;
}

TEST (IceStun, TellsTheAddressThatTheServerSaw) {
  StunServerOnCore server;
  IceEnd end;
  on_core ([&] { ASSERT_FALSE (end.open (config_with (server))); });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }));
  on_core ([&] {
    EXPECT_EQ (std::count_if (end.candidates.begin (), end.candidates.end (),
                              [] (const std::string &sdp) {
                                return sdp.find (" 203.0.113.9 5555 typ srflx raddr 127.0.0.1") !=
                                       std::string::npos;
                              }),
               1);
    EXPECT_EQ (end.gathering_done, 1U);
    EXPECT_TRUE (end.warnings.empty ());
  });
}

TEST (IceStun, ANameThatDoesNotResolveLeavesTheNextServer) {
  StunServerOnCore server;
  IceEnd end;
  IceConfig config = config_with (server);
  config.stun_servers.insert (config.stun_servers.begin (), {"does-not-exist.invalid", 3478});
  on_core ([&] { ASSERT_FALSE (end.open (config)); });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }));
  on_core ([&] {
    EXPECT_EQ (end.warnings.size (), 1U);
    EXPECT_GE (server.requests, 1U);
    EXPECT_EQ (end.candidates.size (), 2U);
  });
}

TEST (IceStun, IsAskedBesideTurn) {
  StunServerOnCore server, turn;
  IceEnd end;
  IceConfig config = config_with (server);
  config.turn_servers = {{"127.0.0.1", turn.port, turn::Protocol::udp, {"user", "password"}}};
  on_core ([&] { ASSERT_FALSE (end.open (config)); });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }));
  on_core ([&] {
    EXPECT_GE (server.requests, 1U);
    EXPECT_EQ (end.candidates.size (), 2U);
    ASSERT_EQ (end.warnings.size (), 1U);
    EXPECT_NE (end.warnings[0].message.find ("gave no relay"), std::string::npos);
    EXPECT_EQ (end.warnings[0].message.find ("password"), std::string::npos);
  });
}

TEST (IceStun, ATurnServerThatIsSilentIsNotWaitedForLong) {
  StunServerOnCore server;
  const auto silent = Ref<GSocket>::adopt (
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
  const auto any =
      Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string ("127.0.0.1", 0));
  ASSERT_TRUE (g_socket_bind (silent.get (), any.get (), FALSE, nullptr));
  const auto bound =
      Ref<GSocketAddress>::adopt (g_socket_get_local_address (silent.get (), nullptr));
  const auto port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound.get ()));
  IceEnd end;
  IceConfig config = config_with (server);
  config.turn_servers = {{"127.0.0.1", port, turn::Protocol::udp, {"user", "password"}}};
  on_core ([&] { ASSERT_FALSE (end.open (config)); });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }, 4 * kSecond));
  on_core ([&] {
    EXPECT_EQ (end.candidates.size (), 2U);
    EXPECT_EQ (end.warnings.size (), 1U);
  });
}

TEST (IceStun, ATurnServerOverUdpIsOneAsWell) {
  StunServerOnCore turn;
  IceEnd end;
  IceConfig config = config_with (turn);
  config.stun_servers.clear ();
  config.turn_servers = {{"127.0.0.1", turn.port, turn::Protocol::udp, {"user", "password"}}};
  on_core ([&] { ASSERT_FALSE (end.open (config)); });
  ASSERT_TRUE (wait_until ([&] { return end.candidates.size () == 2; }));
  on_core ([&] {
    EXPECT_NE (end.candidates[1].find (" typ srflx"), std::string::npos) << end.candidates[1];
  });
}

TEST (IceStun, IsNotAskedWhenOnlyRelaysMayBeUsed) {
  StunServerOnCore server, turn;
  IceEnd end;
  IceConfig config = config_with (server);
  config.relay_only = true;
  config.turn_servers = {{"does-not-exist.invalid", turn.port, turn::Protocol::udp, {"u", "p"}}};
  on_core ([&] { ASSERT_FALSE (end.open (config)); });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }));
  on_core ([&] {
    EXPECT_EQ (server.requests, 0U);
    EXPECT_TRUE (end.candidates.empty ());
    EXPECT_EQ (end.warnings.size (), 1U);
  });
}

}  // namespace
}  // namespace p2p::test
