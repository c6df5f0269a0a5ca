// What the fast lane of a direct UDP pair may do (fast_udp.hpp).
#pragma once
#include <optional>

namespace p2p {

//   steered    datagrams of the remote arrive at a socket of its own; else libnice hands them over,
//              and sends go out on libnice's socket
//   segmented  one call for a train; else one sendmmsg() for it
//   coalesced  trains arrive in one piece; else one by one
struct FastUdpAbilities {
  bool steered = true, segmented = true, coalesced = true;
};

// Nothing: there is no lane, datagrams go through libnice.
using FastUdpWish = std::optional<FastUdpAbilities>;

// P2P_FAST_UDP where it is set, else what was configured: "off", or a list of "no-steering",
// "no-segmentation" and "no-coalescing".
FastUdpWish fast_udp_wish (const FastUdpWish &configured);

}  // namespace p2p
