// The URI of an element: its properties in one line.
#include <utility>
#include <vector>

#include "gstp2pelement.hpp"

namespace p2p {
namespace {

struct Setting {
  std::string name;
  GValue value = G_VALUE_INIT;

  explicit Setting (std::string property) : name (std::move (property)) {}
  Setting (Setting &&other) noexcept
      : name (std::move (other.name)), value (std::exchange (other.value, G_VALUE_INIT)) {}
  Setting (const Setting &) = delete;
  Setting &operator= (const Setting &) = delete;
  ~Setting () {
    if (G_IS_VALUE (&value)) g_value_unset (&value);
  }
};

// The text as a value that the property takes.
bool
read_setting (GObject *element, const std::string &text, Setting &setting, std::string &problem) {
  GParamSpec *spec =
      g_object_class_find_property (G_OBJECT_GET_CLASS (element), setting.name.c_str ());
  if (!spec) {
    problem = "The URI's parameter '" + setting.name + "' is no property of this element.";
    return false;
  }
  g_value_init (&setting.value, G_PARAM_SPEC_VALUE_TYPE (spec));
  if (G_VALUE_HOLDS_STRING (&setting.value))
    g_value_set_string (&setting.value, text.c_str ());
  else if (!gst_value_deserialize (&setting.value, text.c_str ()) ||
           g_param_value_validate (spec, &setting.value)) {
    problem = "The URI's parameter '" + setting.name + "' has the bad value '" + text + "'.";
    return false;
  }
  return true;
}

const char *
text_of (bool value) {
  return value ? "true" : "false";
}

}  // namespace

bool
ElementCore::set_uri (const char *text, GError **error) {
  GST_OBJECT_LOCK (element_);
  const GstState state = GST_STATE (element_), next = GST_STATE_NEXT (element_);
  GST_OBJECT_UNLOCK (element_);
  if (state > GST_STATE_READY || next > GST_STATE_READY) {
    g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE,
                         "The URI can be changed only in the states NULL and READY.");
    return false;
  }
  P2pUri uri;
  if (text) {
    auto parsed = parse_uri (text);
    if (!parsed) {
      g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
                           parsed.error ().message.c_str ());
      return false;
    }
    uri = std::move (*parsed);
  }
  std::vector<Setting> settings;
  std::string problem;
  for (const auto &[name, value] : uri.settings) {
    settings.emplace_back (name);
    if (read_setting (G_OBJECT (element_), value, settings.back (), problem)) continue;
    g_set_error_literal (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI, problem.c_str ());
    return false;
  }
  {
    const std::lock_guard lock (mutex_);
    settings_.rendezvous = uri.rendezvous;
    settings_.peer = uri.peer;
    settings_.channel = uri.channel;
    uri_error_.reset ();
  }
  for (const Setting &setting : settings)
    g_object_set_property (G_OBJECT (element_), setting.name.c_str (), &setting.value);
  return true;
}

P2pUri
ElementCore::to_uri () const {
  const ElementSettings s = settings ();
  const ElementSettings defaults;
  P2pUri uri;
  uri.rendezvous = s.rendezvous;
  uri.peer = s.peer;
  uri.channel = s.channel;
  const auto add = [&uri] (const char *name, const std::string &value) {
    if (!value.empty ()) uri.settings[name] = value;
  };
  add ("id", s.id);
  add ("peer-fingerprint", s.peer_fingerprint);
  add ("identity", s.identity);
  add ("stun-server", s.stun_server);
  if (s.ice_transport_policy == P2P_ICE_TRANSPORT_POLICY_RELAY)
    add ("ice-transport-policy", "relay");
  if (!s.turn_standby) add ("turn-standby", "false");
  if (s.max_queue_bytes != defaults.max_queue_bytes)
    add ("max-queue-bytes", std::to_string (s.max_queue_bytes));
  const auto add_wish = [&] (const char *name, const std::optional<guint> &value) {
    if (value) add (name, std::to_string (*value));
  };
  add_wish ("ping-interval", s.liveness.ping_interval_ms);
  add_wish ("ping-timeout", s.liveness.ping_timeout_ms);
  add_wish ("peer-comeback-timeout", s.liveness.peer_comeback_timeout_ms);
  add_wish ("idle-timeout", s.liveness.idle_timeout_ms);
  if (s.resume) add ("resume", text_of (true));
  if (!sends_) {
    if (s.keep_listening) add ("keep-listening", text_of (true));
    return uri;
  }
  if (s.wait_for_connection != defaults.wait_for_connection)
    add ("wait-for-connection", text_of (s.wait_for_connection));
  if (s.reliable != defaults.reliable) add ("reliable", text_of (s.reliable));
  if (s.ordered != defaults.ordered) add ("ordered", text_of (s.ordered));
  if (s.max_packet_lifetime_ms != defaults.max_packet_lifetime_ms)
    add ("max-packet-lifetime", std::to_string (s.max_packet_lifetime_ms));
  if (s.priority != defaults.priority) add ("priority", std::to_string (s.priority));
  if (s.drain_timeout_ms != defaults.drain_timeout_ms)
    add ("drain-timeout", std::to_string (s.drain_timeout_ms));
  return uri;
}

std::string
ElementCore::uri () const {
  {
    const std::lock_guard lock (mutex_);
    if (settings_.id.empty () && settings_.peer.empty ()) return "";
  }
  return format_uri (to_uri ());
}

}  // namespace p2p
