// The functions of P2pTurnClient.
#include "turn/server_uri.hpp"
#include "turn_client_class.hpp"

using p2p::TurnSession;
using Private = p2p::TurnClientPrivate;

/**
 * P2pTurnClient:
 *
 * A client of TURN servers (RFC 8656), for those who need a relay without ICE: it gets a relayed
 * address in the internet, to which peers send and from which it sends to them.
 *
 * Name servers with [method@P2p.TurnClient.add_turn_server], get the address with
 * [method@P2p.TurnClient.allocate_async], name the peers with [method@P2p.TurnClient.add_peer], and
 * send with [method@P2p.TurnClient.send]. What peers send comes by
 * [signal@P2p.TurnClient::received], to all handlers, and by [method@P2p.TurnClient.receive_async].
 * It is unreliable and in any order, as UDP is, also where the server is reached over TCP or TLS.
 *
 * Whatever goes wrong with the allocation is told by [signal@P2p.TurnClient::bad-network] with its
 * reason; another allocation is then made, at another server if need be, and told by
 * [signal@P2p.TurnClient::recovered]: the peers stay, what was sent meanwhile is sent then, and
 * [property@P2p.TurnClient:relayed-address] may be another one. Only when everything was tried
 * again and again there is [signal@P2p.TurnClient::failed].
 *
 * Signals are emitted in the main context that was the thread's default where the object was made.
 * Methods may be called from any thread and do not wait, but for
 * [method@P2p.TurnClient.get_stats]. End with [method@P2p.TurnClient.close_async]; the last
 * reference releases the allocation as well, without knowing whether the server heard of it.
 *
 * Since: 1.0
 */

namespace {

p2p::turn::RelayConfig
make_config (Private &priv) {
  p2p::turn::RelayConfig out;
  out.client.servers = priv.servers;
  for (auto &server : out.client.servers)
    if (server.credentials.user.empty ()) server.credentials = priv.credentials;
  out.client.wishes.both_families = priv.both_families;
  if (priv.family != G_SOCKET_FAMILY_INVALID)
    out.client.wishes.family =
        priv.family == G_SOCKET_FAMILY_IPV6 ? p2p::turn::Family::ipv6 : p2p::turn::Family::ipv4;
  out.client.wishes.dont_fragment = priv.dont_fragment;
  out.client.wishes.mobility = priv.mobility;
  out.client.policy.allow_private = priv.allow_private || p2p::turn::machine_is_private ();
  out.connector.tls_database = priv.tls_database;
  return out;
}

// The address of a peer, or an error: never both, never none.
std::optional<p2p::turn::Address>
peer_address (GSocketAddress *peer, GError **error) {
  auto address = p2p::turn_address (peer);
  if (!address)
    p2p::throw_error ({P2P_ERROR_INVALID_ARGUMENT, "A peer must have an IPv4 or an IPv6 address."},
                      error);
  return address;
}

}  // namespace

/**
 * p2p_turn_client_new:
 *
 * A client without a server; nothing is sent before it is asked to allocate.
 *
 * Makes a client that has no server yet. Its signals are emitted in the main context that is the
 * thread's default now.
 *
 * Returns: (transfer full): a new client
 *
 * Since: 1.0
 */
P2pTurnClient *
p2p_turn_client_new (void) {
  return P2P_TURN_CLIENT (g_object_new (P2P_TYPE_TURN_CLIENT, nullptr));
}

/**
 * p2p_turn_client_add_turn_server:
 * @self: a client
 * @uri: "turn:" or "turns:", as RFC 7065 writes it, or with "//user:password@" before the host,
 * each percent-encoded: "turn://user:password@example.org:3478?transport=udp"
 *
 * Adds a server, which is asked where those before it have failed. "transport=tcp" is TURN over
 * TCP, "turns:" TLS over TCP, and DTLS with "transport=udp"; the certificate must be that of the
 * host. A URI without user and password takes those of [method@P2p.TurnClient.set_credentials].
 *
 * Returns: %FALSE with an error when the URI is malformed, or when the client is running
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_add_turn_server (P2pTurnClient *self, const char *uri, GError **error) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self) && uri, FALSE);
  auto server = p2p::turn::parse_server_uri (uri);
  if (!server) {
    p2p::throw_error (server.error (), error);
    return FALSE;
  }
  const std::lock_guard lock (self->priv->mutex);
  if (self->priv->running) {
    p2p::throw_error ({P2P_ERROR_INVALID_ARGUMENT,
                       "The TURN client is running; add its servers before it allocates."},
                      error);
    return FALSE;
  }
  self->priv->servers.push_back (std::move (*server));
  return TRUE;
}

/**
 * p2p_turn_client_set_credentials:
 * @self: a client
 * @user: the user
 * @password: the password
 *
 * User and password for servers whose URI has none; after
 * [signal@P2p.TurnClient::credentials-wanted] for the server that wanted others.
 *
 * Since: 1.0
 */
void
p2p_turn_client_set_credentials (P2pTurnClient *self, const char *user, const char *password) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self) && user && password);
  Private &priv = *self->priv;
  {
    const std::lock_guard lock (priv.mutex);
    priv.credentials = {user, password};
    if (!priv.running) return;
  }
  priv.session->set_credentials ({user, password});
}

/**
 * p2p_turn_client_allocate_async:
 * @self: a client
 * @cancellable: (nullable): ends the waiting, not the client
 * @callback: (scope async): called when the relayed address is there
 * @user_data: for @callback
 *
 * Begins, if it has not begun, and waits for an allocation.
 *
 * Since: 1.0
 */
void
p2p_turn_client_allocate_async (P2pTurnClient *self, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  auto task = p2p::Ref<GTask>::adopt (g_task_new (self, cancellable, callback, user_data));
  g_task_set_source_tag (task.get (), reinterpret_cast<gpointer> (p2p_turn_client_allocate_async));
  Private &priv = *self->priv;
  p2p::turn::RelayConfig config;
  bool begin = false;
  {
    const std::lock_guard lock (priv.mutex);
    if (priv.servers.empty ()) {
      g_task_return_new_error (task.get (), P2P_ERROR, P2P_ERROR_INVALID_ARGUMENT,
                               "The TURN client has no server; add one first.");
      return;
    }
    begin = !priv.running;
    if (begin) config = make_config (priv);
    priv.running = true;
  }
  if (begin) priv.session->start (std::move (config));
  priv.session->wait_allocated (std::move (task));
}

/**
 * p2p_turn_client_allocate_finish:
 * @self: a client
 * @result: what the callback got
 *
 * Finishes [method@P2p.TurnClient.allocate_async].
 *
 * Returns: %FALSE with an error when no server gave a relay
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_allocate_finish (P2pTurnClient *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * p2p_turn_client_reset:
 * @self: a client
 *
 * Releases the allocation and makes another one, from the first server on: also after
 * [signal@P2p.TurnClient::failed]. The peers stay.
 *
 * Since: 1.0
 */
void
p2p_turn_client_reset (P2pTurnClient *self) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  self->priv->session->reset ();
}

/**
 * p2p_turn_client_close_async:
 * @self: a client
 * @cancellable: (nullable): ends the waiting, not the closing
 * @callback: (scope async): called when the allocation is released, or a second has gone by
 * @user_data: for @callback
 *
 * Releases the allocation and ends the client for good.
 *
 * Since: 1.0
 */
void
p2p_turn_client_close_async (P2pTurnClient *self, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  auto task = p2p::Ref<GTask>::adopt (g_task_new (self, cancellable, callback, user_data));
  g_task_set_source_tag (task.get (), reinterpret_cast<gpointer> (p2p_turn_client_close_async));
  self->priv->session->close (std::move (task));
}

/**
 * p2p_turn_client_close_finish:
 * @self: a client
 * @result: what the callback got
 *
 * Finishes [method@P2p.TurnClient.close_async].
 *
 * Returns: %FALSE with an error when the waiting was cancelled
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_close_finish (P2pTurnClient *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * p2p_turn_client_is_allocated:
 * @self: a client
 *
 * Whether there is a relay now.
 *
 * Returns: whether there is an allocation now
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_is_allocated (P2pTurnClient *self) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), FALSE);
  return self->priv->session->allocated ();
}

/**
 * p2p_turn_client_get_relayed_address:
 * @self: a client
 * @family: of this family, or %G_SOCKET_FAMILY_INVALID for the first
 *
 * Where peers send to. While another allocation is being made it is the one that was lost.
 *
 * Returns: (transfer full) (nullable): the relayed address, %NULL when there is none
 *
 * Since: 1.0
 */
GSocketAddress *
p2p_turn_client_get_relayed_address (P2pTurnClient *self, GSocketFamily family) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), nullptr);
  for (const auto &address : self->priv->session->relayed ()) {
    const bool ipv4 = address.family == p2p::turn::Family::ipv4;
    if (family == G_SOCKET_FAMILY_INVALID ||
        family == (ipv4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6))
      return p2p::turn_socket_address (address);
  }
  return nullptr;
}

/**
 * p2p_turn_client_get_max_datagram_size:
 * @self: a client
 *
 * The longest datagram that [method@P2p.TurnClient.send] takes, which depends on the way to the
 * relay.
 *
 * Returns: what [method@P2p.TurnClient.send] takes at most, in bytes
 *
 * Since: 1.0
 */
guint
p2p_turn_client_get_max_datagram_size (P2pTurnClient *self) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), 0);
  return static_cast<guint> (self->priv->session->max_datagram_bytes ());
}

/**
 * p2p_turn_client_add_peer:
 * @self: a client
 * @peer: where the peer is, as the server sees it
 *
 * Asks the server to relay for this peer. It stays one across losses of the allocation.
 *
 * Returns: %FALSE with an error when the address is of a kind for which no relay is asked
 *   (%P2P_ERROR_REFUSED), or when there are too many
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_add_peer (P2pTurnClient *self, GSocketAddress *peer, GError **error) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self) && G_IS_SOCKET_ADDRESS (peer), FALSE);
  const auto address = peer_address (peer, error);
  return address && p2p::answer (self->priv->session->add_peer (*address), false, error);
}

/**
 * p2p_turn_client_remove_peer:
 * @self: a client
 * @peer: a peer that was added
 *
 * Forgets the peer: what it sends is dropped. The server's permission runs out within five minutes.
 *
 * Since: 1.0
 */
void
p2p_turn_client_remove_peer (P2pTurnClient *self, GSocketAddress *peer) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self) && G_IS_SOCKET_ADDRESS (peer));
  if (const auto address = p2p::turn_address (peer)) self->priv->session->remove_peer (*address);
}

/**
 * p2p_turn_client_send:
 * @self: a client
 * @peer: a peer that was added
 * @datagram: what to send
 *
 * Sends a datagram, or lets it wait until the server permits the peer. It does not block, and may
 * be lost on the way as any datagram.
 *
 * Returns: %FALSE with an error: %P2P_ERROR_MESSAGE_TOO_LARGE beyond
 *   [property@P2p.TurnClient:max-datagram-size], %P2P_ERROR_WOULD_BLOCK when too much waits,
 *   %P2P_ERROR_REFUSED when the server refused the peer, %P2P_ERROR_NOT_FOUND for a peer that was
 * not added
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_send (P2pTurnClient *self, GSocketAddress *peer, GBytes *datagram, GError **error) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self) && G_IS_SOCKET_ADDRESS (peer) && datagram, FALSE);
  const auto address = peer_address (peer, error);
  return address && p2p::answer (self->priv->session->send (*address, datagram), false, error);
}

/**
 * p2p_turn_client_receive_async:
 * @self: a client
 * @cancellable: (nullable): ends the waiting
 * @callback: (scope async): called with the next datagram
 * @user_data: for @callback
 *
 * Waits for the next datagram. From the first call on datagrams are kept for the calls to come, up
 * to 4 MiB; those that find no room are dropped and counted. Each goes to one call, and to all
 * handlers of [signal@P2p.TurnClient::received].
 *
 * Since: 1.0
 */
void
p2p_turn_client_receive_async (P2pTurnClient *self, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  auto task = p2p::Ref<GTask>::adopt (g_task_new (self, cancellable, callback, user_data));
  g_task_set_source_tag (task.get (), reinterpret_cast<gpointer> (p2p_turn_client_receive_async));
  self->priv->session->receive (std::move (task));
}

/**
 * p2p_turn_client_receive_finish:
 * @self: a client
 * @result: what the callback got
 * @peer: (out) (optional) (transfer full): who sent it
 *
 * Finishes [method@P2p.TurnClient.receive_async].
 *
 * Returns: (transfer full): the datagram, or %NULL with an error
 *
 * Since: 1.0
 */
GBytes *
p2p_turn_client_receive_finish (P2pTurnClient *self, GAsyncResult *result, GSocketAddress **peer,
                                GError **error) {
  g_return_val_if_fail (g_task_is_valid (result, self), nullptr);
  const std::unique_ptr<TurnSession::Datagram> datagram (
      static_cast<TurnSession::Datagram *> (g_task_propagate_pointer (G_TASK (result), error)));
  if (!datagram) return nullptr;
  if (peer) *peer = p2p::turn_socket_address (datagram->peer);
  return datagram->bytes.leak ();
}

/**
 * p2p_turn_client_get_stats:
 * @self: a client
 *
 * Counts since the beginning, a dictionary of `uint64`: `datagrams-sent`, `bytes-sent`,
 * `datagrams-received`, `bytes-received`, `dropped-sends`, `dropped-receives`, `refused-peers` (by
 * policy), `allocations`, `losses`, `repeated-requests`, `rejected-answers` (not signed by the
 * server), `malformed`; and `server`, a string: the server in use, without credentials.
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
p2p_turn_client_get_stats (P2pTurnClient *self) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), nullptr);
  const TurnSession::Counters counters = self->priv->session->counters ();
  const p2p::turn::PeerStats &peers = counters.relay.peers;
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  const auto add = [&builder] (const char *key, std::uint64_t value) {
    g_variant_builder_add (&builder, "{sv}", key, g_variant_new_uint64 (value));
  };
  add ("datagrams-sent", peers.sent);
  add ("bytes-sent", peers.sent_bytes);
  add ("datagrams-received", peers.received);
  add ("bytes-received", peers.received_bytes);
  add ("dropped-sends", peers.dropped_sends + counters.dropped_sends);
  add ("dropped-receives",
       peers.dropped_receives + counters.dropped_receives + counters.dropped_pulls);
  add ("refused-peers", peers.refused_peers + counters.refused_peers);
  add ("allocations", counters.relay.allocations);
  add ("losses", counters.relay.losses);
  add ("repeated-requests", counters.relay.repeated_requests);
  add ("rejected-answers", counters.relay.rejected_answers);
  add ("malformed", counters.relay.malformed + peers.malformed);
  g_variant_builder_add (&builder, "{sv}", "server",
                         g_variant_new_string (counters.server.c_str ()));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
