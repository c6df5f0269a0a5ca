// Real pipelines of one process that meet over local signaling and connect through ICE.
#include <gst/app/app.h>

#include <cstring>
#include <random>
#include <vector>

#include "../support/gst-pipeline.hpp"

namespace p2p::test {
namespace {

using Bytes = std::vector<guint8>;

GstBuffer *
buffer_of (const Bytes &bytes) {
  return bytes.empty () ? gst_buffer_new () : gst_buffer_new_memdup (bytes.data (), bytes.size ());
}

Bytes
random_bytes (std::size_t size, unsigned seed) {
  std::mt19937 random (seed);
  Bytes bytes (size);
  for (auto &byte : bytes) byte = static_cast<guint8> (random ());
  return bytes;
}

struct Sample {
  GstSample *sample = nullptr;

  explicit Sample (GstSample *s) : sample (s) {}
  Sample (Sample &&other) noexcept : sample (std::exchange (other.sample, nullptr)) {}
  Sample &operator= (Sample &&other) noexcept {
    std::swap (sample, other.sample);
    return *this;
  }
  ~Sample () {
    if (sample) gst_sample_unref (sample);
  }
  explicit operator bool () const { return sample; }
  GstBuffer *buffer () const { return gst_sample_get_buffer (sample); }
  Bytes bytes () const {
    Bytes bytes (gst_buffer_get_size (buffer ()));
    if (!bytes.empty ()) gst_buffer_extract (buffer (), 0, bytes.data (), bytes.size ());
    return bytes;
  }
};

// A sender and a receiver: appsrc ! p2psink -> p2psrc ! appsink.
class Stream : public testing::Test {
 protected:
  void start (const std::string &sink = "", const std::string &src = "",
              const std::string &appsink = "") {
    sender_ = std::make_unique<Pipeline> (
        "appsrc name=in format=time ! p2psink name=p2p peer=bob " + sink);
    receiver_ = std::make_unique<Pipeline> ("p2psrc name=p2p id=bob " + src +
                                            " ! appsink name=out sync=false " + appsink);
    receiver_->play ();
    sender_->play ();
    in_ = GST_APP_SRC (sender_->get ("in"));
    out_ = GST_APP_SINK (receiver_->get ("out"));
  }
  Sample pull (GstClockTime patience = kPatience) {
    return Sample (gst_app_sink_try_pull_sample (out_, patience));
  }
  void push (GstBuffer *buffer) { ASSERT_EQ (gst_app_src_push_buffer (in_, buffer), GST_FLOW_OK); }

  std::unique_ptr<Pipeline> sender_, receiver_;
  GstAppSrc *in_ = nullptr;
  GstAppSink *out_ = nullptr;
};

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

TEST_F (Stream, HoldsBackTheProducerWhileTheConsumerDoesNotTake) {
  start ("max-queue-bytes=1000000", "max-queue-bytes=1000000", "max-buffers=1");
  g_object_set (in_, "block", TRUE, "max-bytes", guint64{1000000}, nullptr);
  ASSERT_TRUE (sender_->wait_connection ("connected"));
  // Far more than all of the queues hold; another thread pushes, since it has to block.
  constexpr int kBuffers = 400;
  constexpr std::size_t kSize = 100000;
  constexpr guint64 kQueues = 20000000;  // of both elements and of the transport
  GThread *producer = g_thread_new (
      "producer",
      [] (gpointer data) -> gpointer {
        for (int i = 0; i < kBuffers; i++)
          if (gst_app_src_push_buffer (GST_APP_SRC (data),
                                       gst_buffer_new_allocate (nullptr, kSize, nullptr)) !=
              GST_FLOW_OK)
            break;
        gst_app_src_end_of_stream (GST_APP_SRC (data));
        return nullptr;
      },
      in_);
  int got = 0;
  while (got < kBuffers && pull ()) {
    got++;
    // Whatever was sent and not taken yet sits in bounded queues.
    EXPECT_LE (sender_->stat ("p2p", "buffer-bytes"),
               static_cast<guint64> (got + 1) * kSize + kQueues);
  }
  EXPECT_EQ (got, kBuffers);
  g_thread_join (producer);
  EXPECT_EQ (sender_->wait_end (), "eos");
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
