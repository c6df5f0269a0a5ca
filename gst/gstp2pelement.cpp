#include "gstp2pelement.hpp"

#include <utility>

#include "element-properties.hpp"

namespace p2p {
namespace {

std::string
string_of (const GValue *value) {
  const char *text = g_value_get_string (value);
  return text ? text : "";
}

void
give_string (GValue *value, const std::string &text) {
  g_value_set_string (value, text.empty () ? nullptr : text.c_str ());
}

// The setting of the property; null for other properties.
std::optional<guint> *
liveness_wish (LivenessWishes &wishes, guint id) {
  switch (id) {
    case PROP_PING_INTERVAL:
      return &wishes.ping_interval_ms;
    case PROP_PING_TIMEOUT:
      return &wishes.ping_timeout_ms;
    case PROP_PEER_COMEBACK_TIMEOUT:
      return &wishes.peer_comeback_timeout_ms;
    case PROP_IDLE_TIMEOUT:
      return &wishes.idle_timeout_ms;
    default:
      return nullptr;
  }
}

// The URI of a server without its user and password.
std::string
without_password (const std::string &uri) {
  const auto scheme = uri.find ("://");
  const auto at = uri.rfind ('@');
  if (scheme == std::string::npos || at == std::string::npos || at < scheme) return uri;
  return uri.substr (0, scheme + 3) + uri.substr (at + 1);
}

// Whether the stream can be found again, and is one.
Status
check_resume (const ElementSettings &s, bool sends) {
  const auto bad = [] (const char *text) { return Error{P2P_ERROR_INVALID_ARGUMENT, text}; };
  if (s.peer.empty () || (s.id.empty () && !s.agent))
    return bad (
        "With 'resume' both 'id' and 'peer' must be set, so that the two find each other again.");
  if (sends && (!s.lossless () || !s.wait_for_connection))
    return bad (
        "With 'resume' no byte may be lost: leave 'reliable', 'ordered', 'max-packet-lifetime' and "
        "'wait-for-connection' at their defaults.");
  return {};
}

}  // namespace

ElementCore::ElementCore (GstElement *element, bool sends)
    : element_ (element),
      sends_ (sends),
      cancellable_ (Ref<GCancellable>::adopt (g_cancellable_new ())) {}

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
  if (set_liveness (id, value)) return;
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
    case PROP_TURN_STANDBY:
      s.turn_standby = g_value_get_boolean (value);
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
    case PROP_SESSION_STORE:
      s.session_store = string_of (value);
      break;
    case PROP_SESSION_STORE_KEY:
      s.session_store_key = string_of (value);
      break;
    case PROP_RESUME:
      s.resume = g_value_get_boolean (value);
      break;
    case PROP_KEEP_LISTENING:
      s.keep_listening = g_value_get_boolean (value);
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

bool
ElementCore::set_liveness (guint id, const GValue *value) {
  LivenessWishes wishes;
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock (mutex_);
    std::optional<guint> *const wish = liveness_wish (settings_.liveness, id);
    if (!wish) return false;
    *wish = g_value_get_uint (value);
    *liveness_wish (wishes, id) = *wish;
    link = link_;
  }
  if (link) link->set_liveness (wishes);
  return true;
}

void
ElementCore::get_property (guint id, GValue *value, GParamSpec *pspec) {
  ElementSettings s = settings ();
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
    case PROP_TURN_STANDBY:
      g_value_set_boolean (value, s.turn_standby);
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
    case PROP_PING_TIMEOUT:
      // It follows the interval.
      if (s.liveness.ping_timeout_ms.value_or (0) == 0)
        s.liveness.ping_timeout_ms =
            2 * s.liveness.ping_interval_ms.value_or (kDefaultPingIntervalMs);
      [[fallthrough]];
    case PROP_PING_INTERVAL:
    case PROP_PEER_COMEBACK_TIMEOUT:
    case PROP_IDLE_TIMEOUT:
      g_value_set_uint (
          value,
          liveness_wish (s.liveness, id)->value_or (G_PARAM_SPEC_UINT (pspec)->default_value));
      break;
    case PROP_SESSION_STORE:
      give_string (value, without_password (s.session_store));
      break;
    case PROP_SESSION_STORE_KEY:
      give_string (value, s.session_store_key);
      break;
    case PROP_RESUME:
      g_value_set_boolean (value, s.resume);
      break;
    case PROP_KEEP_LISTENING:
      g_value_set_boolean (value, s.keep_listening);
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
ElementCore::start (std::weak_ptr<ChannelUser> user) {
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
  if (!error && s.resume) error = check_resume (s, sends_);
  if (error) {
    post_error (element_, *error, sends_, false);
    return false;
  }
  buffers_ = bytes_ = dropped_ = 0;
  auto link = Link::open (s, sends_, make_bus_reporter (element_, sends_), std::move (user));
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
