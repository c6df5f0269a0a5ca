// The TURN client on real sockets, through a second real server: pion.
#include "relay_end.hpp"

namespace p2p::test {
namespace {

using turn::Protocol;

constexpr char kUser[] = "user", kPassword[] = "a:b@c";

// A process of turn-pion-server.
class PionServer {
 public:
  explicit PionServer (const char *program)
      : process_ (Ref<GSubprocess>::adopt (
            g_subprocess_new (static_cast<GSubprocessFlags> (G_SUBPROCESS_FLAGS_STDIN_PIPE |
                                                             G_SUBPROCESS_FLAGS_STDOUT_PIPE),
                              nullptr, program, "test", kUser, kPassword, nullptr))) {
    if (!process_) return;
    lines_ = Ref<GDataInputStream>::adopt (
        g_data_input_stream_new (g_subprocess_get_stdout_pipe (process_.get ())));
    const std::string ports = line ();
    udp_port_ = static_cast<std::uint16_t> (std::atoi (ports.c_str ()));
    tcp_port_ = static_cast<std::uint16_t> (std::atoi (ports.c_str () + ports.find (' ') + 1));
  }
  ~PionServer () {
    if (!process_) return;
    g_subprocess_force_exit (process_.get ());
    g_subprocess_wait (process_.get (), nullptr, nullptr);
  }
  PionServer (const PionServer &) = delete;
  PionServer &operator= (const PionServer &) = delete;

  bool runs () const { return udp_port_ != 0; }
  turn::Server address (Protocol protocol) const {
    return {"127.0.0.1",
            protocol == Protocol::udp ? udp_port_ : tcp_port_,
            protocol,
            {kUser, kPassword}};
  }
  int allocations () const {
    GOutputStream *in = g_subprocess_get_stdin_pipe (process_.get ());
    g_output_stream_write_all (in, "\n", 1, nullptr, nullptr, nullptr);
    g_output_stream_flush (in, nullptr, nullptr);
    return std::atoi (line ().c_str ());
  }

 private:
  std::string line () const {
    const UniqueChars text (
        g_data_input_stream_read_line (lines_.get (), nullptr, nullptr, nullptr));
    return text ? text.get () : "";
  }

  const Ref<GSubprocess> process_;
  Ref<GDataInputStream> lines_;
  std::uint16_t udp_port_ = 0, tcp_port_ = 0;
};

class PionRelay : public testing::TestWithParam<Protocol> {
 protected:
  void SetUp () override {
    const char *program = g_getenv ("TURN_PION_SERVER");
    if (!program)
      GTEST_SKIP () << "no pion: golang-go or golang-github-pion-turn.v2-dev is not installed";
    server_ = std::make_unique<PionServer> (program);
    ASSERT_TRUE (server_->runs ());
  }
  turn::RelayConfig config () const {
    turn::RelayConfig out;
    out.client.servers = {server_->address (GetParam ())};
    return out;
  }
  bool left_nothing () const {
    return wait_until ([this] { return server_->allocations () == 0; });
  }
  std::unique_ptr<PionServer> server_;
};

TEST_P (PionRelay, CarriesDataByChannelsAndReleasesWhatItHad) {
  End one, two;
  one.open (config ());
  two.open (config ());
  ASSERT_TRUE (one.allocated ()) << one.story ();
  ASSERT_TRUE (two.allocated ()) << two.story ();
  EXPECT_EQ (server_->allocations (), 2);
  Address first, second;
  on_core ([&] {
    first = one.relayed ();
    second = two.relayed ();
    ASSERT_FALSE (one.relay->client ().add_peer (second));
    ASSERT_FALSE (two.relay->client ().add_peer (first));
  });
  EXPECT_TRUE (one.sends (second, "there", two)) << one.story ();
  EXPECT_TRUE (two.sends (first, "and back", one)) << two.story ();
  std::size_t most = 0;
  on_core ([&] { most = one.relay->max_datagram_bytes (); });
  EXPECT_TRUE (one.sends (second, std::string (std::min<std::size_t> (most, 1400), 'x'), two));
  on_core ([&] { one.relay->client ().close (); });
  two.close ();
  EXPECT_TRUE (wait_until ([&] { return one.count (Event::Kind::closed) == 1; }));
  EXPECT_TRUE (left_nothing ());
}

TEST_P (PionRelay, CarriesDataByIndications) {
  turn::RelayConfig plain = config ();
  plain.client.channels = false;
  End end;
  end.open (plain);
  ASSERT_TRUE (end.allocated ()) << end.story ();
  Address own;
  on_core ([&] {
    own = end.relayed ();
    ASSERT_FALSE (end.relay->client ().add_peer (own));
  });
  EXPECT_TRUE (end.sends (own, "round trip", end)) << end.story ();
}

TEST_P (PionRelay, KeepsAnAllocationBeyondItsLifetime) {
  constexpr std::uint32_t kLifetimeS = 2;
  turn::RelayConfig brief = config ();
  brief.client.wishes.lifetime_s = kLifetimeS;
  End end;
  end.open (brief);
  ASSERT_TRUE (end.allocated ()) << end.story ();
  const gint64 begun_us = g_get_monotonic_time ();
  on_core ([&] {
    EXPECT_EQ (end.relay->client ().allocation ().lifetime (), kLifetimeS * kSecond);
    ASSERT_FALSE (end.relay->client ().add_peer (end.relayed ()));
  });
  ASSERT_TRUE (wait_until (
      [&] { return g_get_monotonic_time () > begun_us + (kLifetimeS + 1) * G_USEC_PER_SEC; }));
  EXPECT_EQ (server_->allocations (), 1);
  EXPECT_EQ (end.count (Event::Kind::network_bad), 0) << end.story ();
  Address own;
  on_core ([&] { own = end.relayed (); });
  EXPECT_TRUE (end.sends (own, "still there", end));
}

// pion calls a request with a wrong signature malformed.
TEST_P (PionRelay, TakesFreshCredentialsForAWrongPassword) {
  for (const bool given : {false, true}) {
    turn::RelayConfig wrong = config ();
    wrong.client.servers[0].credentials.password = "wrong";
    End end;
    if (given) end.fresh = turn::Credentials{kUser, kPassword};
    end.open (wrong);
    ASSERT_TRUE (wait_until ([&] {
      return end.count (given ? Event::Kind::allocated : Event::Kind::failed) == 1;
    })) << end.story ();
    if (!given) {
      EXPECT_EQ (end.events.back ().reason, P2P_TURN_REASON_BAD_REQUEST);
    }
  }
}

INSTANTIATE_TEST_SUITE_P (Pion, PionRelay, testing::Values (Protocol::udp, Protocol::tcp),
                          [] (const testing::TestParamInfo<Protocol> &row) {
                            return std::string (protocol_name (row.param));
                          });

}  // namespace
}  // namespace p2p::test
