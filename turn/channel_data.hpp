// ChannelData, and how it shares a connection with STUN messages (RFC 8656 sections 12.4 to 12.6).
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"

namespace p2p::turn {

constexpr std::uint16_t kFirstChannel = 0x4000, kLastChannel = 0x4fff;  // RFC 8656 section 12
constexpr std::size_t kChannelHeaderBytes = 4;

struct ChannelData {
  std::uint16_t channel;
  ByteView data;
};

inline bool
is_channel_data (ByteView packet) {
  return packet.size >= kChannelHeaderBytes && (packet[0] & 0xf0) == 0x40;
}
// What may stand behind the data, as padding, is not read.
std::optional<ChannelData> parse_channel_data (ByteView packet);
// Appends to `out`; with padding to four bytes for a stream.
void append_channel_data (std::vector<std::uint8_t> *out, std::uint16_t channel, ByteView data,
                          bool padded);

// Cuts a byte stream into packets.
class StreamFramer {
 public:
  void add (ByteView bytes) { buffer_.insert (buffer_.end (), bytes.begin (), bytes.end ()); }
  // The next whole packet, valid until the next call of any kind.
  std::optional<ByteView> next ();
  // What came can be neither STUN nor ChannelData, so that nothing after it can be found.
  bool broken () const { return broken_; }
  std::size_t waiting_bytes () const { return buffer_.size () - start_; }

 private:
  std::vector<std::uint8_t> buffer_;
  std::size_t start_ = 0;  // of what has not been handed out
  bool broken_ = false;
};

}  // namespace p2p::turn
