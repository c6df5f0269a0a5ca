#include "base/byte_reader.hpp"

namespace p2p {

std::uint8_t
ByteReader::byte () {
  const ByteView view = bytes (1);
  return view.empty () ? 0 : view[0];
}

std::uint64_t
ByteReader::varint () {
  if (short_ || rest_.empty ()) {
    short_ = true;
    return 0;
  }
  const std::size_t length = std::size_t{1} << (rest_[0] >> 6);
  const ByteView view = bytes (length);
  if (view.size != length) return 0;
  std::uint64_t value = view[0] & 0x3f;
  for (std::size_t i = 1; i < length; ++i) value = value << 8 | view[i];
  return value;
}

ByteView
ByteReader::bytes (std::uint64_t count) {
  if (short_ || count > rest_.size) {
    short_ = true;
    return {};
  }
  const ByteView view = rest_.sub (0, static_cast<std::size_t> (count));
  rest_ = rest_.sub (view.size);
  return view;
}

}  // namespace p2p
