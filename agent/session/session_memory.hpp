// What of a session outlives its process: items of bytes under keys, and the changes to them. A
// session tells its changes and is made anew of the items; whoever keeps them need not understand
// them. Pure values; one thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/ptr.hpp"

namespace p2p {

struct MemoryItem {
  std::string key;
  Ref<GBytes> value;
};

struct MemoryChange {
  std::string key;
  Ref<GBytes> value;  // null: what is in [key, end) is erased, or `key` alone when `end` is empty
  std::string end;
};

// Makes the changes of a session durable, in the order in which they are taken.
class SessionKeeper {
 public:
  virtual ~SessionKeeper () = default;
  // There is something to take. `urgent`: something is held back until it is durable. Called from
  // inside of the session, which is not to be called back before that has returned.
  virtual void session_has_changes (bool urgent) = 0;
};

}  // namespace p2p
