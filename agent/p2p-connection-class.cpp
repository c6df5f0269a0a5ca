// The class of P2pConnection: its life, properties, signals and channels.
#include <algorithm>
#include <map>
#include <utility>

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
  P2pBreakReason told_break = P2P_BREAK_REASON_NONE;          // context only
  std::optional<p2p::NetworkConfig> told_config;              // ours, once it is up; context only
  std::function<void (P2pConnection *)> config_changed;       // set once
  std::mutex mutex;
  // The one object of each port, until it is closed. Guarded by mutex.
  std::map<const ChannelPort *, Ref<P2pChannel>> objects;
};

enum Property : guint {
  PROP_PEER = 1,
  PROP_STATE,
  PROP_STATE_REASON,
  PROP_BREAK_REASON,
  PROP_AUTHENTICATION,
  PROP_PEER_FINGERPRINT,
  PROP_STATS,
  PROP_LOCAL_CONFIG,
  PROP_REMOTE_CONFIG,
  PROP_CHANNELS,
  N_PROPERTIES
};
GParamSpec *properties[N_PROPERTIES];

enum Signal : guint {
  SIGNAL_STATE_CHANGED,
  SIGNAL_BROKEN,
  SIGNAL_RESTORED,
  SIGNAL_REMOVED,
  SIGNAL_CHANNEL_OPENED,
  SIGNAL_WARNING,
  N_SIGNALS
};
guint signals[N_SIGNALS];

}  // namespace

/**
 * P2pConnectionState:
 * @P2P_CONNECTION_STATE_INCOMING: the peer asks for it; waits for [method@P2p.Connection.accept] or
 *   [method@P2p.Connection.refuse]
 * @P2P_CONNECTION_STATE_CONNECTING: waiting for the peer, or trying paths to it
 * @P2P_CONNECTION_STATE_CONNECTED: the peer is authenticated and messages flow; one side is told
 *   half a round trip before the other, and of the end where that refuses it then
 * @P2P_CONNECTION_STATE_BROKEN: the path is lost; the connection waits for another one
 * @P2P_CONNECTION_STATE_REMOVED: it has ended, for good
 *
 * Where a connection is in its life.
 *
 * Since: 1.0
 */

/**
 * P2pBreakReason:
 * @P2P_BREAK_REASON_NONE: it is not broken
 * @P2P_BREAK_REASON_SILENCE: nothing came from the peer for as long as
 *   [property@P2p.Agent:ping-timeout]
 * @P2P_BREAK_REASON_NETWORK_DOWN: this machine has lost the address that the connection used
 * @P2P_BREAK_REASON_PEER: the peer hears nothing of this side, and says so
 * @P2P_BREAK_REASON_RELAY_LOST: the relay that the connection used is gone
 * @P2P_BREAK_REASON_TRANSPORT: the QUIC connection ended, and the peer did not say that it goes
 *
 * Why a connection is broken.
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
    case PROP_BREAK_REASON:
      g_value_set_enum (value, p2p_connection_get_break_reason (self));
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
   * P2pConnection:break-reason:
   *
   * Why the connection is broken, while it is.
   *
   * Since: 1.0
   */
  properties[PROP_BREAK_REASON] =
      g_param_spec_enum ("break-reason", "Break reason", "Why it is broken, while it is",
                         P2P_TYPE_BREAK_REASON, P2P_BREAK_REASON_NONE, p2p::kReadOnly);
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
   * How this side can be reached; %NULL before it is known. It grows while candidates are gathered,
   * and is another one once the connection has moved to another network.
   *
   * Since: 1.0
   */
  properties[PROP_LOCAL_CONFIG] =
      g_param_spec_boxed ("local-config", "Local configuration", "How this side can be reached",
                          P2P_TYPE_NETWORK_CONFIG, p2p::kReadOnly);
  /**
   * P2pConnection:remote-config:
   *
   * How the peer can be reached; %NULL before it is known. It is another one once the connection
   * has moved to another network.
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
   * P2pConnection::broken:
   * @self: the connection
   * @reason: why
   * @text: the same, for people
   *
   * The connection carries nothing any more. It looks for another way, and what was sent waits:
   * senders are held back once their channels are full. [signal@P2p.Connection::restored] or
   * [signal@P2p.Connection::removed] follows. Emitted in the agent's main context, once for each
   * break and right before [signal@P2p.Connection::state-changed].
   *
   * Since: 1.0
   */
  signals[SIGNAL_BROKEN] =
      g_signal_new ("broken", P2P_TYPE_CONNECTION, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr, nullptr,
                    G_TYPE_NONE, 2, P2P_TYPE_BREAK_REASON, G_TYPE_STRING);
  /**
   * P2pConnection::restored:
   * @self: the connection
   * @outage_ms: how long it was broken, in ms
   * @details: an `a{sv}`, see below
   *
   * A broken connection is connected again, and nothing that reliable channels carry was lost or
   * doubled. Emitted in the agent's main context, once for each break that ends so and right before
   * [signal@P2p.Connection::state-changed].
   *
   * In @details are the way that it takes now, as in [method@P2p.Connection.get_stats]: `path-kind`
   * (s), `local-candidate` (s), `remote-candidate` (s), `relayed` (b). And how it goes on:
   * `new-transport` (b), whether another QUIC connection had to be made, over which
   * `replayed-messages` (t) with `replayed-bytes` (t) were sent again, since the peer had not
   * confirmed them.
   *
   * Since: 1.0
   */
  signals[SIGNAL_RESTORED] =
      g_signal_new ("restored", P2P_TYPE_CONNECTION, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, G_TYPE_UINT64, G_TYPE_VARIANT);
  /**
   * P2pConnection::removed:
   * @self: the connection
   * @error: (nullable): why, or %NULL after an orderly close by either side
   *
   * The connection has ended, for good: to go on, open another one. %P2P_ERROR_TIMED_OUT when the
   * peer did not come back for as long as [property@P2p.Agent:peer-comeback-timeout], or nothing
   * was carried for as long as [property@P2p.Agent:idle-timeout]. Emitted in the agent's main
   * context, once and right before [signal@P2p.Connection::state-changed].
   *
   * Since: 1.0
   */
  signals[SIGNAL_REMOVED] = g_signal_new ("removed", P2P_TYPE_CONNECTION, G_SIGNAL_RUN_LAST, 0,
                                          nullptr, nullptr, nullptr, G_TYPE_NONE, 1, G_TYPE_ERROR);
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

Ref<P2pChannel>
p2p::connection_channel (P2pConnection *self, const std::shared_ptr<ChannelPort> &port) {
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

// Whether candidates of before are not among those of now; more of the same are no other ones.
static bool
is_another (const p2p::NetworkConfig &now, const p2p::NetworkConfig &before) {
  const auto missing = [&now] (const std::string &candidate) {
    return std::find (now.candidates.begin (), now.candidates.end (), candidate) ==
           now.candidates.end ();
  };
  return now.attempt != before.attempt ||
         std::any_of (before.candidates.begin (), before.candidates.end (), missing);
}

// Each state is told once, in the order in which they were entered: snapshots come in that order.
static void
emit_entered (P2pConnection *self, const ConnectionSnapshot &now, P2pConnectionState before) {
  switch (now.state) {
    case P2P_CONNECTION_STATE_BROKEN:
      g_signal_emit (self, signals[SIGNAL_BROKEN], 0, now.break_reason, now.reason.c_str ());
      break;
    case P2P_CONNECTION_STATE_CONNECTED:
      if (before == P2P_CONNECTION_STATE_BROKEN) {
        const auto details = Ref<GVariant>::adopt (p2p::restored_to_variant (now));
        g_signal_emit (self, signals[SIGNAL_RESTORED], 0,
                       guint64 (now.restored.outage_us / p2p::kMillisecond), details.get ());
      }
      break;
    case P2P_CONNECTION_STATE_REMOVED: {
      const p2p::UniqueError error (now.error ? now.error->to_gerror () : nullptr);
      g_signal_emit (self, signals[SIGNAL_REMOVED], 0, error.get ());
      break;
    }
    case P2P_CONNECTION_STATE_INCOMING:
    case P2P_CONNECTION_STATE_CONNECTING:
      break;
  }
}

static void
tell_config (P2pConnection *self, const ConnectionSnapshot &now) {
  Private &priv = *self->priv;
  const bool up =
      now.state == P2P_CONNECTION_STATE_CONNECTED || now.state == P2P_CONNECTION_STATE_BROKEN;
  if (!up || !now.local_config) return;
  const auto before = std::exchange (priv.told_config, now.local_config);
  if (before && is_another (*now.local_config, *before)) priv.config_changed (self);
}

static void
on_changed (P2pConnection *self, const ConnectionSnapshot &now) {
  Private &priv = *self->priv;
  GObject *object = G_OBJECT (self);
  g_object_freeze_notify (object);
  for (const Property property :
       {PROP_LOCAL_CONFIG, PROP_REMOTE_CONFIG, PROP_PEER_FINGERPRINT, PROP_AUTHENTICATION})
    g_object_notify_by_pspec (object, properties[property]);
  const P2pConnectionState before = std::exchange (priv.told, now.state);
  const bool entered = now.state != before;
  const bool told_now = entered || now.reason != priv.told_reason;
  priv.told_reason = now.reason;
  if (entered) g_object_notify_by_pspec (object, properties[PROP_STATE]);
  if (told_now) g_object_notify_by_pspec (object, properties[PROP_STATE_REASON]);
  if (std::exchange (priv.told_break, now.break_reason) != now.break_reason)
    g_object_notify_by_pspec (object, properties[PROP_BREAK_REASON]);
  g_object_thaw_notify (object);
  tell_config (self, now);
  if (entered) emit_entered (self, now, before);
  if (told_now)
    g_signal_emit (self, signals[SIGNAL_STATE_CHANGED], 0, now.state, now.reason.c_str ());
}

static void
on_channel_opened (P2pConnection *self, const std::shared_ptr<ChannelPort> &port) {
  const Ref<P2pChannel> channel = p2p::connection_channel (self, port);
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
p2p::connection_new (std::shared_ptr<ConnectionCore> core, Ref<GMainContext> context,
                     std::function<void (P2pConnection *)> config_changed) {
  auto *self = static_cast<P2pConnection *> (g_object_new (P2P_TYPE_CONNECTION, nullptr));
  Private &priv = *self->priv;
  priv.told = core->snapshot ().state;
  priv.config_changed = std::move (config_changed);
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

const std::shared_ptr<ConnectionEvents> &
p2p::connection_events (P2pConnection *connection) {
  return connection->priv->events;
}

GListModel *
p2p::connection_channels (P2pConnection *connection) {
  return G_LIST_MODEL (connection->priv->channels.get ());
}
