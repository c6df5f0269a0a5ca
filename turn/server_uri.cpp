#include "turn/server_uri.hpp"

#include <string_view>

#include "base/ptr.hpp"
#include "base/uri_parts.hpp"

namespace p2p::turn {

namespace {

// RFC 8489 section 14.3: a username has less than 509 bytes; the same is enough for any password.
constexpr std::size_t kMaxCredentialBytes = 508;
constexpr std::uint16_t kTlsPort = 5349;  // RFC 8656 section 3.1

Error
invalid (std::string message) {
  return {P2P_ERROR_INVALID_ARGUMENT, std::move (message)};
}

Result<std::string>
credential (std::string_view text, const char *what) {
  const auto decoded = percent_decoded (text);
  if (!decoded || decoded->empty () || decoded->size () > kMaxCredentialBytes)
    return invalid (std::string ("The ") + what +
                    " in the TURN URI is empty, too long or not correctly percent-encoded.");
  return *decoded;
}

Status
take_query (std::string_view query, bool secure, Server *server) {
  if (query.empty ()) return {};
  if (query == "transport=udp") {
    server->protocol = secure ? Protocol::dtls : Protocol::udp;
  } else if (query == "transport=tcp") {
    if (!secure) server->protocol = Protocol::tcp;
  } else {
    return invalid (
        "The TURN URI has options other than ?transport=udp and ?transport=tcp (RFC 7065).");
  }
  return {};
}

}  // namespace

Result<Server>
parse_server_uri (const std::string &uri) {
  const bool secure = has_scheme (uri, "turns:");
  if (!secure && !has_scheme (uri, "turn:"))
    return invalid (
        "The TURN URI does not start with turn: or turns: ; write "
        "turn://user:password@host:port?transport=udp.");
  std::string_view rest (uri);
  rest.remove_prefix (secure ? 6 : 5);
  if (rest.substr (0, 2) == "//") rest.remove_prefix (2);

  Server server;
  server.protocol = secure ? Protocol::tls : Protocol::udp;
  // The password may hold an unescaped '@' or '?': the host starts behind the last '@'.
  if (const auto at = rest.rfind ('@'); at != std::string_view::npos) {
    const std::string_view login = rest.substr (0, at);
    rest.remove_prefix (at + 1);
    const auto colon = login.find (':');
    if (colon == std::string_view::npos)
      return invalid (
          "The TURN URI has a user without a password; write turn://user:password@host:port.");
    auto user = credential (login.substr (0, colon), "user");
    if (!user) return user.error ();
    auto password = credential (login.substr (colon + 1), "password");
    if (!password) return password.error ();
    server.credentials = {*user, *password};
  }
  std::string_view query;
  if (const auto question = rest.find ('?'); question != std::string_view::npos) {
    query = rest.substr (question + 1);
    rest = rest.substr (0, question);
  }
  auto where = parse_host_port (rest, secure ? kTlsPort : Server{}.port, "The TURN URI");
  if (!where) return where.error ();
  server.host = where->host;
  server.port = where->port;
  if (const Status wrong = take_query (query, secure, &server)) return *wrong;
  return server;
}

std::string
redacted_uri (const Server &server) {
  std::string out = is_secure (server.protocol) ? "turns:" : "turn:";
  if (!server.credentials.user.empty ()) {
    const UniqueChars user (g_uri_escape_string (server.credentials.user.c_str (), nullptr, TRUE));
    out.append ("//").append (user.get ()).append ("@");
  }
  const bool ipv6 = server.host.find (':') != std::string::npos;
  out += ipv6 ? "[" + server.host + "]" : server.host;
  out += ":" + std::to_string (server.port) + "?transport=";
  return out + (is_datagram (server.protocol) ? "udp" : "tcp");
}

}  // namespace p2p::turn
