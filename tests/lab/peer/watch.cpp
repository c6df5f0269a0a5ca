#include "watch.hpp"

#include <utility>

#include "property.hpp"

namespace lab {

namespace {

constexpr unsigned kTickMs = 20;
// Connected by name, and told as they come.
constexpr const char *kSignals[] = {"broken", "restored", "removed", "warning"};

std::string
lookup (GVariant *stats, const char *key) {
  const UniqueVariant value (g_variant_lookup_value (stats, key, G_VARIANT_TYPE_STRING));
  return value ? g_variant_get_string (value.get (), nullptr) : "";
}

// A closure without a signature: whatever a signal comes with is written as it is.
void
tell_signal (GClosure *, GValue *, guint count, const GValue *values, gpointer, gpointer name) {
  // The first is the connection.
  Line ("signal")
      .text ("name", static_cast<const char *> (name))
      .values ("args", values + 1, count - 1);
}

}  // namespace

Watch::Watch (P2pConnection *connection, std::function<void (P2pConnectionState)> changed)
    : connection_ (connection), changed_ (std::move (changed)), last_tick_ms_ (now_ms ()) {
  g_signal_connect (connection_, "state-changed", G_CALLBACK (on_state), this);
  for (const char *signal : kSignals) connect_by_name (signal);
  timer_ = g_timeout_add (
      kTickMs,
      [] (gpointer self) -> gboolean {
        static_cast<Watch *> (self)->tick ();
        return G_SOURCE_CONTINUE;
      },
      this);
}

Watch::~Watch () {
  g_source_remove (timer_);
  g_signal_handlers_disconnect_by_data (connection_, this);
}

void
Watch::connect_by_name (const char *signal) {
  const guint id = g_signal_lookup (signal, P2P_TYPE_CONNECTION);
  Line ("signal-known").text ("name", signal).flag ("known", id != 0);
  if (!id) return;
  GClosure *closure = g_closure_new_simple (sizeof (GClosure), this);
  g_closure_set_meta_marshal (closure, const_cast<char *> (signal), tell_signal);
  g_signal_connect_closure_by_id (connection_, id, 0, closure, FALSE);
}

void
Watch::on_state (P2pConnection *connection, P2pConnectionState state, const char *reason,
                 gpointer data) {
  auto *self = static_cast<Watch *> (data);
  {
    const std::string why = property_text (G_OBJECT (connection), "break-reason");
    const UniqueError error (p2p_connection_dup_error (connection));
    Line ("state")
        .text ("state", nick (P2P_TYPE_CONNECTION_STATE, state).c_str ())
        .text ("reason", reason)
        .text ("break-reason", why.empty () ? nullptr : why.c_str ())
        .text ("error", error ? error->message : nullptr);
  }
  self->look_at_path ();
  // Only what comes from now on is measured.
  if (state == P2P_CONNECTION_STATE_CONNECTED && !std::exchange (self->was_connected_, true))
    self->max_stall_ms_ = 0;
  self->changed_ (state);
}

void
Watch::tick () {
  const double now = now_ms ();
  const double stall_ms = now - last_tick_ms_ - kTickMs;
  if (stall_ms > max_stall_ms_) {
    max_stall_ms_ = stall_ms;
    max_stall_from_ms_ = last_tick_ms_;
  }
  last_tick_ms_ = now;
  look_at_path ();
}

void
Watch::look_at_path () {
  const UniqueVariant now = stats ();
  const std::string local = lookup (now.get (), "local-candidate");
  const std::string remote = lookup (now.get (), "remote-candidate");
  if (local + "\n" + remote == path_) return;
  path_ = local + "\n" + remote;
  Line ("path").text ("local", local.c_str ()).text ("remote", remote.c_str ());
}

void
Watch::tell (Line &line) const {
  line.ms ("max_stall_ms", max_stall_ms_).ms ("max_stall_from", max_stall_from_ms_);
}

}  // namespace lab
