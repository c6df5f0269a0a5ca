// DTLS where it is not TLS: datagrams that are lost, servers that say nothing.
#include "base/scheduler.hpp"
#include "coturn.hpp"
#include "relay_end.hpp"
#include "silent_socket.hpp"
#include "turn/dtls_race.hpp"
#include "turn/lossy_socket.hpp"
#include "turn/udp_socket.hpp"

namespace p2p::test {
namespace {

using turn::Protocol;

Address
nobody () {
  Address out;
  g_socket_close (silent_socket (&out).get (), nullptr);
  return out;
}

// Of a connector to `to`; the clock stands still but for `then`.
Error
failure_towards (const Address &to, TimeUs then) {
  VirtualScheduler scheduler;
  std::unique_ptr<turn::Connector> connector;
  std::optional<Error> error;
  on_core ([&] {
    connector = std::make_unique<turn::Connector> (
        core_loop ().context (), scheduler,
        turn::Target{"127.0.0.1", to.port, Protocol::dtls, "127.0.0.1"}, turn::ConnectorOptions{},
        [&] (Result<std::shared_ptr<turn::Connection>> result) { error = result.error (); });
    scheduler.run_for (then);
  });
  EXPECT_TRUE (wait_until ([&] { return error.has_value (); }));
  on_core ([&] { connector.reset (); });
  return error.value_or (Error{});
}

TEST (Dtls, OfAServerWithoutItIsGivenUpInTime) {
  Address silent;
  const auto socket = silent_socket (&silent);
  const Error error = failure_towards (silent, turn::Connector::kLimit);
  EXPECT_EQ (error.code, P2P_ERROR_TIMED_OUT);
  EXPECT_EQ (error.message, "The TURN server 127.0.0.1:" + std::to_string (silent.port) +
                                " cannot be reached over DTLS: nothing there answers its "
                                "handshake.");
}

TEST (Dtls, WhereNobodyListensFailsAtOnce) {
  const Error error = failure_towards (nobody (), 0);
  EXPECT_EQ (error.code, P2P_ERROR_UNREACHABLE) << error.message;
}

class DtlsRace : public testing::Test, protected turn::Connection::Observer {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
    ASSERT_TRUE (coturn_.start ()) << coturn_.log ();
  }
  void TearDown () override {
    on_core ([this] {
      if (winner_) winner_->stop ();
      winner_.reset ();
      race_.reset ();
    });
  }
  bool is_won (std::vector<Address> before) {
    const auto port = coturn_.server (Protocol::dtls).port;
    turn::DtlsRace::Config config;
    config.addresses = std::move (before);
    config.addresses.push_back (*Address::parse ("127.0.0.1", port));
    config.database = coturn_.database ();
    config.identity = Ref<GSocketConnectable>::adopt (
        G_SOCKET_CONNECTABLE (g_network_address_new ("127.0.0.1", port)));
    config.delay = 50 * kMillisecond;
    on_core ([&] {
      race_ = std::make_unique<turn::DtlsRace> (
          core_loop ().context (), core_loop ().scheduler (), config,
          [this] (Result<std::shared_ptr<turn::Connection>> result) {
            if (result)
              winner_ = *result;
            else
              why_ = result.error ().message;
          });
    });
    return wait_until ([this] { return winner_ || !why_.empty (); }) && winner_;
  }
  void connection_received (ByteView) override {}
  void connection_doubtful () override { ++doubts_; }
  void connection_ended (const std::string &why) override { why_ = why; }

  Coturn coturn_;
  std::unique_ptr<turn::DtlsRace> race_;
  std::shared_ptr<turn::Connection> winner_;
  std::string why_;
  int doubts_ = 0;
};

TEST_F (DtlsRace, IsWonByTheAddressThatServesIt) {
  Address silent;
  const auto socket = silent_socket (&silent);
  EXPECT_TRUE (is_won ({silent, nobody ()})) << why_;
}

TEST_F (DtlsRace, ItsWinnerOutlivesAnIcmpErrorAndTellsOfIt) {
  ASSERT_TRUE (is_won ({})) << why_;
  on_core ([this] { winner_->start (*this); });
  coturn_.stop ();
  EXPECT_TRUE (wait_until ([this] {
    winner_->send (ByteView ("is it there?"));
    return doubts_ >= 3;
  }));
  EXPECT_EQ (why_, "");
}

TEST_F (DtlsRace, ItsWinnerTakesNothingThatIsTooLongForARecord) {
  ASSERT_TRUE (is_won ({})) << why_;
  on_core ([this] {
    winner_->start (*this);
    const std::size_t most = winner_->max_data_bytes () + turn::kMaxOverheadBytes;
    EXPECT_TRUE (winner_->send (ByteView (std::string (most, 'x'))));
    EXPECT_FALSE (winner_->send (ByteView (std::string (1400, 'x'))));
    EXPECT_TRUE (winner_->send (ByteView ("short again")));
  });
  EXPECT_EQ (why_, "");
}

// GnuTLS would end the session.
TEST (LossySocket, LosesWhatItCannotSend) {
  std::string why;
  const auto udp = turn::open_udp_socket (nobody (), std::nullopt, &why);
  ASSERT_TRUE (udp) << why;
  const auto losses = std::make_shared<turn::Losses> ();
  const auto lossy = turn::make_lossy_socket (udp, losses);
  losses->forgiven = true;
  GOutputVector out{"x", 1};
  GOutputMessage sent{nullptr, &out, 1, 0, nullptr, 0};
  ASSERT_EQ (g_datagram_based_send_messages (lossy.get (), &sent, 1, 0, 0, nullptr, nullptr), 1);
  EXPECT_FALSE (losses->lost);
  const auto wait_for_icmp = [&] {
    return g_socket_condition_timed_wait (udp.get (), G_IO_IN, 10 * kSecond, nullptr, nullptr);
  };
  ASSERT_TRUE (wait_for_icmp ());
  sent.bytes_sent = 0;
  ASSERT_EQ (g_datagram_based_send_messages (lossy.get (), &sent, 1, 0, 0, nullptr, nullptr), 1);
  EXPECT_EQ (sent.bytes_sent, 1U);
  EXPECT_TRUE (losses->lost.exchange (false));
  EXPECT_TRUE (losses->refused.exchange (false));
  g_datagram_based_send_messages (lossy.get (), &sent, 1, 0, 0, nullptr, nullptr);
  ASSERT_TRUE (wait_for_icmp ());
  char byte;
  GInputVector in{&byte, 1};
  GInputMessage heard{};
  heard.vectors = &in;
  heard.num_vectors = 1;
  GError *raw = nullptr;
  EXPECT_EQ (g_datagram_based_receive_messages (lossy.get (), &heard, 1, 0, 0, nullptr, &raw), -1);
  const UniqueError error (raw);
  EXPECT_TRUE (g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK));
  EXPECT_TRUE (losses->refused);
}

}  // namespace
}  // namespace p2p::test
