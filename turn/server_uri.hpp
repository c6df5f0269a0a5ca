// TURN servers by URI: as RFC 7065 writes them, and with user and password as webrtcbin takes them.
#pragma once
#include <string>

#include "base/error.hpp"
#include "turn/server.hpp"

namespace p2p::turn {

// "turn:host[:port][?transport=udp|tcp]", "turns:host[:port][?transport=tcp|udp]", and both with
// "//user:password@" before the host, percent-encoded. IPv6 in brackets. The error never shows the
// password.
Result<Server> parse_server_uri (const std::string &uri);
// Without the password, for logs, properties and stats.
std::string redacted_uri (const Server &server);

}  // namespace p2p::turn
