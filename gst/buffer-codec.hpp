// GstBuffers as messages, and back. The bytes of a buffer are wrapped, not copied.
#pragma once
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "buffer-attributes.hpp"
#include "gst-ptr.hpp"

namespace p2p {

// The sending end of one channel. Streaming thread only.
class BufferEncoder {
 public:
  // `lossy`: messages may be lost or overtake each other, so caps are repeated and a buffer has to
  // fit into one message.
  explicit BufferEncoder (bool lossy = false) : lossy_ (lossy) {}

  // P2P_ERROR_INVALID_ARGUMENT: caps that cannot travel.
  Status set_caps (const GstCaps *caps);
  void new_segment () { segment_pending_ = true; }
  // Whoever receives the next buffer may not have those before it.
  void repeat_caps () { caps_pending_ = !caps_.empty (); }
  // The messages that carry the buffer, in order: one, unless the buffer is very large or its caps
  // are. `now` is any steady clock. One with a `place` is at most kMaxWholeBufferBytes long.
  Result<std::vector<Ref<P2pMessage>>> encode (GstBuffer *buffer, GstClockTime now,
                                               std::optional<StreamPlace> place = {});

 private:
  bool take_caps (GstClockTime now);

  const bool lossy_;
  std::string caps_;  // encoded
  bool caps_pending_ = false, segment_pending_ = false, first_ = true;
  GstClockTime caps_sent_ = 0;
};

struct DecodedBuffer {
  Ref<GstBuffer> buffer;     // null: only `control`
  Ref<GstCaps> caps;         // null: as before
  bool new_segment = false;  // the timestamps begin anew here
  std::optional<StreamPlace> place;
  std::optional<ResumeControl> control;
};

// The receiving end of one channel. Streaming thread only.
class BufferDecoder {
 public:
  // Nothing yet (the message was only a part), a buffer, or P2P_ERROR_PROTOCOL. A message without
  // attributes, as other programs send it, is a buffer without timestamps.
  Result<std::optional<DecodedBuffer>> decode (P2pMessage *message);

 private:
  // The caps that came in these bytes; null when they are those that came before.
  Result<Ref<GstCaps>> take_caps (std::string bytes);
  Result<std::optional<DecodedBuffer>> add_part (const BufferAttributes &attributes,
                                                 Ref<GBytes> payload);
  Result<std::optional<DecodedBuffer>> finish (const BufferAttributes &attributes,
                                               Ref<GstBuffer> buffer);

  // Of the buffer that is coming in, in parts.
  std::optional<BufferAttributes> partial_;
  std::vector<Ref<GBytes>> parts_;
  std::uint64_t parts_bytes_ = 0;
  // Caps that came in a message of their own, for the next buffer.
  Ref<GstCaps> caps_;
  std::string caps_bytes_;  // of the last caps, which a lossy channel repeats
  bool gap_ = false;
};

}  // namespace p2p
