// Puts the sender's timestamps on the receiver's clock. The buffers keep them; the segment says
// which running time they mean: the first one that comes means now, and the rest keep their
// distance to it. So a stream plays from its first buffer on, as evenly as it was sent.
#pragma once
#include <gst/gst.h>

namespace p2p {

class TimestampMapper {
 public:
  TimestampMapper () { gst_segment_init (&segment_, GST_FORMAT_TIME); }

  // Stamps a buffer that has no timestamps with its time of arrival. Returns whether segment() has
  // changed, and has to go out before the buffer. `now`: the running time, or GST_CLOCK_TIME_NONE.
  bool map (GstBuffer *buffer, GstClockTime now, bool new_segment);
  const GstSegment &segment () const { return segment_; }

 private:
  GstSegment segment_;
  bool anchored_ = false;
};

}  // namespace p2p
