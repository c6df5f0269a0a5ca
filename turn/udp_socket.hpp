// A UDP socket that is connected to a server, and what one of its datagrams holds.
#pragma once
#include <gio/gio.h>

#include <optional>
#include <string>

#include "base/ptr.hpp"
#include "turn/address.hpp"

namespace p2p::turn {

// Connected, so that the kernel tells of ICMP errors and takes nothing from elsewhere; it does not
// block. None, and why.
Ref<GSocket> open_udp_socket (const Address &to, const std::optional<Address> &local,
                              std::string *why);
// As large buffers as the kernel gives.
void widen_buffers (GSocket *socket);
// What the way of such a socket carries in one piece, as far as the kernel knows.
std::size_t max_payload_bytes (GSocket *socket);

}  // namespace p2p::turn
