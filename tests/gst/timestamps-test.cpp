#include "timestamps.hpp"

#include <gtest/gtest.h>

namespace p2p {
namespace {

class Timestamps : public testing::Test {
 protected:
  static void SetUpTestSuite () { gst_init (nullptr, nullptr); }
  ~Timestamps () override { gst_buffer_unref (buffer_); }

  // The running time at which a buffer with this time plays, when it comes at `now`.
  GstClockTime play (GstClockTime pts, GstClockTime now, bool new_segment = false,
                     bool discont = false) {
    gst_buffer_unref (buffer_);
    buffer_ = gst_buffer_new ();
    GST_BUFFER_PTS (buffer_) = pts;
    if (discont) GST_BUFFER_FLAG_SET (buffer_, GST_BUFFER_FLAG_DISCONT);
    mapper_.map (buffer_, now, new_segment);
    return gst_segment_to_running_time (&mapper_.segment (), GST_FORMAT_TIME,
                                        GST_BUFFER_PTS (buffer_));
  }

  TimestampMapper mapper_;
  GstBuffer *buffer_ = gst_buffer_new ();
};

TEST_F (Timestamps, FirstBufferPlaysWhenItArrives) {
  EXPECT_EQ (play (1000 * GST_SECOND, 3 * GST_SECOND), 3 * GST_SECOND);
  EXPECT_EQ (GST_BUFFER_PTS (buffer_), 1000 * GST_SECOND);  // and keeps the sender's time
}

TEST_F (Timestamps, LaterBuffersKeepTheirDistanceHoweverTheyArrive) {
  play (1000 * GST_SECOND, 3 * GST_SECOND);
  EXPECT_EQ (play (1001 * GST_SECOND, 3 * GST_SECOND), 4 * GST_SECOND);
  EXPECT_EQ (play (1002 * GST_SECOND, 9 * GST_SECOND), 5 * GST_SECOND);
}

TEST_F (Timestamps, NewSegmentPlaysWhenItArrives) {
  play (1000 * GST_SECOND, 3 * GST_SECOND);
  EXPECT_EQ (play (5 * GST_SECOND, 4 * GST_SECOND, true), 4 * GST_SECOND);
}

TEST_F (Timestamps, DiscontinuityInPlaceChangesNothing) {
  play (1000 * GST_SECOND, 3 * GST_SECOND);
  EXPECT_EQ (play (1001 * GST_SECOND, 4 * GST_SECOND + 1, false, true), 4 * GST_SECOND);
}

TEST_F (Timestamps, DiscontinuityThatJumpsStartsAnew) {
  play (1000 * GST_SECOND, 3 * GST_SECOND);
  EXPECT_EQ (play (7 * GST_SECOND, 4 * GST_SECOND, false, true), 4 * GST_SECOND);
}

TEST_F (Timestamps, BufferWithoutTimePlaysWhenItArrives) {
  EXPECT_EQ (play (GST_CLOCK_TIME_NONE, 2 * GST_SECOND), 2 * GST_SECOND);
  EXPECT_EQ (play (500 * GST_SECOND, 3 * GST_SECOND), 3 * GST_SECOND);
  EXPECT_EQ (play (GST_CLOCK_TIME_NONE, 8 * GST_SECOND), 8 * GST_SECOND);
}

TEST_F (Timestamps, DecodingTimeBeforePresentationIsInsideTheSegment) {
  GST_BUFFER_PTS (buffer_) = 10 * GST_SECOND;
  GST_BUFFER_DTS (buffer_) = 9 * GST_SECOND;
  EXPECT_TRUE (mapper_.map (buffer_, GST_SECOND, false));
  EXPECT_EQ (mapper_.segment ().start, 9 * GST_SECOND);
}

TEST_F (Timestamps, WithoutClockNothingIsTouched) {
  EXPECT_FALSE (mapper_.map (buffer_, GST_CLOCK_TIME_NONE, false));
  EXPECT_FALSE (GST_BUFFER_PTS_IS_VALID (buffer_));
}

}  // namespace
}  // namespace p2p
