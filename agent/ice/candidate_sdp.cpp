#include "ice/candidate_sdp.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace p2p {

namespace {

constexpr std::size_t kMaxLineBytes = 1024;         // a line of five extensions has about 200
constexpr std::size_t kMaxFoundationBytes = 32;     // RFC 8839 section 5.1
constexpr std::uint64_t kMaxPriority = 0x7fffffff;  // RFC 8445 section 5.1.2: 1 to 2^31-1
constexpr std::size_t kMaxNameBytes = 253;          // RFC 1035 section 2.3.4, in text form

Error
malformed (const char *part, const char *why) {
  return {P2P_ERROR_INVALID_ARGUMENT, std::string ("The ") + part +
                                          " of the remote candidate is malformed: " + why +
                                          ". It must be a line as in RFC 8839 section 5.1."};
}

bool
is_ice_chars (std::string_view text) {
  return std::all_of (text.begin (), text.end (),
                      [] (unsigned char c) { return g_ascii_isalnum (c) || c == '+' || c == '/'; });
}

bool
is_visible (std::string_view text) {
  return std::all_of (text.begin (), text.end (),
                      [] (unsigned char c) { return c > ' ' && c < 0x7f; });
}

bool
is_name (std::string_view text) {
  return text.size () <= kMaxNameBytes &&
         std::all_of (text.begin (), text.end (), [] (unsigned char c) {
           return g_ascii_isalnum (c) || c == '-' || c == '.' || c == '_';
         });
}

bool
is_ip (const std::string &text) {
  in6_addr parsed;
  return inet_pton (AF_INET, text.c_str (), &parsed) == 1 ||
         inet_pton (AF_INET6, text.c_str (), &parsed) == 1;
}

bool
to_number (const std::string &text, std::uint64_t min, std::uint64_t max, std::uint64_t &out) {
  guint64 value = 0;
  // GLib's parser alone would take a sign and leading white space.
  if (text.empty () || text.find_first_not_of ("0123456789") != std::string::npos) return false;
  if (!g_ascii_string_to_unsigned (text.c_str (), 10, min, max, &value, nullptr)) return false;
  out = value;
  return true;
}

bool
equals_ignoring_case (const std::string &a, const char *b) {
  return g_ascii_strcasecmp (a.c_str (), b) == 0;
}

std::vector<std::string>
split (std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const auto space = text.find (' ');
    out.emplace_back (text.substr (0, space));
    if (space == std::string_view::npos) return out;
    text.remove_prefix (space + 1);
  }
}

void
ignore (RemoteCandidate &candidate, const char *why) {
  if (candidate.use == RemoteCandidate::Use::ignore) return;
  candidate.use = RemoteCandidate::Use::ignore;
  candidate.ignored_because = why;
}

Status
read_extensions (const std::vector<std::string> &tokens, RemoteCandidate &out) {
  std::uint64_t number = 0;
  bool has_tcp_type = false;
  for (std::size_t i = 8; i < tokens.size (); i += 2) {
    if (i + 1 == tokens.size ())
      return malformed ("list of extensions", "the last name has no value");
    const std::string &name = tokens[i], &value = tokens[i + 1];
    if (name == "raddr") {
      if (!is_ip (value) && !is_name (value))
        return malformed ("related address", "it is neither an IP address nor a name");
      if (is_ip (value)) out.related_address = value;
    } else if (name == "rport") {
      if (!to_number (value, 0, 65535, number))
        return malformed ("related port", "it is not a number from 0 to 65535");
      out.related_port = static_cast<std::uint16_t> (number);
    } else if (name == "tcptype") {
      has_tcp_type = true;
      for (const char *known : {"active", "passive", "so"})
        if (equals_ignoring_case (value, known)) out.tcp_type = known;
    }
  }
  if (out.transport == "TCP") {
    if (!has_tcp_type) return malformed ("tcptype", "a TCP candidate needs one (RFC 6544)");
    if (out.tcp_type.empty ()) ignore (out, "its tcptype is not known");
  } else {
    out.tcp_type.clear ();
  }
  // Browsers hide it as 0.0.0.0 port 0.
  if (out.related_port == 0 || !is_peer_address (out.related_address)) {
    out.related_address.clear ();
    out.related_port = 0;
  }
  return {};
}

}  // namespace

bool
is_peer_address (const std::string &address) {
  in_addr v4;
  if (inet_pton (AF_INET, address.c_str (), &v4) == 1) {
    const std::uint32_t host = ntohl (v4.s_addr);
    return (host >> 24) != 0 && host < 0xe0000000;  // "this network"; multicast and above
  }
  in6_addr v6;
  if (inet_pton (AF_INET6, address.c_str (), &v6) != 1) return false;
  // libnice sends over an IPv6 socket to what is an IPv6 address; a mapped one leaves as IPv4.
  return !IN6_IS_ADDR_UNSPECIFIED (&v6) && !IN6_IS_ADDR_MULTICAST (&v6) &&
         !IN6_IS_ADDR_V4MAPPED (&v6) && !IN6_IS_ADDR_V4COMPAT (&v6);
}

Result<RemoteCandidate>
parse_remote_candidate (const std::string &sdp) {
  std::string_view text (sdp);
  if (text.size () > kMaxLineBytes) return malformed ("line", "it is longer than 1024 bytes");
  if (text.substr (0, 2) == "a=") text.remove_prefix (2);
  if (text.substr (0, 10) != "candidate:")
    return malformed ("line", "it does not start with \"candidate:\"");
  text.remove_prefix (10);

  const auto tokens = split (text);
  for (const auto &token : tokens)
    if (token.empty () || !is_visible (token))
      return malformed ("line", "its fields are visible ASCII with one space between them");
  if (tokens.size () < 8) return malformed ("line", "it has less than eight fields");

  RemoteCandidate out;
  std::uint64_t number = 0;
  out.foundation = tokens[0];
  if (out.foundation.size () > kMaxFoundationBytes || !is_ice_chars (out.foundation))
    return malformed ("foundation", "it has 1 to 32 letters, digits, '+' and '/'");

  if (!to_number (tokens[1], 1, 256, number))
    return malformed ("component", "it is not a number from 1 to 256");
  if (number != 1) ignore (out, "it belongs to a second component");

  if (equals_ignoring_case (tokens[2], "UDP"))
    out.transport = "UDP";
  else if (equals_ignoring_case (tokens[2], "TCP"))
    out.transport = "TCP";
  else
    ignore (out, "its transport is neither UDP nor TCP");

  if (!to_number (tokens[3], 1, kMaxPriority, number))
    return malformed ("priority", "it is not a number from 1 to 2147483647");
  out.priority = static_cast<std::uint32_t> (number);

  out.address = tokens[4];
  if (!is_ip (out.address)) {
    if (!is_name (out.address))
      return malformed ("address", "it is neither an IP address nor a name");
    // Any other name would let the peer make this machine ask the world's name servers.
    if (g_str_has_suffix (out.address.c_str (), ".local") && out.address.size () > 6)
      out.use = out.use == RemoteCandidate::Use::check ? RemoteCandidate::Use::resolve : out.use;
    else
      ignore (out, "its address is a name outside of .local");
  } else if (!is_peer_address (out.address)) {
    ignore (out, "nobody can have its address");
  }

  if (!to_number (tokens[5], 0, 65535, number))
    return malformed ("port", "it is not a number from 0 to 65535");
  out.port = static_cast<std::uint16_t> (number);

  if (tokens[6] != "typ") return malformed ("type", "the seventh field is not \"typ\"");
  out.type = tokens[7];
  if (out.type != "host" && out.type != "srflx" && out.type != "relay")
    ignore (out, "its type is not host, srflx or relay");

  if (auto error = read_extensions (tokens, out)) return *error;
  if (out.port == 0 && out.tcp_type != "active") ignore (out, "its port is 0");
  return out;
}

std::string
RemoteCandidate::to_nice_sdp () const {
  std::string line = "a=candidate:" + foundation + " 1 " + transport + " " +
                     std::to_string (priority) + " " + address + " " + std::to_string (port) +
                     " typ " + type;
  if (!related_address.empty ())
    line += " raddr " + related_address + " rport " + std::to_string (related_port);
  if (!tcp_type.empty ()) line += " tcptype " + tcp_type;
  return line;
}

std::string
without_related_address (const std::string &sdp) {
  auto tokens = split (sdp);
  std::string out = tokens[0];
  for (std::size_t i = 1; i < tokens.size (); ++i) {
    // The values with which browsers hide it (RFC 8828 section 5.2).
    if (tokens[i - 1] == "raddr")
      tokens[i] = tokens[i].find (':') == std::string::npos ? "0.0.0.0" : "::";
    else if (tokens[i - 1] == "rport")
      tokens[i] = "0";
    out += " " + tokens[i];
  }
  return out;
}

Status
check_ice_credentials (const IceCredentials &credentials, const char *whose) {
  const auto bad = [] (const std::string &text, std::size_t min) {
    return text.size () < min || text.size () > 256 || !is_ice_chars (text);
  };
  const std::string the = std::string ("The ") + whose;
  if (bad (credentials.ufrag, 4))
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 the + " ufrag must have 4 to 256 letters, digits, '+' and '/' (RFC 8839)."};
  if (bad (credentials.pwd, 22))
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 the + " pwd must have 22 to 256 letters, digits, '+' and '/' (RFC 8839)."};
  return {};
}

}  // namespace p2p
