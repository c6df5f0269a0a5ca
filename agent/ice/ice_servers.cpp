#include "ice/ice_servers.hpp"

#include <optional>
#include <string_view>

#include "base/uri_parts.hpp"

namespace p2p {

namespace {

// RFC 8489 section 14.3: a username has less than 509 bytes; the same is enough for any password.
constexpr std::size_t kMaxCredentialBytes = 508;

Error
invalid (std::string message) {
  return {P2P_ERROR_INVALID_ARGUMENT, std::move (message)};
}

struct TurnParts {
  std::string_view user, password, host_port, query;
};

// The password may hold an unescaped '@': the host starts behind the last one.
std::optional<TurnParts>
split_turn_uri (const std::string &uri) {
  if (!has_scheme (uri, "turn://")) return std::nullopt;
  std::string_view rest (uri);
  rest.remove_prefix (7);
  const auto at = rest.rfind ('@');
  if (at == std::string_view::npos) return std::nullopt;
  TurnParts parts;
  const std::string_view login = rest.substr (0, at);
  const auto colon = login.find (':');
  if (colon == std::string_view::npos) return std::nullopt;
  parts.user = login.substr (0, colon);
  parts.password = login.substr (colon + 1);
  parts.host_port = rest.substr (at + 1);
  const auto question = parts.host_port.find ('?');
  if (question != std::string_view::npos) {
    parts.query = parts.host_port.substr (question);
    parts.host_port = parts.host_port.substr (0, question);
  }
  return parts;
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

Result<TurnServer>
parse_turn_uri (const std::string &uri) {
  const char *shape = "write turn://user:password@host:port?transport=udp.";
  if (has_scheme (uri, "turns:"))
    return invalid (std::string ("The TURN URI asks for TLS, which is not served yet; ") + shape);
  if (!has_scheme (uri, "turn://"))
    return invalid (std::string ("The TURN URI does not start with turn:// ; ") + shape);
  const auto parts = split_turn_uri (uri);
  if (!parts) return invalid (std::string ("The TURN URI has no user and password; ") + shape);

  auto where = parse_host_port (parts->host_port, TurnServer{}.port, "The TURN URI");
  if (!where) return where.error ();
  TurnServer server;
  server.host = where->host;
  server.port = where->port;

  const auto user = percent_decoded (parts->user);
  if (!user || user->empty () || user->size () > kMaxCredentialBytes)
    return invalid (
        "The user in the TURN URI is empty, too long or not correctly percent-encoded.");
  const auto password = percent_decoded (parts->password);
  if (!password || password->empty () || password->size () > kMaxCredentialBytes)
    return invalid (
        "The password in the TURN URI is empty, too long or not correctly percent-encoded.");
  server.user = *user;
  server.password = *password;

  if (parts->query == "?transport=tcp")
    server.protocol = TurnProtocol::tcp;
  else if (!parts->query.empty () && parts->query != "?transport=udp")
    return invalid (
        "The TURN URI has options other than ?transport=udp and ?transport=tcp (RFC 7065).");
  return server;
}

std::string
redact_turn_uri (const std::string &uri) {
  // What cannot be parsed may show a password anywhere.
  if (!parse_turn_uri (uri)) return "(malformed TURN URI)";
  const auto parts = split_turn_uri (uri);
  std::string out = "turn://";
  out.append (parts->user).append ("@").append (parts->host_port).append (parts->query);
  return out;
}

}  // namespace p2p
