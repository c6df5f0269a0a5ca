// What the properties of the elements are: names, limits, defaults and blurbs.
#include "element-properties.hpp"

#include "gstp2pelement.hpp"

namespace p2p {
namespace {

constexpr auto kReadable = static_cast<GParamFlags> (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
constexpr auto kSettable =
    static_cast<GParamFlags> (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kWritable =
    static_cast<GParamFlags> (G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kWhilePlaying = static_cast<GParamFlags> (
    G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);

void
install_common (GObjectClass *klass) {
  const auto add = [klass] (Property id, GParamSpec *spec) {
    g_object_class_install_property (klass, id, spec);
  };
  add (PROP_URI, g_param_spec_string (
                     "uri", "URI",
                     "p2p://HOST[:PORT]/PEER[/CHANNEL]?id=ME, p2ps:// for a rendezvous server over "
                     "TLS, p2p:///PEER on this machine; stands for the properties that it names",
                     nullptr, kSettable));
  add (PROP_ID, g_param_spec_string ("id", "Id",
                                     "Id of this side, under which peers find it; a random one "
                                     "when only a peer is set",
                                     nullptr, kSettable));
  add (PROP_PEER, g_param_spec_string ("peer", "Peer",
                                       "Id of the peer; without one, the first peer that comes",
                                       nullptr, kSettable));
  add (PROP_CHANNEL,
       g_param_spec_string ("channel", "Channel", "Name of the channel; the same on both sides",
                            kDefaultChannel, kSettable));
  add (PROP_RENDEZVOUS,
       g_param_spec_string ("rendezvous", "Rendezvous",
                            "Where the peers meet: ws://HOST:PORT, wss://HOST:PORT, several of "
                            "these with commas between them (the next one is tried when one is "
                            "away), or local for peers of this machine and user",
                            kLocalRendezvous, kSettable));
  add (PROP_SECRET,
       g_param_spec_string ("secret", "Secret",
                            "Secret that both peers know, and prove to each other; p2pcat "
                            "--new-secret prints a strong one",
                            nullptr, kWritable));
  add (PROP_PEER_FINGERPRINT,
       g_param_spec_string ("peer-fingerprint", "Peer fingerprint",
                            "SHA-256 fingerprint of the peer's certificate, in hexadecimal; no "
                            "other peer is let in",
                            nullptr, kSettable));
  add (PROP_IDENTITY,
       g_param_spec_string ("identity", "Identity",
                            "File with this side's key and certificate, made when it is missing; "
                            "by default in the user's data directory",
                            nullptr, kSettable));
  add (PROP_STUN_SERVER,
       g_param_spec_string ("stun-server", "STUN server", "STUN server, as stun://host:port",
                            nullptr, kSettable));
  add (PROP_TURN_SERVER,
       g_param_spec_string (
           "turn-server", "TURN server",
           "TURN server, as turn://user:password@host:port?transport=udp, or turns: "
           "for TLS and, with transport=udp, DTLS; read back without user and password",
           nullptr, kSettable));
  add (PROP_TURN_STANDBY,
       g_param_spec_boolean ("turn-standby", "TURN standby",
                             "Whether a connection that takes a relay keeps another one ready at "
                             "another TURN server; without it only the first that answers is used",
                             TRUE, kSettable));
  add (PROP_ICE_TRANSPORT_POLICY,
       g_param_spec_enum ("ice-transport-policy", "ICE transport policy",
                          "Which candidates are used: all, or relays only",
                          P2P_TYPE_ICE_TRANSPORT_POLICY, P2P_ICE_TRANSPORT_POLICY_ALL, kSettable));
  add (PROP_DATA_PATH,
       g_param_spec_flags ("data-path", "Data path",
                           "What may be used to carry datagrams faster than libnice does, for "
                           "tests and measurements; what does not work is given up by itself",
                           P2P_TYPE_DATA_PATH, kWholeDataPath, kSettable));
  add (PROP_AGENT,
       g_param_spec_object ("agent", "Agent",
                            "Agent of the application, to be used instead of one of the element's "
                            "own; id, rendezvous, identity and servers are then the agent's",
                            P2P_TYPE_AGENT, kSettable));
  add (PROP_MAX_QUEUE_BYTES,
       g_param_spec_uint64 ("max-queue-bytes", "Max queue bytes",
                            "How many bytes may wait in this element's channel before it holds "
                            "back the sender",
                            1, G_MAXINT64, kDefaultQueueBytes, kSettable));
  add (
      PROP_RESUME,
      g_param_spec_boolean (
          "resume", "Resume",
          "Whether the bytes of the stream go on where the receiver's output ends when either side "
          "is started again; to be set on both sides, together with id and peer",
          FALSE, kSettable));
  add (PROP_SESSION_STORE,
       g_param_spec_string (
           "session-store", "Session store",
           "Where sessions are kept, so that they outlive this process: sqlite:PATH, or "
           "redis://[:PASSWORD@]HOST[:PORT][/DB], which is read back without the password",
           nullptr, kSettable));
  add (PROP_SESSION_STORE_KEY,
       g_param_spec_string ("session-store-key", "Session store key",
                            "File with the key under which secrets are kept in the session store",
                            nullptr, kSettable));
  add (PROP_CONNECTION_STATE,
       g_param_spec_enum ("connection-state", "Connection state",
                          "State of the connection; removed when there is none",
                          P2P_TYPE_CONNECTION_STATE, P2P_CONNECTION_STATE_REMOVED, kReadable));
  add (PROP_STATS,
       g_param_spec_boxed ("stats", "Statistics",
                           "application/x-p2p-stats: counters of the element, its channel and its "
                           "connection, with their units in the names",
                           GST_TYPE_STRUCTURE, kReadable));
}

// Elements of one id share an agent, so that these are as told last by any of them.
void
install_liveness (GObjectClass *klass) {
  const auto add = [klass] (Property id, const char *name, const char *nick, const char *blurb,
                            guint least, guint fallback) {
    g_object_class_install_property (
        klass, id,
        g_param_spec_uint (name, nick, blurb, least, kMaxSpanMs, fallback, kWhilePlaying));
  };
  add (PROP_PING_INTERVAL, "ping-interval", "Ping interval",
       "After how much silence the peer is asked whether it is there, in ms; as this and the other "
       "elements with the same id were told last",
       kMinPingIntervalMs, kDefaultPingIntervalMs);
  add (PROP_PING_TIMEOUT, "ping-timeout", "Ping timeout",
       "After how much silence the connection is broken, in ms; 0, or not set, for twice the "
       "ping-interval; as this and the other elements with the same id were told last",
       0, 2 * kDefaultPingIntervalMs);
  add (PROP_PEER_COMEBACK_TIMEOUT, "peer-comeback-timeout", "Peer comeback timeout",
       "For how long a broken connection waits for the peer to come back, in ms; 0 for ever; as "
       "this and the other elements with the same id were told last",
       0, kDefaultPeerComebackTimeoutMs);
  add (
      PROP_IDLE_TIMEOUT, "idle-timeout", "Idle timeout",
      "After how long without any buffer, of all its channels and both ways, the connection is "
      "removed, in ms; 0 for never; as this and the other elements with the same id were told last",
      0, 0);
}

void
install_src (GObjectClass *klass) {
  g_object_class_install_property (
      klass, PROP_KEEP_LISTENING,
      g_param_spec_boolean (
          "keep-listening", "Keep listening",
          "Whether to wait for another session, of the same peer or without one of the next that "
          "comes, when the peer has ended the stream or its connection is removed; the stream goes "
          "on with a discontinuity",
          FALSE, kSettable));
  g_object_class_install_property (
      klass, PROP_CAPS,
      g_param_spec_boxed ("caps", "Caps",
                          "Caps of the stream, whatever the sender says; those of the sender when "
                          "not set",
                          GST_TYPE_CAPS, kSettable));
}

void
install_sink (GObjectClass *klass) {
  const auto add = [klass] (Property id, GParamSpec *spec) {
    g_object_class_install_property (klass, id, spec);
  };
  add (PROP_WAIT_FOR_CONNECTION,
       g_param_spec_boolean ("wait-for-connection", "Wait for connection",
                             "Whether the first buffer waits for the peer; otherwise buffers are "
                             "dropped, and counted, as long as there is no connection",
                             TRUE, kWhilePlaying));
  add (PROP_RELIABLE,
       g_param_spec_boolean ("reliable", "Reliable",
                             "Whether lost messages are sent again; with false, as set by "
                             "max-packet-lifetime, or not at all",
                             TRUE, kSettable));
  add (PROP_ORDERED,
       g_param_spec_boolean ("ordered", "Ordered",
                             "Whether buffers arrive in the order in which they were sent", TRUE,
                             kSettable));
  add (PROP_MAX_PACKET_LIFETIME,
       g_param_spec_int ("max-packet-lifetime", "Max packet lifetime",
                         "For how long an unsent or lost buffer is worth sending, in ms; -1 for as "
                         "long as it takes. Anything else makes the channel unreliable",
                         -1, G_MAXINT, -1, kSettable));
  add (PROP_PRIORITY,
       g_param_spec_uint ("priority", "Priority",
                          "The share of this channel among those of its connection when there is "
                          "more to send than may leave: 128 is below normal, 256 normal, 512 high, "
                          "1024 extra high (RFC 8832)",
                          1, kMaxPriority, kNormalPriority, kSettable));
  add (PROP_DRAIN_TIMEOUT,
       g_param_spec_uint ("drain-timeout", "Drain timeout",
                          "For how long the peer may take nothing of what is left at the end of "
                          "the stream, before the sink gives up with a warning, in ms",
                          1, G_MAXINT, kDefaultDrainTimeoutMs, kSettable));
}

}  // namespace

void
ElementCore::install (GObjectClass *klass, bool sends) {
  install_common (klass);
  install_liveness (klass);
  if (sends)
    install_sink (klass);
  else
    install_src (klass);
  for (const GType type :
       {P2P_TYPE_ICE_TRANSPORT_POLICY, P2P_TYPE_DATA_PATH, P2P_TYPE_CONNECTION_STATE,
        P2P_TYPE_BREAK_REASON, P2P_TYPE_AUTHENTICATION, P2P_TYPE_AGENT})
    gst_type_mark_as_plugin_api (type, static_cast<GstPluginAPIFlags> (0));
}

}  // namespace p2p
