#include "net/network_snapshot.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <tuple>

namespace p2p {

namespace {

auto
key (const NetworkAddress &one) {
  return std::tie (one.interface_index, one.interface_name, one.ipv6, one.address, one.loopback,
                   one.link_local);
}

auto
key (const DefaultRoute &one) {
  return std::tie (one.ipv6, one.metric, one.interface_index, one.gateway);
}

}  // namespace

bool
operator== (const NetworkAddress &one, const NetworkAddress &other) {
  return key (one) == key (other);
}

bool
operator<(const NetworkAddress &one, const NetworkAddress &other) {
  return key (one) < key (other);
}

bool
operator== (const DefaultRoute &one, const DefaultRoute &other) {
  return key (one) == key (other);
}

bool
operator<(const DefaultRoute &one, const DefaultRoute &other) {
  return key (one) < key (other);
}

bool
NetworkSnapshot::usable () const {
  return std::any_of (addresses.begin (), addresses.end (),
                      [] (const NetworkAddress &one) { return !one.loopback; });
}

bool
NetworkSnapshot::has (const std::string &address) const {
  const std::size_t zone = address.find ('%');
  const std::string ip = address.substr (0, zone);
  return std::any_of (addresses.begin (), addresses.end (), [&] (const NetworkAddress &one) {
    return one.address == ip &&
           (zone == std::string::npos ||
            address.compare (zone + 1, std::string::npos, one.interface_name) == 0);
  });
}

bool
NetworkChange::any () const {
  return !added.empty () || !removed.empty () || default_routes_changed;
}

NetworkChange
difference (const NetworkSnapshot &before, const NetworkSnapshot &now) {
  NetworkChange change;
  std::set_difference (now.addresses.begin (), now.addresses.end (), before.addresses.begin (),
                       before.addresses.end (), std::back_inserter (change.added));
  std::set_difference (before.addresses.begin (), before.addresses.end (), now.addresses.begin (),
                       now.addresses.end (), std::back_inserter (change.removed));
  change.default_routes_changed = before.default_routes != now.default_routes;
  return change;
}

NetworkAddress
make_network_address (const void *bytes, bool ipv6, bool loopback_interface) {
  NetworkAddress out;
  out.ipv6 = ipv6;
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop (ipv6 ? AF_INET6 : AF_INET, bytes, text.data (), text.size ());
  out.address = text.data ();
  if (ipv6) {
    in6_addr v6;
    std::memcpy (&v6, bytes, sizeof v6);
    out.loopback = loopback_interface || IN6_IS_ADDR_LOOPBACK (&v6);
    out.link_local = IN6_IS_ADDR_LINKLOCAL (&v6);
  } else {
    in_addr v4;
    std::memcpy (&v4, bytes, sizeof v4);
    const std::uint32_t host = ntohl (v4.s_addr);
    out.loopback = loopback_interface || host >> 24 == 127;
    out.link_local = host >> 16 == 0xa9fe;
  }
  return out;
}

}  // namespace p2p
