#include "transport/stream_frames.hpp"

namespace p2p {

namespace {

// RFC 9000 section 19.8: the bits of a STREAM frame's type.
constexpr std::uint8_t kStream = 0x08, kHasLength = 0x02, kHasOffset = 0x04, kLastStream = 0x0f;

}  // namespace

std::optional<StreamFrame>
StreamFrames::next () {
  while (!reader_.is_short () && !reader_.rest ().empty ()) {
    const std::uint8_t type = reader_.byte ();
    if (type >= kStream && type <= kLastStream) {
      const StreamFrame frame = read_stream (type);
      if (reader_.is_short ()) return {};
      return frame;
    }
    switch (type) {
      case 0x00:  // PADDING
      case 0x01:  // PING
      case 0x1e:  // HANDSHAKE_DONE
        break;
      case 0x02:
      case 0x03:
        skip_ack (type == 0x03);
        break;
      case 0x10:  // MAX_DATA
      case 0x12:  // MAX_STREAMS
      case 0x13:
      case 0x14:  // DATA_BLOCKED
      case 0x16:  // STREAMS_BLOCKED
      case 0x17:
      case 0x19:  // RETIRE_CONNECTION_ID
        skip_varints (1);
        break;
      case 0x05:  // STOP_SENDING
      case 0x11:  // MAX_STREAM_DATA
      case 0x15:  // STREAM_DATA_BLOCKED
        skip_varints (2);
        break;
      case 0x04:  // RESET_STREAM
        skip_varints (3);
        break;
      case 0x06:  // CRYPTO
        skip_varints (1);
        (void)reader_.bytes (reader_.varint ());
        break;
      case 0x31:  // DATAGRAM with a length (RFC 9221 section 4)
        (void)reader_.bytes (reader_.varint ());
        break;
      case 0x18: {  // NEW_CONNECTION_ID: two numbers, the id, a token of 16 bytes
        skip_varints (2);
        const std::uint8_t id_bytes = reader_.byte ();
        (void)reader_.bytes (id_bytes + 16u);
        break;
      }
      case 0x1a:  // PATH_CHALLENGE
      case 0x1b:  // PATH_RESPONSE
        (void)reader_.bytes (8);
        break;
      default:  // the connection's close, a datagram to the packet's end, and what is not known
        return {};
    }
  }
  return {};
}

StreamFrame
StreamFrames::read_stream (std::uint8_t type) {
  StreamFrame frame;
  frame.id = static_cast<std::int64_t> (reader_.varint ());
  frame.begin = (type & kHasOffset) ? reader_.varint () : 0;
  const std::uint64_t bytes =
      (type & kHasLength) ? reader_.varint () : std::uint64_t{reader_.rest ().size};
  (void)reader_.bytes (bytes);
  frame.end = frame.begin + bytes;
  return frame;
}

// RFC 9000 section 19.3: the newest, the delay, how many ranges follow the first one.
void
StreamFrames::skip_ack (bool with_ecn) {
  skip_varints (2);
  const std::uint64_t ranges = reader_.varint ();
  skip_varints (1);
  for (std::uint64_t i = 0; i < ranges && !reader_.is_short (); ++i) skip_varints (2);
  if (with_ecn) skip_varints (3);
}

void
StreamFrames::skip_varints (unsigned count) {
  while (count-- > 0) (void)reader_.varint ();
}

}  // namespace p2p
