// A stream of bytes that goes on where the receiver's file ends, when either element is started
// again. What SIGKILL does to it is in script/kill-test.
#include <gst/app/app.h>

#include <memory>

#include "process.hpp"
#include "stream.hpp"

namespace p2p::test {
namespace {

// A strong one, which need not be stretched.
const std::string kSecret = " secret=p2p-abcdefghijklmnopqrstuvwxyz234567 ";

class Resume : public testing::Test {
 protected:
  void SetUp () override {
    g_unlink (path_of ("out").c_str ());
    sent_ = make_file ("in", 3000001);
  }
  void TearDown () override {
    sender_.reset ();
    receiver_.reset ();
  }
  void write_out (const std::string &bytes) {
    ASSERT_TRUE (g_file_set_contents (path_of ("out").c_str (), bytes.data (),
                                      static_cast<gssize> (bytes.size ()), nullptr));
  }
  static std::string source (const std::string &options = "") {
    return "filesrc location=" + path_of ("in") + " " + options + " ! ";
  }
  static std::string target (const std::string &options = "append=true") {
    return " ! filesink location=" + path_of ("out") + " " + options;
  }
  static std::unique_ptr<Pipeline> play (const std::string &description) {
    auto pipeline = std::make_unique<Pipeline> (description);
    pipeline->play ();
    return pipeline;
  }
  void start_sender (const std::string &before = source (), const std::string &options = "") {
    sender_ = play (before + "p2psink name=p2p id=alice peer=bob resume=true" + kSecret + options);
  }
  void start_receiver (const std::string &after = target (), const std::string &options = "") {
    receiver_ = play ("p2psrc name=p2p id=bob peer=alice resume=true" + kSecret + options + after);
  }
  void expect_both_end () {
    EXPECT_EQ (sender_->wait_end (), "eos");
    EXPECT_EQ (receiver_->wait_end (), "eos");
    sender_.reset ();
    receiver_.reset ();
    EXPECT_TRUE (read_file ("out") == sent_) << read_file ("out").size ();
  }
  // Until some more of it is in the file, or all.
  void wait_written (std::size_t bytes) {
    const gint64 until = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
    while (read_file ("out").size () < bytes) ASSERT_LT (g_get_monotonic_time (), until);
  }
  static std::string warning_of (Pipeline &pipeline, const char *part) {
    for (;;) {
      const BusMessage next = pipeline.wait (GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
      if (next.type () != GST_MESSAGE_WARNING) return "";
      if (next.text ().find (part) != std::string::npos) return next.text ();
    }
  }

  std::string sent_;
  std::unique_ptr<Pipeline> sender_, receiver_;
};

const std::string kSlowly = "identity sleep-time=1000 ! ";  // some 4 MB/s

TEST_F (Resume, AFileArrives) {
  start_receiver ();
  start_sender ();
  expect_both_end ();
}

TEST_F (Resume, GoesOnInTheMiddleOfABuffer) {
  write_out (sent_.substr (0, 1000003));
  start_sender ();
  start_receiver ();
  EXPECT_EQ (receiver_->wait_end (), "eos");
  EXPECT_EQ (receiver_->stat ("p2p", "buffer-bytes"), sent_.size () - 1000003);
  EXPECT_EQ (sender_->wait_end (), "eos");
  EXPECT_TRUE (read_file ("out") == sent_);
}

// Whoever is started again after the end finds that there is nothing left to do.
TEST_F (Resume, WhatIsCompleteEndsAtOnce) {
  write_out (sent_);
  start_sender ();
  start_receiver ();
  expect_both_end ();
}

TEST_F (Resume, AnEmptyFileEnds) {
  sent_ = make_file ("in", 0);
  start_sender ();
  start_receiver ();
  expect_both_end ();
}

TEST_F (Resume, ANewSenderGoesOnWhereTheReceiverIs) {
  start_receiver ();
  for (const std::size_t bytes : {200000, 900000}) {
    start_sender (source () + kSlowly);
    wait_written (bytes);
    sender_.reset ();
  }
  start_sender ();
  expect_both_end ();
}

TEST_F (Resume, ANewReceiverTakesTheSenderBack) {
  start_sender (source () + kSlowly);
  for (const std::size_t bytes : {200000, 900000}) {
    start_receiver (" ! identity" + target ());
    wait_written (bytes);
    receiver_.reset ();
  }
  start_receiver (" ! queue" + target ());
  expect_both_end ();
}

// The sender has read its file to the end, and waits.
TEST_F (Resume, ANewReceiverTakesTheSenderBackFromItsEnd) {
  start_sender ();
  start_receiver (" ! identity sleep-time=1000" + target ());
  wait_written (500000);
  while (sender_->stat ("p2p", "buffer-bytes") < sent_.size ()) continue;
  receiver_.reset ();
  start_receiver ();
  expect_both_end ();
}

TEST_F (Resume, LargeBuffersTravelInSlices) {
  sent_ = make_file ("in", 20000000);
  write_out (sent_.substr (0, 7));
  start_sender (source ("blocksize=9000000"));
  start_receiver ();
  expect_both_end ();
}

TEST_F (Resume, BytesHavePlacesAndNoTimes) {
  write_out (sent_);
  start_sender (source () + "capsfilter caps=application/x-some ! ");
  start_receiver (" ! appsink name=out sync=false");
  auto *out = GST_APP_SINK (receiver_->get ("out"));
  guint64 position = 0;
  while (const Sample sample{gst_app_sink_try_pull_sample (out, kPatience)}) {
    EXPECT_EQ (GST_BUFFER_OFFSET (sample.buffer ()), position);
    // GstBaseSrc gives the first one of a stream of bytes the time 0.
    if (position > 0) {
      EXPECT_EQ (GST_BUFFER_PTS (sample.buffer ()), GST_CLOCK_TIME_NONE);
    }
    EXPECT_EQ (gst_sample_get_segment (sample.sample)->format, GST_FORMAT_BYTES);
    EXPECT_TRUE (gst_structure_has_name (
        gst_caps_get_structure (gst_sample_get_caps (sample.sample), 0), "application/x-some"));
    position += gst_buffer_get_size (sample.buffer ());
  }
  EXPECT_EQ (position, sent_.size ());
  EXPECT_EQ (sender_->wait_end (), "eos");
}

TEST_F (Resume, SaysThatUpstreamCannotSeek) {
  start_sender ("appsrc name=in ! ");
  start_receiver ();
  auto *in = GST_APP_SRC (sender_->get ("in"));
  ASSERT_EQ (gst_app_src_push_buffer (in, buffer_of ({1, 2, 3})), GST_FLOW_OK);
  EXPECT_NE (warning_of (*sender_, "cannot seek"), "");
  gst_app_src_end_of_stream (in);
  sent_ = "\1\2\3";
  expect_both_end ();
}

TEST_F (Resume, SaysThatDownstreamDoesNotTellItsPosition) {
  start_sender ();
  start_receiver (" ! fakesink sync=false");
  EXPECT_NE (warning_of (*receiver_, "how many bytes"), "");
  EXPECT_EQ (sender_->wait_end (), "eos");
  EXPECT_EQ (receiver_->wait_end (), "eos");
}

TEST_F (Resume, AFileThatHasMoreIsAnotherOne) {
  write_out (sent_ + "more");
  start_sender ();
  start_receiver ();
  EXPECT_EQ (sender_->wait_end ().substr (0, 6), "error:");
  EXPECT_EQ (read_file ("out").size (), sent_.size () + 4);
}

TEST_F (Resume, BothSidesMustWantIt) {
  {
    receiver_ = play ("p2psrc id=bob peer=alice" + kSecret + target ());
    start_sender ();
    EXPECT_NE (receiver_->wait_end ().find ("resume=true on this p2psrc"), std::string::npos);
    sender_.reset ();
    receiver_.reset ();
  }
  sender_ = play (source () + "p2psink id=alice peer=bob" + kSecret);
  start_receiver ();
  EXPECT_NE (receiver_->wait_end ().find ("resume=true on its p2psink"), std::string::npos);
}

TEST_F (Resume, IsRefusedWhereItCannotWork) {
  for (const char *element :
       {"p2psink peer=bob", "p2psink id=alice", "p2psink id=alice peer=bob ordered=false",
        "p2psink id=alice peer=bob wait-for-connection=false",
        "p2psink id=alice peer=bob max-packet-lifetime=1"}) {
    Pipeline pipeline (source () + element + " resume=true");
    EXPECT_EQ (pipeline.set (GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE) << element;
    const BusMessage error = pipeline.wait (GST_MESSAGE_ERROR, 0);
    EXPECT_TRUE (error.is_error (GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS)) << element;
  }
}

TEST_F (Resume, APeerThatStaysAwayIsAnError) {
  start_receiver (target (), "peer-comeback-timeout=300");
  start_sender (source () + kSlowly, "peer-comeback-timeout=300");
  wait_written (100000);
  sender_.reset ();
  EXPECT_EQ (receiver_->wait_end ().substr (0, 6), "error:");
  start_receiver (target (), "peer-comeback-timeout=300");
  start_sender (source () + kSlowly, "peer-comeback-timeout=300");
  wait_written (200000);
  receiver_.reset ();
  EXPECT_EQ (sender_->wait_end ().substr (0, 6), "error:");
}

}  // namespace
}  // namespace p2p::test
