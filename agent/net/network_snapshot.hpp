// What this machine's network looks like at one moment, and what is different at another. Pure
// values.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace p2p {

struct NetworkAddress {
  unsigned interface_index = 0;
  std::string interface_name;
  std::string address;  // as inet_ntop() writes it, without "%interface"
  bool ipv6 = false;
  bool loopback = false;    // or on the loopback interface
  bool link_local = false;  // RFC 3927, RFC 4291 section 2.5.6
};

struct DefaultRoute {
  bool ipv6 = false;
  unsigned interface_index = 0;
  std::string gateway;       // empty on a link without one, such as a tunnel
  std::uint32_t metric = 0;  // the least one is taken
};

bool operator== (const NetworkAddress &one, const NetworkAddress &other);
bool operator<(const NetworkAddress &one, const NetworkAddress &other);
bool operator== (const DefaultRoute &one, const DefaultRoute &other);
bool operator<(const DefaultRoute &one, const DefaultRoute &other);

// Both lists are sorted, without doubles.
struct NetworkSnapshot {
  // Of links that are up and have their carrier, and usable themselves: one that still looks for
  // its double on the link, or has found it, is left out.
  std::vector<NetworkAddress> addresses;
  // Over those links; empty where the source does not know (portable_source.hpp).
  std::vector<DefaultRoute> default_routes;

  bool usable () const;  // any address but a loopback one
  // With "%interface" only on that one.
  bool has (const std::string &address) const;
};

// One that many share.
using NetworkView = std::shared_ptr<const NetworkSnapshot>;

struct NetworkChange {
  std::vector<NetworkAddress> added, removed;
  bool default_routes_changed = false;

  bool any () const;
};

NetworkChange difference (const NetworkSnapshot &before, const NetworkSnapshot &now);

// An address in the form of `in_addr` or `in6_addr`, in network order, of an interface that is the
// loopback one or not. The index and name remain to be filled in.
NetworkAddress make_network_address (const void *bytes, bool ipv6, bool loopback_interface);

}  // namespace p2p
