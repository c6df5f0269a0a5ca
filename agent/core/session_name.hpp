// A session's id as text: its name on the wire and in the store.
#pragma once
#include <string>

#include "session/session.hpp"

namespace p2p {

inline std::string
session_name_of (const SessionId &id) {
  std::string name;
  for (const std::uint8_t byte : id) {
    static constexpr char kDigits[] = "0123456789abcdef";
    name += kDigits[byte >> 4];
    name += kDigits[byte & 0xf];
  }
  return name;
}

}  // namespace p2p
