// The class of P2pAgent: its life, properties and signals.
#include "agent_class.hpp"

#include "boxes.hpp"
#include "object_signaling.hpp"

using p2p::AgentPrivate;
using p2p::AgentSettings;
using p2p::Ref;

namespace {

enum Property : guint {
  PROP_ID = 1,
  PROP_SECRET,
  PROP_IDENTITY,
  PROP_FINGERPRINT,
  PROP_RENDEZVOUS,
  PROP_RENDEZVOUS_CA_FILE,
  PROP_SIGNALING,
  PROP_SIGNALING_STATE,
  PROP_STUN_SERVER,
  PROP_TURN_SERVER,
  PROP_ICE_TRANSPORT_POLICY,
  PROP_ICE_TCP,
  PROP_CONGESTION_CONTROL,
  PROP_ACCEPT_POLICY,
  PROP_MAX_MESSAGE_BYTES,
  PROP_PATH_ORDER,
  PROP_PORT_MIN,
  PROP_PORT_MAX,
  PROP_NETWORK_CONFIG,
  PROP_CONNECTIONS,
  PROP_MAIN_CONTEXT,
  N_PROPERTIES
};
GParamSpec *properties[N_PROPERTIES];

enum Signal : guint {
  SIGNAL_INCOMING,
  SIGNAL_REJECTED,
  SIGNAL_WARNING,
  SIGNAL_SIGNALING_CHANGED,
  N_SIGNALS
};
guint signals[N_SIGNALS];

constexpr guint64 kMinMessageBytes = 1024;
constexpr guint64 kMaxMessageBytes = 1024 * 1024 * 1024;  // a message is held in memory whole
constexpr guint kMaxPort = 65535;

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
    case PROP_ICE_TRANSPORT_POLICY:
      change (self, pspec, [value] (AgentSettings &settings) {
        settings.relay_only = g_value_get_enum (value) == P2P_ICE_TRANSPORT_POLICY_RELAY;
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

static char **
to_strv (const std::vector<std::string> &texts) {
  if (texts.empty ()) return nullptr;
  char **list = g_new0 (char *, texts.size () + 1);
  for (std::size_t i = 0; i < texts.size (); i++) list[i] = g_strdup (texts[i].c_str ());
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
    case PROP_ICE_TRANSPORT_POLICY:
      g_value_set_enum (value, settings.relay_only ? P2P_ICE_TRANSPORT_POLICY_RELAY
                                                   : P2P_ICE_TRANSPORT_POLICY_ALL);
      break;
    case PROP_ICE_TCP:
      g_value_set_boolean (value, settings.ice_tcp);
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
install_identity_properties () {
  /**
   * P2pAgent:id:
   *
   * The id by which peers ask for this agent: 1 to 128 letters, digits or characters of "._@:+-".
   * "p2p-" and eight random characters when it is not given.
   *
   * Since: 1.0
   */
  properties[PROP_ID] =
      g_param_spec_string ("id", "Id", "Id of the agent", nullptr, p2p::kConstructOnly);
  /**
   * P2pAgent:secret:
   *
   * The secret that this agent shares with its peers; see [method@P2p.Agent.set_secret].
   *
   * Since: 1.0
   */
  properties[PROP_SECRET] =
      g_param_spec_string ("secret", "Secret", "Secret that is shared with the peers", nullptr,
                           static_cast<GParamFlags> (G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
  /**
   * P2pAgent:identity:
   *
   * The PEM file with this agent's key and certificate, made when it does not exist; %NULL is
   * `gst-p2p/identity.pem` in the user's data directory.
   *
   * Since: 1.0
   */
  properties[PROP_IDENTITY] = g_param_spec_string (
      "identity", "Identity", "PEM file with key and certificate", nullptr, p2p::kReadWrite);
  /**
   * P2pAgent:fingerprint:
   *
   * The fingerprint of this agent's certificate, "sha-256 AB:CD:…". Reading it loads or makes the
   * identity; %NULL when that fails.
   *
   * Since: 1.0
   */
  properties[PROP_FINGERPRINT] =
      g_param_spec_string ("fingerprint", "Fingerprint", "Fingerprint of the agent's certificate",
                           nullptr, p2p::kReadOnly);
}

static void
install_signaling_properties () {
  /**
   * P2pAgent:rendezvous:
   *
   * Where peers meet: "local" (processes of this user on this machine), "local:/PATH" of a socket,
   * "ws://HOST[:PORT]" or "wss://HOST[:PORT]" of a rendezvous server, or "none". Not changed once
   * the agent has started.
   *
   * Since: 1.0
   */
  properties[PROP_RENDEZVOUS] = g_param_spec_string ("rendezvous", "Rendezvous", "Where peers meet",
                                                     "local", p2p::kReadWrite);
  /**
   * P2pAgent:rendezvous-ca-file:
   *
   * A PEM file with the authorities to trust for "wss"; %NULL trusts the system's.
   *
   * Since: 1.0
   */
  properties[PROP_RENDEZVOUS_CA_FILE] =
      g_param_spec_string ("rendezvous-ca-file", "Rendezvous CA file",
                           "PEM file with authorities to trust", nullptr, p2p::kReadWrite);
  /**
   * P2pAgent:signaling:
   *
   * The signaling to use instead of [property@P2p.Agent:rendezvous].
   *
   * Since: 1.0
   */
  properties[PROP_SIGNALING] =
      g_param_spec_object ("signaling", "Signaling", "Signaling to use instead of the rendezvous",
                           P2P_TYPE_SIGNALING, p2p::kReadWrite);
  /**
   * P2pAgent:signaling-state:
   *
   * How the agent stands with its meeting point. Notified in the agent's main context.
   *
   * Since: 1.0
   */
  properties[PROP_SIGNALING_STATE] = g_param_spec_enum (
      "signaling-state", "Signaling state", "How the agent stands with its meeting point",
      P2P_TYPE_SIGNALING_STATE, P2P_SIGNALING_STATE_IDLE, p2p::kReadOnly);
  /**
   * P2pAgent:accept-policy:
   *
   * What to do with peers that ask for this agent.
   *
   * Since: 1.0
   */
  properties[PROP_ACCEPT_POLICY] =
      g_param_spec_enum ("accept-policy", "Accept policy", "What to do with peers that ask",
                         P2P_TYPE_ACCEPT_POLICY, P2P_ACCEPT_POLICY_NONE, p2p::kReadWrite);
}

static void
install_ice_properties () {
  /**
   * P2pAgent:stun-server:
   *
   * A STUN server, "stun://HOST[:PORT]"; %NULL uses that of the rendezvous server, if it has one.
   *
   * Since: 1.0
   */
  properties[PROP_STUN_SERVER] = g_param_spec_string (
      "stun-server", "STUN server", "stun://HOST[:PORT]", nullptr, p2p::kReadWrite);
  /**
   * P2pAgent:turn-server:
   *
   * The TURN server, "turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]"; read without the
   * password. Setting it replaces those of [method@P2p.Agent.add_turn_server].
   *
   * Since: 1.0
   */
  properties[PROP_TURN_SERVER] = g_param_spec_string (
      "turn-server", "TURN server", "turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]", nullptr,
      p2p::kReadWrite);
  /**
   * P2pAgent:ice-transport-policy:
   *
   * Which candidates are used.
   *
   * Since: 1.0
   */
  properties[PROP_ICE_TRANSPORT_POLICY] = g_param_spec_enum (
      "ice-transport-policy", "ICE transport policy", "Which candidates are used",
      P2P_TYPE_ICE_TRANSPORT_POLICY, P2P_ICE_TRANSPORT_POLICY_ALL, p2p::kReadWrite);
  /**
   * P2pAgent:ice-tcp:
   *
   * Whether TCP candidates are used too (RFC 6544).
   *
   * Since: 1.0
   */
  properties[PROP_ICE_TCP] =
      g_param_spec_boolean ("ice-tcp", "ICE TCP", "Use TCP candidates too", TRUE, p2p::kReadWrite);
  /**
   * P2pAgent:port-min:
   *
   * The lowest port to bind; 0 for any.
   *
   * Since: 1.0
   */
  properties[PROP_PORT_MIN] = g_param_spec_uint ("port-min", "Lowest port", "Lowest port to bind",
                                                 0, kMaxPort, 0, p2p::kReadWrite);
  /**
   * P2pAgent:port-max:
   *
   * The highest port to bind; 0 for any.
   *
   * Since: 1.0
   */
  properties[PROP_PORT_MAX] = g_param_spec_uint ("port-max", "Highest port", "Highest port to bind",
                                                 0, kMaxPort, 0, p2p::kReadWrite);
  /**
   * P2pAgent:path-order:
   *
   * The ways to a peer, the best first: "ice" and the names of path factories. What is not named is
   * not tried. %NULL is ICE first, then the factories as they were added.
   *
   * Since: 1.0
   */
  properties[PROP_PATH_ORDER] = g_param_spec_boxed (
      "path-order", "Path order", "Ways to a peer, the best first", G_TYPE_STRV, p2p::kReadWrite);
}

static void
install_other_properties () {
  /**
   * P2pAgent:congestion-control:
   *
   * How the rate of sending is found.
   *
   * Since: 1.0
   */
  properties[PROP_CONGESTION_CONTROL] = g_param_spec_enum (
      "congestion-control", "Congestion control", "How the rate of sending is found",
      P2P_TYPE_CONGESTION_CONTROL, P2P_CONGESTION_CONTROL_BBR, p2p::kReadWrite);
  /**
   * P2pAgent:max-message-bytes:
   *
   * The longest message that this agent takes, in bytes. Peers are told.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_MESSAGE_BYTES] = g_param_spec_uint64 (
      "max-message-bytes", "Longest message", "Longest message to take, in bytes", kMinMessageBytes,
      kMaxMessageBytes, 16 * 1024 * 1024, p2p::kReadWrite);
  /**
   * P2pAgent:network-config:
   *
   * What [method@P2p.Agent.create_network_config] gave last. Notified in the agent's main context.
   *
   * Since: 1.0
   */
  properties[PROP_NETWORK_CONFIG] =
      g_param_spec_boxed ("network-config", "Network configuration", "The one that was made last",
                          P2P_TYPE_NETWORK_CONFIG, p2p::kReadOnly);
  /**
   * P2pAgent:connections:
   *
   * The connections that are not removed, a list of [class@P2p.Connection].
   *
   * Since: 1.0
   */
  properties[PROP_CONNECTIONS] =
      g_param_spec_object ("connections", "Connections", "Connections that are not removed",
                           G_TYPE_LIST_MODEL, p2p::kReadOnly);
  /**
   * P2pAgent:main-context:
   *
   * Where signals of the agent, its connections and their channels are emitted; %NULL is the
   * thread-default main context of the thread that makes the agent.
   *
   * Since: 1.0
   */
  properties[PROP_MAIN_CONTEXT] =
      g_param_spec_boxed ("main-context", "Main context", "Where signals are emitted",
                          G_TYPE_MAIN_CONTEXT, p2p::kConstructOnly);
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
}

static void
p2p_agent_class_init (P2pAgentClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->constructed = p2p_agent_constructed;
  object_class->dispose = p2p_agent_dispose;
  object_class->finalize = p2p_agent_finalize;
  object_class->set_property = p2p_agent_set_property;
  object_class->get_property = p2p_agent_get_property;
  install_identity_properties ();
  install_signaling_properties ();
  install_ice_properties ();
  install_other_properties ();
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
p2p::agent_signals::signaling_changed (P2pAgent *self, Signaling::State state,
                                       const Status &reason) {
  const UniqueError error (reason ? reason->to_gerror () : nullptr);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SIGNALING_STATE]);
  g_signal_emit (self, signals[SIGNAL_SIGNALING_CHANGED], 0, to_public (state), error.get ());
}
