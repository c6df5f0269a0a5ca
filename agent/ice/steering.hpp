// The classic BPF program that shares one UDP port between libnice's socket and ours: data from the
// selected remote goes to ours, STUN and everything else to libnice's. Pure: it only writes the
// program.
#pragma once
#include <linux/filter.h>
#include <sys/socket.h>

#include <vector>

#include "base/bytes.hpp"

namespace p2p {

// Results of the program: the order in which the two sockets joined the group.
constexpr unsigned kSteerToNice = 0, kSteerToData = 1;

// For SO_ATTACH_REUSEPORT_CBPF on a group of the remote's family, AF_INET or AF_INET6. Offset 0 of
// the packet is the UDP payload there.
std::vector<sock_filter> steering_program (const sockaddr_storage &remote);
// What the program takes for STUN.
bool is_stun (ByteView datagram);

}  // namespace p2p
