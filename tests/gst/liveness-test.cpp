// What elements do while their connection is broken, when it is restored, and when it is given up.
#include "agents.hpp"

namespace p2p::test {
namespace {

// The next state that the element tells, with the fields of its message.
struct State {
  BusMessage message;
  std::string name = "none";

  const GstStructure *fields () const { return gst_message_get_structure (message.message); }
  bool has (const char *field) const { return gst_structure_has_field (fields (), field); }
  std::string text (const char *field) const {
    char *raw = gst_value_serialize (gst_structure_get_value (fields (), field));
    const std::string text = raw ? raw : "";
    g_free (raw);
    return text;
  }
  guint64 number (const char *field) const {
    guint64 value = 0;
    EXPECT_TRUE (gst_structure_get_uint64 (fields (), field, &value)) << field;
    return value;
  }
};

std::string
state_of (const BusMessage &message) {
  const GstStructure *fields = gst_message_get_structure (message.message);
  char *raw = gst_value_serialize (gst_structure_get_value (fields, "state"));
  const std::string text = raw;
  g_free (raw);
  return text;
}

State
next_state (Pipeline &pipeline) {
  for (;;) {
    constexpr int kTypes = GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR | GST_MESSAGE_EOS;
    State state;
    state.message = pipeline.wait (kTypes);
    if (state.message.type () == GST_MESSAGE_ERROR) state.name = "error";
    if (state.message.type () == GST_MESSAGE_EOS) state.name = "eos";
    if (state.message.type () != GST_MESSAGE_ELEMENT) return state;
    if (!gst_structure_has_name (state.fields (), "p2p-connection-state")) continue;
    state.name = state_of (state.message);
    return state;
  }
}

State
skip_to (Pipeline &pipeline, const std::string &name) {
  State state = next_state (pipeline);
  while (state.name != name && state.name != "none" && state.name != "error" && state.name != "eos")
    state = next_state (pipeline);
  EXPECT_EQ (state.name, name);
  return state;
}

bool
is_discont (const Sample &sample) {
  return GST_BUFFER_FLAG_IS_SET (sample.buffer (), GST_BUFFER_FLAG_DISCONT);
}

class Liveness : public Agents {
 protected:
  void configure (P2pAgent *agent) override {
    g_object_set (agent, "ping-interval", 50, "ping-timeout", 300, nullptr);
  }
  void cut (bool down) { g_object_set (network_, "down", down, nullptr); }
  void give_up_soon () {
    for (P2pAgent *agent : {alice_, bob_})
      g_object_set (agent, "peer-comeback-timeout", 300, nullptr);
  }
  void exchange (guint64 number) {
    push (number, 100);
    const Sample got = pull ();
    ASSERT_TRUE (got) << number;
    EXPECT_EQ (GST_BUFFER_OFFSET (got.buffer ()), number);
  }
  // Both elements are connected, and that has been told.
  void connect (const std::string &sink = "", const std::string &src = "") {
    start (sink, src);
    exchange (0);
    skip_to (*sender_, "connected");
    skip_to (*receiver_, "connected");
  }
};

TEST_F (Liveness, ABreakIsNoEndAndCostsNoBuffer) {
  connect ();
  cut (true);
  constexpr guint64 kBuffers = 200;
  for (guint64 i = 1; i <= kBuffers / 2; i++) push (i, 1000);
  for (Pipeline *pipeline : {sender_.get (), receiver_.get ()}) {
    const State broken = next_state (*pipeline);
    ASSERT_EQ (broken.name, "broken");
    EXPECT_EQ (broken.text ("break-reason"), "silence");
    EXPECT_FALSE (broken.has ("outage-ms"));
  }
  for (guint64 i = kBuffers / 2 + 1; i <= kBuffers; i++) push (i, 1000);
  cut (false);
  for (Pipeline *pipeline : {sender_.get (), receiver_.get ()}) {
    const State restored = next_state (*pipeline);
    ASSERT_EQ (restored.name, "connected");
    EXPECT_EQ (restored.text ("break-reason"), "none");
    EXPECT_EQ (restored.text ("new-transport"), "false");
    EXPECT_EQ (restored.number ("replayed-messages"), 0u);
    EXPECT_EQ (restored.text ("path-kind"), "memory");
    EXPECT_LT (restored.number ("outage-ms"), 20000u);
  }
  for (guint64 i = 1; i <= kBuffers; i++) {
    const Sample got = pull ();
    ASSERT_TRUE (got) << i;
    EXPECT_EQ (GST_BUFFER_OFFSET (got.buffer ()), i);
    EXPECT_FALSE (is_discont (got)) << i;
  }
  gst_app_src_end_of_stream (in_);
  EXPECT_EQ (receiver_->wait_end (), "eos");
  EXPECT_EQ (sender_->wait_end (), "eos");
}

// The drain's timeout is for a peer that is there and takes nothing.
TEST_F (Liveness, TheEndOfTheStreamWaitsForABrokenConnection) {
  give_up_soon ();
  connect ("drain-timeout=50");
  cut (true);
  ASSERT_EQ (next_state (*sender_).name, "broken");
  push (1, 100);
  gst_app_src_end_of_stream (in_);
  BusMessage next;
  do {
    next = sender_->wait (GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
    EXPECT_EQ (next.text ().find ("50 ms"), std::string::npos) << next.text ();
  } while (next.type () == GST_MESSAGE_WARNING);
  EXPECT_EQ (next.type (), GST_MESSAGE_ERROR) << next.text ();
}

TEST_F (Liveness, APeerThatStaysAwayIsAnErrorAndNoEnd) {
  give_up_soon ();
  connect ();
  cut (true);
  for (Pipeline *pipeline : {sender_.get (), receiver_.get ()}) {
    EXPECT_EQ (next_state (*pipeline).name, "broken");
    // The error comes from the streaming thread, so it may be the first of the two.
    State end = next_state (*pipeline);
    if (end.name == "removed") end = next_state (*pipeline);
    ASSERT_EQ (end.name, "error");
    const bool sends = pipeline == sender_.get ();
    EXPECT_TRUE (end.message.is_error (GST_RESOURCE_ERROR,
                                       sends ? GST_RESOURCE_ERROR_WRITE : GST_RESOURCE_ERROR_READ))
        << end.message.text ();
  }
}

// A second session of the same peer goes on in the same stream.
TEST_F (Liveness, KeepListeningWaitsForThePeerAfterItsConnectionIsRemoved) {
  give_up_soon ();
  start_receiver ("keep-listening=true");
  for (const char *name : {"application/x-one", "application/x-two", "application/x-two"}) {
    start_sender ();
    GstCaps *caps = gst_caps_new_empty_simple (name);
    gst_app_src_set_caps (in_, caps);
    for (guint64 i = 0; i < 3; i++) {
      push (i, 100);
      const Sample got = pull ();
      ASSERT_TRUE (got) << name;
      EXPECT_EQ (GST_BUFFER_OFFSET (got.buffer ()), i);
      EXPECT_EQ (is_discont (got), i == 0);
      EXPECT_TRUE (gst_caps_is_equal (gst_sample_get_caps (got.sample), caps)) << name;
    }
    gst_caps_unref (caps);
    skip_to (*receiver_, "connected");
    cut (true);
    EXPECT_EQ (next_state (*receiver_).name, "broken");
    EXPECT_EQ (next_state (*receiver_).name, "removed");
    EXPECT_EQ (sender_->wait_end ().substr (0, 6), "error:");
    sender_.reset ();
    cut (false);
  }
}

// Also of a program that knows nothing of flags.
TEST_F (Liveness, KeepListeningMarksTheFirstBufferOfEachFurtherSession) {
  start_receiver ("keep-listening=true");
  for (int i = 0; i < 3; i++) {
    P2pConnection *connection = p2p_agent_open_connection (alice_, "bob", nullptr, nullptr);
    P2pChannel *channel = p2p_connection_open_channel (connection, "default", nullptr, nullptr);
    for (int k = 0; k < 2; k++) {
      GBytes *bytes = g_bytes_new_static ("bytes", 5);
      ASSERT_TRUE (p2p_channel_send (channel, bytes, nullptr, nullptr));
      g_bytes_unref (bytes);
      const Sample got = pull ();
      ASSERT_TRUE (got) << i;
      EXPECT_EQ (got.bytes ().size (), 5u);
      // Of the very first one GStreamer says so.
      if (i > 0 || k > 0) {
        EXPECT_EQ (is_discont (got), k == 0) << i << ", " << k;
      }
    }
    p2p_connection_close (connection);
    g_object_unref (channel);
    g_object_unref (connection);
    skip_to (*receiver_, "removed");
  }
}

// Both lie between two turns of the application's main context.
class LazyContext : public Liveness {
 protected:
  void prepare () override { context_ = own_ = g_main_context_new (); }
  void TearDown () override {
    Agents::TearDown ();
    g_main_context_unref (own_);
  }
  // Without a turn.
  void wait_for (P2pConnection *connection, P2pConnectionState wanted) {
    const gint64 until = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
    while (p2p_connection_get_state (connection) != wanted)
      ASSERT_LT (g_get_monotonic_time (), until);
  }
  void turn_until_told (const std::string &wanted) {
    const gint64 until = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
    for (std::string name; name != wanted;) {
      ASSERT_LT (g_get_monotonic_time (), until);
      while (g_main_context_iteration (own_, FALSE)) continue;
      const BusMessage message = sender_->wait (GST_MESSAGE_ELEMENT, 10 * GST_MSECOND);
      if (message) name = state_of (message);
    }
  }

  GMainContext *own_ = nullptr;
};

TEST_F (LazyContext, ABreakThatIsOverBeforeItTurnsIsToldAllTheSame) {
  P2pConnection *at_alice = p2p_agent_open_connection (alice_, "bob", nullptr, nullptr);
  start ();
  turn_until_told ("connected");
  cut (true);
  wait_for (at_alice, P2P_CONNECTION_STATE_BROKEN);
  cut (false);
  wait_for (at_alice, P2P_CONNECTION_STATE_CONNECTED);
  while (g_main_context_iteration (own_, FALSE)) continue;
  EXPECT_EQ (next_state (*sender_).name, "broken");
  const State restored = next_state (*sender_);
  EXPECT_EQ (restored.name, "connected");
  EXPECT_TRUE (restored.has ("outage-ms"));
  g_object_unref (at_alice);
}

TEST_F (Liveness, AnUnreliableStreamMarksWhatABreakHasCost) {
  connect ("reliable=false");
  // So that it takes its time to break, and what is sent now leaves for nowhere.
  g_object_set (alice_, "ping-timeout", 3600000, nullptr);
  cut (true);
  for (guint64 i = 1; i <= 5; i++) push (i, 100);
  while (sender_->stat ("p2p", "buffers") < 6) continue;
  while (sender_->stat ("p2p", "channel-queued-bytes") > 0) continue;
  g_object_set (alice_, "ping-timeout", 300, nullptr);
  ASSERT_EQ (next_state (*sender_).name, "broken");
  cut (false);
  ASSERT_EQ (next_state (*sender_).name, "connected");
  for (guint64 i = 6; i <= 10; i++) push (i, 100);
  gst_app_src_end_of_stream (in_);
  guint64 last = 0, gaps = 0;
  while (const Sample got = pull ()) {
    const guint64 number = GST_BUFFER_OFFSET (got.buffer ());
    EXPECT_GT (number, last);
    EXPECT_EQ (is_discont (got), number != last + 1) << number << " after " << last;
    gaps += number != last + 1;
    last = number;
  }
  EXPECT_TRUE (gst_app_sink_is_eos (out_));
  EXPECT_EQ (last, 10u);
  EXPECT_GT (gaps, 0u);
}

// Of whoever comes, one after the other, and an orderly end is no end either.
TEST (KeepListening, TakesTheNextThatComes) {
  Pipeline receiver ("p2psrc name=p2p id=bob keep-listening=true ! appsink name=out sync=false");
  receiver.play ();
  for (guint8 i = 0; i < 3; i++) {
    Pipeline sender ("appsrc name=in ! p2psink peer=bob id=sender" + std::to_string (i));
    sender.play ();
    auto *in = GST_APP_SRC (sender.get ("in"));
    ASSERT_EQ (gst_app_src_push_buffer (in, buffer_of ({i})), GST_FLOW_OK);
    gst_app_src_end_of_stream (in);
    const Sample got (
        gst_app_sink_try_pull_sample (GST_APP_SINK (receiver.get ("out")), kPatience));
    ASSERT_TRUE (got) << int (i);
    EXPECT_EQ (got.bytes (), Bytes ({i}));
    EXPECT_TRUE (is_discont (got));
    EXPECT_EQ (sender.wait_end (), "eos");
    sender.stop ();
    EXPECT_EQ (skip_to (receiver, "removed").text ("peer"), "sender" + std::to_string (i));
  }
}

// Another element of the peer's keeps the connection.
TEST (KeepListening, TakesTheNextStreamOfAConnectionThatLives) {
  Pipeline receiver (
      "p2psrc id=bob peer=alice channel=ends keep-listening=true ! appsink name=out sync=false "
      "p2psrc id=bob peer=alice channel=stays ! fakesink async=false");
  Pipeline other ("appsrc name=in ! p2psink name=p2p id=alice peer=bob channel=stays");
  receiver.play ();
  other.play ();
  ASSERT_EQ (gst_app_src_push_buffer (GST_APP_SRC (other.get ("in")), buffer_of ({9})),
             GST_FLOW_OK);
  for (guint8 i = 0; i < 3; i++) {
    Pipeline sender ("appsrc name=in ! p2psink id=alice peer=bob channel=ends");
    sender.play ();
    auto *in = GST_APP_SRC (sender.get ("in"));
    ASSERT_EQ (gst_app_src_push_buffer (in, buffer_of ({i})), GST_FLOW_OK);
    gst_app_src_end_of_stream (in);
    const Sample got (
        gst_app_sink_try_pull_sample (GST_APP_SINK (receiver.get ("out")), kPatience));
    ASSERT_TRUE (got) << int (i);
    EXPECT_EQ (got.bytes (), Bytes ({i}));
    EXPECT_EQ (sender.wait_end (), "eos");
  }
  EXPECT_EQ (other.stat ("p2p", "breaks"), 0u);
}

// A peer that proves nothing does not end the wait.
TEST (KeepListening, OutlivesAStranger) {
  Pipeline receiver (
      "p2psrc id=bob secret=right keep-listening=true ! appsink name=out sync=false");
  receiver.play ();
  {
    Pipeline stranger ("appsrc name=in ! p2psink peer=bob id=stranger secret=wrong");
    stranger.play ();
    ASSERT_EQ (gst_app_src_push_buffer (GST_APP_SRC (stranger.get ("in")), buffer_of ({1})),
               GST_FLOW_OK);
    EXPECT_EQ (stranger.wait_end ().substr (0, 6), "error:");
  }
  const BusMessage told = receiver.wait (GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  EXPECT_EQ (told.type (), GST_MESSAGE_WARNING) << told.text ();
  Pipeline friend_of_ours ("appsrc name=in ! p2psink peer=bob id=friend secret=right");
  friend_of_ours.play ();
  ASSERT_EQ (gst_app_src_push_buffer (GST_APP_SRC (friend_of_ours.get ("in")), buffer_of ({2})),
             GST_FLOW_OK);
  const Sample got (gst_app_sink_try_pull_sample (GST_APP_SINK (receiver.get ("out")), kPatience));
  ASSERT_TRUE (got);
  EXPECT_EQ (got.bytes (), Bytes ({2}));
}

// What one of several elements is told holds for the agent that they share, also while they play.
TEST (Settings, ReachTheAgentOfTheElements) {
  Pipeline alice (
      "appsrc name=in ! p2psink name=plain id=alice peer=bob channel=one async=false "
      "appsrc ! p2psink name=told id=alice peer=bob channel=two async=false ping-interval=10");
  Pipeline bob ("p2psrc name=p2p id=bob peer=alice channel=one ! appsink name=out sync=false");
  alice.play ();
  bob.play ();
  ASSERT_EQ (gst_app_src_push_buffer (GST_APP_SRC (alice.get ("in")), buffer_of ({1})),
             GST_FLOW_OK);
  ASSERT_TRUE (Sample (gst_app_sink_try_pull_sample (GST_APP_SINK (bob.get ("out")), kPatience)));
  // At the defaults it would take a minute.
  const auto pings = [] (Pipeline &pipeline, const char *element) {
    const gint64 until = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;
    const guint64 before = pipeline.stat (element, "pings-sent");
    while (g_get_monotonic_time () < until)
      if (pipeline.stat (element, "pings-sent") >= before + 60) return true;
    return false;
  };
  EXPECT_TRUE (pings (alice, "plain"));
  g_object_set (alice.get ("plain"), "ping-interval", 3600000, nullptr);
  g_object_set (bob.get ("p2p"), "ping-interval", 10, nullptr);
  EXPECT_TRUE (pings (bob, "p2p"));
}

TEST (Settings, OfAnElementReadAsTheyWereTold) {
  GstElement *source = gst_element_factory_make ("p2psrc", nullptr);
  const auto get = [source] (const char *name) {
    guint value = 99;
    g_object_get (source, name, &value, nullptr);
    return value;
  };
  EXPECT_EQ (get ("ping-interval"), 1000u);
  EXPECT_EQ (get ("ping-timeout"), 2000u);
  EXPECT_EQ (get ("peer-comeback-timeout"), 30000u);
  EXPECT_EQ (get ("idle-timeout"), 0u);
  g_object_set (source, "uri", "p2p:///alice?ping-interval=100&keep-listening=true", nullptr);
  EXPECT_EQ (get ("ping-timeout"), 200u);
  char *uri = nullptr;
  g_object_get (source, "uri", &uri, nullptr);
  EXPECT_STREQ (uri, "p2p:///alice?keep-listening=true&ping-interval=100");
  g_free (uri);
  gst_object_unref (source);
}

}  // namespace
}  // namespace p2p::test
