#include "ice/ice_servers.hpp"

#include <arpa/inet.h>
#include <strings.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace p2p {

namespace {

// RFC 8489 section 14.3: a username has less than 509 bytes; the same is enough for any password.
constexpr std::size_t kMaxCredentialBytes = 508;
constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035 section 2.3.4, in text form

Error
invalid (std::string message) {
  return {P2P_ERROR_INVALID_ARGUMENT, std::move (message)};
}

bool
has_scheme (const std::string &uri, const char *scheme) {
  return strncasecmp (uri.c_str (), scheme, std::char_traits<char>::length (scheme)) == 0;
}

bool
is_host_name (std::string_view host) {
  return std::all_of (host.begin (), host.end (), [] (unsigned char c) {
    return g_ascii_isalnum (c) || c == '-' || c == '.' || c == '_';
  });
}

struct HostPort {
  std::string host;
  std::uint16_t port;
};

Result<HostPort>
parse_host_port (std::string_view text, std::uint16_t default_port, const char *what) {
  HostPort out{{}, default_port};
  std::optional<std::string_view> port;
  if (!text.empty () && text.front () == '[') {
    const auto end = text.find (']');
    if (end == std::string_view::npos)
      return invalid (std::string (what) + " has an IPv6 address without its closing bracket.");
    out.host = text.substr (1, end - 1);
    in6_addr parsed;
    if (inet_pton (AF_INET6, out.host.c_str (), &parsed) != 1)
      return invalid (std::string (what) + " has no valid IPv6 address between its brackets.");
    text.remove_prefix (end + 1);
    if (!text.empty ()) {
      if (text.front () != ':')
        return invalid (std::string (what) + " has something other than a port after the host.");
      port = text.substr (1);
    }
  } else {
    const auto colon = text.find (':');
    if (colon != std::string_view::npos && text.find (':', colon + 1) != std::string_view::npos)
      return invalid (std::string (what) +
                      " has several colons in its host; write an IPv6 address in brackets.");
    out.host = text.substr (0, colon);
    if (colon != std::string_view::npos) port = text.substr (colon + 1);
    if (out.host.empty ()) return invalid (std::string (what) + " names no host.");
    if (out.host.size () > kMaxHostBytes || !is_host_name (out.host))
      return invalid (std::string (what) + " has a host that is neither a name nor an address.");
  }
  if (port) {
    guint64 value = 0;
    const std::string digits (*port);
    if (digits.empty () || digits.find_first_not_of ("0123456789") != std::string::npos ||
        !g_ascii_string_to_unsigned (digits.c_str (), 10, 1, 65535, &value, nullptr))
      return invalid (std::string (what) + " has a port that is not a number from 1 to 65535.");
    out.port = static_cast<std::uint16_t> (value);
  }
  return out;
}

// Nothing for a malformed escape, and for a NUL or another control character.
std::optional<std::string>
percent_decoded (std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size (); ++i) {
    int c = static_cast<unsigned char> (text[i]);
    if (c == '%') {
      if (i + 2 >= text.size ()) return std::nullopt;
      const int high = g_ascii_xdigit_value (text[i + 1]);
      const int low = g_ascii_xdigit_value (text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = high * 16 + low;
      i += 2;
    }
    if (c < 0x20 || c == 0x7f) return std::nullopt;
    out.push_back (static_cast<char> (c));
  }
  return out;
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
