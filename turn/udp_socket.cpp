#include "turn/udp_socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace p2p::turn {

namespace {

constexpr int kBufferBytes = 4 * 1024 * 1024;  // the kernel gives as much as it may
constexpr std::size_t kUdpHeaderBytes = 8;

Ref<GSocketAddress>
socket_address (const Address &address) {
  socklen_t size = 0;
  sockaddr_storage storage = address.to_sockaddr (&size);
  return Ref<GSocketAddress>::adopt (g_socket_address_new_from_native (&storage, size));
}

}  // namespace

Ref<GSocket>
open_udp_socket (const Address &to, const std::optional<Address> &local, std::string *why) {
  GError *raw = nullptr;
  auto socket = Ref<GSocket>::adopt (
      g_socket_new (to.family == Family::ipv4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6,
                    G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, &raw));
  bool good = static_cast<bool> (socket);
  if (good) g_socket_set_blocking (socket.get (), FALSE);
  if (good && local && local->family == to.family)
    good = g_socket_bind (socket.get (), socket_address (*local).get (), FALSE, &raw);
  if (good) good = g_socket_connect (socket.get (), socket_address (to).get (), nullptr, &raw);
  const UniqueError error (raw);
  if (good) return socket;
  *why = to.text () + ": " + (error ? error->message : "no socket");
  return {};
}

void
widen_buffers (GSocket *socket) {
  for (const int which : {SO_RCVBUF, SO_SNDBUF})
    setsockopt (g_socket_get_fd (socket), SOL_SOCKET, which, &kBufferBytes, sizeof kBufferBytes);
}

std::size_t
max_payload_bytes (GSocket *socket) {
  const bool ipv4 = g_socket_get_family (socket) == G_SOCKET_FAMILY_IPV4;
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (getsockopt (g_socket_get_fd (socket), ipv4 ? IPPROTO_IP : IPPROTO_IPV6,
                  ipv4 ? IP_MTU : IPV6_MTU, &mtu, &size) != 0)
    mtu = 1280;  // RFC 8200 section 5
  const std::size_t headers = (ipv4 ? 20U : 40U) + kUdpHeaderBytes;
  return static_cast<std::size_t> (std::clamp (mtu, 576, 65535)) - headers;
}

}  // namespace p2p::turn
