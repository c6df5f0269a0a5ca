// Sockets of the rendezvous server, and what a client is counted by.
#pragma once
#include <gio/gio.h>

#include <string>

#include "base/error.hpp"
#include "base/ptr.hpp"

namespace p2p {

struct ListeningPair {
  Ref<GSocket> tcp;  // listening, not blocking
  Ref<GSocket> udp;  // on the same address and port; null when not asked for
  std::string address;
  std::uint16_t port = 0;
};

// "host:port" or "[v6]:port" with a numeric host.
Result<ListeningPair> listen_on (const std::string &address, bool with_udp);

// The IPv4 address, or the /64 of an IPv6 one, since that is what one customer is given.
std::string source_of (GSocketAddress *remote);

}  // namespace p2p
