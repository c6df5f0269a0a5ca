// Agents of an application over a network in memory, and elements that are given them.
#pragma once
#include <p2p/p2p.h>

#include "stream.hpp"

namespace p2p::test {

// Two started agents on a memory network.
class Agents : public testing::Test {
 protected:
  void SetUp () override {
    network_ = p2p_memory_network_new (7);
    prepare ();
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
  virtual void prepare () {}
  virtual void configure (P2pAgent *) {}
  P2pAgent *make_agent (const char *id) {
    P2pAgent *agent = p2p_agent_new_full (id, context_);
    configure (agent);
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
    start_receiver (src);
    start_sender (sink);
  }
  void start_sender (const std::string &sink = "") {
    sender_ = std::make_unique<Pipeline> ("appsrc name=in ! p2psink name=p2p peer=bob " + sink);
    g_object_set (sender_->get ("p2p"), "agent", alice_, nullptr);
    sender_->play ();
    in_ = GST_APP_SRC (sender_->get ("in"));
  }
  void start_receiver (const std::string &src = "") {
    receiver_ = std::make_unique<Pipeline> ("p2psrc name=p2p peer=alice " + src +
                                            " ! appsink name=out sync=false");
    g_object_set (receiver_->get ("p2p"), "agent", bob_, nullptr);
    receiver_->play ();
    out_ = GST_APP_SINK (receiver_->get ("out"));
  }
  Sample pull () { return Sample (gst_app_sink_try_pull_sample (out_, kPatience)); }
  void push (guint64 number, std::size_t size) {
    GstBuffer *buffer = gst_buffer_new_allocate (nullptr, size, nullptr);
    gst_buffer_memset (buffer, 0, static_cast<guint8> (number), size);
    GST_BUFFER_OFFSET (buffer) = number;
    ASSERT_EQ (gst_app_src_push_buffer (in_, buffer), GST_FLOW_OK);
  }

  GMainContext *context_ = p2p_get_event_context ();  // of the agents
  P2pMemoryNetwork *network_ = nullptr;
  P2pAgent *alice_ = nullptr, *bob_ = nullptr;
  std::unique_ptr<Pipeline> sender_, receiver_;
  GstAppSrc *in_ = nullptr;
  GstAppSink *out_ = nullptr;
};

}  // namespace p2p::test
