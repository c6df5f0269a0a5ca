// The class of P2pAgent: its life, properties and signals.
#include "agent_class.hpp"

#include "agent_properties.hpp"
#include "boxes.hpp"
#include "object_signaling.hpp"

using p2p::AgentPrivate;
using p2p::AgentSettings;
using p2p::Ref;

using namespace p2p::agent_properties;

namespace {

GParamSpec *properties[N_PROPERTIES];

enum Signal : guint {
  SIGNAL_INCOMING,
  SIGNAL_REJECTED,
  SIGNAL_WARNING,
  SIGNAL_SIGNALING_CHANGED,
  SIGNAL_NET_CONFIG_CHANGED,
  N_SIGNALS
};
guint signals[N_SIGNALS];

std::string
random_id () {
  static constexpr char kBase32[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string id = "p2p-";
  for (int i = 0; i < 8; i++) id += kBase32[g_random_int_range (0, 32)];
  return id;
}

}  // namespace

/**
 * P2pAcceptPolicy:
 * @P2P_ACCEPT_POLICY_NONE: nobody is heard who was not asked for with
 *   [method@P2p.Agent.open_connection]
 * @P2P_ACCEPT_POLICY_ASK: [signal@P2p.Agent::incoming] brings a connection that waits for
 *   [method@P2p.Connection.accept]
 * @P2P_ACCEPT_POLICY_ALL: whoever proves what is asked for is let in
 *
 * What an agent does with peers that ask for it.
 *
 * Since: 1.0
 */

/**
 * P2pIceTransportPolicy:
 * @P2P_ICE_TRANSPORT_POLICY_ALL: every candidate is used
 * @P2P_ICE_TRANSPORT_POLICY_RELAY: only relayed ones, which hides this machine's addresses
 *
 * Which candidates are used, as in WebRTC.
 *
 * Since: 1.0
 */

/**
 * P2pDataPath:
 * @P2P_DATA_PATH_STEERING: datagrams arrive at a socket of their own, beside ICE's checks
 * @P2P_DATA_PATH_SEGMENTATION: one system call sends a train of datagrams (UDP_SEGMENT)
 * @P2P_DATA_PATH_COALESCING: one system call receives a train of datagrams (UDP_GRO); needs
 *   @P2P_DATA_PATH_STEERING
 *
 * What may be used to carry datagrams fast.
 *
 * Since: 1.0
 */

/**
 * P2pCongestionControl:
 * @P2P_CONGESTION_CONTROL_BBR: holds its rate under loss
 * @P2P_CONGESTION_CONTROL_CUBIC: yields to loss, as most TCP does (RFC 9438)
 *
 * How the rate of sending is found.
 *
 * Since: 1.0
 */

G_DEFINE_FINAL_TYPE (P2pAgent, p2p_agent, G_TYPE_OBJECT)

AgentPrivate &
p2p::agent_private (P2pAgent *self) {
  return *self->priv;
}

static void
p2p_agent_init (P2pAgent *self) {
  self->priv = new AgentPrivate;
  self->priv->connections = Ref<GListStore>::adopt (g_list_store_new (P2P_TYPE_CONNECTION));
}

static void
p2p_agent_constructed (GObject *object) {
  G_OBJECT_CLASS (p2p_agent_parent_class)->constructed (object);
  P2pAgent *self = P2P_AGENT (object);
  AgentPrivate &priv = *self->priv;
  if (!priv.context) priv.context = p2p::thread_default_context ();
  if (priv.settings.id.empty ()) priv.settings.id = random_id ();
  priv.core = p2p::AgentCore::create (priv.settings);
  p2p::agent_connect_events (self);
}

static void
p2p_agent_dispose (GObject *object) {
  AgentPrivate &priv = *P2P_AGENT (object)->priv;
  if (priv.core) priv.core->close ({});
  G_OBJECT_CLASS (p2p_agent_parent_class)->dispose (object);
}

static void
p2p_agent_finalize (GObject *object) {
  delete P2P_AGENT (object)->priv;
  G_OBJECT_CLASS (p2p_agent_parent_class)->finalize (object);
}

static void
change (P2pAgent *self, GParamSpec *pspec, const std::function<void (AgentSettings &)> &work) {
  (void)p2p::agent_change (self, pspec->name, {}, work);
}

static void
change_span (P2pAgent *self, GParamSpec *pspec, const GValue *value,
             p2p::TimeUs p2p::LivenessSettings::*which) {
  change (self, pspec, [value, which] (AgentSettings &settings) {
    settings.liveness.*which = g_value_get_uint (value) * p2p::kMillisecond;
  });
}

static guint
milliseconds (p2p::TimeUs span) {
  return static_cast<guint> (span / p2p::kMillisecond);
}

static guint
ping_timeout_ms (const p2p::LivenessSettings &liveness) {
  return liveness.ping_timeout > 0 ? milliseconds (liveness.ping_timeout)
                                   : 2 * milliseconds (liveness.ping_interval);
}

static std::vector<std::string>
to_vector (const char *const *list) {
  std::vector<std::string> texts;
  for (; list && *list; list++) texts.emplace_back (*list);
  return texts;
}

// Those that are refused once the agent has started say so on the `warning` signal.
static void
report (P2pAgent *self, const p2p::Status &status) {
  if (!status) return;
  self->priv->events->post (
      [error = *status] (P2pAgent *agent) { p2p::agent_signals::warning (agent, error); });
}

static void
p2p_agent_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  P2pAgent *self = P2P_AGENT (object);
  switch (id) {
    case PROP_ID:
      self->priv->settings.id = p2p::from_nullable (g_value_get_string (value));
      return;
    case PROP_MAIN_CONTEXT:
      self->priv->context =
          Ref<GMainContext>::share (static_cast<GMainContext *> (g_value_get_boxed (value)));
      return;
    case PROP_SECRET:
      report (self, p2p::agent_set_secret (self, nullptr, g_value_get_string (value)));
      break;
    case PROP_IDENTITY:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.identity_path = p2p::from_nullable (g_value_get_string (value));
      });
      break;
    case PROP_RENDEZVOUS:
      report (self, p2p::agent_set_rendezvous (self, g_value_get_string (value)));
      break;
    case PROP_RENDEZVOUS_CA_FILE:
      report (self, p2p::agent_set_tls_ca_file (self, g_value_get_string (value)));
      break;
    case PROP_SIGNALING:
      report (self, p2p::agent_set_signaling (
                        self, static_cast<P2pSignaling *> (g_value_get_object (value))));
      break;
    case PROP_STUN_SERVER:
      report (self, p2p::agent_set_stun_server (self, g_value_get_string (value)));
      break;
    case PROP_TURN_SERVER:
      report (self, p2p::agent_set_turn_server (self, g_value_get_string (value), true));
      break;
    case PROP_TURN_STANDBY:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.turn_standby = g_value_get_boolean (value);
      });
      break;
    case PROP_SESSION_STORE:
      report (self, p2p::agent_set_session_store_object (
                        self, static_cast<P2pSessionStore *> (g_value_get_object (value))));
      break;
    case PROP_SESSION_STORE_URI:
    case PROP_SESSION_STORE_KEY:
      report (self, p2p::agent_set_session_store (self, id == PROP_SESSION_STORE_URI,
                                                  g_value_get_string (value)));
      break;
    case PROP_ICE_TRANSPORT_POLICY:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.relay_only = g_value_get_enum (value) == P2P_ICE_TRANSPORT_POLICY_RELAY;
      });
      break;
    case PROP_DATA_PATH:
      change (self, pspec, [value] (AgentSettings &settings) {
        const guint may = g_value_get_flags (value);
        settings.fast_udp.reset ();
        if (may != 0)
          settings.fast_udp = {(may & P2P_DATA_PATH_STEERING) != 0,
                               (may & P2P_DATA_PATH_SEGMENTATION) != 0,
                               (may & P2P_DATA_PATH_COALESCING) != 0};
      });
      break;
    case PROP_ICE_TCP:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.ice_tcp = g_value_get_boolean (value);
      });
      break;
    case PROP_CONGESTION_CONTROL:
      change (self, pspec, [value] (AgentSettings &settings) {
        const bool cubic = g_value_get_enum (value) == P2P_CONGESTION_CONTROL_CUBIC;
        settings.congestion_control =
            cubic ? p2p::CongestionControl::cubic : p2p::CongestionControl::bbr;
      });
      break;
    case PROP_ACCEPT_POLICY:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.accept_policy = static_cast<P2pAcceptPolicy> (g_value_get_enum (value));
      });
      break;
    case PROP_MAX_MESSAGE_BYTES:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.max_message_bytes = g_value_get_uint64 (value);
      });
      break;
    case PROP_PING_INTERVAL:
      change_span (self, pspec, value, &p2p::LivenessSettings::ping_interval);
      // It follows the interval, unless it was set.
      g_object_notify_by_pspec (object, properties[PROP_PING_TIMEOUT]);
      break;
    case PROP_PING_TIMEOUT:
      change_span (self, pspec, value, &p2p::LivenessSettings::ping_timeout);
      break;
    case PROP_PEER_COMEBACK_TIMEOUT:
      change_span (self, pspec, value, &p2p::LivenessSettings::comeback_timeout);
      break;
    case PROP_IDLE_TIMEOUT:
      change_span (self, pspec, value, &p2p::LivenessSettings::idle_timeout);
      break;
    case PROP_PATH_ORDER:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.path_order =
            to_vector (static_cast<const char *const *> (g_value_get_boxed (value)));
      });
      break;
    case PROP_PORT_MIN:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.port_min = static_cast<std::uint16_t> (g_value_get_uint (value));
      });
      break;
    case PROP_PORT_MAX:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.port_max = static_cast<std::uint16_t> (g_value_get_uint (value));
      });
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      return;
  }
  g_object_notify_by_pspec (object, pspec);
}

static guint
data_path_of (const p2p::FastUdpWish &wish) {
  guint may = 0;
  if (wish && wish->steered) may |= P2P_DATA_PATH_STEERING;
  if (wish && wish->segmented) may |= P2P_DATA_PATH_SEGMENTATION;
  if (wish && wish->coalesced) may |= P2P_DATA_PATH_COALESCING;
  return may;
}

static char **
to_strv (const std::vector<std::string> &texts) {
  if (texts.empty ()) return nullptr;
  GStrvBuilder *builder = g_strv_builder_new ();
  for (const std::string &text : texts) g_strv_builder_add (builder, text.c_str ());
  char **list = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return list;
}

static void
p2p_agent_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  P2pAgent *self = P2P_AGENT (object);
  AgentPrivate &priv = *self->priv;
  if (id == PROP_FINGERPRINT) {
    g_value_take_string (value, p2p_agent_get_fingerprint (self, nullptr));
    return;
  }
  const std::lock_guard lock (priv.mutex);
  const AgentSettings &settings = priv.settings;
  switch (id) {
    case PROP_ID:
      g_value_set_string (value, settings.id.c_str ());
      break;
    case PROP_IDENTITY:
      g_value_set_string (value, p2p::or_null (settings.identity_path));
      break;
    case PROP_RENDEZVOUS:
      g_value_set_string (value, priv.rendezvous.c_str ());
      break;
    case PROP_RENDEZVOUS_CA_FILE:
      g_value_set_string (value, p2p::or_null (priv.tls_ca_file));
      break;
    case PROP_SIGNALING:
      g_value_set_object (value, priv.signaling.get ());
      break;
    case PROP_SIGNALING_STATE:
      g_value_set_enum (value, p2p::to_public (priv.events->state ()));
      break;
    case PROP_STUN_SERVER:
      g_value_set_string (value, p2p::or_null (priv.stun_uri));
      break;
    case PROP_TURN_SERVER:
      g_value_set_string (value, p2p::or_null (priv.turn_uri));
      break;
    case PROP_SESSION_STORE:
      g_value_set_object (value, priv.store.get ());
      break;
    case PROP_SESSION_STORE_URI:
      g_value_set_string (value, p2p::or_null (p2p::without_password (priv.store_uri)));
      break;
    case PROP_SESSION_STORE_KEY:
      g_value_set_string (value, p2p::or_null (priv.store_key));
      break;
    case PROP_ICE_TRANSPORT_POLICY:
      g_value_set_enum (value, settings.relay_only ? P2P_ICE_TRANSPORT_POLICY_RELAY
                                                   : P2P_ICE_TRANSPORT_POLICY_ALL);
      break;
    case PROP_DATA_PATH:
      g_value_set_flags (value, data_path_of (settings.fast_udp));
      break;
    case PROP_ICE_TCP:
      g_value_set_boolean (value, settings.ice_tcp);
      break;
    case PROP_TURN_STANDBY:
      g_value_set_boolean (value, settings.turn_standby);
      break;
    case PROP_CONGESTION_CONTROL:
      g_value_set_enum (value, settings.congestion_control == p2p::CongestionControl::cubic
                                   ? P2P_CONGESTION_CONTROL_CUBIC
                                   : P2P_CONGESTION_CONTROL_BBR);
      break;
    case PROP_ACCEPT_POLICY:
      g_value_set_enum (value, settings.accept_policy);
      break;
    case PROP_MAX_MESSAGE_BYTES:
      g_value_set_uint64 (value, settings.max_message_bytes);
      break;
    case PROP_PING_INTERVAL:
      g_value_set_uint (value, milliseconds (settings.liveness.ping_interval));
      break;
    case PROP_PING_TIMEOUT:
      g_value_set_uint (value, ping_timeout_ms (settings.liveness));
      break;
    case PROP_PEER_COMEBACK_TIMEOUT:
      g_value_set_uint (value, milliseconds (settings.liveness.comeback_timeout));
      break;
    case PROP_IDLE_TIMEOUT:
      g_value_set_uint (value, milliseconds (settings.liveness.idle_timeout));
      break;
    case PROP_NETWORK_AVAILABLE:
      g_value_set_boolean (value, priv.events->network_available ());
      break;
    case PROP_PATH_ORDER:
      g_value_take_boxed (value, to_strv (settings.path_order));
      break;
    case PROP_PORT_MIN:
      g_value_set_uint (value, settings.port_min);
      break;
    case PROP_PORT_MAX:
      g_value_set_uint (value, settings.port_max);
      break;
    case PROP_NETWORK_CONFIG:
      g_value_take_boxed (
          value, priv.last_config ? p2p::network_config_box_new (*priv.last_config) : nullptr);
      break;
    case PROP_CONNECTIONS:
      g_value_set_object (value, priv.connections.get ());
      break;
    case PROP_MAIN_CONTEXT:
      g_value_set_boxed (value, priv.context.get ());
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
install_signals () {
  /**
   * P2pAgent::incoming:
   * @self: the agent
   * @connection: the connection
   *
   * A peer that was not asked for has come. It waits for [method@P2p.Connection.accept] or
   * [method@P2p.Connection.refuse], unless [property@P2p.Agent:accept-policy] lets everyone in.
   * Emitted in the agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_INCOMING] =
      g_signal_new ("incoming", P2P_TYPE_AGENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr, nullptr,
                    G_TYPE_NONE, 1, P2P_TYPE_CONNECTION);
  /**
   * P2pAgent::rejected:
   * @self: the agent
   * @peer: the id that it gave
   * @reason: why it was turned away
   *
   * A peer was turned away before it became a connection, since it does not hold the secret.
   * Emitted in the agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_REJECTED] =
      g_signal_new ("rejected", P2P_TYPE_AGENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr, nullptr,
                    G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_ERROR);
  /**
   * P2pAgent::warning:
   * @self: the agent
   * @warning: what is not as it should be
   *
   * Something that the agent survives, or a property that could not be set. Emitted in the agent's
   * main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_WARNING] = g_signal_new ("warning", P2P_TYPE_AGENT, G_SIGNAL_RUN_LAST, 0, nullptr,
                                          nullptr, nullptr, G_TYPE_NONE, 1, G_TYPE_ERROR);
  /**
   * P2pAgent::signaling-changed:
   * @self: the agent
   * @state: how it stands with its meeting point
   * @reason: (nullable): why, unless all is well
   *
   * The way to the meeting point has come or gone, or another attempt has failed; connections that
   * live do not need it. Emitted in the agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_SIGNALING_CHANGED] =
      g_signal_new ("signaling-changed", P2P_TYPE_AGENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, P2P_TYPE_SIGNALING_STATE, G_TYPE_ERROR);
  /**
   * P2pAgent::net-config-changed:
   * @self: the agent
   * @connection: the connection
   *
   * A connection that is up can be reached on other candidates of this side than before, since the
   * network has changed; [property@P2p.Connection:local-config] has them. The peer was told, as far
   * as it can be: this is for applications that hand configurations over by other ways. Emitted in
   * the agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_NET_CONFIG_CHANGED] =
      g_signal_new ("net-config-changed", P2P_TYPE_AGENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 1, P2P_TYPE_CONNECTION);
}

static void
p2p_agent_class_init (P2pAgentClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->constructed = p2p_agent_constructed;
  object_class->dispose = p2p_agent_dispose;
  object_class->finalize = p2p_agent_finalize;
  object_class->set_property = p2p_agent_set_property;
  object_class->get_property = p2p_agent_get_property;
  p2p::agent_make_properties (properties);
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
  install_signals ();
}

void
p2p::agent_notify_config (P2pAgent *self) {
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_NETWORK_CONFIG]);
}

void
p2p::agent_signals::incoming (P2pAgent *self, P2pConnection *connection) {
  g_signal_emit (self, signals[SIGNAL_INCOMING], 0, connection);
}

void
p2p::agent_signals::rejected (P2pAgent *self, const std::string &peer, const Error &reason) {
  const UniqueError error (reason.to_gerror ());
  g_signal_emit (self, signals[SIGNAL_REJECTED], 0, peer.c_str (), error.get ());
}

void
p2p::agent_signals::warning (P2pAgent *self, const Error &warning) {
  const UniqueError error (warning.to_gerror ());
  g_signal_emit (self, signals[SIGNAL_WARNING], 0, error.get ());
}

void
p2p::agent_signals::net_config_changed (P2pAgent *self, P2pConnection *connection) {
  g_signal_emit (self, signals[SIGNAL_NET_CONFIG_CHANGED], 0, connection);
}

void
p2p::agent_signals::network_available (P2pAgent *self) {
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_NETWORK_AVAILABLE]);
}

void
p2p::agent_signals::signaling_changed (P2pAgent *self, Signaling::State state,
                                       const Status &reason) {
  const UniqueError error (reason ? reason->to_gerror () : nullptr);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SIGNALING_STATE]);
  g_signal_emit (self, signals[SIGNAL_SIGNALING_CHANGED], 0, to_public (state), error.get ());
}
