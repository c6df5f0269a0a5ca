#include "buffer-attributes.hpp"

#include <array>
#include <string_view>
#include <vector>

namespace p2p {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kFirstOptionalType = 128;
constexpr GstClockTime kMaxTime = G_MAXINT64 / 2;

enum Type : std::uint8_t {
  kPts = 1,
  kDts,
  kDuration,
  kOffset,
  kOffsetEnd,
  kFlags,
  kNewSegment,
  kCapsOnly,
  kCaps,
  kWholeBytes,
  kPart,
  kPlace,
  kControl,
};

constexpr std::size_t kPlaceBytes = 17;
enum PlaceFlag : std::uint8_t { kPlaceFixed = 1, kPlaceUnknown = 2 };
constexpr std::uint64_t kMaxOffset = G_MAXINT64;

struct FlagPair {
  GstBufferFlags buffer;
  WireFlag wire;
};
constexpr std::array kFlagPairs = {
    FlagPair{GST_BUFFER_FLAG_DISCONT, kWireDiscont},
    FlagPair{GST_BUFFER_FLAG_RESYNC, kWireResync},
    FlagPair{GST_BUFFER_FLAG_CORRUPTED, kWireCorrupted},
    FlagPair{GST_BUFFER_FLAG_MARKER, kWireMarker},
    FlagPair{GST_BUFFER_FLAG_HEADER, kWireHeader},
    FlagPair{GST_BUFFER_FLAG_GAP, kWireGap},
    FlagPair{GST_BUFFER_FLAG_DROPPABLE, kWireDroppable},
    FlagPair{GST_BUFFER_FLAG_DELTA_UNIT, kWireDeltaUnit},
};

class Writer {
 public:
  Writer () : bytes_{kVersion} {}
  void field (Type type, ByteView value) {
    bytes_.push_back (type);
    bytes_.push_back (static_cast<std::uint8_t> (value.size >> 8));
    bytes_.push_back (static_cast<std::uint8_t> (value.size));
    bytes_.insert (bytes_.end (), value.begin (), value.end ());
  }
  void number (Type type, std::uint64_t value, std::size_t width) {
    std::array<std::uint8_t, 8> big_endian;
    for (std::size_t i = 0; i < width; i++)
      big_endian[i] = static_cast<std::uint8_t> (value >> (8 * (width - 1 - i)));
    field (type, {big_endian.data (), width});
  }
  void place (const StreamPlace &place) {
    std::array<std::uint8_t, kPlaceBytes> value;
    for (std::size_t i = 0; i < 8; i++) {
      value[i] = static_cast<std::uint8_t> (place.serial >> (8 * (7 - i)));
      value[8 + i] = static_cast<std::uint8_t> (place.offset >> (8 * (7 - i)));
    }
    value[16] = static_cast<std::uint8_t> ((place.fixed ? kPlaceFixed : 0) |
                                           (place.unknown ? kPlaceUnknown : 0));
    field (kPlace, {value.data (), value.size ()});
  }
  void time (Type type, guint64 value) {
    if (value != GST_CLOCK_TIME_NONE) number (type, value, 8);
  }
  Ref<GBytes> finish () {
    return Ref<GBytes>::adopt (g_bytes_new (bytes_.data (), bytes_.size ()));
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

Error
malformed (const char *what) {
  return {P2P_ERROR_PROTOCOL,
          std::string ("The peer sent a buffer with malformed attributes: ") + what + "."};
}

std::uint64_t
read_number (ByteView value) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : value) number = number << 8 | byte;
  return number;
}

// The number of bytes that a field of this type has; SIZE_MAX: any.
std::size_t
width_of (std::uint8_t type) {
  switch (type) {
    case kFlags:
    case kPart:
      return 4;
    case kNewSegment:
    case kCapsOnly:
      return 0;
    case kPlace:
      return kPlaceBytes;
    case kControl:
      return 1;
    case kCaps:
      return SIZE_MAX;
    default:
      return 8;
  }
}

void
store (std::uint8_t type, ByteView value, BufferAttributes &attributes) {
  switch (type) {
    case kPts:
      attributes.pts = read_number (value);
      break;
    case kDts:
      attributes.dts = read_number (value);
      break;
    case kDuration:
      attributes.duration = read_number (value);
      break;
    case kOffset:
      attributes.offset = read_number (value);
      break;
    case kOffsetEnd:
      attributes.offset_end = read_number (value);
      break;
    case kFlags:
      attributes.flags = static_cast<std::uint32_t> (read_number (value));
      break;
    case kNewSegment:
      attributes.new_segment = true;
      break;
    case kCapsOnly:
      attributes.caps_only = true;
      break;
    case kCaps:
      attributes.caps = value.to_string ();
      break;
    case kWholeBytes:
      attributes.whole_bytes = read_number (value);
      break;
    case kPart:
      attributes.part = static_cast<std::uint32_t> (read_number (value));
      break;
    case kPlace:
      attributes.place =
          StreamPlace{read_number (value.sub (0, 8)), read_number (value.sub (8, 8)),
                      (value[16] & kPlaceFixed) != 0, (value[16] & kPlaceUnknown) != 0};
      break;
    case kControl:
      attributes.control = static_cast<ResumeControl> (value[0]);
      break;
  }
}

}  // namespace

BufferAttributes
attributes_of_buffer (GstBuffer *buffer) {
  BufferAttributes attributes;
  attributes.pts = GST_BUFFER_PTS (buffer);
  attributes.dts = GST_BUFFER_DTS (buffer);
  attributes.duration = GST_BUFFER_DURATION (buffer);
  attributes.offset = GST_BUFFER_OFFSET (buffer);
  attributes.offset_end = GST_BUFFER_OFFSET_END (buffer);
  for (const FlagPair &pair : kFlagPairs)
    if (GST_BUFFER_FLAG_IS_SET (buffer, pair.buffer)) attributes.flags |= pair.wire;
  return attributes;
}

void
apply_attributes (const BufferAttributes &attributes, GstBuffer *buffer) {
  GST_BUFFER_PTS (buffer) = attributes.pts;
  GST_BUFFER_DTS (buffer) = attributes.dts;
  GST_BUFFER_DURATION (buffer) = attributes.duration;
  GST_BUFFER_OFFSET (buffer) = attributes.offset;
  GST_BUFFER_OFFSET_END (buffer) = attributes.offset_end;
  for (const FlagPair &pair : kFlagPairs)
    if (attributes.flags & pair.wire) GST_BUFFER_FLAG_SET (buffer, pair.buffer);
}

Ref<GBytes>
encode_attributes (const BufferAttributes &attributes) {
  Writer writer;
  writer.time (kPts, attributes.pts);
  writer.time (kDts, attributes.dts);
  writer.time (kDuration, attributes.duration);
  writer.time (kOffset, attributes.offset);
  writer.time (kOffsetEnd, attributes.offset_end);
  if (attributes.flags) writer.number (kFlags, attributes.flags, 4);
  if (attributes.new_segment) writer.field (kNewSegment, {});
  if (attributes.caps_only) writer.field (kCapsOnly, {});
  if (attributes.caps) writer.field (kCaps, ByteView (std::string_view (*attributes.caps)));
  if (attributes.whole_bytes) writer.number (kWholeBytes, *attributes.whole_bytes, 8);
  if (attributes.part) writer.number (kPart, *attributes.part, 4);
  if (attributes.place) writer.place (*attributes.place);
  if (attributes.control)
    writer.number (kControl, static_cast<std::uint8_t> (*attributes.control), 1);
  return writer.finish ();
}

Ref<P2pMessage>
make_control (ResumeControl control, const StreamPlace &place) {
  BufferAttributes attributes;
  attributes.control = control;
  attributes.place = place;
  const auto nothing = Ref<GBytes>::adopt (g_bytes_new (nullptr, 0));
  return Ref<P2pMessage>::adopt (
      p2p_message_new (nothing.get (), encode_attributes (attributes).get ()));
}

Result<BufferAttributes>
decode_attributes (ByteView bytes) {
  BufferAttributes attributes;
  if (bytes.empty ()) return attributes;
  if (bytes[0] != kVersion)
    return Error{P2P_ERROR_PROTOCOL, "The peer sent a buffer with attributes of version " +
                                         std::to_string (bytes[0]) +
                                         ", which this version does not know; update it."};
  std::uint32_t seen = 0;
  for (bytes = bytes.sub (1); !bytes.empty ();) {
    if (bytes.size < 3) return malformed ("a field is cut off before its length");
    const std::uint8_t type = bytes[0];
    const std::size_t length = static_cast<std::size_t> (bytes[1]) << 8 | bytes[2];
    if (bytes.size - 3 < length) return malformed ("a field is longer than the attributes");
    const ByteView value = bytes.sub (3, length);
    bytes = bytes.sub (3 + length);
    if (type >= kFirstOptionalType) continue;
    if (type < kPts || type > kControl) return malformed ("a field of an unknown type");
    if (seen & 1u << type) return malformed ("the same field twice");
    seen |= 1u << type;
    if (width_of (type) != SIZE_MAX && width_of (type) != length)
      return malformed ("a field of the wrong length");
    store (type, value, attributes);
  }
  // Above that is no time, but would overflow the receiver's arithmetic.
  for (const GstClockTime time : {attributes.pts, attributes.dts, attributes.duration})
    if (time != GST_CLOCK_TIME_NONE && time > kMaxTime) return malformed ("a time is out of range");
  if (attributes.caps && attributes.caps->size () > kMaxInlineCapsBytes)
    return malformed ("the caps are too long");
  if (attributes.caps_only && (attributes.whole_bytes || attributes.part || attributes.caps))
    return malformed ("it says to be both caps and a buffer");
  if (attributes.part && attributes.whole_bytes)
    return malformed ("it says to be both the first and a later part");
  if (attributes.place && attributes.place->offset > kMaxOffset)
    return malformed ("an offset is out of range");
  if (attributes.control) {
    if (!attributes.place) return malformed ("a request without a place");
    if (*attributes.control < ResumeControl::begun || *attributes.control > ResumeControl::taken)
      return malformed ("a request of an unknown kind");
  }
  if (attributes.place && (attributes.whole_bytes || attributes.part))
    return malformed ("a part of a buffer has a place of its own");
  return attributes;
}

}  // namespace p2p
