#include "ice/ice_servers.hpp"

#include <string_view>

#include "base/uri_parts.hpp"
#include "turn/server_uri.hpp"

namespace p2p {

namespace {

Error
invalid (std::string message) {
  return {P2P_ERROR_INVALID_ARGUMENT, std::move (message)};
}

}  // namespace

Result<StunServer>
parse_stun_uri (const std::string &uri) {
  if (has_scheme (uri, "stuns:"))
    return invalid ("The STUN URI asks for TLS, which is not served; write stun://host:port.");
  if (!has_scheme (uri, "stun:"))
    return invalid ("The STUN URI does not start with stun: ; write stun://host:port.");
  std::string_view rest (uri);
  rest.remove_prefix (rest.substr (5, 2) == "//" ? 7 : 5);
  auto where = parse_host_port (rest, StunServer{}.port, "The STUN URI");
  if (!where) return where.error ();
  return StunServer{where->host, where->port};
}

Result<turn::Server>
parse_turn_uri (const std::string &uri) {
  auto server = turn::parse_server_uri (uri);
  if (server && server->credentials.user.empty ())
    return invalid (
        "The TURN URI has no user and password; write "
        "turn://user:password@host:port?transport=udp.");
  return server;
}

std::string
redact_turn_uri (const std::string &uri) {
  const auto server = parse_turn_uri (uri);
  // What cannot be parsed may show a password anywhere.
  return server ? turn::redacted_uri (server.value ()) : "(malformed TURN URI)";
}

}  // namespace p2p
