#include <map>

#include "boxes.hpp"
#include "connection_events.hpp"
#include "connection_stats.hpp"
#include "private.hpp"

using p2p::ChannelPort;
using p2p::ConnectionCore;
using p2p::ConnectionEvents;
using p2p::ConnectionSnapshot;
using p2p::Ref;

namespace {

struct Private {
  std::shared_ptr<ConnectionCore> core;                       // set once
  std::shared_ptr<ConnectionEvents> events;                   // set once
  Ref<GListStore> channels;                                   // changes in the context only
  P2pConnectionState told = P2P_CONNECTION_STATE_CONNECTING;  // last state-changed; context only
  std::string told_reason;                                    // context only
  std::mutex mutex;
  // The one object of each port, until it is closed. Guarded by mutex.
  std::map<const ChannelPort *, Ref<P2pChannel>> objects;
};

enum Property : guint {
  PROP_PEER = 1,
  PROP_STATE,
  PROP_STATE_REASON,
  PROP_AUTHENTICATION,
  PROP_PEER_FINGERPRINT,
  PROP_STATS,
  PROP_LOCAL_CONFIG,
  PROP_REMOTE_CONFIG,
  PROP_CHANNELS,
  N_PROPERTIES
};
GParamSpec *properties[N_PROPERTIES];

enum Signal : guint { SIGNAL_STATE_CHANGED, SIGNAL_CHANNEL_OPENED, SIGNAL_WARNING, N_SIGNALS };
guint signals[N_SIGNALS];

}  // namespace

/**
 * P2pConnectionState:
 * @P2P_CONNECTION_STATE_INCOMING: the peer asks for it; waits for [method@P2p.Connection.accept] or
 *   [method@P2p.Connection.refuse]
 * @P2P_CONNECTION_STATE_CONNECTING: waiting for the peer, or trying paths to it
 * @P2P_CONNECTION_STATE_CONNECTED: the peer is authenticated and messages flow
 * @P2P_CONNECTION_STATE_BROKEN: the path is lost; the connection waits for another one
 * @P2P_CONNECTION_STATE_REMOVED: it has ended, for good
 *
 * Where a connection is in its life.
 *
 * Since: 1.0
 */

/**
 * P2pAuthentication:
 * @P2P_AUTHENTICATION_SIGNALING: by nothing but the meeting point's word: the connection is
 *   encrypted, and whoever runs the meeting point could have put another peer in its place
 * @P2P_AUTHENTICATION_FINGERPRINT: by its certificate, whose fingerprint was given
 * @P2P_AUTHENTICATION_SECRET: by the shared secret
 *
 * How a peer has proved who it is.
 *
 * Since: 1.0
 */

/**
 * P2pConnection:
 *
 * A connection of an agent to one peer, which carries channels.
 *
 * Every function may be called from any thread. Signals, property notifications and changes of the
 * list of channels happen in the agent's main context, in order; what the functions return is
 * current, and may be ahead of the signals.
 *
 * A connection lives as long as its agent, or until it is removed; its [class@P2p.Agent] holds a
 * reference until then.
 *
 * Since: 1.0
 */
struct _P2pConnection {
  GObject parent_instance;
  Private *priv;
};

G_DEFINE_FINAL_TYPE (P2pConnection, p2p_connection, G_TYPE_OBJECT)

static bool
is_connection (P2pConnection *self) {
  return P2P_IS_CONNECTION (self) && self->priv->core;
}

static void
p2p_connection_init (P2pConnection *self) {
  self->priv = new Private;
  self->priv->channels = Ref<GListStore>::adopt (g_list_store_new (P2P_TYPE_CHANNEL));
}

static void
p2p_connection_finalize (GObject *object) {
  delete P2P_CONNECTION (object)->priv;
  G_OBJECT_CLASS (p2p_connection_parent_class)->finalize (object);
}

static void
p2p_connection_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  P2pConnection *self = P2P_CONNECTION (object);
  if (!self->priv->core) return;
  switch (id) {
    case PROP_PEER:
      g_value_set_string (value, p2p_connection_get_peer (self));
      break;
    case PROP_STATE:
      g_value_set_enum (value, p2p_connection_get_state (self));
      break;
    case PROP_STATE_REASON:
      g_value_take_string (value, p2p_connection_dup_state_reason (self));
      break;
    case PROP_AUTHENTICATION:
      g_value_set_enum (value, p2p_connection_get_authentication (self));
      break;
    case PROP_PEER_FINGERPRINT:
      g_value_take_string (value, p2p_connection_dup_peer_fingerprint (self));
      break;
    case PROP_STATS:
      g_value_take_variant (value, p2p_connection_get_stats (self));
      break;
    case PROP_LOCAL_CONFIG:
      g_value_take_boxed (value, p2p_connection_dup_local_config (self));
      break;
    case PROP_REMOTE_CONFIG:
      g_value_take_boxed (value, p2p_connection_dup_remote_config (self));
      break;
    case PROP_CHANNELS:
      g_value_set_object (value, p2p_connection_get_channels (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
install_properties (GObjectClass *klass) {
  /**
   * P2pConnection:peer:
   *
   * The id of the peer.
   *
   * Since: 1.0
   */
  properties[PROP_PEER] =
      g_param_spec_string ("peer", "Peer", "Id of the peer", nullptr, p2p::kReadOnly);
  /**
   * P2pConnection:state:
   *
   * Where the connection is in its life.
   *
   * Since: 1.0
   */
  properties[PROP_STATE] =
      g_param_spec_enum ("state", "State", "State of the connection", P2P_TYPE_CONNECTION_STATE,
                         P2P_CONNECTION_STATE_CONNECTING, p2p::kReadOnly);
  /**
   * P2pConnection:state-reason:
   *
   * Why the connection is in its state, for people.
   *
   * Since: 1.0
   */
  properties[PROP_STATE_REASON] = g_param_spec_string (
      "state-reason", "State reason", "Why it is in its state", nullptr, p2p::kReadOnly);
  /**
   * P2pConnection:authentication:
   *
   * How the peer has proved who it is.
   *
   * Since: 1.0
   */
  properties[PROP_AUTHENTICATION] =
      g_param_spec_enum ("authentication", "Authentication", "How the peer has proved who it is",
                         P2P_TYPE_AUTHENTICATION, P2P_AUTHENTICATION_SIGNALING, p2p::kReadOnly);
  /**
   * P2pConnection:peer-fingerprint:
   *
   * The fingerprint of the peer's certificate; %NULL before it is known.
   *
   * Since: 1.0
   */
  properties[PROP_PEER_FINGERPRINT] =
      g_param_spec_string ("peer-fingerprint", "Peer fingerprint",
                           "Fingerprint of the peer's certificate", nullptr, p2p::kReadOnly);
  /**
   * P2pConnection:stats:
   *
   * What [method@P2p.Connection.get_stats] returns. Not notified.
   *
   * Since: 1.0
   */
  properties[PROP_STATS] = g_param_spec_variant ("stats", "Stats", "Figures of the connection",
                                                 G_VARIANT_TYPE_VARDICT, nullptr, p2p::kReadOnly);
  /**
   * P2pConnection:local-config:
   *
   * How this side can be reached; %NULL before it is known, and it grows while candidates are
   * gathered.
   *
   * Since: 1.0
   */
  properties[PROP_LOCAL_CONFIG] =
      g_param_spec_boxed ("local-config", "Local configuration", "How this side can be reached",
                          P2P_TYPE_NETWORK_CONFIG, p2p::kReadOnly);
  /**
   * P2pConnection:remote-config:
   *
   * How the peer can be reached; %NULL before it is known.
   *
   * Since: 1.0
   */
  properties[PROP_REMOTE_CONFIG] =
      g_param_spec_boxed ("remote-config", "Remote configuration", "How the peer can be reached",
                          P2P_TYPE_NETWORK_CONFIG, p2p::kReadOnly);
  /**
   * P2pConnection:channels:
   *
   * The open channels, a list of [class@P2p.Channel].
   *
   * Since: 1.0
   */
  properties[PROP_CHANNELS] = g_param_spec_object ("channels", "Channels", "Open channels",
                                                   G_TYPE_LIST_MODEL, p2p::kReadOnly);
  g_object_class_install_properties (klass, N_PROPERTIES, properties);
}

static void
install_signals () {
  /**
   * P2pConnection::state-changed:
   * @self: the connection
   * @state: the state that it has entered
   * @reason: why, for people
   *
   * The connection has entered another state, or the reason of its state is another. Emitted in the
   * agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_STATE_CHANGED] =
      g_signal_new ("state-changed", P2P_TYPE_CONNECTION, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, P2P_TYPE_CONNECTION_STATE, G_TYPE_STRING);
  /**
   * P2pConnection::channel-opened:
   * @self: the connection
   * @channel: the channel
   *
   * The peer has opened a channel. Emitted in the agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CHANNEL_OPENED] =
      g_signal_new ("channel-opened", P2P_TYPE_CONNECTION, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 1, P2P_TYPE_CHANNEL);
  /**
   * P2pConnection::warning:
   * @self: the connection
   * @warning: what is not as it should be
   *
   * Something that the connection survives, such as a server that cannot be used. Emitted in the
   * agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_WARNING] = g_signal_new ("warning", P2P_TYPE_CONNECTION, G_SIGNAL_RUN_LAST, 0,
                                          nullptr, nullptr, nullptr, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
p2p_connection_class_init (P2pConnectionClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->finalize = p2p_connection_finalize;
  object_class->get_property = p2p_connection_get_property;
  install_properties (object_class);
  install_signals ();
}

// In the context. Lists the channel unless it is listed, or closed already.
static void
list_channel (P2pConnection *self, P2pChannel *channel) {
  GListStore *list = self->priv->channels.get ();
  if (p2p_channel_is_open (channel)) {
    if (!g_list_store_find (list, channel, nullptr)) g_list_store_append (list, channel);
    return;
  }
  const std::lock_guard lock (self->priv->mutex);
  self->priv->objects.erase (p2p::channel_port (channel).get ());
}

// The one object of the port. From any thread.
static Ref<P2pChannel>
channel_of (P2pConnection *self, const std::shared_ptr<ChannelPort> &port) {
  Ref<P2pChannel> channel;
  {
    const std::lock_guard lock (self->priv->mutex);
    Ref<P2pChannel> &known = self->priv->objects[port.get ()];
    if (known) return known;
    known = Ref<P2pChannel>::adopt (p2p::channel_new (port, self));
    channel = known;
  }
  p2p::post_event (self->priv->events->context (),
                   [weak = p2p::WeakObject<P2pConnection> (self), channel] {
                     if (const auto alive = weak.lock ())
                       list_channel (alive.get (), channel.get ());
                   });
  return channel;
}

static void
on_changed (P2pConnection *self, const ConnectionSnapshot &now) {
  Private &priv = *self->priv;
  GObject *object = G_OBJECT (self);
  g_object_freeze_notify (object);
  for (const Property property :
       {PROP_LOCAL_CONFIG, PROP_REMOTE_CONFIG, PROP_PEER_FINGERPRINT, PROP_AUTHENTICATION})
    g_object_notify_by_pspec (object, properties[property]);
  const bool entered = now.state != priv.told;
  const bool told_now = entered || now.reason != priv.told_reason;
  priv.told = now.state;
  priv.told_reason = now.reason;
  if (entered) g_object_notify_by_pspec (object, properties[PROP_STATE]);
  if (told_now) g_object_notify_by_pspec (object, properties[PROP_STATE_REASON]);
  g_object_thaw_notify (object);
  if (told_now)
    g_signal_emit (self, signals[SIGNAL_STATE_CHANGED], 0, now.state, now.reason.c_str ());
}

static void
on_channel_opened (P2pConnection *self, std::shared_ptr<ChannelPort> port) {
  const Ref<P2pChannel> channel = channel_of (self, port);
  list_channel (self, channel.get ());
  g_signal_emit (self, signals[SIGNAL_CHANNEL_OPENED], 0, channel.get ());
}

static void
on_channel_closed (P2pConnection *self, const std::string &name) {
  Ref<P2pChannel> closed;
  {
    const std::lock_guard lock (self->priv->mutex);
    auto &objects = self->priv->objects;
    // The name may be in use again already, by a channel that is open.
    for (auto it = objects.begin (); it != objects.end (); ++it)
      if (it->first->name () == name && !it->first->is_open ()) {
        closed = std::move (it->second);
        objects.erase (it);
        break;
      }
  }
  if (!closed) return;
  guint position = 0;
  GListStore *list = self->priv->channels.get ();
  if (g_list_store_find (list, closed.get (), &position)) g_list_store_remove (list, position);
  p2p::channel_closed (closed.get ());
}

static void
on_warning (P2pConnection *self, const p2p::Error &warning) {
  const p2p::UniqueError error (warning.to_gerror ());
  g_signal_emit (self, signals[SIGNAL_WARNING], 0, error.get ());
}

P2pConnection *
p2p::connection_new (std::shared_ptr<ConnectionCore> core, Ref<GMainContext> context) {
  auto *self = static_cast<P2pConnection *> (g_object_new (P2P_TYPE_CONNECTION, nullptr));
  Private &priv = *self->priv;
  priv.told = core->snapshot ().state;
  priv.events = std::make_shared<ConnectionEvents> (
      self, std::move (context),
      ConnectionEvents::Handlers{on_changed, on_channel_opened, on_channel_closed, on_warning});
  priv.core = std::move (core);
  priv.core->set_observer (priv.events);
  return self;
}

const std::shared_ptr<ConnectionCore> &
p2p::connection_core (P2pConnection *connection) {
  return connection->priv->core;
}

void
p2p::connection_return_when_connected (P2pConnection *connection, Ref<GTask> task) {
  connection->priv->events->wait (ConnectionEvents::Until::connected, std::move (task));
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
  return self->priv->core->peer ().c_str ();
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
  return self->priv->core->snapshot ().state;
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
  return g_strdup (self->priv->core->snapshot ().reason.c_str ());
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
  const p2p::Status error = self->priv->core->snapshot ().error;
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
  return self->priv->core->snapshot ().authentication;
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
  return g_strdup (p2p::or_null (self->priv->core->snapshot ().peer_fingerprint));
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
 *   `datagrams-dropped` (t): of the transport, all channels together
 * - `congestion-window-bytes`, `bytes-in-flight`, `packet-bytes` (t)
 * - `connect-took-ms`, `connected-for-ms` (x), `signals-rejected` (t): signaling messages that were
 *   malformed, not authentic or untimely
 * - `path-attempts` (as): one sentence for each path that was tried
 *
 * And once they are known: `peer-fingerprint` (s), `cipher` (s), `congestion-control` (s),
 * `path-kind` (s: "ice", "memory" or the name of a factory), `local-candidate`, `remote-candidate`
 * (s), `relayed` (b).
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
p2p_connection_get_stats (P2pConnection *self) {
  g_return_val_if_fail (is_connection (self), nullptr);
  return p2p::connection_stats_to_variant (self->priv->core->peer (), self->priv->core->stats ());
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
  return box (self->priv->core->snapshot ().local_config);
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
  return box (self->priv->core->snapshot ().remote_config);
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
  return p2p::answer (self->priv->core->update_remote_config (config->content), false, error);
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
  self->priv->core->accept ();
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
  self->priv->core->refuse (p2p::from_nullable (reason));
}

/**
 * p2p_connection_wait_connected:
 * @self: a connection
 * @cancellable: (nullable): to end the wait from another thread
 *
 * Waits until the connection is up. It may wait for ever, when the peer never comes; a thread that
 * runs the agent's main context stays deaf meanwhile.
 *
 * Returns: %TRUE when it is up, %FALSE with the error that removed it
 *
 * Since: 1.0
 */
gboolean
p2p_connection_wait_connected (P2pConnection *self, GCancellable *cancellable, GError **error) {
  g_return_val_if_fail (is_connection (self), FALSE);
  bool cancelled = false;
  const p2p::Status status = self->priv->events->wait_connected (cancellable, &cancelled);
  return p2p::answer (status, cancelled, error);
}

/**
 * p2p_connection_open_channel:
 * @self: a connection
 * @name: a name of 1 to 255 bytes of UTF-8, unique in the connection
 * @options: (nullable): %NULL is a reliable, ordered channel
 *
 * Opens the channel of that name, or finds it when either side has opened it before; its options
 * are those of the side that was first. It can be used at once, before the connection is up.
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
      self->priv->core->open_channel (name, options ? options->content : p2p::ChannelOptions{});
  if (port.ok ()) return channel_of (self, port.value ()).leak ();
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
  const auto port = self->priv->core->lookup_channel (name);
  return port ? channel_of (self, port).leak () : nullptr;
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
  return G_LIST_MODEL (self->priv->channels.get ());
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
  self->priv->core->close ();
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
  self->priv->core->close ();
  self->priv->events->wait (ConnectionEvents::Until::removed, Ref<GTask>::adopt (task));
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
