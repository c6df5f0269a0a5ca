// A TURN server (coturn) behind a proxy.
#include "proxy.hpp"

#include "coturn.hpp"
#include "relay_end.hpp"
#include "turn/connector.hpp"

namespace p2p::test {
namespace {

using turn::Protocol;
using Row = std::tuple<Proxy::Kind, Protocol>;

class TurnProxy : public testing::TestWithParam<Row> {
 protected:
  static Proxy::Kind kind () { return std::get<0> (GetParam ()); }
  static Protocol protocol () { return std::get<1> (GetParam ()); }
};

TEST_P (TurnProxy, IsPassedByAllOfTheConnection) {
  if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
  Coturn coturn;
  ASSERT_TRUE (coturn.start ()) << coturn.log ();
  Proxy proxy (kind (), Proxy::Mood::serves);
  turn::RelayConfig config;
  config.client.servers = {coturn.server (protocol ())};
  config.connector.tls_database = coturn.database ();
  config.connector.proxy_resolver = proxy.resolver ();
  End end;
  end.open (config);
  ASSERT_TRUE (end.allocated ()) << end.story () << coturn.log ();
  Address own;
  on_core ([&] {
    own = end.relayed ();
    ASSERT_FALSE (end.relay->client ().add_peer (own));
  });
  const std::string text (1000, 'x');
  ASSERT_TRUE (end.sends (own, text, end)) << end.story ();
  EXPECT_EQ (proxy.connections (), 1);
  EXPECT_EQ (proxy.asked_for (), "127.0.0.1:" + std::to_string (coturn.server (protocol ()).port));
  // There and back.
  EXPECT_GE (proxy.passed_bytes (), 2 * text.size ());
}

// What a connector comes to, without a server.
struct Outcome {
  std::optional<Result<std::shared_ptr<turn::Connection>>> result;
  std::unique_ptr<turn::Connector> connector;

  void connect (Scheduler &scheduler, const Proxy &proxy, Protocol protocol) {
    on_core ([&] {
      turn::ConnectorOptions options;
      options.proxy_resolver = proxy.resolver ();
      connector = std::make_unique<turn::Connector> (
          core_loop ().context (), scheduler,
          turn::Target{"127.0.0.1", 3478, protocol, "127.0.0.1"}, options,
          [this] (auto got) { result = std::move (got); });
    });
  }
  ~Outcome () {
    on_core ([this] { connector.reset (); });
  }
};

TEST_P (TurnProxy, ThatRefusesIsAnErrorAtOnce) {
  const Proxy proxy (kind (), Proxy::Mood::refuses);
  Outcome outcome;
  outcome.connect (core_loop ().scheduler (), proxy, protocol ());
  ASSERT_TRUE (
      wait_until ([&] { return outcome.result.has_value (); }, turn::Connector::kLimit / 2));
  ASSERT_FALSE (*outcome.result);
  EXPECT_EQ (outcome.result->error ().code, P2P_ERROR_UNREACHABLE);
  EXPECT_FALSE (outcome.result->error ().message.empty ());
}

TEST_P (TurnProxy, ThatSaysNothingIsGivenUpInTime) {
  const Proxy proxy (kind (), Proxy::Mood::hangs);
  VirtualScheduler clock;
  Outcome outcome;
  outcome.connect (clock, proxy, protocol ());
  ASSERT_TRUE (wait_until ([&] { return !proxy.asked_for ().empty (); }));
  on_core ([&] {
    clock.run_for (turn::Connector::kLimit - 1);
    EXPECT_FALSE (outcome.result);
    clock.run_for (1);
    ASSERT_TRUE (outcome.result);
    ASSERT_FALSE (*outcome.result);
    EXPECT_EQ (outcome.result->error ().code, P2P_ERROR_TIMED_OUT);
  });
}

INSTANTIATE_TEST_SUITE_P (
    Proxies, TurnProxy,
    testing::Combine (testing::Values (Proxy::Kind::http, Proxy::Kind::socks5),
                      testing::Values (Protocol::tcp, Protocol::tls)),
    [] (const testing::TestParamInfo<Row> &row) {
      return std::string (std::get<0> (row.param) == Proxy::Kind::http ? "Http" : "Socks5") +
             turn::protocol_name (std::get<1> (row.param));
    });

}  // namespace
}  // namespace p2p::test
