// A connection that breaks, is restored, or is given up, as an application is told of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "peers.hpp"

namespace {

constexpr guint kPingIntervalMs = 50, kPingTimeoutMs = 300;

// What the signals of a connection said, in order.
class Log {
 public:
  explicit Log (P2pConnection *connection) : connection_ (share (connection)) {
    const auto add = [this] (const char *signal, auto handler) {
      g_signal_connect (connection_.get (), signal, G_CALLBACK (handler), this);
    };
    add (
        "broken", +[] (P2pConnection *, P2pBreakReason reason, const char *text, gpointer data) {
          Log &log = of (data);
          log.add (reason == P2P_BREAK_REASON_SILENCE ? "broken: silence" : "broken");
          EXPECT_GT (std::string (text).size (), 10u);
        });
    add (
        "restored", +[] (P2pConnection *, guint64 outage_ms, GVariant *details, gpointer data) {
          Log &log = of (data);
          log.add ("restored");
          log.outage_ms_ = outage_ms;
          log.details_.reset (g_variant_ref (details));
        });
    add (
        "removed", +[] (P2pConnection *, const GError *error, gpointer data) {
          Log &log = of (data);
          log.add (error ? "removed: error" : "removed");
          if (error) *&log.error_ = g_error_copy (error);
          if (log.on_removed) log.on_removed ();
        });
    add (
        "state-changed",
        +[] (P2pConnection *, P2pConnectionState state, const char *, gpointer data) {
          Log &log = of (data);
          if (log.state_ == state) return;
          log.state_ = state;
          log.add ("state " + std::to_string (state));
        });
    add (
        "notify::break-reason",
        +[] (P2pConnection *, GParamSpec *, gpointer data) { ++of (data).break_reasons_; });
  }
  ~Log () { g_signal_handlers_disconnect_by_data (connection_.get (), this); }
  Log (const Log &) = delete;
  Log &operator= (const Log &) = delete;

  bool has (const std::string &what) const {
    return std::find (lines_.begin (), lines_.end (), what) != lines_.end ();
  }
  const std::vector<std::string> &lines () const { return lines_; }
  const Failure &error () const { return error_; }
  GVariant *details () const { return details_.get (); }
  guint64 outage_ms () const { return outage_ms_; }
  unsigned break_reasons () const { return break_reasons_; }

  std::function<void ()> on_removed;

 private:
  struct UnrefVariant {
    void operator() (GVariant *variant) const { g_variant_unref (variant); }
  };
  static Log &of (gpointer data) { return *static_cast<Log *> (data); }
  void add (const std::string &line) { lines_.push_back (line); }

  const Object<P2pConnection> connection_;
  std::vector<std::string> lines_;
  P2pConnectionState state_ = P2P_CONNECTION_STATE_CONNECTED;
  guint64 outage_ms_ = 0;
  std::unique_ptr<GVariant, UnrefVariant> details_;
  Failure error_;
  unsigned break_reasons_ = 0;
};

const std::string kStateConnected = "state " + std::to_string (P2P_CONNECTION_STATE_CONNECTED);
const std::string kStateBroken = "state " + std::to_string (P2P_CONNECTION_STATE_BROKEN);
const std::string kStateRemoved = "state " + std::to_string (P2P_CONNECTION_STATE_REMOVED);
const std::vector<std::string> kBreakAndRestore = {"broken: silence", kStateBroken, "restored",
                                                   kStateConnected};

// Two connected agents that notice soon, over a link that can be cut.
class Liveness : public testing::Test {
 protected:
  void connect () {
    for (P2pAgent *agent : {peers_.alice.get (), peers_.bob.get ()})
      g_object_set (agent, "ping-interval", kPingIntervalMs, "ping-timeout", kPingTimeoutMs,
                    nullptr);
    ASSERT_TRUE (peers_.connect ());
    ASSERT_TRUE (peers_.open_channel ("c"));
    // The loop has told all that was before.
    ASSERT_TRUE (send_text (peers_.alices.get (), "first"));
    ASSERT_EQ (receive_text (peers_.bobs.get ()), "first");
    alice_ = std::make_unique<Log> (peers_.at_alice.get ());
    bob_ = std::make_unique<Log> (peers_.at_bob.get ());
  }
  void TearDown () override {
    alice_.reset ();
    bob_.reset ();
    EXPECT_TRUE (peers_.close ());
  }
  void cut (bool down) { g_object_set (peers_.network.get (), "down", down, nullptr); }
  void cut_and_wait () {
    cut (true);
    ASSERT_TRUE (
        wait_until ([this] { return alice_->has (kStateBroken) && bob_->has (kStateBroken); }));
  }
  void mend_and_wait () {
    cut (false);
    ASSERT_TRUE (wait_until (
        [this] { return alice_->has (kStateConnected) && bob_->has (kStateConnected); }));
  }
  static P2pConnectionState state (const Object<P2pConnection> &connection) {
    return p2p_connection_get_state (connection.get ());
  }
  static gint64 span_of (P2pConnection *connection, const char *key) {
    GVariant *stats = p2p_connection_get_stats (connection);
    gint64 span = -1;
    (void)g_variant_lookup (stats, key, "x", &span);
    g_variant_unref (stats);
    return span;
  }

  Peers peers_ = Peers (p2p_memory_network_new (3));
  std::unique_ptr<Log> alice_, bob_;
};

}  // namespace

TEST_F (Liveness, BreakAndRestoreAreEachToldOnce) {
  connect ();
  P2pConnection *at_alice = peers_.at_alice.get ();
  EXPECT_EQ (p2p_connection_get_break_reason (at_alice), P2P_BREAK_REASON_NONE);
  cut_and_wait ();
  EXPECT_EQ (p2p_connection_get_break_reason (at_alice), P2P_BREAK_REASON_SILENCE);
  EXPECT_EQ (string_of (p2p_connection_get_stats (at_alice), "break-reason"), "silence");
  ASSERT_TRUE (send_text (peers_.alices.get (), "over the break"));
  mend_and_wait ();
  EXPECT_EQ (receive_text (peers_.bobs.get ()), "over the break");
  EXPECT_EQ (alice_->lines (), kBreakAndRestore);
  EXPECT_EQ (bob_->lines (), kBreakAndRestore);
  EXPECT_EQ (alice_->break_reasons (), 2u);
  EXPECT_EQ (p2p_connection_get_break_reason (at_alice), P2P_BREAK_REASON_NONE);

  const char *kind = nullptr, *local = nullptr, *remote = nullptr;
  gboolean relayed = TRUE, new_transport = TRUE;
  guint64 messages = 1, bytes = 1;
  GVariant *details = alice_->details ();
  EXPECT_TRUE (g_variant_lookup (details, "path-kind", "&s", &kind));
  EXPECT_TRUE (g_variant_lookup (details, "local-candidate", "&s", &local));
  EXPECT_TRUE (g_variant_lookup (details, "remote-candidate", "&s", &remote));
  EXPECT_TRUE (g_variant_lookup (details, "relayed", "b", &relayed));
  EXPECT_TRUE (g_variant_lookup (details, "new-transport", "b", &new_transport));
  EXPECT_TRUE (g_variant_lookup (details, "replayed-messages", "t", &messages));
  EXPECT_TRUE (g_variant_lookup (details, "replayed-bytes", "t", &bytes));
  EXPECT_STREQ (kind, "memory");
  EXPECT_STREQ (local, "alice");
  EXPECT_STREQ (remote, "bob");
  EXPECT_FALSE (relayed || new_transport);
  EXPECT_EQ (messages + bytes, 0u);

  EXPECT_EQ (span_of (at_alice, "last-outage-ms"), gint64 (alice_->outage_ms ()));
  EXPECT_EQ (count_of (p2p_connection_get_stats (at_alice), "breaks"), 1u);
  EXPECT_EQ (string_of (p2p_connection_get_stats (at_alice), "break-reason"), "none");
}

TEST_F (Liveness, StatsHaveTheFiguresOfPings) {
  connect ();
  P2pConnection *at_alice = peers_.at_alice.get ();
  GVariant *stats = p2p_connection_get_stats (at_alice);
  for (const char *key : {"ping-rtt-us", "ping-smoothed-rtt-us", "ping-min-rtt-us"}) {
    gint64 span = 0;
    EXPECT_TRUE (g_variant_lookup (stats, key, "x", &span)) << key;
    EXPECT_GT (span, 0) << key;
  }
  gint64 jitter = -1;
  double loss = -1;
  EXPECT_TRUE (g_variant_lookup (stats, "ping-jitter-us", "x", &jitter));
  EXPECT_GE (jitter, 0);
  EXPECT_TRUE (g_variant_lookup (stats, "ping-loss", "d", &loss));
  EXPECT_GE (loss, 0);
  g_variant_unref (stats);
  EXPECT_GT (count_of (p2p_connection_get_stats (at_alice), "pings-sent"), 0u);
  EXPECT_GT (count_of (p2p_connection_get_stats (at_alice), "pongs-received"), 0u);
  cut_and_wait ();
  mend_and_wait ();
  EXPECT_TRUE (wait_until ([&] {
    g_main_context_wakeup (nullptr);
    return count_of (p2p_connection_get_stats (at_alice), "pings-lost") > 0;
  }));
}

// Both lie between two turns of the application's loop.
TEST_F (Liveness, ABreakThatIsOverBeforeTheLoopTurnsIsToldAllTheSame) {
  connect ();
  const auto spin_until = [this] (P2pConnectionState wanted) {
    const gint64 deadline = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;
    while (state (peers_.at_alice) != wanted || state (peers_.at_bob) != wanted)
      if (g_get_monotonic_time () > deadline) return false;
    return true;
  };
  // The exchange of configurations needs the loop, the line that comes back does not.
  cut (true);
  ASSERT_TRUE (spin_until (P2P_CONNECTION_STATE_BROKEN));
  cut (false);
  ASSERT_TRUE (spin_until (P2P_CONNECTION_STATE_CONNECTED));
  EXPECT_TRUE (alice_->lines ().empty ());
  EXPECT_TRUE (
      wait_until ([this] { return alice_->has (kStateConnected) && bob_->has (kStateConnected); }));
  EXPECT_EQ (alice_->lines (), kBreakAndRestore);
  EXPECT_EQ (bob_->lines (), kBreakAndRestore);
}

TEST_F (Liveness, APeerThatStaysAwayIsGivenUpWithAnError) {
  for (P2pAgent *agent : {peers_.alice.get (), peers_.bob.get ()})
    g_object_set (agent, "peer-comeback-timeout", 300, nullptr);
  connect ();
  Object<P2pConnection> next;
  alice_->on_removed = [&] {
    next.reset (p2p_agent_open_connection (peers_.alice.get (), "bob", nullptr, nullptr));
  };
  cut (true);
  ASSERT_TRUE (
      wait_until ([this] { return alice_->has (kStateRemoved) && bob_->has (kStateRemoved); }));
  const std::vector<std::string> expected = {"broken: silence", kStateBroken, "removed: error",
                                             kStateRemoved};
  EXPECT_EQ (alice_->lines (), expected);
  EXPECT_EQ (bob_->lines (), expected);
  EXPECT_TRUE (alice_->error ().is (P2P_ERROR_TIMED_OUT)) << alice_->error ().message ();
  EXPECT_EQ (p2p_connection_get_break_reason (peers_.at_alice.get ()), P2P_BREAK_REASON_NONE);
  Failure failure;
  GBytes *late = bytes_of ("late");
  EXPECT_FALSE (p2p_channel_send (peers_.alices.get (), late, nullptr, &failure));
  g_bytes_unref (late);
  EXPECT_TRUE (failure.is (P2P_ERROR_TIMED_OUT)) << failure.message ();
  EXPECT_FALSE (p2p_connection_wait_connected (peers_.at_alice.get (), nullptr, &failure));
  EXPECT_TRUE (failure.is (P2P_ERROR_TIMED_OUT)) << failure.message ();
  // What is opened in the handler is another one.
  EXPECT_NE (next.get (), peers_.at_alice.get ());
  EXPECT_EQ (p2p_connection_get_state (next.get ()), P2P_CONNECTION_STATE_CONNECTING);
}

TEST_F (Liveness, AnOrderlyEndIsRemovedWithoutAnError) {
  connect ();
  p2p_connection_close (peers_.at_alice.get ());
  ASSERT_TRUE (
      wait_until ([this] { return alice_->has (kStateRemoved) && bob_->has (kStateRemoved); }));
  const std::vector<std::string> expected = {"removed", kStateRemoved};
  EXPECT_EQ (alice_->lines (), expected);
  EXPECT_EQ (bob_->lines (), expected);
}

TEST_F (Liveness, AConnectionThatCarriesNothingEndsByItsIdleTimeout) {
  connect ();
  // Pings do not count, and it may be set while the connection lives.
  g_object_set (peers_.alice.get (), "idle-timeout", 200, nullptr);
  ASSERT_TRUE (wait_until ([this] { return alice_->has (kStateRemoved); }));
  EXPECT_EQ (alice_->lines (), (std::vector<std::string>{"removed: error", kStateRemoved}));
  EXPECT_TRUE (alice_->error ().is (P2P_ERROR_TIMED_OUT)) << alice_->error ().message ();
}

TEST_F (Liveness, SettingsHoldForConnectionsThatLive) {
  connect ();
  // Nobody would notice for an hour.
  for (P2pAgent *agent : {peers_.alice.get (), peers_.bob.get ()})
    g_object_set (agent, "ping-interval", 3600000, "ping-timeout", 3600000, nullptr);
  cut (true);
  g_object_set (peers_.alice.get (), "ping-interval", 20, "ping-timeout", 100, nullptr);
  EXPECT_TRUE (wait_until ([this] { return alice_->has (kStateBroken); }));
  EXPECT_TRUE (bob_->lines ().empty ());
  g_object_set (peers_.alice.get (), "peer-comeback-timeout", 100, nullptr);
  EXPECT_TRUE (wait_until ([this] { return alice_->has (kStateRemoved); }));
}

TEST_F (Liveness, SendersAreHeldBackWhileItIsBrokenAndNothingIsLost) {
  connect ();
  P2pChannelOptions *options = p2p_channel_options_new ();
  p2p_channel_options_set_max_queue_bytes (options, 10000);
  const Object<P2pChannel> channel (
      p2p_connection_open_channel (peers_.at_alice.get (), "bounded", options, nullptr));
  p2p_channel_options_free (options);
  const Object<P2pChannel> far (
      p2p_connection_open_channel (peers_.at_bob.get (), "bounded", nullptr, nullptr));
  cut_and_wait ();
  unsigned sent = 0;
  Failure failure;
  for (;;) {
    GBytes *payload = bytes_of (std::to_string (sent));
    P2pMessage *message = p2p_message_new (payload, nullptr);
    const bool taken = p2p_channel_try_send_message (channel.get (), message, &failure);
    p2p_message_unref (message);
    g_bytes_unref (payload);
    if (!taken) break;
    ASSERT_LT (++sent, 10000u);
  }
  EXPECT_TRUE (failure.is (P2P_ERROR_WOULD_BLOCK)) << failure.message ();
  EXPECT_GT (sent, 10u);
  Outcome outcome;
  GBytes *last = bytes_of (std::to_string (sent));
  p2p_channel_send_async (channel.get (), last, nullptr, Outcome::ready, &outcome);
  g_bytes_unref (last);
  EXPECT_FALSE (outcome.done ());
  mend_and_wait ();
  for (unsigned i = 0; i <= sent; ++i)
    ASSERT_EQ (receive_text (far.get ()), std::to_string (i)) << "of " << sent;
  ASSERT_TRUE (outcome.wait ());
  EXPECT_TRUE (p2p_channel_send_finish (channel.get (), outcome.wait (), nullptr));
}

TEST_F (Liveness, WaitingForABrokenConnectionEndsWhenItIsRestored) {
  connect ();
  cut_and_wait ();
  bool up = false;
  std::thread waiting (
      [&] { up = p2p_connection_wait_connected (peers_.at_alice.get (), nullptr, nullptr); });
  mend_and_wait ();
  waiting.join ();
  EXPECT_TRUE (up);
}

TEST_F (Liveness, TellsThatAConnectionHasOtherCandidates) {
  connect ();
  const auto config = [this] {
    P2pNetworkConfig *now = p2p_connection_dup_local_config (peers_.at_alice.get ());
    char *raw = p2p_network_config_to_string (now);
    const std::string text = raw;
    g_free (raw);
    p2p_network_config_unref (now);
    return text;
  };
  P2pConnection *changed = nullptr;
  const auto handler = +[] (P2pAgent *, P2pConnection *connection, gpointer data) {
    *static_cast<P2pConnection **> (data) = connection;
  };
  g_signal_connect (peers_.alice.get (), "net-config-changed", G_CALLBACK (handler), &changed);
  const std::string before = config ();
  // While it is broken, both exchange new candidates by their signaling.
  cut_and_wait ();
  mend_and_wait ();
  EXPECT_TRUE (wait_until ([&] { return changed != nullptr; }));
  EXPECT_EQ (changed, peers_.at_alice.get ());
  EXPECT_NE (config (), before);
}

TEST (LivenessSettings, TimeoutFollowsTheIntervalUntilItIsSet) {
  const Object<P2pAgent> agent (p2p_agent_new ("x"));
  const auto get = [&] (const char *name) {
    guint value = 99;
    g_object_get (agent.get (), name, &value, nullptr);
    return value;
  };
  EXPECT_EQ (get ("ping-interval"), 1000u);
  EXPECT_EQ (get ("ping-timeout"), 2000u);
  EXPECT_EQ (get ("peer-comeback-timeout"), 30000u);
  EXPECT_EQ (get ("idle-timeout"), 0u);
  g_object_set (agent.get (), "ping-interval", 100, nullptr);
  EXPECT_EQ (get ("ping-timeout"), 200u);
  g_object_set (agent.get (), "ping-timeout", 700, "ping-interval", 50, nullptr);
  EXPECT_EQ (get ("ping-timeout"), 700u);
  g_object_set (agent.get (), "ping-timeout", 0, nullptr);
  EXPECT_EQ (get ("ping-timeout"), 100u);
  gboolean available = FALSE;
  g_object_get (agent.get (), "network-available", &available, nullptr);
  EXPECT_TRUE (available);
}
