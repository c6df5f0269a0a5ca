// Through a real TURN server (coturn), and through it alone.
#include <gio/gio.h>
#include <glib/gstdio.h>

#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

constexpr char kUser[] = "user";
constexpr char kPassword[] = "a:b@c";

// A turnserver of this test alone: own port, own files, gone with the object.
class Coturn {
 public:
  static bool installed () {
    char *path = g_find_program_in_path ("turnserver");
    const bool found = path != nullptr;
    g_free (path);
    return found;
  }

  Coturn () {
    char *dir = g_dir_make_tmp ("p2p-coturn-XXXXXX", nullptr);
    dir_ = dir;
    g_free (dir);
    port_ = free_port ();
    const std::string port = "--listening-port=" + std::to_string (port_);
    const std::string login = std::string ("--user=") + kUser + ":" + kPassword;
    const std::string pid = "--pidfile=" + dir_ + "/pid", db = "--userdb=" + dir_ + "/db";
    const std::string log = "--log-file=" + dir_ + "/log";
    const char *argv[] = {"turnserver",
                          "-n",
                          "--listening-ip=127.0.0.1",
                          "--relay-ip=127.0.0.1",
                          port.c_str (),
                          "--lt-cred-mech",
                          "--realm=test",
                          login.c_str (),
                          "--allow-loopback-peers",
                          "--no-cli",
                          "--no-tls",
                          "--no-dtls",
                          "--simple-log",
                          "--verbose",
                          pid.c_str (),
                          db.c_str (),
                          log.c_str (),
                          nullptr};
    process_ = g_subprocess_newv (argv,
                                  static_cast<GSubprocessFlags> (G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                                                                 G_SUBPROCESS_FLAGS_STDERR_SILENCE),
                                  nullptr);
  }
  ~Coturn () {
    if (process_) {
      g_subprocess_force_exit (process_);
      g_subprocess_wait (process_, nullptr, nullptr);
      g_object_unref (process_);
    }
    for (const char *name : {"/pid", "/db", "/log"}) g_remove ((dir_ + name).c_str ());
    g_rmdir (dir_.c_str ());
  }
  Coturn (const Coturn &) = delete;
  Coturn &operator= (const Coturn &) = delete;

  // Until it answers a Binding request over UDP, which it serves last.
  bool wait_listening () const {
    if (!process_) return false;
    const auto socket = Ref<GSocket>::adopt (g_socket_new (
        G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
    const auto server =
        Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string ("127.0.0.1", port_));
    g_socket_set_blocking (socket.get (), FALSE);
    const char request[20] = "\x00\x01\x00\x00\x21\x12\xa4\x42transaction";
    return wait_until ([&] {
      char answer[512];
      g_socket_send_to (socket.get (), server.get (), request, sizeof request, nullptr, nullptr);
      return g_socket_receive (socket.get (), answer, sizeof answer, nullptr, nullptr) > 0;
    });
  }
  TurnServer server (TurnProtocol protocol) const {
    return {"127.0.0.1", port_, kUser, kPassword, protocol};
  }
  std::string log () const {
    char *text = nullptr;
    g_file_get_contents ((dir_ + "/log").c_str (), &text, nullptr, nullptr);
    const std::string out = text ? text : "";
    g_free (text);
    return out;
  }

 private:
  static std::uint16_t free_port () {
    GSocketListener *listener = g_socket_listener_new ();
    const std::uint16_t port = g_socket_listener_add_any_inet_port (listener, nullptr, nullptr);
    g_object_unref (listener);
    return port;
  }

  std::string dir_;
  std::uint16_t port_ = 0;
  GSubprocess *process_ = nullptr;
};

class IceRelay : public testing::TestWithParam<TurnProtocol> {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
    coturn_ = std::make_unique<Coturn> ();
    ASSERT_TRUE (coturn_->wait_listening ()) << coturn_->log ();
  }
  IceConfig config (bool controlling, bool relay_only) const {
    IceConfig out = loopback_config (controlling);
    out.relay_only = relay_only;
    out.turn_servers = {coturn_->server (GetParam ())};
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
  EXPECT_TRUE (wait_until ([&] {
    return coturn_->log ().find ("refreshed, realm=<test>, username=<user>, lifetime=0") !=
           std::string::npos;
  })) << coturn_->log ();
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
  if (GetParam () == TurnProtocol::udp) GTEST_SKIP () << "over UDP it is silence and no end";
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

TEST_P (IceRelay, AWrongPasswordEndsTheGatheringWithoutARelay) {
  IceEnd end;
  IceConfig wrong = config (true, true);
  wrong.turn_servers[0].password = "wrong";
  on_core ([&] { ASSERT_FALSE (end.open (wrong)); });
  ASSERT_TRUE (wait_until ([&] { return end.gathering_done == 1; }));
  on_core ([&] { EXPECT_TRUE (end.candidates.empty ()); });
}

INSTANTIATE_TEST_SUITE_P (Coturn, IceRelay, testing::Values (TurnProtocol::udp, TurnProtocol::tcp),
                          [] (const testing::TestParamInfo<TurnProtocol> &row) {
                            return row.param == TurnProtocol::udp ? "Udp" : "Tcp";
                          });

}  // namespace
}  // namespace p2p::test
