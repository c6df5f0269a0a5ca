// What the session puts into QUIC streams and datagrams, as values: encoding and decoding, and
// nothing else. docs/wire-format.md is the description for the other side's author.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_reader.hpp"
#include "base/bytes.hpp"
#include "base/error.hpp"
#include "session/range_set.hpp"
#include "session/session.hpp"

namespace p2p::wire {

constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kMaxVarint = (std::uint64_t{1} << 62) - 1;  // RFC 9000 section 16
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::size_t kMaxControlFrameBytes = 1024 * 1024;  // a HELLO of some thousand channels
constexpr std::size_t kMaxOpenBytes = 4096;                 // name, protocol and room to grow
constexpr std::size_t kMaxRecordHeadBytes = 64;             // type and at most four varints
constexpr std::size_t kMaxReplyBytes = 2048;
constexpr std::size_t kMaxRanges = 64;  // in one frame; what is left out is sent again for nothing

enum class StreamType : std::uint8_t { control = 1, channel = 2, message = 3 };
enum class ControlType : std::uint8_t { hello = 1, signal = 2 };
enum class RecordType : std::uint8_t { data = 0, data_with_attributes = 1, end = 2 };
enum class ReplyType : std::uint8_t { confirm = 1, stop = 2 };
enum class DatagramType : std::uint8_t { data = 0, data_with_attributes = 1 };

// In CONNECTION_CLOSE, RESET_STREAM and STOP.
enum class Code : std::uint64_t {
  none = 0,
  protocol = 1,
  closed = 2,
  limit = 3,
  expired = 4,
  message_too_large = 5,
  stale_epoch = 6,
  state_lost = 7,
};

enum class HelloExtension : std::uint8_t { memory_epoch = 1 };
enum class OpenExtension : std::uint8_t { priority = 1 };

enum class DirectionState : std::uint8_t { open = 0, ended = 1, closed = 2, refused = 3 };

using Reader = ByteReader;

class Writer {
 public:
  Writer &byte (std::uint8_t value);
  template <class Enum>
  Writer &type (Enum value) {
    return byte (static_cast<std::uint8_t> (value));
  }
  Writer &varint (std::uint64_t value);
  Writer &bytes (ByteView value);
  Writer &ranges (const RangeSet &set);
  const std::vector<std::uint8_t> &view () const { return out_; }
  Ref<GBytes> to_bytes () const {
    return Ref<GBytes>::adopt (g_bytes_new (out_.data (), out_.size ()));
  }

 private:
  std::vector<std::uint8_t> out_;
};

// How a decoder answers: with the value, with "more bytes are needed", or with what is wrong.
enum class Progress { done, more, bad };
template <class T>
struct Decoded {
  Progress progress = Progress::more;
  T value{};
  std::string problem;  // names the field
};

struct HelloIncoming {
  std::uint64_t id = 0;
  DirectionState state = DirectionState::open;
  RangeSet received;   // need not be sent again
  RangeSet confirmed;  // need not be kept
};

struct Hello {
  std::uint64_t version = kVersion;
  SessionId session{};
  std::uint64_t epoch = 0;
  std::uint64_t peer_epoch = 0;    // the highest that was seen of the other side; 0 for none
  std::uint64_t memory_epoch = 0;  // the first of the sender's epochs of which it remembers all
  std::uint64_t max_message_bytes = 0;
  std::vector<HelloIncoming> incoming;
  std::vector<std::uint64_t> outgoing;  // ids of the sender's own living directions
};

struct Open {
  std::uint64_t id = 0;
  std::string name;
  ChannelOptions options;
  std::uint64_t first_seq = 0;
  std::optional<std::uint64_t> answers;  // the other side's direction that this one belongs to
};

struct Record {
  RecordType type = RecordType::data;
  std::uint64_t attributes_bytes = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t count = 0;  // of END: how many messages there were
};

struct MessageHead {
  std::uint64_t id = 0, seq = 0;
  Record record;
};

struct Reply {
  ReplyType type = ReplyType::confirm;
  RangeSet confirmed;
  Code code = Code::none;
};

struct Datagram {
  std::uint64_t id = 0, seq = 0;
  ByteView attributes, payload;
  bool has_attributes = false;
};

// A frame of the control stream: type, length, body.
struct ControlFrame {
  std::uint64_t type = 0;
  ByteView body;
};

Writer encode (const Hello &hello);    // with the frame's type and length
Writer encode (const Open &open);      // with the stream's type
Writer encode_signal (ByteView text);  // a frame of the control stream
void encode_record (Writer &writer, const Message &message);
Writer encode_end (std::uint64_t count);
Writer encode_message_head (std::uint64_t id, const Message &message);
Writer encode_datagram_head (std::uint64_t id, const Message &message);
Writer encode_confirm (const RangeSet &confirmed);
Writer encode_stop (Code code);

Decoded<ControlFrame> decode_control (Reader &reader);
Result<Hello> decode_hello (ByteView body);
Decoded<Open> decode_open (Reader &reader);
Decoded<Record> decode_record (Reader &reader);
Decoded<MessageHead> decode_message_head (Reader &reader);
Decoded<Reply> decode_reply (Reader &reader);
Result<Datagram> decode_datagram (ByteView bytes);

}  // namespace p2p::wire
