// STUN and TURN servers as users name them, by URI.
#pragma once
#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "turn/server.hpp"

namespace p2p {

struct StunServer {
  std::string host;
  std::uint16_t port = 3478;  // RFC 8489 section 18.6
};

// "stun://host[:port]", as webrtcbin takes it, or "stun:host[:port]" (RFC 7064). IPv6 in brackets.
Result<StunServer> parse_stun_uri (const std::string &uri);
// As turn::parse_server_uri(), but user and password must be there.
Result<turn::Server> parse_turn_uri (const std::string &uri);
// The same without its password, for logs, properties and stats.
std::string redact_turn_uri (const std::string &uri);

}  // namespace p2p
