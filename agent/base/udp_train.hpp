// Several datagrams in one piece, as Linux sends (UDP_SEGMENT) and receives (UDP_GRO) them: all of
// one size but the last, which may be shorter.
#pragma once
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace p2p {

constexpr std::size_t kMaxTrainDatagrams = 64;  // UDP_MAX_SEGMENTS of Linux

// 0, or what errno says. A null address is that of the connected socket.
int send_train (int fd, const sockaddr_storage *to, socklen_t to_bytes, ByteView train,
                std::size_t datagram_bytes);
// Either there are no trains here, or the datagrams are too long for the way: one by one both pass
// or fail for themselves.
bool may_pass_singly (int error);
bool is_want_of_room (int error);

// Where it is refused datagrams come one by one.
bool receive_trains (int fd);
struct alignas (std::max_align_t) TrainControl {
  std::array<std::uint8_t, 64> bytes;
};
// Of what was received with a TrainControl; 0 where it is one datagram.
std::size_t train_datagram_bytes (msghdr *message);

}  // namespace p2p
