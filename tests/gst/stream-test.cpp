// Real pipelines of one process that meet over local signaling and connect through ICE.
#include "stream.hpp"

namespace p2p::test {
namespace {

TEST_F (Stream, KeepsBytesAndBoundariesOfEverySize) {
  start ();
  std::vector<Bytes> sent;
  for (const std::size_t size : {1u, 0u, 1200u, 65536u, 3u, 1000000u})
    sent.push_back (random_bytes (size, static_cast<unsigned> (size)));
  for (const Bytes &bytes : sent) push (buffer_of (bytes));
  gst_app_src_end_of_stream (in_);
  for (const Bytes &bytes : sent) {
    const Sample got = pull ();
    ASSERT_TRUE (got) << "of " << bytes.size () << " bytes";
    EXPECT_EQ (got.bytes (), bytes);
  }
  EXPECT_EQ (receiver_->wait_end (), "eos");
  EXPECT_EQ (sender_->wait_end (), "eos");
}

TEST_F (Stream, KeepsBoundariesInBufferLists) {
  start ();
  GstBufferList *list = gst_buffer_list_new ();
  for (guint8 i = 1; i <= 5; i++) gst_buffer_list_add (list, buffer_of (Bytes (i, i)));
  gst_app_src_push_buffer_list (in_, list);
  for (guint8 i = 1; i <= 5; i++) {
    const Sample got = pull ();
    ASSERT_TRUE (got);
    EXPECT_EQ (got.bytes (), Bytes (i, i));
  }
}

TEST_F (Stream, CarriesABufferAboveTheMessageLimit) {
  start ();
  const Bytes sent = random_bytes (20 * 1024 * 1024, 1);
  push (buffer_of (sent));
  const Sample got = pull ();
  ASSERT_TRUE (got);
  EXPECT_TRUE (got.bytes () == sent);
}

TEST_F (Stream, KeepsCapsTimestampsAndFlags) {
  start ();
  GstCaps *caps = gst_caps_from_string ("application/x-test, rate=(int)7");
  gst_app_src_set_caps (in_, caps);
  for (guint64 i = 0; i < 3; i++) {
    GstBuffer *buffer = buffer_of ({1, 2, 3});
    GST_BUFFER_PTS (buffer) = (1000 + i) * GST_SECOND;
    GST_BUFFER_DURATION (buffer) = GST_SECOND;
    if (i > 0) GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    push (buffer);
  }
  GstClockTime first = 0;
  for (guint64 i = 0; i < 3; i++) {
    const Sample got = pull ();
    ASSERT_TRUE (got);
    EXPECT_TRUE (gst_caps_is_equal (gst_sample_get_caps (got.sample), caps));
    EXPECT_EQ (GST_BUFFER_PTS (got.buffer ()), (1000 + i) * GST_SECOND);
    EXPECT_EQ (GST_BUFFER_DURATION (got.buffer ()), GST_SECOND);
    EXPECT_EQ (GST_BUFFER_FLAG_IS_SET (got.buffer (), GST_BUFFER_FLAG_DELTA_UNIT), i > 0);
    const GstClockTime plays = gst_segment_to_running_time (
        gst_sample_get_segment (got.sample), GST_FORMAT_TIME, GST_BUFFER_PTS (got.buffer ()));
    if (i == 0) first = plays;
    EXPECT_LT (first, kPatience) << "the running time of the receiver";
    EXPECT_EQ (plays, first + i * GST_SECOND);
  }
  gst_caps_unref (caps);
}

TEST_F (Stream, EndsTheReceiverWhenTheSenderStops) {
  start ();
  push (buffer_of ({1}));
  ASSERT_TRUE (pull ());
  sender_->stop ();
  EXPECT_EQ (receiver_->wait_end (), "eos");
}

TEST_F (Stream, TellsTheSenderThatTheReceiverHasLeft) {
  start ();
  push (buffer_of ({1}));
  ASSERT_TRUE (pull ());
  receiver_->stop ();
  for (int i = 0; i < 100 && gst_app_src_push_buffer (in_, buffer_of ({2})) == GST_FLOW_OK; i++)
    if (sender_->wait (GST_MESSAGE_EOS, 50 * GST_MSECOND)) return;
  EXPECT_EQ (sender_->wait_end (), "eos");
}

TEST (BothWays, OneConnectionCarriesASourceAndASinkOfEachSide) {
  Pipeline alice (
      "appsrc name=in ! p2psink id=alice peer=bob channel=there "
      "p2psrc id=alice peer=bob channel=back ! appsink name=out sync=false async=false");
  Pipeline bob (
      "p2psrc id=bob peer=alice channel=there ! p2psink id=bob peer=alice channel=back "
      "async=false");
  alice.play ();
  bob.play ();
  const Bytes sent = random_bytes (100000, 2);
  gst_app_src_push_buffer (GST_APP_SRC (alice.get ("in")), buffer_of (sent));
  const Sample got (gst_app_sink_try_pull_sample (GST_APP_SINK (alice.get ("out")), kPatience));
  ASSERT_TRUE (got);
  EXPECT_EQ (got.bytes (), sent);
}

TEST (NoPeer, SinkDropsAndCountsWhenToldNotToWait) {
  Pipeline sender (
      "fakesrc num-buffers=10 sizetype=fixed sizemax=10 ! "
      "p2psink name=p2p peer=nobody wait-for-connection=false");
  sender.play ();
  EXPECT_EQ (sender.wait_end (), "eos");
  EXPECT_EQ (sender.stat ("p2p", "buffers-dropped"), 10u);
}

}  // namespace
}  // namespace p2p::test
