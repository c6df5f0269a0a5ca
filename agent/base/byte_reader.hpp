// Takes values off the front of bytes that somebody else sent.
#pragma once
#include <cstdint>

#include "base/bytes.hpp"

namespace p2p {

// After the end, values are 0 and is_short() holds.
class ByteReader {
 public:
  explicit ByteReader (ByteView bytes) : rest_ (bytes), size_ (bytes.size) {}
  std::uint8_t byte ();
  std::uint64_t varint ();  // RFC 9000 section 16
  ByteView bytes (std::uint64_t count);
  ByteView rest () const { return rest_; }
  std::size_t used () const { return size_ - rest_.size; }
  bool is_short () const { return short_; }

 private:
  ByteView rest_;
  std::size_t size_;
  bool short_ = false;
};

}  // namespace p2p
