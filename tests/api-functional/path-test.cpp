// Paths of the application carry connections: own ones, and networks in memory.
#include <gtest/gtest.h>

#include "own_path.hpp"
#include "peers.hpp"

namespace {

struct Own : Peers {
  explicit Own (const OwnPathSettings &settings = {}) : near (own_factory_new (settings)) {
    far = own_factory_new_for (near.get ());
    use_only (alice.get (), near.get (), "queue");
    use_only (bob.get (), far.get (), "queue");
  }
  Object<P2pPathFactory> near, far;
};

}  // namespace

TEST (OwnPath, CarriesAConnectionAndIsClosedWithIt) {
  Own peers;
  ASSERT_TRUE (peers.connect ());
  ASSERT_TRUE (peers.open_channel ("chat"));
  ASSERT_TRUE (send_text (peers.alices.get (), "over the queue"));
  EXPECT_EQ (receive_text (peers.bobs.get ()), "over the queue");
  GVariant *stats = p2p_connection_get_stats (peers.at_alice.get ());
  EXPECT_EQ (string_of (g_variant_ref (stats), "path-kind"), "queue");
  EXPECT_EQ (string_of (g_variant_ref (stats), "local-candidate"), "a queue");
  EXPECT_EQ (count_of (stats, "path-datagrams-dropped"), 0u);
  EXPECT_TRUE (peers.close ());
  // An agent that is closed has closed its paths: a program may end then.
  EXPECT_EQ (own_factory_closed (peers.near.get ()), own_factory_opened (peers.near.get ()));
  EXPECT_EQ (own_factory_closed (peers.far.get ()), own_factory_opened (peers.far.get ()));
}

TEST (OwnPath, DatagramsThatItRefusesAreCountedAndSentAgain) {
  OwnPathSettings settings;
  settings.drop_every = 10;
  Own peers (settings);
  ASSERT_TRUE (peers.connect ());
  ASSERT_TRUE (peers.open_channel ("chat"));
  const std::string block (50'000, 'b');
  for (int i = 0; i < 20; ++i) ASSERT_TRUE (send_text (peers.alices.get (), block));
  for (int i = 0; i < 20; ++i) ASSERT_EQ (receive_text (peers.bobs.get ()), block);
  const guint64 dropped =
      count_of (p2p_connection_get_stats (peers.at_alice.get ()), "path-datagrams-dropped");
  // A million bytes are 700 datagrams or more.
  EXPECT_GE (dropped, 70u);
  EXPECT_LE (dropped, 1000u);
  EXPECT_TRUE (peers.close ());
}

TEST (OwnPath, FloodIsBoundedAndCounted) {
  Own peers;
  ASSERT_TRUE (peers.connect ());
  // 40 MB at once, against an inbox of 4 MiB.
  own_factory_flood (peers.far.get (), 400, 100'000);
  EXPECT_GT (count_of (p2p_connection_get_stats (peers.at_bob.get ()), "path-datagrams-dropped"),
             0u);
  ASSERT_TRUE (peers.open_channel ("chat"));
  ASSERT_TRUE (send_text (peers.alices.get (), "still there"));
  EXPECT_EQ (receive_text (peers.bobs.get ()), "still there");
  EXPECT_TRUE (peers.close ());
}

TEST (OwnPath, FactoriesTalkToEachOtherBeforeTheyOpen) {
  OwnPathSettings settings;
  settings.send_hello = true;
  Own peers (settings);
  ASSERT_TRUE (peers.connect ());
  EXPECT_TRUE (wait_until ([&] {
    return own_factory_messages (peers.near.get ()) > 0 &&
           own_factory_messages (peers.far.get ()) > 0;
  }));
  EXPECT_TRUE (peers.close ());
}

TEST (OwnPath, FailureToOpenIsAnErrorWithItsReason) {
  OwnPathSettings settings;
  settings.fail_open = true;
  Own peers (settings);
  peers.connect ();
  ASSERT_TRUE (wait_until ([&] {
    return p2p_connection_get_state (peers.at_alice.get ()) == P2P_CONNECTION_STATE_REMOVED;
  }));
  GError *error = p2p_connection_dup_error (peers.at_alice.get ());
  ASSERT_NE (error, nullptr);
  EXPECT_EQ (error->domain, P2P_ERROR);
  EXPECT_NE (std::string (error->message).find ("queue"), std::string::npos) << error->message;
  g_error_free (error);
  EXPECT_TRUE (peers.close ());
}

TEST (OwnPath, PathForShortDatagramsIsRefused) {
  OwnPathSettings settings;
  settings.max_datagram = 576;
  Own peers (settings);
  peers.connect ();
  EXPECT_TRUE (wait_until ([&] {
    return p2p_connection_get_state (peers.at_alice.get ()) == P2P_CONNECTION_STATE_REMOVED;
  }));
  EXPECT_TRUE (peers.close ());
}

TEST (OwnPath, FailureOfTheLivingPathIsMadeGoodByAnotherOne) {
  Own peers;
  for (P2pAgent *agent : {peers.alice.get (), peers.bob.get ()})
    g_object_set (agent, "ping-interval", 50, "ping-timeout", 300, nullptr);
  ASSERT_TRUE (peers.connect ());
  ASSERT_TRUE (peers.open_channel ("c"));
  const guint opened = own_factory_opened (peers.near.get ());
  bool restored = false;
  const auto on_restored = +[] (P2pConnection *, guint64, GVariant *, gpointer data) {
    *static_cast<bool *> (data) = true;
  };
  g_signal_connect (peers.at_alice.get (), "restored", G_CALLBACK (on_restored), &restored);
  own_factory_fail (peers.near.get (), "The queue has burnt down.");
  ASSERT_TRUE (send_text (peers.alices.get (), "over the second one"));
  ASSERT_TRUE (wait_until ([&] { return restored; }));
  EXPECT_GT (own_factory_opened (peers.near.get ()), opened);
  EXPECT_EQ (receive_text (peers.bobs.get ()), "over the second one");
  EXPECT_TRUE (peers.close ());
}

TEST (VirtualNetwork, TransfersUnderLossByItsClockOnly) {
  Peers peers (p2p_memory_network_new_virtual (42));
  g_object_set (peers.network.get (), "loss", 0.1, "delay-ms", 20u, nullptr);
  peers.at_alice.reset (p2p_agent_open_connection (peers.alice.get (), "bob", nullptr, nullptr));
  peers.at_bob.reset (p2p_agent_open_connection (peers.bob.get (), "alice", nullptr, nullptr));
  ASSERT_TRUE (peers.open_channel ("data"));
  const std::string block (100'000, 'v');
  ASSERT_TRUE (send_text (peers.alices.get (), block));
  P2pMessage *message = nullptr;
  guint span_ms = 0;
  ASSERT_TRUE (wait_until ([&] {
    p2p_memory_network_advance (peers.network.get (), 20);
    span_ms += 20;
    message = p2p_channel_try_receive (peers.bobs.get (), nullptr);
    if (!message) g_main_context_wakeup (nullptr);
    return message != nullptr;
  }));
  EXPECT_EQ (text_of (p2p_message_get_payload (message)), block);
  p2p_message_unref (message);
  EXPECT_GE (span_ms, 80u);  // a handshake and data, 20 ms each way
  GVariant *stats = p2p_memory_network_get_stats (peers.network.get ());
  EXPECT_GT (count_of (g_variant_ref (stats), "lost"), 0u);
  EXPECT_GT (count_of (stats, "sent"), 70u);
  p2p_connection_close (peers.at_alice.get ());
  p2p_connection_close (peers.at_bob.get ());
}
