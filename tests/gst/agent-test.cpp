// The application's own agent in the elements, over a network that loses what it is told to.
#include <p2p/p2p.h>

#include "stream.hpp"

namespace p2p::test {
namespace {

// Two started agents on a memory network.
class Agents : public testing::Test {
 protected:
  void SetUp () override {
    network_ = p2p_memory_network_new (7);
    alice_ = make_agent ("alice");
    bob_ = make_agent ("bob");
  }
  void TearDown () override {
    sender_.reset ();
    receiver_.reset ();
    for (P2pAgent *agent : {alice_, bob_}) {
      close (agent);
      g_object_unref (agent);
    }
    g_object_unref (network_);
  }
  P2pAgent *make_agent (const char *id) {
    P2pAgent *agent = p2p_agent_new_full (id, p2p_get_event_context ());
    const char *const order[] = {"memory", nullptr};
    g_object_set (agent, "path-order", order, nullptr);
    p2p_agent_add_path_factory (agent, P2P_PATH_FACTORY (network_));
    p2p_agent_set_secret (agent, "a secret of this test");
    p2p_agent_start_async (agent, nullptr, nullptr, nullptr);
    return agent;
  }
  static void close (P2pAgent *agent) {
    bool closed = false;
    p2p_agent_close_async (
        agent, nullptr,
        [] (GObject *, GAsyncResult *, gpointer data) { *static_cast<bool *> (data) = true; },
        &closed);
    while (!closed) g_main_context_iteration (nullptr, TRUE);
  }
  static void close_connections (P2pAgent *agent) {
    p2p_agent_close_connections (agent);
    const gint64 until = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
    while (g_list_model_get_n_items (p2p_agent_get_connections (agent)) > 0)
      ASSERT_LT (g_get_monotonic_time (), until);
  }
  void start (const std::string &sink = "", const std::string &src = "") {
    sender_ = std::make_unique<Pipeline> ("appsrc name=in ! p2psink name=p2p peer=bob " + sink);
    receiver_ = std::make_unique<Pipeline> ("p2psrc name=p2p peer=alice " + src +
                                            " ! appsink name=out sync=false");
    g_object_set (sender_->get ("p2p"), "agent", alice_, nullptr);
    g_object_set (receiver_->get ("p2p"), "agent", bob_, nullptr);
    receiver_->play ();
    sender_->play ();
    in_ = GST_APP_SRC (sender_->get ("in"));
    out_ = GST_APP_SINK (receiver_->get ("out"));
  }
  Sample pull () { return Sample (gst_app_sink_try_pull_sample (out_, kPatience)); }
  void push (guint64 number, std::size_t size) {
    GstBuffer *buffer = gst_buffer_new_allocate (nullptr, size, nullptr);
    gst_buffer_memset (buffer, 0, static_cast<guint8> (number), size);
    GST_BUFFER_OFFSET (buffer) = number;
    ASSERT_EQ (gst_app_src_push_buffer (in_, buffer), GST_FLOW_OK);
  }

  P2pMemoryNetwork *network_ = nullptr;
  P2pAgent *alice_ = nullptr, *bob_ = nullptr;
  std::unique_ptr<Pipeline> sender_, receiver_;
  GstAppSrc *in_ = nullptr;
  GstAppSink *out_ = nullptr;
};

TEST_F (Agents, OfTheApplicationCarryTheStream) {
  start ();
  push (1, 1000);
  const Sample got = pull ();
  ASSERT_TRUE (got);
  EXPECT_EQ (got.bytes (), Bytes (1000, 1));
  P2pConnection *connection = p2p_agent_lookup_connection (alice_, "bob");
  ASSERT_NE (connection, nullptr) << "it is the application's agent that has the connection";
  EXPECT_EQ (p2p_connection_get_state (connection), P2P_CONNECTION_STATE_CONNECTED);
  g_object_unref (connection);
}

TEST_F (Agents, OfTheApplicationStayWhenTheElementsGo) {
  for (guint8 i = 0; i < 3; i++) {
    start ();
    push (i, 10);
    const Sample got = pull ();
    ASSERT_TRUE (got) << i;
    EXPECT_EQ (got.bytes (), Bytes (10, i));
    gst_app_src_end_of_stream (in_);
    ASSERT_EQ (sender_->wait_end (), "eos");
    ASSERT_EQ (receiver_->wait_end (), "eos");
    sender_->stop ();
    receiver_->stop ();
    // A connection that was there before its element is the application's to close.
    for (P2pAgent *agent : {alice_, bob_}) close_connections (agent);
  }
}

TEST_F (Agents, ReliableStreamIsWholeOverALossyNetwork) {
  g_object_set (network_, "loss", 0.3, "reorder", 0.1, "duplicate", 0.05, nullptr);
  start ();
  constexpr guint64 kBuffers = 300;
  for (guint64 i = 0; i < kBuffers; i++) push (i, 1000 + i);
  gst_app_src_end_of_stream (in_);
  for (guint64 i = 0; i < kBuffers; i++) {
    const Sample got = pull ();
    ASSERT_TRUE (got) << i;
    EXPECT_EQ (GST_BUFFER_OFFSET (got.buffer ()), i);
    EXPECT_TRUE (got.bytes () == Bytes (1000 + i, static_cast<guint8> (i))) << i;
    EXPECT_FALSE (i > 0 && GST_BUFFER_FLAG_IS_SET (got.buffer (), GST_BUFFER_FLAG_DISCONT));
  }
  EXPECT_EQ (receiver_->wait_end (), "eos");
}

// What is lost is lost, and the buffer after it says so.
TEST_F (Agents, UnreliableStreamMarksItsGaps) {
  start ("reliable=false");
  push (0, 500);
  const Sample first = pull ();
  ASSERT_TRUE (first);
  g_object_set (network_, "loss", 0.3, nullptr);
  constexpr guint64 kBuffers = 400;
  for (guint64 i = 1; i < kBuffers; i++) push (i, 500);
  gst_app_src_end_of_stream (in_);
  guint64 last = 0, got_count = 1, gaps = 0;
  while (const Sample got = pull ()) {
    const guint64 number = GST_BUFFER_OFFSET (got.buffer ());
    EXPECT_GT (number, last);
    EXPECT_TRUE (got.bytes () == Bytes (500, static_cast<guint8> (number)));
    EXPECT_EQ (bool (GST_BUFFER_FLAG_IS_SET (got.buffer (), GST_BUFFER_FLAG_DISCONT)),
               number != last + 1)
        << number << " after " << last;
    gaps += number != last + 1;
    last = number;
    got_count++;
  }
  EXPECT_TRUE (gst_app_sink_is_eos (out_));
  EXPECT_GT (gaps, 0u);
  EXPECT_GT (got_count, kBuffers / 4);
  EXPECT_LT (got_count, kBuffers);
}

}  // namespace
}  // namespace p2p::test
