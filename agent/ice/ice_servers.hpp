// STUN and TURN servers as users name them, by URI.
#pragma once
#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace p2p {

struct StunServer {
  std::string host;
  std::uint16_t port = 3478;  // RFC 8489 section 18.6
};

enum class TurnProtocol { udp, tcp };

struct TurnServer {
  std::string host;
  std::uint16_t port = 3478;
  std::string user, password;
  TurnProtocol protocol = TurnProtocol::udp;
};

// "stun://host[:port]", as webrtcbin takes it, or "stun:host[:port]" (RFC 7064). IPv6 in brackets.
Result<StunServer> parse_stun_uri (const std::string &uri);
// "turn://user:password@host[:port][?transport=udp|tcp]", user and password percent-encoded; the
// error never shows the password. "turns://" is refused: not served yet.
Result<TurnServer> parse_turn_uri (const std::string &uri);
// The same URI without its password, for logs, properties and stats.
std::string redact_turn_uri (const std::string &uri);

}  // namespace p2p
