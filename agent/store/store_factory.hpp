// Makes session stores by URI.
#pragma once
#include <memory>
#include <string>

#include "store/session_store.hpp"

namespace p2p {

// "sqlite:PATH", "redis://[:PASSWORD@]HOST[:PORT][/DB]", or "memory:NAME", which is for tests: it
// outlives agents, but no process. With a `key_file` values are encrypted before the store sees
// them. Core thread only, as all of the store that comes back.
Result<std::unique_ptr<SessionStore>> make_session_store (const std::string &uri,
                                                          const std::string &key_file);

}  // namespace p2p
