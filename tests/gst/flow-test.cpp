// What may wait where: back-pressure, pauses, the end of the stream, and the cost of doing nothing.
#include <sys/resource.h>

#include <thread>

#include "stream.hpp"

namespace p2p::test {
namespace {

constexpr std::size_t kSize = 100000;
constexpr guint64 kQueue = 1000000;

// Pushes numbered buffers from a thread of its own, since it has to block.
class Producer {
 public:
  Producer (GstAppSrc *source, guint64 count) {
    g_object_set (source, "block", TRUE, "max-bytes", guint64{kSize}, nullptr);
    thread_ = std::thread ([source, count] {
      for (guint64 i = 0; i < count; i++) {
        GstBuffer *buffer = gst_buffer_new_allocate (nullptr, kSize, nullptr);
        gst_buffer_memset (buffer, 0, static_cast<guint8> (i), kSize);
        GST_BUFFER_OFFSET (buffer) = i;
        if (gst_app_src_push_buffer (source, buffer) != GST_FLOW_OK) return;
      }
      gst_app_src_end_of_stream (source);
    });
  }
  ~Producer () { thread_.join (); }

 private:
  std::thread thread_;
};

class Flow : public Stream {
 protected:
  // Takes the next buffer, which must be the one with this number.
  void take (guint64 number) {
    const Sample got = pull ();
    ASSERT_TRUE (got) << number;
    ASSERT_EQ (GST_BUFFER_OFFSET (got.buffer ()), number);
    const Bytes expected (kSize, static_cast<guint8> (number));
    ASSERT_TRUE (got.bytes () == expected) << number;
  }
};

// Everything that was sent and not taken is in the sink's queue, which holds a message until the
// peer's element has taken it; only single buffers are on their way beside it.
TEST_F (Flow, HoldsBackTheProducerWhileTheConsumerDoesNotTake) {
  start ("max-queue-bytes=1000000", "max-queue-bytes=1000000", "max-buffers=1");
  ASSERT_TRUE (sender_->wait_connection ("connected"));
  constexpr guint64 kBuffers = 200;
  const Producer producer (in_, kBuffers);
  guint64 most = 0;
  for (guint64 i = 0; i < kBuffers; i++) {
    const guint64 sent = sender_->stat ("p2p", "buffer-bytes");
    most = std::max (most, sent - i * kSize);
    take (i);
    if (HasFatalFailure ()) sender_->stop ();
    if (HasFatalFailure ()) return;
  }
  // One in the appsink, one in the source's hands, one that filled the queue up.
  EXPECT_LE (most, kQueue + 3 * kSize);
  EXPECT_GE (most, kQueue / 2) << "the queue was used";
  EXPECT_EQ (sender_->wait_end (), "eos");
}

TEST_F (Flow, LosesNothingWhileTheSinkIsPausedAndPlayedAgain) {
  start ("max-queue-bytes=300000", "max-queue-bytes=300000", "max-buffers=1");
  constexpr guint64 kBuffers = 120;
  const Producer producer (in_, kBuffers);
  for (guint64 i = 0; i < kBuffers && !HasFatalFailure (); i++) {
    take (i);
    if (i % 5 != 2) continue;
    sender_->set (GST_STATE_PAUSED);
    EXPECT_NE (sender_->settle (), GST_STATE_CHANGE_FAILURE);
    sender_->set (GST_STATE_PLAYING);
  }
  if (HasFatalFailure ()) sender_->stop ();
  EXPECT_EQ (receiver_->wait_end (), "eos");
}

TEST_F (Flow, LosesNothingWhileTheSourceIsPausedAndPlayedAgain) {
  start ("max-queue-bytes=300000", "max-queue-bytes=300000", "max-buffers=1");
  constexpr guint64 kBuffers = 120;
  const Producer producer (in_, kBuffers);
  for (guint64 i = 0; i < kBuffers && !HasFatalFailure (); i++) {
    take (i);
    if (i % 5 != 2) continue;
    receiver_->set (GST_STATE_PAUSED);
    EXPECT_NE (receiver_->settle (), GST_STATE_CHANGE_FAILURE);
    receiver_->set (GST_STATE_PLAYING);
  }
  if (HasFatalFailure ()) sender_->stop ();
  EXPECT_EQ (receiver_->wait_end (), "eos");
}

TEST_F (Flow, GivesUpDrainingWhenThePeerTakesNothing) {
  start ("drain-timeout=300", "", "max-buffers=1");
  for (int i = 0; i < 10; i++) push (buffer_of (Bytes (kSize)));
  ASSERT_TRUE (pull ());
  gst_app_src_end_of_stream (in_);
  const BusMessage warning = sender_->wait (GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  EXPECT_TRUE (warning.is_error (GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE)) << warning.text ();
  EXPECT_NE (warning.text ().find ("300 ms"), std::string::npos) << warning.text ();
  EXPECT_EQ (sender_->wait_end (), "eos");
}

TEST_F (Flow, DrainsForAsLongAsThePeerTakes) {
  start ("drain-timeout=1000", "", "max-buffers=1");
  constexpr guint64 kBuffers = 20;
  for (guint64 i = 0; i < kBuffers; i++) push (buffer_of (Bytes (kSize)));
  gst_app_src_end_of_stream (in_);
  // Slower altogether than the drain's timeout, but never idle for so long.
  bool ended = false;
  for (guint64 i = 0; i < kBuffers; i++) {
    constexpr int kEnds = GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_EOS;
    if (!ended) {
      const BusMessage end = sender_->wait (kEnds, 100 * GST_MSECOND);
      ended = bool (end);
      EXPECT_TRUE (!end || end.type () == GST_MESSAGE_EOS) << end.text ();
    }
    ASSERT_TRUE (pull ());
  }
  EXPECT_EQ (receiver_->wait_end (), "eos");
  if (!ended) {
    EXPECT_EQ (sender_->wait_end (), "eos");
  }
}

TEST_F (Flow, WarnsOnceWhenThePeerLeavesEarly) {
  start ();
  push (buffer_of ({1}));
  ASSERT_TRUE (pull ());
  receiver_->stop ();
  ASSERT_TRUE (sender_->wait_connection ("removed"));
  push (buffer_of ({2}));
  EXPECT_EQ (sender_->wait (GST_MESSAGE_WARNING | GST_MESSAGE_EOS).type (), GST_MESSAGE_WARNING);
  gst_app_src_end_of_stream (in_);
  const BusMessage next = sender_->wait (GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
  EXPECT_EQ (next.type (), GST_MESSAGE_EOS) << next.text ();
}

TEST_F (Flow, DropsAndCountsUntilThePeerComes) {
  Pipeline sender (
      "appsrc name=in ! p2psink name=p2p id=early peer=late wait-for-connection=false");
  auto *in = GST_APP_SRC (sender.get ("in"));
  sender.play ();
  for (guint8 i = 0; i < 5; i++) gst_app_src_push_buffer (in, buffer_of ({i}));
  // Nothing else tells of a drop; each look gives the sink's thread its turn.
  const gint64 until = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  while (sender.stat ("p2p", "buffers-dropped") < 5 && g_get_monotonic_time () < until)
    std::this_thread::yield ();
  ASSERT_EQ (sender.stat ("p2p", "buffers-dropped"), 5u);
  Pipeline receiver ("p2psrc id=late ! appsink name=out sync=false");
  receiver.play ();
  ASSERT_TRUE (sender.wait_connection ("connected"));
  gst_app_src_push_buffer (in, buffer_of ({42}));
  const Sample got (gst_app_sink_try_pull_sample (GST_APP_SINK (receiver.get ("out")), kPatience));
  ASSERT_TRUE (got);
  EXPECT_EQ (got.bytes (), Bytes ({42}));
  EXPECT_EQ (sender.stat ("p2p", "buffers-dropped"), 5u);
}

gint64
cpu_time_us () {
  rusage usage;
  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC + usage.ru_utime.tv_usec +
         usage.ru_stime.tv_usec;
}

TEST_F (Flow, CostsNextToNothingWhileIdle) {
  start ();
  push (buffer_of ({1}));
  ASSERT_TRUE (pull ());
  const gint64 before = cpu_time_us ();
  EXPECT_FALSE (pull (2 * GST_SECOND));
  EXPECT_LT (cpu_time_us () - before, 200000) << "10 % of a core";
}

}  // namespace
}  // namespace p2p::test
