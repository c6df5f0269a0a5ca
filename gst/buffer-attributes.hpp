// What a GstBuffer is besides its bytes, as the attributes of a message: a version byte, then
// fields of {type: 1 byte, length: 2 bytes, value}, integers in network byte order.
#pragma once
#include <gst/gst.h>
#include <p2p/p2p.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "gst-ptr.hpp"

namespace p2p {

// Caps above this (stream headers can be long) go as the payload of a message of their own.
constexpr std::size_t kMaxInlineCapsBytes = 32 * 1024;
constexpr std::size_t kMaxCapsBytes = 1024 * 1024;
// A buffer above the largest message (16 MiB by default) travels in several messages.
constexpr std::size_t kMaxWholeBufferBytes = 16 * 1024 * 1024;
constexpr std::size_t kPartBytes = 4 * 1024 * 1024;
constexpr std::size_t kMaxBufferBytes = 1024 * 1024 * 1024;

// The flags of a buffer that mean something to the far end. The bits are the wire's own.
enum WireFlag : std::uint32_t {
  kWireDiscont = 1u << 0,
  kWireResync = 1u << 1,
  kWireCorrupted = 1u << 2,
  kWireMarker = 1u << 3,
  kWireHeader = 1u << 4,
  kWireGap = 1u << 5,
  kWireDroppable = 1u << 6,
  kWireDeltaUnit = 1u << 7,
};

// Where a message stands in a byte stream that can be resumed.
struct StreamPlace {
  std::uint64_t serial = 0;  // of the receiver's request that it answers
  std::uint64_t offset = 0;  // of its first byte
  bool fixed = false;        // the sender cannot go back in its stream
  bool unknown = false;      // of a request: the receiver does not know the offset
};
// What the two ends of such a stream say to each other besides; the values are the wire's own.
enum class ResumeControl : std::uint8_t {
  begun = 1,  // sender: it has begun, and wants to know where to go on
  from = 2,   // receiver: go on from here
  end = 3,    // sender: the stream ends here
  taken = 4,  // receiver: all of it is where it should be
};

struct BufferAttributes {
  GstClockTime pts = GST_CLOCK_TIME_NONE, dts = GST_CLOCK_TIME_NONE;
  GstClockTime duration = GST_CLOCK_TIME_NONE;
  guint64 offset = GST_BUFFER_OFFSET_NONE, offset_end = GST_BUFFER_OFFSET_NONE;
  std::uint32_t flags = 0;   // of WireFlag
  bool new_segment = false;  // timestamps start anew: what they were relative to has changed
  bool caps_only = false;    // the payload is not a buffer, but the caps of those that follow
  std::optional<std::string> caps;  // changed with this buffer; as encode_caps() makes them
  // Of a buffer in several messages: the first one tells the size of the whole, each later one its
  // place (1, 2, …).
  std::optional<std::uint64_t> whole_bytes;
  std::optional<std::uint32_t> part;
  std::optional<StreamPlace> place;
  std::optional<ResumeControl> control;  // with a place, and without payload
};

BufferAttributes attributes_of_buffer (GstBuffer *buffer);
void apply_attributes (const BufferAttributes &attributes, GstBuffer *buffer);

Ref<GBytes> encode_attributes (const BufferAttributes &attributes);
Ref<P2pMessage> make_control (ResumeControl control, const StreamPlace &place);
// P2P_ERROR_PROTOCOL names the field that is wrong. Fields of types from 128 on are skipped when
// unknown, so that later versions can add hints.
Result<BufferAttributes> decode_attributes (ByteView bytes);

}  // namespace p2p
