#include "turn/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace p2p::turn {

std::optional<Address>
Address::parse (const std::string &ip, std::uint16_t port) {
  Address out;
  out.port = port;
  if (inet_pton (AF_INET, ip.c_str (), out.ip.data ()) == 1) return out;
  out.family = Family::ipv6;
  if (inet_pton (AF_INET6, ip.c_str (), out.ip.data ()) == 1) return out;
  return std::nullopt;
}

std::optional<Address>
Address::from_sockaddr (const sockaddr_storage &address) {
  Address out;
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy (&in, &address, sizeof in);
    std::memcpy (out.ip.data (), &in.sin_addr, 4);
    out.port = ntohs (in.sin_port);
    return out;
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy (&in6, &address, sizeof in6);
    out.family = Family::ipv6;
    std::memcpy (out.ip.data (), &in6.sin6_addr, 16);
    out.port = ntohs (in6.sin6_port);
    return out;
  }
  return std::nullopt;
}

sockaddr_storage
Address::to_sockaddr (socklen_t *size) const {
  sockaddr_storage out{};
  if (family == Family::ipv4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons (port);
    std::memcpy (&in.sin_addr, ip.data (), 4);
    std::memcpy (&out, &in, sizeof in);
    *size = sizeof in;
  } else {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons (port);
    std::memcpy (&in6.sin6_addr, ip.data (), 16);
    std::memcpy (&out, &in6, sizeof in6);
    *size = sizeof in6;
  }
  return out;
}

std::string
Address::ip_text () const {
  char buffer[INET6_ADDRSTRLEN];
  return inet_ntop (family == Family::ipv4 ? AF_INET : AF_INET6, ip.data (), buffer, sizeof buffer);
}

std::string
Address::text () const {
  const std::string where = family == Family::ipv4 ? ip_text () : "[" + ip_text () + "]";
  return where + ":" + std::to_string (port);
}

namespace {

Scope
scope_of_ipv4 (const std::uint8_t *ip) {
  static constexpr std::uint8_t kMetadata[][4] = {{169, 254, 169, 254}, {100, 100, 100, 200}};
  for (const auto &known : kMetadata)
    if (std::equal (known, known + 4, ip)) return Scope::metadata;
  if (ip[0] == 0) return Scope::unspecified;
  if (ip[0] == 127) return Scope::loopback;
  if (ip[0] == 169 && ip[1] == 254) return Scope::link_local;
  if (ip[0] >= 240) return Scope::reserved;
  if (ip[0] >= 224) return Scope::multicast;
  if (ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168) ||
      (ip[0] == 100 && (ip[1] & 0xc0) == 64))
    return Scope::private_;
  return Scope::global;
}

bool
starts_with (const std::array<std::uint8_t, 16> &ip, std::initializer_list<std::uint8_t> prefix) {
  return std::equal (prefix.begin (), prefix.end (), ip.begin ());
}

}  // namespace

Scope
scope_of (const Address &address) {
  const auto &ip = address.ip;
  if (address.family == Family::ipv4) return scope_of_ipv4 (ip.data ());
  if (starts_with (ip, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}) ||   // ::ffff:0:0/96
      starts_with (ip, {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}))  // RFC 6052
    return scope_of_ipv4 (ip.data () + 12);
  if (starts_with (ip, {0x20, 0x02})) return scope_of_ipv4 (ip.data () + 2);  // RFC 3056
  if (starts_with (ip, {0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}))
    return Scope::metadata;
  if (starts_with (ip, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) {
    if (ip[15] == 0) return Scope::unspecified;
    if (ip[15] == 1) return Scope::loopback;
  }
  // IPv4-compatible, of no use since RFC 4291.
  if (starts_with (ip, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) return Scope::reserved;
  if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) return Scope::link_local;
  if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0xc0) return Scope::private_;  // site-local, RFC 3879
  if (ip[0] == 0xff) return Scope::multicast;
  if ((ip[0] & 0xfe) == 0xfc) return Scope::private_;
  return Scope::global;
}

const char *
scope_name (Scope scope) {
  switch (scope) {
    case Scope::global:
      return "global";
    case Scope::private_:
      return "private";
    case Scope::loopback:
      return "loopback";
    case Scope::link_local:
      return "link-local";
    case Scope::unspecified:
      return "unspecified";
    case Scope::multicast:
      return "multicast";
    case Scope::reserved:
      return "reserved";
    case Scope::metadata:
      return "metadata";
  }
  return "";
}

}  // namespace p2p::turn
