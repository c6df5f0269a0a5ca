// The pieces that the URIs of servers are made of.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace p2p {

struct HostPort {
  std::string host;  // a name or an address, without brackets
  std::uint16_t port;
};

// "host", "host:port", "[ipv6]:port"; `what` begins the sentence of an error: "The STUN URI".
Result<HostPort> parse_host_port (std::string_view text, std::uint16_t default_port,
                                  const char *what);
bool has_scheme (const std::string &uri, const char *scheme);
// Nothing for a malformed escape, and for a NUL or another control character.
std::optional<std::string> percent_decoded (std::string_view text);

}  // namespace p2p
