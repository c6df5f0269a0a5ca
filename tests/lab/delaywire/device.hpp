// The two ends of the wire: network devices in namespaces.
#pragma once
#include <cstddef>
#include <string>

namespace delaywire {

// Says what failed and why (errno), and ends the program.
[[noreturn]] void die (const std::string &what);

// In front of each frame of a packet socket stands struct virtio_net_hdr (linux/virtio_net.h, 10
// bytes): it carries "checksum still to be done" and segmentation marks across.
constexpr size_t kVirtioHeaderBytes = 10;
constexpr size_t kEthernetHeaderBytes = 14;

// `spec` is NAMESPACE:DEVICE, or DEVICE in the current namespace.
// A new TAP device: the usual end.
int open_tap (const std::string &spec, int mtu_bytes);
// An existing device through AF_PACKET, where /dev/net/tun is closed to the caller.
int open_packet (const std::string &spec);

}  // namespace delaywire
