#include "ice/route_mtu.hpp"

#include <netinet/in.h>
#include <unistd.h>

namespace p2p {

std::size_t
route_mtu_bytes (sockaddr_storage local, const sockaddr_storage &remote) {
  const bool six = remote.ss_family == AF_INET6;
  const socklen_t bytes = six ? sizeof (sockaddr_in6) : sizeof (sockaddr_in);
  if (local.ss_family != remote.ss_family) return 0;
  // Only a connected socket has a route, and libnice's must not be connected.
  const int fd = socket (remote.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  if (six)
    reinterpret_cast<sockaddr_in6 &> (local).sin6_port = 0;
  else
    reinterpret_cast<sockaddr_in &> (local).sin_port = 0;
  int mtu = 0;
  socklen_t mtu_bytes = sizeof mtu;
  const bool known = bind (fd, reinterpret_cast<const sockaddr *> (&local), bytes) == 0 &&
                     connect (fd, reinterpret_cast<const sockaddr *> (&remote), bytes) == 0 &&
                     getsockopt (fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MTU : IP_MTU, &mtu,
                                 &mtu_bytes) == 0;
  close (fd);
  return known && mtu > 0 ? static_cast<std::size_t> (mtu) : 0;
}

}  // namespace p2p
