// Connections by the C API: configurations by hand, refusal, waiting, closing, and many of them.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "peers.hpp"

namespace {

P2pConnectionState
state_of (const Object<P2pConnection> &connection) {
  return p2p_connection_get_state (connection.get ());
}

// As an application would bring it to the other side: as text.
std::string
config_text (P2pAgent *agent, const char *peer) {
  Outcome outcome;
  p2p_agent_create_network_config_async (agent, peer, nullptr, Outcome::ready, &outcome);
  GAsyncResult *result = outcome.wait ();
  if (!result) return {};
  P2pNetworkConfig *config = p2p_agent_create_network_config_finish (agent, result, nullptr);
  if (!config) return {};
  char *text = p2p_network_config_to_string (config);
  std::string copy = text;
  g_free (text);
  p2p_network_config_unref (config);
  return copy;
}

struct FreeConfig {
  void operator() (P2pNetworkConfig *config) const { p2p_network_config_unref (config); }
};
using Config = std::unique_ptr<P2pNetworkConfig, FreeConfig>;

Config
read_config (const std::string &text) {
  return Config (p2p_network_config_new_from_string (text.c_str (), nullptr));
}

enum class Signaling { none, silent };

// ICE on loopback, and no signaling at all or one that brings no message.
struct ByHand {
  explicit ByHand (Signaling signaling = Signaling::none) {
    for (P2pAgent *agent : {alice.get (), bob.get ()}) {
      EXPECT_TRUE (p2p_agent_set_rendezvous (agent, "none", nullptr));
      if (signaling == Signaling::silent) {
        const Object<P2pSignaling> silent (p2p_app_signaling_new ());
        p2p_agent_set_signaling (agent, silent.get ());
      }
      p2p_agent_add_local_address (agent, "127.0.0.1");
    }
  }
  ~ByHand () {
    at_alice.reset ();
    at_bob.reset ();
    EXPECT_TRUE (close_agent (alice.get ()));
    EXPECT_TRUE (close_agent (bob.get ()));
  }
  bool connected () {
    return wait_until ([this] {
      return state_of (at_alice) == P2P_CONNECTION_STATE_CONNECTED &&
             state_of (at_bob) == P2P_CONNECTION_STATE_CONNECTED;
    });
  }

  const Folder folder;
  Object<P2pAgent> alice = make_agent (folder, "alice"), bob = make_agent (folder, "bob");
  Object<P2pConnection> at_alice, at_bob;
};

guint
entries (const char *path) {
  guint count = 0;
  GDir *dir = g_dir_open (path, 0, nullptr);
  while (g_dir_read_name (dir)) ++count;
  g_dir_close (dir);
  return count;
}

}  // namespace

TEST (ConfigByHand, ConnectsWithoutAnySignaling) {
  ByHand peers;
  const Config alices = read_config (config_text (peers.alice.get (), "bob"));
  const Config bobs = read_config (config_text (peers.bob.get (), "alice"));
  ASSERT_TRUE (alices && bobs);
  EXPECT_STREQ (p2p_network_config_get_id (alices.get ()), "alice");
  EXPECT_TRUE (p2p_network_config_is_complete (alices.get ()));
  peers.at_alice.reset (
      p2p_agent_open_connection (peers.alice.get (), "bob", bobs.get (), nullptr));
  peers.at_bob.reset (
      p2p_agent_open_connection (peers.bob.get (), "alice", alices.get (), nullptr));
  ASSERT_TRUE (peers.at_alice && peers.at_bob);
  ASSERT_TRUE (peers.connected ());
  // The configuration carries the fingerprint, so that is what the peer is known by.
  EXPECT_EQ (p2p_connection_get_authentication (peers.at_alice.get ()),
             P2P_AUTHENTICATION_FINGERPRINT);
  const Object<P2pChannel> channel (
      p2p_connection_open_channel (peers.at_alice.get (), "c", nullptr, nullptr));
  const Object<P2pChannel> far (
      p2p_connection_open_channel (peers.at_bob.get (), "c", nullptr, nullptr));
  ASSERT_TRUE (send_text (channel.get (), "by hand"));
  EXPECT_EQ (receive_text (far.get ()), "by hand");
}

TEST (ConfigByHand, ConfigurationMayComeAfterTheConnectionWasOpened) {
  ByHand peers (Signaling::silent);
  const Config alices = read_config (config_text (peers.alice.get (), "bob"));
  const Config bobs = read_config (config_text (peers.bob.get (), "alice"));
  ASSERT_TRUE (alices && bobs);
  peers.at_alice.reset (p2p_agent_open_connection (peers.alice.get (), "bob", nullptr, nullptr));
  peers.at_bob.reset (p2p_agent_open_connection (peers.bob.get (), "alice", nullptr, nullptr));
  ASSERT_TRUE (peers.at_alice && peers.at_bob);
  Failure failure;
  EXPECT_TRUE (p2p_connection_update_remote_config (peers.at_alice.get (), bobs.get (), &failure))
      << failure.message ();
  EXPECT_TRUE (p2p_connection_update_remote_config (peers.at_bob.get (), alices.get (), &failure))
      << failure.message ();
  EXPECT_TRUE (peers.connected ());
  const Config kept (p2p_connection_dup_remote_config (peers.at_alice.get ()));
  ASSERT_TRUE (kept);
  EXPECT_STREQ (p2p_network_config_get_ufrag (kept.get ()),
                p2p_network_config_get_ufrag (bobs.get ()));
}

TEST (ConfigByHand, WithoutConfigurationAndSignalingThereIsNoWay) {
  ByHand peers;
  peers.at_alice.reset (p2p_agent_open_connection (peers.alice.get (), "bob", nullptr, nullptr));
  Failure failure;
  EXPECT_FALSE (p2p_connection_wait_connected (peers.at_alice.get (), nullptr, &failure));
  EXPECT_TRUE (failure.is (P2P_ERROR_NOT_CONNECTED)) << failure.message ();
}

TEST (ConfigByHand, ConfigurationOfSomebodyElseIsRefused) {
  ByHand peers;
  const Config alices = read_config (config_text (peers.alice.get (), "bob"));
  ASSERT_TRUE (alices);
  Failure failure;
  // Alice's own, where bob's is to be.
  peers.at_alice.reset (
      p2p_agent_open_connection (peers.alice.get (), "bob", alices.get (), nullptr));
  ASSERT_TRUE (peers.at_alice);
  EXPECT_FALSE (p2p_connection_wait_connected (peers.at_alice.get (), nullptr, &failure));
  EXPECT_TRUE (failure.is (P2P_ERROR_INVALID_ARGUMENT)) << failure.message ();
}

TEST (ConfigText, MalformedTextIsAnErrorThatNamesTheField) {
  ByHand peers;
  const std::string good = config_text (peers.alice.get (), "bob");
  ASSERT_TRUE (read_config (good));
  for (const char *field : {"id", "fingerprint", "ufrag", "pwd", "candidates"}) {
    const std::string name = std::string ("\"") + field + "\"";
    std::string bad = good;
    const auto at = bad.find (name + ":");
    ASSERT_NE (at, std::string::npos) << field << " in " << good;
    // The same key with a number, and what was there under a name that nobody knows.
    bad.replace (at, name.size () + 1, name + ":5,\"old-" + field + "\":");
    Failure failure;
    EXPECT_EQ (p2p_network_config_new_from_string (bad.c_str (), &failure), nullptr) << field;
    EXPECT_TRUE (failure.is (P2P_ERROR_INVALID_ARGUMENT));
    EXPECT_NE (failure.message ().find (name), std::string::npos) << failure.message ();
  }
  for (const char *text : {"", "{", "[]", "null", "{}", "\"\\ud800\"", "{\"id\":\"\\ud800\"}"}) {
    Failure failure;
    EXPECT_EQ (p2p_network_config_new_from_string (text, &failure), nullptr) << text;
    ASSERT_TRUE (failure.is (P2P_ERROR_INVALID_ARGUMENT)) << text;
    EXPECT_TRUE (g_utf8_validate (failure->message, -1, nullptr)) << text;
  }
}

TEST (Connection, RefusalCarriesItsReason) {
  Peers peers (p2p_memory_network_new (1));
  g_object_set (peers.bob.get (), "accept-policy", P2P_ACCEPT_POLICY_ASK, nullptr);
  P2pConnection *incoming = nullptr;
  const auto on_incoming = [] (P2pAgent *, P2pConnection *connection, gpointer data) {
    *static_cast<P2pConnection **> (data) = connection;
    p2p_connection_refuse (connection, "not before noon \xff");
  };
  void (*const function) (P2pAgent *, P2pConnection *, gpointer) = on_incoming;
  g_signal_connect (peers.bob.get (), "incoming", G_CALLBACK (function), &incoming);
  Outcome started;
  p2p_agent_start_async (peers.bob.get (), nullptr, Outcome::ready, &started);
  ASSERT_TRUE (started.wait ());
  peers.at_alice.reset (p2p_agent_open_connection (peers.alice.get (), "bob", nullptr, nullptr));
  ASSERT_TRUE (
      wait_until ([&] { return state_of (peers.at_alice) == P2P_CONNECTION_STATE_REMOVED; }));
  EXPECT_NE (incoming, nullptr);
  GError *error = p2p_connection_dup_error (peers.at_alice.get ());
  ASSERT_NE (error, nullptr);
  EXPECT_TRUE (g_error_matches (error, P2P_ERROR, P2P_ERROR_REFUSED)) << error->message;
  EXPECT_NE (std::string (error->message).find ("not before noon"), std::string::npos)
      << error->message;
  EXPECT_TRUE (g_utf8_validate (error->message, -1, nullptr)) << error->message;
  char *reason = p2p_connection_dup_state_reason (peers.at_alice.get ());
  EXPECT_TRUE (g_utf8_validate (reason, -1, nullptr)) << reason;
  g_free (reason);
  g_error_free (error);
  EXPECT_TRUE (peers.close ());
}

TEST (Connection, StatsNameTheDataPathThatWasAskedFor) {
  if (g_getenv ("P2P_FAST_UDP")) GTEST_SKIP () << "the environment says what is used";
  const struct {
    guint flag;
    const char *word;
  } words[] = {{P2P_DATA_PATH_STEERING, "own socket"},
               {P2P_DATA_PATH_SEGMENTATION, "segmentation"},
               {P2P_DATA_PATH_COALESCING, "coalescing"}};
  for (guint asked = 0; asked < 8; ++asked) {
    Peers peers;
    for (P2pAgent *agent : {peers.alice.get (), peers.bob.get ()}) {
      p2p_agent_add_local_address (agent, "127.0.0.1");
      g_object_set (agent, "data-path", asked, "ice-tcp", FALSE, nullptr);
      guint kept = 99;
      g_object_get (agent, "data-path", &kept, nullptr);
      EXPECT_EQ (kept, asked);
    }
    ASSERT_TRUE (peers.connect ()) << asked;
    const std::string engine =
        string_of (p2p_connection_get_stats (peers.at_alice.get ()), "path-engine");
    EXPECT_EQ (engine == "libnice", asked == 0) << engine;
    // The kernel may have refused what was asked for, but nothing else is used.
    for (const auto &[flag, word] : words)
      if ((asked & flag) == 0) {
        EXPECT_EQ (engine.find (word), std::string::npos) << engine;
      }
    EXPECT_TRUE (peers.close ());
  }
}

TEST (Connection, WaitForAnAbsentPeerEndsByItsCancellable) {
  Peers peers (p2p_memory_network_new (1));
  peers.at_alice.reset (p2p_agent_open_connection (peers.alice.get (), "bob", nullptr, nullptr));
  const Object<GCancellable> cancellable (g_cancellable_new ());
  std::thread canceller ([&] { g_cancellable_cancel (cancellable.get ()); });
  Failure failure;
  EXPECT_FALSE (
      p2p_connection_wait_connected (peers.at_alice.get (), cancellable.get (), &failure));
  EXPECT_TRUE (failure.cancelled ()) << failure.message ();
  canceller.join ();
  // The connection goes on.
  EXPECT_EQ (state_of (peers.at_alice), P2P_CONNECTION_STATE_CONNECTING);
  EXPECT_TRUE (peers.close ());
}

TEST (Connection, WaitOfAnotherThreadEndsWhenItIsConnectedAndWhenItIsClosed) {
  Peers peers (p2p_memory_network_new (1));
  peers.at_alice.reset (p2p_agent_open_connection (peers.alice.get (), "bob", nullptr, nullptr));
  std::atomic<bool> up{false};
  std::thread waiting ([&] {
    up = p2p_connection_wait_connected (peers.at_alice.get (), nullptr, nullptr);
    g_main_context_wakeup (nullptr);
  });
  EXPECT_TRUE (peers.connect ());
  waiting.join ();
  EXPECT_TRUE (up);
  Outcome outcome;
  P2pConnection *connection = peers.at_alice.get ();
  p2p_connection_close_async (connection, nullptr, Outcome::ready, &outcome);
  ASSERT_TRUE (outcome.wait ());
  EXPECT_TRUE (p2p_connection_close_finish (connection, outcome.wait (), nullptr));
  EXPECT_EQ (state_of (peers.at_alice), P2P_CONNECTION_STATE_REMOVED);
  EXPECT_EQ (p2p_connection_dup_error (connection), nullptr);
  Failure failure;
  EXPECT_FALSE (p2p_connection_wait_connected (connection, nullptr, &failure));
  EXPECT_TRUE (failure.is (P2P_ERROR_CLOSED)) << failure.message ();
  EXPECT_TRUE (peers.close ());
}

TEST (Agent, CloseEndsItsConnectionsOnBothSides) {
  Peers peers (p2p_memory_network_new (1));
  ASSERT_TRUE (peers.connect ());
  ASSERT_TRUE (close_agent (peers.alice.get ()));
  EXPECT_EQ (state_of (peers.at_alice), P2P_CONNECTION_STATE_REMOVED);
  EXPECT_TRUE (
      wait_until ([&] { return state_of (peers.at_bob) == P2P_CONNECTION_STATE_REMOVED; }));
  EXPECT_TRUE (wait_until ([&] {
    return g_list_model_get_n_items (p2p_agent_get_connections (peers.bob.get ())) == 0;
  }));
  // Closing once more is no error.
  EXPECT_TRUE (peers.close ());
}

TEST (Agent, ConnectsAndClosesManyTimesWithoutGrowing) {
  guint threads = 0, descriptors = 0;
  for (int round = 0; round < 200; ++round) {
    {
      Peers peers (p2p_memory_network_new (1));
      ASSERT_TRUE (peers.connect ()) << "round " << round;
      ASSERT_TRUE (peers.close ()) << "round " << round;
    }
    // What GLib and the library keep is there after the first rounds.
    if (round != 20) continue;
    threads = entries ("/proc/self/task");
    descriptors = entries ("/proc/self/fd");
  }
  // The last agents' ends are posted to the library's threads.
  EXPECT_TRUE (wait_until ([&] {
    if (entries ("/proc/self/fd") <= descriptors && entries ("/proc/self/task") <= threads)
      return true;
    g_main_context_wakeup (nullptr);
    return false;
  })) << entries ("/proc/self/fd")
      << " descriptors after " << descriptors << ", " << entries ("/proc/self/task")
      << " threads after " << threads;
}

TEST (Signaling, LocalObjectsWorkWithoutAnAgent) {
  const Folder folder;
  const std::string socket = folder.file ("meet.sock");
  const Object<P2pSignaling> alice (p2p_local_signaling_new (socket.c_str ()));
  const Object<P2pSignaling> bob (p2p_local_signaling_new (socket.c_str ()));
  struct Heard {
    std::string peers, messages;
    P2pSignalingState state = P2P_SIGNALING_STATE_IDLE;
  } heard;
  const auto on_peer = [] (P2pSignaling *, const char *peer, gboolean present, gpointer data) {
    if (present) static_cast<Heard *> (data)->peers += peer;
  };
  const auto on_message = [] (P2pSignaling *, const char *peer, GBytes *message, gpointer data) {
    static_cast<Heard *> (data)->messages += std::string (peer) + ": " + text_of (message);
  };
  const auto on_state = [] (P2pSignaling *, P2pSignalingState state, GError *, gpointer data) {
    static_cast<Heard *> (data)->state = state;
  };
  void (*const peer_function) (P2pSignaling *, const char *, gboolean, gpointer) = on_peer;
  void (*const message_function) (P2pSignaling *, const char *, GBytes *, gpointer) = on_message;
  void (*const state_function) (P2pSignaling *, P2pSignalingState, GError *, gpointer) = on_state;
  g_signal_connect (alice.get (), "peer-changed", G_CALLBACK (peer_function), &heard);
  g_signal_connect (alice.get (), "message", G_CALLBACK (message_function), &heard);
  g_signal_connect (alice.get (), "state-changed", G_CALLBACK (state_function), &heard);
  p2p_signaling_start (alice.get (), "alice");
  p2p_signaling_ask (alice.get (), "bob");
  p2p_signaling_start (bob.get (), "bob");
  p2p_signaling_ask (bob.get (), "alice");
  EXPECT_TRUE (wait_until ([&] { return heard.peers == "bob"; }));
  EXPECT_EQ (heard.state, P2P_SIGNALING_STATE_REGISTERED);
  GBytes *message = bytes_of ("hello");
  EXPECT_TRUE (p2p_signaling_send (bob.get (), "alice", message, nullptr));
  g_bytes_unref (message);
  EXPECT_TRUE (wait_until ([&] { return heard.messages == "bob: hello"; }));
  p2p_signaling_stop (alice.get ());
  p2p_signaling_stop (bob.get ());
}
