// Makes session stores by URI.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "redis/redis_address.hpp"
#include "store/session_store.hpp"

namespace p2p {

struct StoreUri {
  enum class Kind { sqlite, redis, memory };
  Kind kind = Kind::sqlite;
  std::string path;        // sqlite: absolute
  bool full_sync = false;  // sqlite
  RedisAddress redis;
  std::string name;  // memory
};

// "sqlite:PATH[?synchronous=full]", a Redis URI as of parse_redis_uri(), or "memory:NAME", which is
// for tests: it outlives agents, but no process. The error names the part that is wrong, and never
// a password. Thread-safe.
Result<StoreUri> parse_store_uri (const std::string &uri);

// With a `key_file`, values are encrypted before the store sees them. Core thread only, as all of
// the store that comes back.
Result<std::unique_ptr<SessionStore>> make_session_store (const std::string &uri,
                                                          const std::string &key_file);

}  // namespace p2p
