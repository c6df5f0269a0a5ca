// What goes on in a link, on the bus of its element.
#include <string_view>

#include "gstp2pelement.hpp"

namespace p2p {
namespace {

struct Code {
  GQuark domain;
  int code;
};

Code
code_of (const Error &error, bool sends, bool connected) {
  const int open = sends ? GST_RESOURCE_ERROR_OPEN_WRITE : GST_RESOURCE_ERROR_OPEN_READ;
  const int use = sends ? GST_RESOURCE_ERROR_WRITE : GST_RESOURCE_ERROR_READ;
  int code = connected ? use : open;
  switch (error.code) {
    case P2P_ERROR_NOT_AUTHORIZED:
      code = GST_RESOURCE_ERROR_NOT_AUTHORIZED;
      break;
    case P2P_ERROR_NOT_FOUND:
      code = GST_RESOURCE_ERROR_NOT_FOUND;
      break;
    case P2P_ERROR_INVALID_ARGUMENT:
    case P2P_ERROR_IDENTITY:
    case P2P_ERROR_MESSAGE_TOO_LARGE:
      code = GST_RESOURCE_ERROR_SETTINGS;
      break;
    case P2P_ERROR_ID_TAKEN:
    case P2P_ERROR_FENCED:
      code = GST_RESOURCE_ERROR_BUSY;
      break;
    case P2P_ERROR_LIMIT:
      code = GST_RESOURCE_ERROR_NO_SPACE_LEFT;
      break;
    case P2P_ERROR_PROTOCOL:
      return {GST_STREAM_ERROR, sends ? GST_STREAM_ERROR_ENCODE : GST_STREAM_ERROR_DECODE};
    case P2P_ERROR_FAILED:
    case P2P_ERROR_NOT_CONNECTED:
    case P2P_ERROR_CLOSED:
    case P2P_ERROR_REFUSED:
    case P2P_ERROR_TIMED_OUT:
    case P2P_ERROR_UNREACHABLE:
    case P2P_ERROR_WOULD_BLOCK:
    case P2P_ERROR_SIGNALING:
    case P2P_ERROR_END_OF_STREAM:
    case P2P_ERROR_STORE:
      break;
  }
  return {GST_RESOURCE_ERROR, code};
}

void
post (GstElement *element, GstMessageType type, Code code, const std::string &text,
      const char *function, int line) {
  // Of an info, gst-launch-1.0 shows the second text only.
  char *debug = type == GST_MESSAGE_INFO ? g_strdup (text.c_str ()) : nullptr;
  gst_element_message_full (element, type, code.domain, code.code, g_strdup (text.c_str ()), debug,
                            __FILE__, function, line);
}

class BusReporter final : public LinkObserver {
 public:
  BusReporter (GstElement *element, bool sends) : sends_ (sends) {
    g_weak_ref_init (&element_, element);
  }
  ~BusReporter () override { g_weak_ref_clear (&element_); }
  BusReporter (const BusReporter &) = delete;
  BusReporter &operator= (const BusReporter &) = delete;

  void link_state_changed (const ConnectionEvent &event, P2pConnection *connection) override {
    const auto element = lock ();
    if (!element) return;
    GstStructure *fields = gst_structure_new (
        "p2p-connection-state", "state", P2P_TYPE_CONNECTION_STATE, event.state, "reason",
        G_TYPE_STRING, event.reason.c_str (), "break-reason", P2P_TYPE_BREAK_REASON,
        event.break_reason, "peer", G_TYPE_STRING, p2p_connection_get_peer (connection),
        "authentication", P2P_TYPE_AUTHENTICATION, p2p_connection_get_authentication (connection),
        nullptr);
    if (event.state == P2P_CONNECTION_STATE_CONNECTED) add_path (fields, connection);
    if (event.restored) {
      gst_structure_set (fields, "outage-ms", G_TYPE_UINT64, guint64 (event.outage_ms), nullptr);
      add_fields (fields, event.restored.get ());
    }
    const UniqueStructure kept (gst_structure_copy (fields));
    GST_INFO_OBJECT (element.get (), "%" GST_PTR_FORMAT, static_cast<void *> (fields));
    gst_element_post_message (element.get (),
                              gst_message_new_element (GST_OBJECT (element.get ()), fields));
    g_object_notify (G_OBJECT (element.get ()), "connection-state");
    warn_when_degraded (element.get (), event.state, kept.get ());
  }

  void link_failed (const Error &error, bool connected) override {
    if (const auto element = lock ()) post_error (element.get (), error, sends_, connected);
  }

  void link_warned (const Error &warning) override {
    if (const auto element = lock ()) post_warning (element.get (), warning);
  }

  void link_unauthenticated (const std::string &peer, bool local) override {
    const auto element = lock ();
    if (!element) return;
    // On one machine the meeting point is a socket that only this user can open, so nobody else
    // can pose as the peer; elsewhere the server could.
    post (element.get (), local ? GST_MESSAGE_INFO : GST_MESSAGE_WARNING,
          {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS},
          std::string ("Only the ") + (local ? "local meeting point" : "rendezvous server") +
              " vouches for '" + peer +
              "'. Set 'secret' or 'peer-fingerprint' on both sides to prove who the peer is.",
          GST_FUNCTION, __LINE__);
  }

 private:
  Ref<GstElement> lock () {
    return Ref<GstElement>::adopt (static_cast<GstElement *> (g_weak_ref_get (&element_)));
  }

  static void add_path (GstStructure *fields, P2pConnection *connection) {
    const auto stats = Ref<GVariant>::adopt (p2p_connection_get_stats (connection));
    GVariantDict path;
    g_variant_dict_init (&path, nullptr);
    for (const char *name :
         {"path-kind", "local-candidate", "remote-candidate", "relayed", "connect-took-ms"}) {
      const auto value =
          Ref<GVariant>::adopt (g_variant_lookup_value (stats.get (), name, nullptr));
      if (value) g_variant_dict_insert_value (&path, name, value.get ());
    }
    const auto dictionary = Ref<GVariant>::adopt (g_variant_ref_sink (g_variant_dict_end (&path)));
    add_fields (fields, dictionary.get ());
    add_candidates (fields, "local-candidates", p2p_connection_dup_local_config (connection));
    add_candidates (fields, "remote-candidates", p2p_connection_dup_remote_config (connection));
  }

  static void add_candidates (GstStructure *fields, const char *name, P2pNetworkConfig *raw) {
    const auto config = Ref<P2pNetworkConfig>::adopt (raw);
    if (!config) return;
    GValue list = G_VALUE_INIT;
    g_value_init (&list, GST_TYPE_LIST);
    char **candidates = p2p_network_config_dup_candidates (config.get ());
    for (char **candidate = candidates; candidate && *candidate; candidate++) {
      GValue text = G_VALUE_INIT;
      g_value_init (&text, G_TYPE_STRING);
      g_value_set_string (&text, *candidate);
      gst_value_list_append_and_take_value (&list, &text);
    }
    g_strfreev (candidates);
    gst_structure_take_value (fields, name, &list);
  }

  // `fields`: what the message of the state says.
  static void warn_when_degraded (GstElement *element, P2pConnectionState state,
                                  const GstStructure *fields) {
    const std::string peer = gst_structure_get_string (fields, "peer");
    if (state == P2P_CONNECTION_STATE_BROKEN) {
      const char *reason = gst_structure_get_string (fields, "reason");
      post_warning (element, {P2P_ERROR_NOT_CONNECTED,
                              "The connection to '" + peer + "' is broken and being restored" +
                                  (reason ? std::string (": ") + reason : std::string ("."))});
    }
    gboolean relayed = FALSE;
    P2pIceTransportPolicy policy = P2P_ICE_TRANSPORT_POLICY_ALL;
    g_object_get (element, "ice-transport-policy", &policy, nullptr);
    if (gst_structure_get_boolean (fields, "relayed", &relayed) && relayed &&
        policy == P2P_ICE_TRANSPORT_POLICY_ALL)
      post_warning (element, {P2P_ERROR_UNREACHABLE, "There is no direct way to '" + peer +
                                                         "': the bytes go through a relay."});
  }

  GWeakRef element_;
  const bool sends_;
};

}  // namespace

void
post_error (GstElement *element, const Error &error, bool sends, bool connected) {
  post (element, GST_MESSAGE_ERROR, code_of (error, sends, connected), error.message, GST_FUNCTION,
        __LINE__);
}

void
post_warning (GstElement *element, const Error &warning) {
  post (element, GST_MESSAGE_WARNING, code_of (warning, true, false), warning.message, GST_FUNCTION,
        __LINE__);
}

void
add_fields (GstStructure *structure, GVariant *dictionary, const char *prefix) {
  GVariantIter iter;
  const char *key;
  GVariant *raw;
  g_variant_iter_init (&iter, dictionary);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &raw)) {
    if (g_variant_is_of_type (raw, G_VARIANT_TYPE_VARDICT)) {
      add_fields (structure, raw, (std::string (prefix) + key + "-").c_str ());
      continue;
    }
    if (!g_variant_type_is_basic (g_variant_get_type (raw))) continue;
    GValue value = G_VALUE_INIT;
    g_dbus_gvariant_to_gvalue (raw, &value);
    gst_structure_take_value (structure, (std::string (prefix) + key).c_str (), &value);
  }
}

std::shared_ptr<LinkObserver>
make_bus_reporter (GstElement *element, bool sends) {
  return std::make_shared<BusReporter> (element, sends);
}

}  // namespace p2p
