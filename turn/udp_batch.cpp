#include "turn/udp_batch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/udp_train.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kMaxTrainBytes = 65507;  // of UDP over IPv4 (RFC 768)

}  // namespace

UdpBatch::Datagrams &
UdpBatch::spare () {
  static thread_local Datagrams the_one;
  return the_one;
}

void
UdpBatch::add (ByteView datagram) {
  if (waiting_.sizes.empty ()) std::swap (waiting_, spare ());
  waiting_.bytes.insert (waiting_.bytes.end (), datagram.begin (), datagram.end ());
  waiting_.sizes.push_back (datagram.size);
}

UdpBatch::Outcome
UdpBatch::flush () {
  Outcome out;
  const std::vector<std::size_t> &sizes = waiting_.sizes;
  std::size_t first = 0, at = 0;
  while (first < sizes.size ()) {
    std::size_t sent = 0;
    const int error = send_some (first, at, train_at (first), &sent);
    for (; sent > 0; --sent) at += sizes[first++];
    if (error == 0) continue;
    if (is_want_of_room (error)) break;
    // What the kernel has heard of those before is told once, instead of sending. Anything else is
    // about this datagram, which is lost.
    const bool report = error == ECONNREFUSED && !std::exchange (out.refused, true);
    if (!report) at += sizes[first++];
  }
  out.unsent = sizes.size () - first;
  waiting_.bytes.clear ();
  waiting_.sizes.clear ();
  std::swap (waiting_, spare ());
  return out;
}

std::size_t
UdpBatch::train_at (std::size_t first) const {
  const std::vector<std::size_t> &sizes = waiting_.sizes;
  const std::size_t most = std::min (kMaxTrainDatagrams, sizes.size () - first);
  if (!segmented_) return most;
  std::size_t count = 1, bytes = sizes[first];
  while (count < most && sizes[first + count - 1] == sizes[first] &&
         sizes[first + count] <= sizes[first] && bytes + sizes[first + count] <= kMaxTrainBytes)
    bytes += sizes[first + count++];
  return count;
}

int
UdpBatch::send_some (std::size_t first, std::size_t at, std::size_t count, std::size_t *sent) {
  if (!segmented_ || count == 1) return send_singly (first, at, count, sent);
  std::size_t bytes = 0;
  for (std::size_t i = first; i < first + count; ++i) bytes += waiting_.sizes[i];
  const ByteView train (waiting_.bytes.data () + at, bytes);
  int error = send_train (fd_, nullptr, 0, train, waiting_.sizes[first]);
  if (error == 0) *sent = count;
  if (!may_pass_singly (error)) return error;
  error = send_singly (first, at, count, sent);
  if (error == 0) segmented_ = false;
  return error;
}

int
UdpBatch::send_singly (std::size_t first, std::size_t at, std::size_t count, std::size_t *sent) {
  std::array<iovec, kMaxTrainDatagrams> vectors;
  std::array<mmsghdr, kMaxTrainDatagrams> messages{};
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {waiting_.bytes.data () + at, waiting_.sizes[first + i]};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    at += waiting_.sizes[first + i];
  }
  while (*sent < count) {
    const int taken = sendmmsg (fd_, messages.data () + *sent,
                                static_cast<unsigned> (count - *sent), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0) return errno;
    *sent += static_cast<std::size_t> (taken);
  }
  return 0;
}

}  // namespace p2p::turn
