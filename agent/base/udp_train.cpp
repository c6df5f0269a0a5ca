#include "base/udp_train.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

// Older libc headers lack them; the numbers are the kernel's ABI.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace p2p {

int
send_train (int fd, const sockaddr_storage *to, socklen_t to_bytes, ByteView train,
            std::size_t datagram_bytes) {
  iovec vector = {const_cast<std::uint8_t *> (train.data), train.size};
  alignas (cmsghdr) std::array<std::uint8_t, CMSG_SPACE (sizeof (std::uint16_t))> control{};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage *> (to);
  message.msg_namelen = to_bytes;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data ();
  message.msg_controllen = control.size ();
  cmsghdr *part = CMSG_FIRSTHDR (&message);
  part->cmsg_level = SOL_UDP;
  part->cmsg_type = UDP_SEGMENT;
  part->cmsg_len = CMSG_LEN (sizeof (std::uint16_t));
  const auto segment = static_cast<std::uint16_t> (datagram_bytes);
  std::memcpy (CMSG_DATA (part), &segment, sizeof segment);
  return sendmsg (fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

bool
may_pass_singly (int error) {
  return error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP;
}

bool
is_want_of_room (int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

bool
receive_trains (int fd) {
  const int on = 1;
  return setsockopt (fd, SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
}

std::size_t
train_datagram_bytes (msghdr *message) {
  for (cmsghdr *part = CMSG_FIRSTHDR (message); part; part = CMSG_NXTHDR (message, part)) {
    if (part->cmsg_level != SOL_UDP || part->cmsg_type != UDP_GRO) continue;
    int bytes = 0;
    std::memcpy (&bytes, CMSG_DATA (part), sizeof bytes);
    return bytes > 0 ? static_cast<std::size_t> (bytes) : 0;
  }
  return 0;
}

}  // namespace p2p
