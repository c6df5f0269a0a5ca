// The application's own agent in the elements, over a network that loses what it is told to.
#include "agents.hpp"

namespace p2p::test {
namespace {

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
