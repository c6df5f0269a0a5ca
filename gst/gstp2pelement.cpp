#include "gstp2pelement.hpp"

#include <array>
#include <utility>
#include <vector>

namespace p2p {
namespace {

enum Property : guint {
  PROP_URI = 1,
  PROP_ID,
  PROP_PEER,
  PROP_CHANNEL,
  PROP_RENDEZVOUS,
  PROP_SECRET,
  PROP_PEER_FINGERPRINT,
  PROP_IDENTITY,
  PROP_STUN_SERVER,
  PROP_TURN_SERVER,
  PROP_ICE_TRANSPORT_POLICY,
  PROP_DATA_PATH,
  PROP_AGENT,
  PROP_MAX_QUEUE_BYTES,
  PROP_CONNECTION_STATE,
  PROP_STATS,
  PROP_CAPS,
  PROP_WAIT_FOR_CONNECTION,
  PROP_RELIABLE,
  PROP_ORDERED,
  PROP_MAX_PACKET_LIFETIME,
  PROP_PRIORITY,
  PROP_DRAIN_TIMEOUT,
};

constexpr auto kReadable = static_cast<GParamFlags> (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
constexpr auto kSettable =
    static_cast<GParamFlags> (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kWritable =
    static_cast<GParamFlags> (G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kWhilePlaying = static_cast<GParamFlags> (
    G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);

std::string
string_of (const GValue *value) {
  const char *text = g_value_get_string (value);
  return text ? text : "";
}

void
give_string (GValue *value, const std::string &text) {
  g_value_set_string (value, text.empty () ? nullptr : text.c_str ());
}

// A TURN server's URI without its user and password.
std::string
without_password (const std::string &uri) {
  const auto scheme = uri.find ("://");
  const auto at = uri.rfind ('@');
  if (scheme == std::string::npos || at == std::string::npos || at < scheme) return uri;
  return uri.substr (0, scheme + 3) + uri.substr (at + 1);
}

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
                            "Where the peers meet: ws://HOST:PORT, wss://HOST:PORT, or local for "
                            "peers of this machine and user",
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
       g_param_spec_string ("turn-server", "TURN server",
                            "TURN server, as turn://user:password@host:port?transport=udp; read "
                            "back without user and password",
                            nullptr, kSettable));
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

void
install_src (GObjectClass *klass) {
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

ElementCore::ElementCore (GstElement *element, bool sends)
    : element_ (element),
      sends_ (sends),
      cancellable_ (Ref<GCancellable>::adopt (g_cancellable_new ())) {}

void
ElementCore::install (GObjectClass *klass, bool sends) {
  install_common (klass);
  if (sends)
    install_sink (klass);
  else
    install_src (klass);
  for (const GType type : {P2P_TYPE_ICE_TRANSPORT_POLICY, P2P_TYPE_DATA_PATH,
                           P2P_TYPE_CONNECTION_STATE, P2P_TYPE_AUTHENTICATION, P2P_TYPE_AGENT})
    gst_type_mark_as_plugin_api (type, static_cast<GstPluginAPIFlags> (0));
}

void
ElementCore::set_property (guint id, const GValue *value, GParamSpec *pspec) {
  if (id == PROP_URI) {
    GError *raw = nullptr;
    const bool good = set_uri (g_value_get_string (value), &raw);
    const UniqueError error (raw);
    const std::lock_guard lock (mutex_);
    uri_error_ = good ? Status () : Error{P2P_ERROR_INVALID_ARGUMENT, error->message};
    return;
  }
  Ref<P2pAgent> old_agent;  // released after the lock
  const std::lock_guard lock (mutex_);
  ElementSettings &s = settings_;
  switch (id) {
    case PROP_ID:
      s.id = string_of (value);
      break;
    case PROP_PEER:
      s.peer = string_of (value);
      break;
    case PROP_CHANNEL:
      s.channel = g_value_get_string (value) ? string_of (value) : kDefaultChannel;
      break;
    case PROP_RENDEZVOUS:
      s.rendezvous = g_value_get_string (value) ? string_of (value) : kLocalRendezvous;
      break;
    case PROP_SECRET:
      s.secret = string_of (value);
      break;
    case PROP_PEER_FINGERPRINT:
      s.peer_fingerprint = string_of (value);
      break;
    case PROP_IDENTITY:
      s.identity = string_of (value);
      break;
    case PROP_STUN_SERVER:
      s.stun_server = string_of (value);
      break;
    case PROP_TURN_SERVER:
      s.turn_servers.clear ();
      if (g_value_get_string (value)) s.turn_servers.push_back (string_of (value));
      break;
    case PROP_ICE_TRANSPORT_POLICY:
      s.ice_transport_policy = static_cast<P2pIceTransportPolicy> (g_value_get_enum (value));
      break;
    case PROP_DATA_PATH:
      s.data_path = static_cast<P2pDataPath> (g_value_get_flags (value));
      break;
    case PROP_AGENT:
      old_agent = std::move (s.agent);
      s.agent = Ref<P2pAgent>::adopt (static_cast<P2pAgent *> (g_value_dup_object (value)));
      break;
    case PROP_MAX_QUEUE_BYTES:
      s.max_queue_bytes = g_value_get_uint64 (value);
      break;
    case PROP_CAPS:
      caps_ = Ref<GstCaps>::adopt (static_cast<GstCaps *> (g_value_dup_boxed (value)));
      break;
    case PROP_WAIT_FOR_CONNECTION:
      s.wait_for_connection = g_value_get_boolean (value);
      break;
    case PROP_RELIABLE:
      s.reliable = g_value_get_boolean (value);
      break;
    case PROP_ORDERED:
      s.ordered = g_value_get_boolean (value);
      break;
    case PROP_MAX_PACKET_LIFETIME:
      s.max_packet_lifetime_ms = g_value_get_int (value);
      break;
    case PROP_PRIORITY:
      s.priority = g_value_get_uint (value);
      break;
    case PROP_DRAIN_TIMEOUT:
      s.drain_timeout_ms = g_value_get_uint (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (element_, id, pspec);
  }
}

void
ElementCore::get_property (guint id, GValue *value, GParamSpec *pspec) {
  const ElementSettings s = settings ();
  switch (id) {
    case PROP_URI:
      give_string (value, uri ());
      break;
    case PROP_ID:
      give_string (value, s.id);
      break;
    case PROP_PEER:
      give_string (value, s.peer);
      break;
    case PROP_CHANNEL:
      give_string (value, s.channel);
      break;
    case PROP_RENDEZVOUS:
      give_string (value, s.rendezvous);
      break;
    case PROP_PEER_FINGERPRINT:
      give_string (value, s.peer_fingerprint);
      break;
    case PROP_IDENTITY:
      give_string (value, s.identity);
      break;
    case PROP_STUN_SERVER:
      give_string (value, s.stun_server);
      break;
    case PROP_TURN_SERVER:
      give_string (value,
                   s.turn_servers.empty () ? "" : without_password (s.turn_servers.front ()));
      break;
    case PROP_ICE_TRANSPORT_POLICY:
      g_value_set_enum (value, s.ice_transport_policy);
      break;
    case PROP_DATA_PATH:
      g_value_set_flags (value, s.data_path);
      break;
    case PROP_AGENT:
      g_value_set_object (value, s.agent.get ());
      break;
    case PROP_MAX_QUEUE_BYTES:
      g_value_set_uint64 (value, s.max_queue_bytes);
      break;
    case PROP_CONNECTION_STATE: {
      const auto link = this->link ();
      g_value_set_enum (value, link ? link->state () : P2P_CONNECTION_STATE_REMOVED);
      break;
    }
    case PROP_STATS:
      g_value_take_boxed (value, stats ());
      break;
    case PROP_CAPS:
      g_value_set_boxed (value, caps ().get ());
      break;
    case PROP_WAIT_FOR_CONNECTION:
      g_value_set_boolean (value, s.wait_for_connection);
      break;
    case PROP_RELIABLE:
      g_value_set_boolean (value, s.reliable);
      break;
    case PROP_ORDERED:
      g_value_set_boolean (value, s.ordered);
      break;
    case PROP_MAX_PACKET_LIFETIME:
      g_value_set_int (value, s.max_packet_lifetime_ms);
      break;
    case PROP_PRIORITY:
      g_value_set_uint (value, s.priority);
      break;
    case PROP_DRAIN_TIMEOUT:
      g_value_set_uint (value, s.drain_timeout_ms);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (element_, id, pspec);
  }
}

bool
ElementCore::add_turn_server (const char *uri) {
  if (!uri || !(g_str_has_prefix (uri, "turn://") || g_str_has_prefix (uri, "turns://")))
    return false;
  const std::lock_guard lock (mutex_);
  settings_.turn_servers.push_back (uri);
  return true;
}

ElementSettings
ElementCore::settings () const {
  const std::lock_guard lock (mutex_);
  return settings_;
}

bool
ElementCore::waits_for_connection () const {
  const std::lock_guard lock (mutex_);
  return settings_.wait_for_connection;
}

Ref<GstCaps>
ElementCore::caps () const {
  const std::lock_guard lock (mutex_);
  return caps_;
}

std::shared_ptr<Link>
ElementCore::link () const {
  const std::lock_guard lock (mutex_);
  return link_;
}

bool
ElementCore::start () {
  Status error;
  ElementSettings s;
  {
    const std::lock_guard lock (mutex_);
    error = uri_error_;
    s = settings_;
  }
  if (!error && s.id.empty () && s.peer.empty () && !s.agent)
    error = Error{P2P_ERROR_INVALID_ARGUMENT,
                  "Neither 'id' nor 'peer' is set: nobody could find this element. Set 'peer' to "
                  "connect, or 'id' to be connected to."};
  if (!error && s.channel.empty ())
    error = Error{P2P_ERROR_INVALID_ARGUMENT, "The property 'channel' is empty."};
  if (error) {
    post_error (element_, *error, sends_, false);
    return false;
  }
  buffers_ = bytes_ = dropped_ = 0;
  auto link = Link::open (s, sends_, make_bus_reporter (element_, sends_));
  const std::lock_guard lock (mutex_);
  link_ = std::move (link);
  return true;
}

void
ElementCore::stop () {
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock (mutex_);
    link = std::move (link_);
  }
  if (!link) return;
  link->close ();
}

void
ElementCore::interrupt () {
  g_cancellable_cancel (cancellable_.get ());
  if (const auto link = this->link ()) link->wake ();
}

void
ElementCore::resume () {
  g_cancellable_reset (cancellable_.get ());
}

void
ElementCore::count (std::uint64_t bytes) {
  buffers_++;
  bytes_ += bytes;
}

GstStructure *
ElementCore::stats () const {
  const auto link = this->link ();
  GstStructure *structure = gst_structure_new (
      "application/x-p2p-stats", "connection-state", P2P_TYPE_CONNECTION_STATE,
      link ? link->state () : P2P_CONNECTION_STATE_REMOVED, "buffers", G_TYPE_UINT64,
      buffers_.load (), "buffer-bytes", G_TYPE_UINT64, bytes_.load (), "buffers-dropped",
      G_TYPE_UINT64, dropped_.load (), nullptr);
  if (!link) return structure;
  if (const auto connection = link->connection ()) {
    const auto stats = Ref<GVariant>::adopt (p2p_connection_get_stats (connection.get ()));
    add_fields (structure, stats.get ());
  }
  if (const auto channel = link->channel ()) {
    const auto stats = Ref<GVariant>::adopt (p2p_channel_get_stats (channel.get ()));
    add_fields (structure, stats.get (), "channel-");
  }
  return structure;
}

}  // namespace p2p
