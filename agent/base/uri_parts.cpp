#include "base/uri_parts.hpp"

#include <arpa/inet.h>
#include <strings.h>

#include <algorithm>

namespace p2p {

namespace {

constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035 section 2.3.4, in text form

Error
invalid (std::string message) {
  return {P2P_ERROR_INVALID_ARGUMENT, std::move (message)};
}

bool
is_host_name (std::string_view host) {
  return std::all_of (host.begin (), host.end (), [] (unsigned char c) {
    return g_ascii_isalnum (c) || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace

bool
has_scheme (const std::string &uri, const char *scheme) {
  return strncasecmp (uri.c_str (), scheme, std::char_traits<char>::length (scheme)) == 0;
}

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

}  // namespace p2p
