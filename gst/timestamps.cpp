#include "timestamps.hpp"

#include <algorithm>

namespace p2p {
namespace {

// A discontinuity by less than this is a lost buffer, not a new timeline.
constexpr GstClockTime kMaxSkew = GST_SECOND;

GstClockTime
earliest_time (GstBuffer *buffer) {
  const GstClockTime pts = GST_BUFFER_PTS (buffer), dts = GST_BUFFER_DTS (buffer);
  // GST_CLOCK_TIME_NONE is the largest value.
  return std::min (pts, dts);
}

}  // namespace

bool
TimestampMapper::map (GstBuffer *buffer, GstClockTime now, bool new_segment) {
  if (!GST_CLOCK_TIME_IS_VALID (now)) return false;
  const GstClockTime time = earliest_time (buffer);
  const bool stamped = GST_CLOCK_TIME_IS_VALID (time);
  const GstClockTime since_base = now > segment_.base ? now - segment_.base : 0;
  const GstClockTime here = segment_.start + since_base;  // now, on the sender's timeline
  if (!stamped) {
    GST_BUFFER_PTS (buffer) = GST_BUFFER_DTS (buffer) = here;
    return false;
  }
  const GstClockTime skew = time > here ? time - here : here - time;
  const bool jumped = GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT) && skew > kMaxSkew;
  if (anchored_ && !new_segment && !jumped) return false;
  anchored_ = true;
  segment_.start = segment_.position = time;
  segment_.base = segment_.time = now;
  return true;
}

}  // namespace p2p
