#include "udp_forwarder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "../support/loopback.hpp"
#include "base/loop_thread.hpp"

namespace p2p::test {

namespace {

std::string
candidate (std::uint16_t port) {
  return "candidate:1 1 UDP 2130706431 127.0.0.1 " + std::to_string (port) + " typ host";
}

}  // namespace

UdpForwarder::UdpForwarder () : inner_end_ (loopback (0)), outer_end_ (loopback (0)) {
  open (inner_);
  open (outer_);
}

UdpForwarder::~UdpForwarder () {
  close (inner_);
  close (outer_);
  for (Side &side : retired_) close (side);
}

void
UdpForwarder::open (Side &side) {
  side.fd = socket (AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback (0);
  socklen_t bytes = sizeof address;
  auto *raw = reinterpret_cast<sockaddr *> (&address);
  ASSERT_EQ (bind (side.fd, raw, bytes), 0);
  ASSERT_EQ (getsockname (side.fd, raw, &bytes), 0);
  side.port = ntohs (address.sin_port);
  side.watch = std::make_unique<FdWatch> (core_loop ().context (), side.fd, G_IO_IN,
                                          [this, &side] (GIOCondition) { forward (side); });
}

void
UdpForwarder::close (Side &side) {
  side.watch.reset ();
  ::close (side.fd);
}

void
UdpForwarder::rebind () {
  // An old one stays bound, deaf: its port, given again, would be an address that the peer knows.
  outer_.watch.reset ();
  retired_.push_back (std::exchange (outer_, Side ()));
  open (outer_);
}

void
UdpForwarder::forward (Side &from) {
  std::array<std::uint8_t, 65536> bytes;
  sockaddr_in source{};
  socklen_t source_bytes = sizeof source;
  const ssize_t size = recvfrom (from.fd, bytes.data (), bytes.size (), 0,
                                 reinterpret_cast<sockaddr *> (&source), &source_bytes);
  if (size < 0) return;
  const bool inside = &from == &inner_;
  if (inside) {
    inner_end_ = source;
    if (size > 0 && bytes[0] > 3) ++data_sent_;
  }
  if (!inside && inward_closed_) return;
  sockaddr_in to = inside ? outer_end_ : inner_end_;
  iovec vector = {bytes.data (), static_cast<std::size_t> (size)};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  // What does not arrive is lost, as on a wire.
  if (sendmsg (inside ? outer_.fd : inner_.fd, &message, 0) < 0) return;
}

std::string
UdpForwarder::inner_candidate () const {
  return candidate (inner_.port);
}

std::string
UdpForwarder::outer_candidate () const {
  return candidate (outer_.port);
}

}  // namespace p2p::test
