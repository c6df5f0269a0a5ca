// What the system knows about the size of packets on the way to an address.
#pragma once
#include <sys/socket.h>

#include <cstddef>

namespace p2p {

// The MTU of the route from `local` (its port does not matter) to `remote`, headers included: the
// interface's, or less where the kernel has learned better (RFC 1191, RFC 8201). 0 when unknown.
std::size_t route_mtu_bytes (sockaddr_storage local, const sockaddr_storage &remote);

}  // namespace p2p
