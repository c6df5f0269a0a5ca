// The STREAM frames of a decrypted QUIC packet (RFC 9000 section 19), without a look at the rest.
#pragma once
#include <cstdint>
#include <optional>

#include "base/byte_reader.hpp"

namespace p2p {

struct StreamFrame {
  std::int64_t id = 0;
  std::uint64_t begin = 0, end = 0;  // offsets in the stream
};

class StreamFrames {
 public:
  explicit StreamFrames (ByteView packet) : reader_ (packet) {}
  // None after the last one, and from the first frame on that is not well formed or not known:
  // that is for the transport to judge.
  std::optional<StreamFrame> next ();

 private:
  StreamFrame read_stream (std::uint8_t type);
  void skip_ack (bool with_ecn);
  void skip_varints (unsigned count);

  ByteReader reader_;
};

}  // namespace p2p
