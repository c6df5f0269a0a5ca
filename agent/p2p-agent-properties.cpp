// What the properties of P2pAgent are: names, limits, defaults and documentation.
#include "agent_properties.hpp"
#include "facade.hpp"
#include "p2p/p2p.h"

using namespace p2p::agent_properties;

namespace {

constexpr guint64 kMinMessageBytes = 1024;
constexpr guint64 kMaxMessageBytes = 1024 * 1024 * 1024;  // a message is held in memory whole
constexpr guint kMaxPort = 65535;
constexpr guint kMinIntervalMs = 10, kMaxSpanMs = 60 * 60 * 1000;
constexpr guint kWholeDataPath =
    P2P_DATA_PATH_STEERING | P2P_DATA_PATH_SEGMENTATION | P2P_DATA_PATH_COALESCING;

}  // namespace

static void
install_identity_properties (GParamSpec **properties) {
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
install_signaling_properties (GParamSpec **properties) {
  /**
   * P2pAgent:rendezvous:
   *
   * Where peers meet: "local" (processes of this user on this machine), "local:/PATH" of a socket,
   * "ws://HOST[:PORT]" or "wss://HOST[:PORT]" of a rendezvous server, or "none". Several servers
   * that share a backplane stand with commas between them: when one is away, the next one is tried.
   * Not changed once the agent has started.
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
install_store_properties (GParamSpec **properties) {
  /**
   * P2pAgent:session-store:
   *
   * Where the sessions of this agent are kept, as an object: the application's own, or one of
   * [func@P2p.SessionStore.new_for_uri]. It is used instead of
   * [property@P2p.Agent:session-store-uri], by one agent alone. To be set before the agent is
   * started.
   *
   * Since: 1.0
   */
  properties[PROP_SESSION_STORE] = g_param_spec_object ("session-store", "Session store",
                                                        "Where sessions are kept, as an object",
                                                        P2P_TYPE_SESSION_STORE, p2p::kReadWrite);
  /**
   * P2pAgent:session-store-uri:
   *
   * Where the sessions of this agent are kept, so that they outlive its process: "sqlite:PATH" or
   * "redis://[:PASSWORD@]HOST[:PORT][/DB]"; read without the password. To be set before the agent
   * is started. An agent with the same id, identity and store takes all its sessions up again when
   * it is started; its peers see a break and a restore. Two processes cannot have one store and one
   * id at the same time: the second of a file is refused, the second at a Redis server takes over
   * and fences the first off.
   *
   * Since: 1.0
   */
  properties[PROP_SESSION_STORE_URI] =
      g_param_spec_string ("session-store-uri", "Session store", "sqlite:PATH or redis://HOST",
                           nullptr, p2p::kReadWrite);
  /**
   * P2pAgent:session-store-key:
   *
   * A file with the key, 32 bytes, under which what is kept is encrypted; %NULL for no encryption.
   *
   * Since: 1.0
   */
  properties[PROP_SESSION_STORE_KEY] =
      g_param_spec_string ("session-store-key", "Session store key",
                           "File with the key of what is kept", nullptr, p2p::kReadWrite);
}

static void
install_ice_properties (GParamSpec **properties) {
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
   * The TURN server, "turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]", or "turns://" for TLS
   * over TCP, with "?transport=udp" DTLS; read without the password. Setting it replaces those of
   * [method@P2p.Agent.add_turn_server].
   *
   * Since: 1.0
   */
  properties[PROP_TURN_SERVER] = g_param_spec_string (
      "turn-server", "TURN server",
      "turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp], or turns:// for TLS and DTLS", nullptr,
      p2p::kReadWrite);
  /**
   * P2pAgent:turn-standby:
   *
   * Whether a connection that takes a relay keeps another one ready at another TURN server, where
   * more than one is set: allocated, joined to the peer and asked every 5 s, so that data goes on
   * over it when the one in use is gone. Without it only the first server that answers is used, in
   * the order in which they were set, and another one is looked for when that one fails.
   *
   * Since: 1.0
   */
  properties[PROP_TURN_STANDBY] =
      g_param_spec_boolean ("turn-standby", "TURN standby",
                            "Keep a relay at another TURN server ready", TRUE, p2p::kReadWrite);
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
   * P2pAgent:data-path:
   *
   * What may be used to carry datagrams faster than libnice does, on direct UDP paths. What does
   * not work on a machine is given up by itself, so that this is for tests, measurements, and where
   * a kernel or a network card does it wrongly. Nothing, 0, leaves all to libnice. The environment
   * variable `P2P_FAST_UDP` overrides it; `path-engine` of [method@P2p.Connection.get_stats] names
   * what is in use.
   *
   * Since: 1.0
   */
  properties[PROP_DATA_PATH] =
      g_param_spec_flags ("data-path", "Data path", "What may be used to carry datagrams fast",
                          P2P_TYPE_DATA_PATH, kWholeDataPath, p2p::kReadWrite);
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
install_liveness_properties (GParamSpec **properties) {
  /**
   * P2pAgent:ping-interval:
   *
   * After how much silence a peer is asked whether it is there, in ms. A connection that carries
   * anything is not asked. It may change at any moment, and holds for connections that live, too.
   *
   * Since: 1.0
   */
  properties[PROP_PING_INTERVAL] =
      g_param_spec_uint ("ping-interval", "Ping interval", "Silence before a ping, in ms",
                         kMinIntervalMs, kMaxSpanMs, 1000, p2p::kReadWrite);
  /**
   * P2pAgent:ping-timeout:
   *
   * After how much silence both sides know that a connection is broken, in ms: a sixteenth of it is
   * left for telling. It takes longer when the round trip is so long that an answer could not have
   * come. As long as it was not set, and after it was set to 0, it is twice
   * [property@P2p.Agent:ping-interval], and reads so. It may change at any moment, and holds for
   * connections that live, too.
   *
   * Since: 1.0
   */
  properties[PROP_PING_TIMEOUT] = g_param_spec_uint (
      "ping-timeout", "Ping timeout", "Silence that breaks, in ms; 0 for twice the interval", 0,
      kMaxSpanMs, 2000, p2p::kReadWrite);
  /**
   * P2pAgent:peer-comeback-timeout:
   *
   * For how long a broken connection waits for its peer before it is removed, in ms; 0 waits for
   * ever. It may change at any moment, and holds for connections that live, too.
   *
   * Since: 1.0
   */
  properties[PROP_PEER_COMEBACK_TIMEOUT] =
      g_param_spec_uint ("peer-comeback-timeout", "Peer comeback timeout",
                         "How long a broken connection waits, in ms; 0 for ever", 0, kMaxSpanMs,
                         30000, p2p::kReadWrite);
  /**
   * P2pAgent:idle-timeout:
   *
   * A connection that has carried nothing of the application, in either direction, for so long is
   * removed, in ms; 0 never removes it for that. It may change at any moment, and holds for
   * connections that live, too.
   *
   * Since: 1.0
   */
  properties[PROP_IDLE_TIMEOUT] = g_param_spec_uint (
      "idle-timeout", "Idle timeout", "How long a connection may carry nothing, in ms; 0 for ever",
      0, kMaxSpanMs, 0, p2p::kReadWrite);
  /**
   * P2pAgent:network-available:
   *
   * Whether this machine has an address by which others might be reached, as far as it is known: it
   * is looked after from the first connection on. Notified in the agent's main context.
   *
   * Since: 1.0
   */
  properties[PROP_NETWORK_AVAILABLE] =
      g_param_spec_boolean ("network-available", "Network available",
                            "This machine has an address but loopback", TRUE, p2p::kReadOnly);
}

static void
install_other_properties (GParamSpec **properties) {
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
   * What [method@P2p.Agent.create_network_config_async] gave last. Notified in the agent's main
   * context.
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

void
p2p::agent_make_properties (GParamSpec **properties) {
  install_identity_properties (properties);
  install_signaling_properties (properties);
  install_ice_properties (properties);
  install_store_properties (properties);
  install_liveness_properties (properties);
  install_other_properties (properties);
}
