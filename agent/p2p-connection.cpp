// The functions of P2pConnection.
#include "boxes.hpp"
#include "connection_events.hpp"
#include "connection_stats.hpp"
#include "private.hpp"

using p2p::ConnectionEvents;
using p2p::Ref;

static bool
is_connection (P2pConnection *self) {
  return P2P_IS_CONNECTION (self) && p2p::connection_core (self);
}

static p2p::ConnectionCore &
core (P2pConnection *self) {
  return *p2p::connection_core (self);
}

void
p2p::connection_return_when_connected (P2pConnection *connection, Ref<GTask> task) {
  connection_events (connection)->wait (ConnectionEvents::Until::connected, std::move (task));
}

/**
 * p2p_connection_get_peer:
 * @self: a connection
 *
 * The id of the peer.
 *
 * Returns: the id
 *
 * Since: 1.0
 */
const char *
p2p_connection_get_peer (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return core (self).peer ().c_str ();
}

/**
 * p2p_connection_get_state:
 * @self: a connection
 *
 * Where the connection is in its life, at this moment.
 *
 * Returns: the state
 *
 * Since: 1.0
 */
P2pConnectionState
p2p_connection_get_state (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), P2P_CONNECTION_STATE_REMOVED);
  return core (self).snapshot ().state;
}

/**
 * p2p_connection_dup_state_reason:
 * @self: a connection
 *
 * Why the connection is in its state, for people: "waiting for bob to come".
 *
 * Returns: (transfer full): the reason
 *
 * Since: 1.0
 */
char *
p2p_connection_dup_state_reason (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return g_strdup (core (self).snapshot ().reason.c_str ());
}

/**
 * p2p_connection_get_break_reason:
 * @self: a connection
 *
 * Why the connection is broken, at this moment.
 *
 * Returns: the reason; %P2P_BREAK_REASON_NONE unless it is broken
 *
 * Since: 1.0
 */
P2pBreakReason
p2p_connection_get_break_reason (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), P2P_BREAK_REASON_NONE);
  return core (self).snapshot ().break_reason;
}

/**
 * p2p_connection_dup_error:
 * @self: a connection
 *
 * Why the connection was removed.
 *
 * Returns: (transfer full) (nullable): the error, or %NULL while it lives and after an orderly
 * close
 *
 * Since: 1.0
 */
GError *
p2p_connection_dup_error (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  const p2p::Status error = core (self).snapshot ().error;
  return error ? error->to_gerror () : nullptr;
}

/**
 * p2p_connection_get_authentication:
 * @self: a connection
 *
 * How the peer has proved who it is; certain once the connection is connected.
 *
 * Returns: the kind of proof
 *
 * Since: 1.0
 */
P2pAuthentication
p2p_connection_get_authentication (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), P2P_AUTHENTICATION_SIGNALING);
  return core (self).snapshot ().authentication;
}

/**
 * p2p_connection_dup_peer_fingerprint:
 * @self: a connection
 *
 * The fingerprint of the peer's certificate, "sha-256 AB:CD:…".
 *
 * Returns: (transfer full) (nullable): the fingerprint, or %NULL before it is known
 *
 * Since: 1.0
 */
char *
p2p_connection_dup_peer_fingerprint (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return g_strdup (p2p::or_null (core (self).snapshot ().peer_fingerprint));
}

/**
 * p2p_connection_get_session_state:
 * @self: a connection
 *
 * What the session store keeps of this connection, without its secrets: a JSON object with
 * `session` (both identities, the id of the session, its epoch, the configurations of both sides
 * and the pair of candidates in use), `relays` (allocations of this side: server, realm, relayed
 * and mapped address, lifetime and what is left of it in seconds, and why it was lost, if it was)
 * and `channels` (options, and the numbers of the next messages of both directions: `sent`,
 * `sent-confirmed`, `received`, `received-confirmed`). Numbers of 64 bits are strings.
 *
 * Returns: (transfer full) (nullable): JSON text, or %NULL while nothing is kept
 *
 * Since: 1.0
 */
char *
p2p_connection_get_session_state (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return g_strdup (p2p::or_null (core (self).session_state ()));
}

/**
 * p2p_connection_get_stats:
 * @self: a connection
 *
 * Figures of the connection, a dictionary. Always there:
 *
 * - `peer` (s), `state` (s: "incoming", "connecting", "connected", "broken", "removed"), `reason`
 *   (s), `authentication` (s: "signaling", "fingerprint", "secret")
 * - `rtt-us`, `min-rtt-us` (x): smoothed and smallest round trip time
 * - `bytes-sent`, `bytes-received`, `packets-sent`, `packets-received`, `packets-lost`,
 *   `packets-dropped` (received, and treated as lost so that no stream has too many holes),
 *   `datagrams-dropped` (t): of the transport, all channels together
 * - `congestion-window-bytes`, `bytes-in-flight`, `packet-bytes` (t)
 * - `connect-took-ms`, `connected-for-ms` (x), `signals-rejected` (t): signaling messages that were
 *   malformed, not authentic or untimely
 * - `path-datagrams-dropped` (t): datagrams that a [iface@P2p.Path] in use did not take, or brought
 *   faster than they were taken
 * - `relay-datagrams-dropped`, `relay-peers-refused` (t): of the TURN relays of this side:
 * datagrams that found no room or no permission, and addresses of the peer that no relay is asked
 * for
 * - `relays-allocated`, `relays-lost` (t): TURN relays that this side has now, and those among its
 *   ways that were lost
 * - `relay-standby` (b): whether another relay is ready for the one in use; `relay-standbys-built`,
 *   `relay-standbys-lost`, `relay-standbys-failed` (t): how often one came, went, and was looked
 * for in vain
 * - `path-attempts` (as): one sentence for each path that was tried
 * - `break-reason` (s: "none", "silence", "network-down", "peer", "relay-lost", "transport"): why
 * it is broken, while it is
 * - `breaks` (t): how often it broke; `last-outage-ms` (x): how long the last break took that has
 *   ended
 * - `ping-rtt-us`, `ping-smoothed-rtt-us`, `ping-min-rtt-us`, `ping-jitter-us` (x): round trips of
 *   pings on the path in use, the last one, smoothed, the smallest, and how much they vary (RFC
 * 3550 section 6.4.1); 0 before the first answer, and not changed while traffic makes pings
 * needless
 * - `pings-sent`, `pongs-received`, `pings-lost` (t): pings, their answers, and those that were not
 *   answered in time; `ping-loss` (d): the lost part of the last 64, 0 to 1
 *
 * And once they are known: `peer-fingerprint` (s), `cipher` (s), `congestion-control` (s),
 * `path-kind` (s: "ice", "memory" or the name of a factory), `path-engine` (s: how ICE's datagrams
 * are moved, such as "segmentation, coalescing, own socket" or "libnice"), `local-candidate`,
 * `remote-candidate` (s), `relayed` (b).
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
p2p_connection_get_stats (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return p2p::connection_stats_to_variant (core (self).peer (), core (self).stats ());
}

static P2pNetworkConfig *
box (const std::optional<p2p::NetworkConfig> &config) {
  return config ? p2p::network_config_box_new (*config) : nullptr;
}

/**
 * p2p_connection_dup_local_config:
 * @self: a connection
 *
 * How this side can be reached, as far as it is known now.
 *
 * Returns: (transfer full) (nullable): the configuration, or %NULL before there is one
 *
 * Since: 1.0
 */
P2pNetworkConfig *
p2p_connection_dup_local_config (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return box (core (self).snapshot ().local_config);
}

/**
 * p2p_connection_dup_remote_config:
 * @self: a connection
 *
 * How the peer can be reached, as far as it is known now.
 *
 * Returns: (transfer full) (nullable): the configuration, or %NULL before there is one
 *
 * Since: 1.0
 */
P2pNetworkConfig *
p2p_connection_dup_remote_config (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return box (core (self).snapshot ().remote_config);
}

/**
 * p2p_connection_update_remote_config:
 * @self: a connection
 * @config: the peer's configuration, or more of it
 *
 * Takes in the peer's configuration, or more candidates of it, that came by other ways than the
 * agent's signaling.
 *
 * Returns: %TRUE when it was taken, %FALSE with an error when it does not fit the connection
 *
 * Since: 1.0
 */
gboolean
p2p_connection_update_remote_config (P2pConnection *self, P2pNetworkConfig *config,
                                     GError **error) {
  g_return_val_if_fail (is_connection (self) && config, FALSE);
  return p2p::answer (core (self).update_remote_config (config->content), false, error);
}

/**
 * p2p_connection_accept:
 * @self: an incoming connection
 *
 * Lets the peer in. No effect on a connection in another state.
 *
 * Since: 1.0
 */
void
p2p_connection_accept (P2pConnection *self) {
  g_return_if_fail (is_connection (self));
  core (self).accept ();
}

/**
 * p2p_connection_refuse:
 * @self: an incoming connection
 * @reason: (nullable): why, told to the peer
 *
 * Turns the peer away, which gets %P2P_ERROR_REFUSED. No effect on a connection in another state.
 *
 * Since: 1.0
 */
void
p2p_connection_refuse (P2pConnection *self, const char *reason) {
  g_return_if_fail (is_connection (self));
  core (self).refuse (p2p::from_nullable (reason));
}

/**
 * p2p_connection_wait_connected:
 * @self: a connection
 * @cancellable: (nullable): to end the wait from another thread
 *
 * Waits until the connection is up. It may wait for ever, when the peer never comes; a thread that
 * runs the agent's main context stays deaf meanwhile. For a broken connection it waits until that
 * is restored or removed.
 *
 * Returns: %TRUE when it is up, %FALSE with the error that removed it
 *
 * Since: 1.0
 */
gboolean
p2p_connection_wait_connected (P2pConnection *self, GCancellable *cancellable, GError **error) {
  g_return_val_if_fail (is_connection (self), FALSE);
  bool cancelled = false;
  const p2p::Status status =
      p2p::connection_events (self)->wait_connected (cancellable, &cancelled);
  return p2p::answer (status, cancelled, error);
}

/**
 * p2p_connection_open_channel:
 * @self: a connection
 * @name: a name of 1 to 255 bytes of UTF-8, unique in the connection
 * @options: (nullable): %NULL is a reliable, ordered channel
 *
 * Opens the channel of that name, or finds it when it was opened before. Each side sends with the
 * options with which it has opened the channel; a side that has not, and takes it from
 * [signal@P2p.Connection::channel-opened], with those of its peer. Once it is open on this side, or
 * something was sent, @options count no more. It can be used at once, before the connection is up.
 *
 * Returns: (transfer full): the channel, or %NULL with an error
 *
 * Since: 1.0
 */
P2pChannel *
p2p_connection_open_channel (P2pConnection *self, const char *name, P2pChannelOptions *options,
                             GError **error) {
  g_return_val_if_fail (is_connection (self) && name, nullptr);
  const auto port =
      core (self).open_channel (name, options ? options->content : p2p::ChannelOptions{});
  if (port.ok ()) return p2p::connection_channel (self, port.value ()).leak ();
  p2p::throw_error (port.error (), error);
  return nullptr;
}

/**
 * p2p_connection_lookup_channel:
 * @self: a connection
 * @name: a name
 *
 * The open channel of that name.
 *
 * Returns: (transfer full) (nullable): the channel, or %NULL when there is none
 *
 * Since: 1.0
 */
P2pChannel *
p2p_connection_lookup_channel (P2pConnection *self, const char *name) {
  g_return_val_if_fail (is_connection (self) && name, nullptr);
  const auto port = core (self).lookup_channel (name);
  return port ? p2p::connection_channel (self, port).leak () : nullptr;
}

/**
 * p2p_connection_get_channels:
 * @self: a connection
 *
 * The open channels, a list of [class@P2p.Channel] that changes in the agent's main context.
 *
 * Returns: (transfer none): the list
 *
 * Since: 1.0
 */
GListModel *
p2p_connection_get_channels (P2pConnection *self) {
  g_return_val_if_fail (P2P_IS_CONNECTION (self), nullptr);
  return p2p::connection_channels (self);
}

/**
 * p2p_connection_close:
 * @self: a connection
 *
 * Closes the connection and tells the peer. What was not flushed is dropped.
 *
 * Since: 1.0
 */
void
p2p_connection_close (P2pConnection *self) {
  g_return_if_fail (is_connection (self));
  core (self).close ();
}

/**
 * p2p_connection_close_async:
 * @self: a connection
 * @cancellable: (nullable): to stop waiting; the connection is closed all the same
 * @callback: (scope async) (nullable): called when the connection is removed
 * @user_data: for @callback
 *
 * [method@P2p.Connection.close], and tells when it is done.
 *
 * Since: 1.0
 */
void
p2p_connection_close_async (P2pConnection *self, GCancellable *cancellable,
                            GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (is_connection (self));
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, reinterpret_cast<gpointer> (p2p_connection_close_async));
  core (self).close ();
  p2p::connection_events (self)->wait (ConnectionEvents::Until::removed, Ref<GTask>::adopt (task));
}

/**
 * p2p_connection_close_finish:
 * @self: a connection
 * @result: what the callback got
 *
 * Finishes [method@P2p.Connection.close_async].
 *
 * Returns: %TRUE when the connection is removed, %FALSE with an error when the wait was cancelled
 *
 * Since: 1.0
 */
gboolean
p2p_connection_close_finish (P2pConnection *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (is_connection (self) && g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}
