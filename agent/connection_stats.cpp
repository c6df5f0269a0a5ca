#include "connection_stats.hpp"

#include "p2p/p2p-enum-types.h"

namespace p2p {

namespace {

// The name that bindings know the value by: "connected".
std::string
nick (GType type, int value) {
  auto *klass = static_cast<GEnumClass *> (g_type_class_ref (type));
  const GEnumValue *found = g_enum_get_value (klass, value);
  std::string name = found ? found->value_nick : "";
  g_type_class_unref (klass);
  return name;
}

class Dictionary {
 public:
  Dictionary () { g_variant_builder_init (&builder_, G_VARIANT_TYPE_VARDICT); }
  void add (const char *key, GVariant *value) {
    g_variant_builder_add (&builder_, "{sv}", key, value);
  }
  void add (const char *key, const std::string &value) {
    // What a peer sent may be any bytes; a string of a variant may not.
    char *valid = g_utf8_make_valid (value.c_str (), -1);
    add (key, g_variant_new_take_string (valid));
  }
  void add_known (const char *key, const std::string &value) {
    if (!value.empty ()) add (key, value);
  }
  void add_count (const char *key, std::uint64_t value) { add (key, g_variant_new_uint64 (value)); }
  void add_span (const char *key, std::int64_t value) { add (key, g_variant_new_int64 (value)); }
  GVariant *end () { return g_variant_ref_sink (g_variant_builder_end (&builder_)); }

 private:
  GVariantBuilder builder_;
};

void
add_transport (Dictionary &dictionary, const TransportStats &transport) {
  dictionary.add_span ("rtt-us", transport.smoothed_rtt_us);
  dictionary.add_span ("min-rtt-us", transport.min_rtt_us);
  dictionary.add_count ("bytes-sent", transport.bytes_sent);
  dictionary.add_count ("bytes-received", transport.bytes_received);
  dictionary.add_count ("packets-sent", transport.packets_sent);
  dictionary.add_count ("packets-received", transport.packets_received);
  dictionary.add_count ("packets-lost", transport.packets_lost);
  dictionary.add_count ("packets-dropped", transport.packets_dropped);
  dictionary.add_count ("datagrams-dropped", transport.datagrams_dropped);
  dictionary.add_count ("congestion-window-bytes", transport.congestion_window_bytes);
  dictionary.add_count ("bytes-in-flight", transport.bytes_in_flight);
  dictionary.add_count ("packet-bytes", transport.packet_bytes);
  dictionary.add_known ("cipher", transport.cipher);
  dictionary.add_known ("congestion-control", transport.congestion_control);
}

void
add_liveness (Dictionary &dictionary, const ConnectionSnapshot &now, const PingStats &pings) {
  dictionary.add ("break-reason", nick (P2P_TYPE_BREAK_REASON, now.break_reason));
  dictionary.add_count ("breaks", now.breaks);
  dictionary.add_span ("last-outage-ms", now.restored.outage_us / kMillisecond);
  dictionary.add_span ("ping-rtt-us", pings.rtt_us);
  dictionary.add_span ("ping-smoothed-rtt-us", pings.smoothed_rtt_us);
  dictionary.add_span ("ping-min-rtt-us", pings.min_rtt_us);
  dictionary.add_span ("ping-jitter-us", pings.jitter_us);
  dictionary.add_count ("pings-sent", pings.pings_sent);
  dictionary.add_count ("pongs-received", pings.pongs_received);
  dictionary.add_count ("pings-lost", pings.pings_lost);
  dictionary.add ("ping-loss", g_variant_new_double (pings.loss));
}

void
add_path (Dictionary &dictionary, const PathInfo &path) {
  dictionary.add ("path-kind", path.kind);
  dictionary.add ("local-candidate", path.local);
  dictionary.add ("remote-candidate", path.remote);
  dictionary.add ("relayed", g_variant_new_boolean (path.relayed));
}

}  // namespace

GVariant *
connection_stats_to_variant (const std::string &peer, const ConnectionStats &stats) {
  const ConnectionSnapshot &now = stats.snapshot;
  Dictionary dictionary;
  dictionary.add ("peer", peer);
  dictionary.add ("state", nick (P2P_TYPE_CONNECTION_STATE, now.state));
  dictionary.add ("reason", now.reason);
  dictionary.add ("authentication", nick (P2P_TYPE_AUTHENTICATION, now.authentication));
  dictionary.add_known ("peer-fingerprint", now.peer_fingerprint);
  add_transport (dictionary, stats.transport);
  dictionary.add_span ("connect-took-ms", stats.connect_took_us / kMillisecond);
  dictionary.add_span ("connected-for-ms", stats.connected_for_us / kMillisecond);
  dictionary.add_count ("signals-rejected", stats.signals_rejected);
  dictionary.add_count ("path-datagrams-dropped", stats.path_datagrams_dropped);
  dictionary.add_count ("relay-datagrams-dropped", stats.relay_datagrams_dropped);
  dictionary.add_count ("relay-peers-refused", stats.relay_peers_refused);
  dictionary.add_count ("relays-allocated", stats.relays_allocated);
  dictionary.add_count ("relays-lost", stats.relays_lost);
  dictionary.add ("relay-standby", g_variant_new_boolean (stats.relay_standby));
  dictionary.add_count ("relay-standbys-built", stats.relay_standbys_built);
  dictionary.add_count ("relay-standbys-lost", stats.relay_standbys_lost);
  dictionary.add_count ("relay-standbys-failed", stats.relay_standbys_failed);
  add_liveness (dictionary, now, stats.pings);
  if (now.path) {
    add_path (dictionary, *now.path);
    dictionary.add_known ("path-engine", now.path->engine);
  }
  GVariantBuilder attempts;
  g_variant_builder_init (&attempts, G_VARIANT_TYPE_STRING_ARRAY);
  for (const std::string &attempt : now.path_attempts) {
    const UniqueChars valid (g_utf8_make_valid (attempt.c_str (), -1));
    g_variant_builder_add (&attempts, "s", valid.get ());
  }
  dictionary.add ("path-attempts", g_variant_builder_end (&attempts));
  return dictionary.end ();
}

GVariant *
restored_to_variant (const ConnectionSnapshot &now) {
  Dictionary dictionary;
  if (now.path) add_path (dictionary, *now.path);
  dictionary.add ("new-transport", g_variant_new_boolean (now.restored.new_transport));
  dictionary.add_count ("replayed-messages", now.restored.replayed_messages);
  dictionary.add_count ("replayed-bytes", now.restored.replayed_bytes);
  return dictionary.end ();
}

}  // namespace p2p
