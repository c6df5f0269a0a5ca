#include "rendezvous/sockets.hpp"

#include <netinet/in.h>

#include <algorithm>

namespace p2p {

namespace {

constexpr int kBacklog = 1024;
constexpr std::uint16_t kDefaultPort = 7480;
// A free TCP port may be in use over UDP; another one is tried.
constexpr int kPortAttempts = 16;

Ref<GSocket>
bound_socket (GSocketType type, GInetAddress *host, std::uint16_t port, GError **error) {
  const GSocketFamily family = g_inet_address_get_family (host);
  auto socket = Ref<GSocket>::adopt (g_socket_new (family, type, G_SOCKET_PROTOCOL_DEFAULT, error));
  if (!socket) return {};
  g_socket_set_blocking (socket.get (), FALSE);
  // Both 0.0.0.0 and [::] can be listened on, whatever the system's default is.
  if (family == G_SOCKET_FAMILY_IPV6)
    g_socket_set_option (socket.get (), IPPROTO_IPV6, IPV6_V6ONLY, 1, nullptr);
  const auto address = Ref<GSocketAddress>::adopt (g_inet_socket_address_new (host, port));
  // Reuse of a TCP address is for restarts; of a UDP one it would share the port with others.
  if (!g_socket_bind (socket.get (), address.get (), type == G_SOCKET_TYPE_STREAM, error))
    return {};
  return socket;
}

std::string
local_address (GSocket *socket, std::uint16_t &port) {
  const auto address = Ref<GSocketAddress>::adopt (g_socket_get_local_address (socket, nullptr));
  if (!address) return {};
  auto *inet = G_INET_SOCKET_ADDRESS (address.get ());
  port = g_inet_socket_address_get_port (inet);
  GInetAddress *host = g_inet_socket_address_get_address (inet);
  const UniqueChars text (g_inet_address_to_string (host));
  const bool ipv6 = g_inet_address_get_family (host) == G_SOCKET_FAMILY_IPV6;
  return (ipv6 ? "[" + std::string (text.get ()) + "]" : text.get ()) + ":" + std::to_string (port);
}

}  // namespace

Result<ListeningPair>
listen_on (const std::string &text, bool with_udp) {
  GError *raw = nullptr;
  const auto parsed =
      Ref<GSocketConnectable>::adopt (g_network_address_parse (text.c_str (), kDefaultPort, &raw));
  UniqueError error (raw);
  Ref<GInetAddress> host;
  if (parsed)
    host = Ref<GInetAddress>::adopt (g_inet_address_new_from_string (
        g_network_address_get_hostname (G_NETWORK_ADDRESS (parsed.get ()))));
  if (!host)
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "--listen " + text +
                     " must be ADDRESS:PORT or [ADDRESS]:PORT with a numeric "
                     "address, such as 0.0.0.0:7480."};
  const std::uint16_t wanted = g_network_address_get_port (G_NETWORK_ADDRESS (parsed.get ()));
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    ListeningPair pair;
    raw = nullptr;
    pair.tcp = bound_socket (G_SOCKET_TYPE_STREAM, host.get (), wanted, &raw);
    if (pair.tcp) {
      g_socket_set_listen_backlog (pair.tcp.get (), kBacklog);
      pair.address = local_address (pair.tcp.get (), pair.port);
      if (with_udp) pair.udp = bound_socket (G_SOCKET_TYPE_DATAGRAM, host.get (), pair.port, &raw);
      if ((pair.udp || !with_udp) && g_socket_listen (pair.tcp.get (), &raw)) return pair;
    }
    error.reset (raw);
    if (wanted != 0 || !pair.tcp) break;
  }
  return Error{P2P_ERROR_FAILED,
               "Cannot listen on " + text + ": " + (error ? error->message : "no free port") + "."};
}

std::string
source_of (GSocketAddress *remote) {
  if (!G_IS_INET_SOCKET_ADDRESS (remote)) return {};
  GInetAddress *host = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (remote));
  if (g_inet_address_get_family (host) != G_SOCKET_FAMILY_IPV6) {
    const UniqueChars text (g_inet_address_to_string (host));
    return text.get ();
  }
  guint8 prefix[16] = {};
  std::copy_n (g_inet_address_to_bytes (host), 8, prefix);
  const auto network =
      Ref<GInetAddress>::adopt (g_inet_address_new_from_bytes (prefix, G_SOCKET_FAMILY_IPV6));
  const UniqueChars text (g_inet_address_to_string (network.get ()));
  return std::string (text.get ()) + "/64";
}

}  // namespace p2p
