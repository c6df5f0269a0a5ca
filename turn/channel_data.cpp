#include "turn/channel_data.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kStunHeaderBytes = 20;

std::size_t
length_field (ByteView packet) {
  return static_cast<std::size_t> (packet[2]) << 8 | packet[3];
}

std::size_t
padded_size (std::size_t bytes) {
  return (bytes + 3) & ~std::size_t{3};
}

}  // namespace

std::optional<ChannelData>
parse_channel_data (ByteView packet) {
  if (!is_channel_data (packet)) return std::nullopt;
  const std::size_t size = length_field (packet);
  if (size > packet.size - kChannelHeaderBytes) return std::nullopt;
  return ChannelData{static_cast<std::uint16_t> (packet[0] << 8 | packet[1]),
                     packet.sub (kChannelHeaderBytes, size)};
}

void
append_channel_data (std::vector<std::uint8_t> *out, std::uint16_t channel, ByteView data,
                     bool padded) {
  const std::uint8_t header[] = {
      static_cast<std::uint8_t> (channel >> 8), static_cast<std::uint8_t> (channel),
      static_cast<std::uint8_t> (data.size >> 8), static_cast<std::uint8_t> (data.size)};
  out->insert (out->end (), header, header + sizeof header);
  out->insert (out->end (), data.begin (), data.end ());
  if (padded) out->resize (out->size () + padded_size (data.size) - data.size);
}

std::optional<ByteView>
StreamFramer::next () {
  // What was handed out is dropped here; moved only when it is worth it.
  if (start_ == buffer_.size ()) {
    buffer_.clear ();
    start_ = 0;
  } else if (start_ > 64 * 1024) {
    buffer_.erase (buffer_.begin (), buffer_.begin () + static_cast<std::ptrdiff_t> (start_));
    start_ = 0;
  }
  const ByteView rest (buffer_.data () + start_, buffer_.size () - start_);
  if (broken_ || rest.size < kChannelHeaderBytes) return std::nullopt;
  std::size_t size = 0;
  if (rest[0] < 4) {
    if (length_field (rest) % 4 != 0) {
      broken_ = true;
      return std::nullopt;
    }
    size = kStunHeaderBytes + length_field (rest);
  } else if ((rest[0] & 0xf0) == 0x40) {
    size = kChannelHeaderBytes + padded_size (length_field (rest));
  } else {
    broken_ = true;
    return std::nullopt;
  }
  if (rest.size < size) return std::nullopt;
  start_ += size;
  return rest.sub (0, size);
}

}  // namespace p2p::turn
