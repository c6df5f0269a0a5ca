#include "turn/udp_batch.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

// Older libc headers lack it; the number is the kernel's ABI.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace p2p::turn {

namespace {

constexpr std::size_t kMaxSegments = 64;       // UDP_MAX_SEGMENTS of Linux
constexpr std::size_t kMaxTrainBytes = 65487;  // less the headers of IPv6 and UDP, and some room

bool
is_want_of_room (int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

}  // namespace

void
UdpBatch::add (ByteView datagram) {
  bytes_.insert (bytes_.end (), datagram.begin (), datagram.end ());
  sizes_.push_back (datagram.size);
}

// How many may go in one piece: equal ones, and at their end one that is shorter.
std::size_t
UdpBatch::train_at (std::size_t first) const {
  const std::size_t most = std::min (kMaxSegments, sizes_.size () - first);
  if (!segmented_) return most;
  std::size_t count = 1, bytes = sizes_[first];
  while (count < most && sizes_[first + count] <= sizes_[first] &&
         bytes + sizes_[first + count] <= kMaxTrainBytes) {
    bytes += sizes_[first + count++];
    if (sizes_[first + count - 1] < sizes_[first]) break;
  }
  return count;
}

UdpBatch::Outcome
UdpBatch::flush () {
  Outcome out;
  std::size_t first = 0, at = 0;
  while (first < sizes_.size ()) {
    const std::size_t count = train_at (first);
    std::size_t sent = count;
    int error = EOPNOTSUPP;
    if (segmented_ && count > 1) error = send_train (first, count, at);
    // Either there is no segmentation here, or the datagrams are too long for the way: one by one
    // both pass or fail for themselves, and only the first is remembered.
    if (error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP) {
      const bool tried = segmented_ && count > 1;
      error = send_singly (first, count, at, &sent);
      if (tried && error == 0) segmented_ = false;
    } else if (error != 0) {
      sent = 0;
    }
    for (std::size_t i = 0; i < sent; ++i) at += sizes_[first++];
    if (error == 0) continue;
    if (is_want_of_room (error)) break;
    if (error == ECONNREFUSED) out.refused = true;
    // A report of what was sent before, which is told once; or one that is too long.
    if (error != ECONNREFUSED || std::exchange (refused_before_, true)) at += sizes_[first++];
  }
  refused_before_ = false;
  out.unsent = sizes_.size () - first;
  bytes_.clear ();
  sizes_.clear ();
  return out;
}

int
UdpBatch::send_train (std::size_t first, std::size_t count, std::size_t at) {
  std::size_t size = 0;
  for (std::size_t i = first; i < first + count; ++i) size += sizes_[i];
  iovec vector = {bytes_.data () + at, size};
  alignas (cmsghdr) std::array<std::uint8_t, CMSG_SPACE (sizeof (std::uint16_t))> control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data ();
  message.msg_controllen = control.size ();
  cmsghdr *part = CMSG_FIRSTHDR (&message);
  part->cmsg_level = SOL_UDP;
  part->cmsg_type = UDP_SEGMENT;
  part->cmsg_len = CMSG_LEN (sizeof (std::uint16_t));
  const auto segment = static_cast<std::uint16_t> (sizes_[first]);
  std::memcpy (CMSG_DATA (part), &segment, sizeof segment);
  return sendmsg (fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

int
UdpBatch::send_singly (std::size_t first, std::size_t count, std::size_t at, std::size_t *sent) {
  std::array<iovec, kMaxSegments> vectors;
  std::array<mmsghdr, kMaxSegments> messages{};
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {bytes_.data () + at, sizes_[first + i]};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    at += sizes_[first + i];
  }
  *sent = 0;
  while (*sent < count) {
    const int taken = sendmmsg (fd_, messages.data () + *sent,
                                static_cast<unsigned> (count - *sent), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0) return errno;
    *sent += static_cast<std::size_t> (taken);
  }
  return 0;
}

}  // namespace p2p::turn
