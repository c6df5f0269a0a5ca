// Where a Redis server is and what it is told first: a URI, taken apart and checked.
#pragma once
#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace p2p {

constexpr std::uint16_t kRedisPort = 6379;

struct RedisAddress {
  std::string host;  // without brackets
  std::uint16_t port = kRedisPort;
  std::string socket_path;     // of a Unix socket, in place of host and port
  std::string user, password;  // empty: none
  unsigned database = 0;
  std::string text;  // for messages: the URI without user and password
};

// "redis://[[user]:password@]host[:port][/database]" or
// "redis+unix://[[user]:password@]/path/of/socket[?db=database]". What is reserved in a URI is
// written as %XX in the password. The error says which part is wrong, and never quotes the
// password.
Result<RedisAddress> parse_redis_uri (const std::string &uri);

}  // namespace p2p
