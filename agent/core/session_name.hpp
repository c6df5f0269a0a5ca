// A session's id as text: its name on the wire and in the store.
#pragma once
#include <string>

#include "base/hex.hpp"
#include "session/session.hpp"

namespace p2p {

inline std::string
session_name_of (const SessionId &id) {
  return hex_of ({id.data (), id.size ()});
}

}  // namespace p2p
