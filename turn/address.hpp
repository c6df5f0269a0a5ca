// An IP address and a port, as a value, and what kind of address it is.
#pragma once
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace p2p::turn {

enum class Family : std::uint8_t { ipv4 = 1, ipv6 = 2 };  // RFC 8489 section 14.1

struct Address {
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> ip{};  // network order; IPv4 in the first four, the rest 0
  std::uint16_t port = 0;

  // A literal, without brackets; nothing for a name.
  static std::optional<Address> parse (const std::string &ip, std::uint16_t port);
  static std::optional<Address> from_sockaddr (const sockaddr_storage &address);

  std::size_t ip_bytes () const { return family == Family::ipv4 ? 4 : 16; }
  sockaddr_storage to_sockaddr (socklen_t *size) const;
  std::string ip_text () const;
  std::string text () const;  // "192.0.2.1:3478", "[2001:db8::1]:3478"
  Address without_port () const {
    Address out = *this;
    out.port = 0;
    return out;
  }

  bool operator== (const Address &o) const {
    return family == o.family && ip == o.ip && port == o.port;
  }
  bool operator!= (const Address &o) const { return !(*this == o); }
  bool operator<(const Address &o) const {
    if (family != o.family) return family < o.family;
    return ip != o.ip ? ip < o.ip : port < o.port;
  }
};

// Where an address may be meant, from the point of view of a relay in the internet.
enum class Scope {
  global,
  private_,  // RFC 1918, RFC 6598, RFC 4193
  loopback,
  link_local,
  unspecified,  // 0.0.0.0/8 and ::
  multicast,
  reserved,  // 240.0.0.0/4 with the broadcast address
  metadata,  // where clouds hand out credentials to who asks from inside
};

// Of an IPv4 address inside of an IPv6 one (mapped, NAT64, 6to4) the scope is that of the IPv4 one.
Scope scope_of (const Address &address);
const char *scope_name (Scope scope);

}  // namespace p2p::turn
