#include "turn/policy.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace p2p::turn {

Status
PeerPolicy::check (const Address &peer, const std::vector<Address> &relayed) const {
  if (peer.port == 0)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The peer " + peer.ip_text () + " has no port."};
  const bool own = std::any_of (relayed.begin (), relayed.end (), [&] (const Address &address) {
    return address.without_port () == peer.without_port ();
  });
  const Scope scope = scope_of (peer);
  if (own || scope == Scope::global || (scope == Scope::private_ && allow_private)) return {};
  std::string message = "The peer " + peer.text () + " has a " + scope_name (scope) +
                        " address, for which no relay is asked";
  if (scope == Scope::private_)
    message += "; set allow-private-peers where the relay stands in that network";
  return Error{P2P_ERROR_REFUSED, message + "."};
}

bool
machine_is_private () {
  ifaddrs *all = nullptr;
  if (getifaddrs (&all) != 0) return false;
  bool found = false;
  for (const ifaddrs *one = all; one && !found; one = one->ifa_next) {
    if (!one->ifa_addr) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy (&storage, one->ifa_addr,
                 family == AF_INET ? sizeof (sockaddr_in) : sizeof (sockaddr_in6));
    const auto address = Address::from_sockaddr (storage);
    found = address && scope_of (*address) == Scope::private_;
  }
  freeifaddrs (all);
  return found;
}

}  // namespace p2p::turn
