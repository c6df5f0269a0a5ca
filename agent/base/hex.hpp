// Bytes as text of two lower-case digits each.
#pragma once
#include <string>

#include "base/bytes.hpp"

namespace p2p {

inline std::string
hex_of (ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

}  // namespace p2p
