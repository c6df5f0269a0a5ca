// A socket that takes everything and says nothing, until it is closed.
#pragma once
#include <gio/gio.h>
#include <gtest/gtest.h>

#include "base/ptr.hpp"
#include "turn/address.hpp"

namespace p2p::test {

inline Ref<GSocket>
silent_socket (turn::Address *where) {
  auto socket = Ref<GSocket>::adopt (
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
  const auto any =
      Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string ("127.0.0.1", 0));
  EXPECT_TRUE (g_socket_bind (socket.get (), any.get (), FALSE, nullptr));
  const auto bound =
      Ref<GSocketAddress>::adopt (g_socket_get_local_address (socket.get (), nullptr));
  *where = *turn::Address::parse (
      "127.0.0.1", g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound.get ())));
  return socket;
}

}  // namespace p2p::test
