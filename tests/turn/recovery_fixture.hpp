// An allocation with one peer at a scripted server, for tests of what may happen to it.
#pragma once
#include <string>
#include <utility>

#include "scripted_server.hpp"

namespace p2p::test {

using turn::Client;
using turn::Protocol;
using turn::Sent;
using State = Client::State;

inline ByteView
view (const char *text) {
  return ByteView (std::string_view (text));
}

// An allocation with one peer, over which a datagram goes.
class TurnRecovery : public testing::Test {
 protected:
  void connect (const turn::ClientConfig &config) {
    ASSERT_NO_FATAL_FAILURE (bench.allocate (config));
    ASSERT_FALSE (bench.client->add_peer (kPeer));
    bench.clock.run_for (kSecond);
    ASSERT_EQ (bench.client->send (kPeer, view ("before")), Sent::sent);
    bench.clock.run_for (kSecond);
    ASSERT_EQ (server ().relayed_data.back (), "198.51.100.7:4000=before");
  }
  void connect () { connect (bench.config ()); }
  // The next request of the method is answered so.
  void script (Method method, Answer how, const std::string &host = "one") {
    bench.server (host).script[method].push_back (std::move (how));
  }
  void script_always (Method method, int code, const std::string &host = "one") {
    for (int i = 0; i < 1000; ++i) script (method, {code, false, true, {}, {}, false}, host);
  }
  // After a loss: recovered, and what was sent meanwhile arrives at the peer.
  void expect_recovery (P2pTurnReason reason, const std::string &host = "one") {
    EXPECT_EQ (bench.client->send (kPeer, view ("meanwhile")), Sent::waiting);
    ASSERT_TRUE (bench.until (Event::Kind::recovered));
    EXPECT_EQ (bench.last (Event::Kind::network_bad)->reason, reason);
    EXPECT_FALSE (bench.last (Event::Kind::network_bad)->message.empty ());
    bench.clock.run_for (kSecond);
    ASSERT_FALSE (bench.server (host).relayed_data.empty ());
    EXPECT_NE (bench.server (host).relayed_data.back ().find ("meanwhile"), std::string::npos);
    EXPECT_EQ (bench.client->state (), State::allocated);
  }
  void until_lost () { ASSERT_TRUE (bench.until (Event::Kind::network_bad, 700 * kSecond)); }
  // The peer's permission runs out and is asked for anew.
  void until_asked_again (Method method) {
    const int before = server ().count (method);
    ASSERT_TRUE (bench.until ([&] { return server ().count (method) > before; }, 700 * kSecond));
    bench.clock.run_for (kRoundTrip);
  }
  ScriptedServer &server () { return bench.server (); }

  TurnBench bench;
};

inline Answer
error (int code) {
  return {code, false, true, {}, {}, false};
}

}  // namespace p2p::test
