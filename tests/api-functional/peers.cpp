#include "peers.hpp"

#include <glib/gstdio.h>

bool
wait_until (const std::function<bool ()> &condition) {
  bool expired = false;
  GSource *timer = g_timeout_source_new_seconds (60);
  g_source_set_callback (
      timer,
      [] (gpointer data) -> gboolean {
        *static_cast<bool *> (data) = true;
        return G_SOURCE_CONTINUE;
      },
      &expired, nullptr);
  g_source_attach (timer, nullptr);
  bool holds = condition ();
  while (!holds && !expired) {
    g_main_context_iteration (nullptr, TRUE);
    holds = condition ();
  }
  g_source_destroy (timer);
  g_source_unref (timer);
  return holds;
}

void
Outcome::ready (GObject *, GAsyncResult *result, gpointer outcome) {
  static_cast<Outcome *> (outcome)->result_ = share (result);
}

GAsyncResult *
Outcome::wait () {
  return wait_until ([this] { return done (); }) ? result_.get () : nullptr;
}

Folder::Folder () {
  char *path = g_dir_make_tmp ("p2p-api-XXXXXX", nullptr);
  path_ = path;
  g_free (path);
}

Folder::~Folder () {
  if (GDir *dir = g_dir_open (path_.c_str (), 0, nullptr)) {
    while (const char *name = g_dir_read_name (dir)) (void)g_unlink (file (name).c_str ());
    g_dir_close (dir);
  }
  (void)g_rmdir (path_.c_str ());
}

GBytes *
bytes_of (const std::string &text) {
  return g_bytes_new (text.data (), text.size ());
}

std::string
text_of (GBytes *bytes) {
  gsize size = 0;
  const auto *data = static_cast<const char *> (g_bytes_get_data (bytes, &size));
  return {data ? data : "", size};
}

bool
send_text (P2pChannel *channel, const std::string &text) {
  GBytes *payload = bytes_of (text);
  const bool sent = p2p_channel_send (channel, payload, nullptr, nullptr);
  g_bytes_unref (payload);
  return sent;
}

std::string
receive_text (P2pChannel *channel) {
  Outcome outcome;
  Object<GCancellable> cancellable (g_cancellable_new ());
  p2p_channel_receive_async (channel, cancellable.get (), Outcome::ready, &outcome);
  if (!outcome.wait ()) {
    g_cancellable_cancel (cancellable.get ());
    return outcome.wait () ? "<no message in time>" : "<no answer to the cancellation>";
  }
  Failure failure;
  P2pMessage *message = p2p_channel_receive_finish (channel, outcome.wait (), &failure);
  if (!message) return "<" + failure.message () + ">";
  const std::string text = text_of (p2p_message_get_payload (message));
  p2p_message_unref (message);
  return text;
}

guint64
count_of (GVariant *stats, const char *key) {
  guint64 count = G_MAXUINT64;
  (void)g_variant_lookup (stats, key, "t", &count);
  g_variant_unref (stats);
  return count;
}

std::string
string_of (GVariant *stats, const char *key) {
  const char *text = nullptr;
  (void)g_variant_lookup (stats, key, "&s", &text);
  std::string copy = text ? text : "<none>";
  g_variant_unref (stats);
  return copy;
}

Object<P2pAgent>
make_agent (const Folder &folder, const std::string &id) {
  Object<P2pAgent> agent (p2p_agent_new (id.c_str ()));
  g_object_set (agent.get (), "identity", folder.file (id + ".pem").c_str (), nullptr);
  return agent;
}

namespace {

// Where the messages of one side go. Weak: each side holds the other's otherwise.
struct Bridge {
  explicit Bridge (const char *the_from, P2pSignaling *the_to) : from (the_from) {
    g_weak_ref_init (&to, the_to);
  }
  ~Bridge () { g_weak_ref_clear (&to); }
  Bridge (const Bridge &) = delete;
  Bridge &operator= (const Bridge &) = delete;

  static void carry (P2pAppSignaling *, const char *, GBytes *message, gpointer data) {
    auto *self = static_cast<Bridge *> (data);
    const Object<P2pAppSignaling> to (static_cast<P2pAppSignaling *> (g_weak_ref_get (&self->to)));
    if (to) p2p_app_signaling_receive (to.get (), self->from.c_str (), message);
  }
  static void destroy (gpointer data, GClosure *) { delete static_cast<Bridge *> (data); }

  const std::string from;
  GWeakRef to;
};

void
connect_bridge (P2pSignaling *signaling, const char *from, P2pSignaling *to) {
  g_signal_connect_data (signaling, "send-message", G_CALLBACK (Bridge::carry),
                         new Bridge (from, to), Bridge::destroy, G_CONNECT_DEFAULT);
}

}  // namespace

void
join_by_app_signaling (P2pAgent *alice, P2pAgent *bob) {
  const Object<P2pSignaling> at_alice (p2p_app_signaling_new ());
  const Object<P2pSignaling> at_bob (p2p_app_signaling_new ());
  connect_bridge (at_alice.get (), p2p_agent_get_id (alice), at_bob.get ());
  connect_bridge (at_bob.get (), p2p_agent_get_id (bob), at_alice.get ());
  p2p_agent_set_signaling (alice, at_alice.get ());
  p2p_agent_set_signaling (bob, at_bob.get ());
}

void
use_only (P2pAgent *agent, P2pPathFactory *factory, const char *name) {
  const char *order[] = {name, nullptr};
  g_object_set (agent, "path-order", order, nullptr);
  p2p_agent_add_path_factory (agent, factory);
}

Peers::Peers (P2pMemoryNetwork *the_network)
    : network (the_network),
      alice (make_agent (folder, "alice")),
      bob (make_agent (folder, "bob")) {
  join_by_app_signaling (alice.get (), bob.get ());
  if (!network) return;
  use_only (alice.get (), P2P_PATH_FACTORY (network.get ()), "memory");
  use_only (bob.get (), P2P_PATH_FACTORY (network.get ()), "memory");
}

bool
Peers::connect () {
  at_alice.reset (p2p_agent_open_connection (alice.get (), "bob", nullptr, nullptr));
  at_bob.reset (p2p_agent_open_connection (bob.get (), "alice", nullptr, nullptr));
  return at_alice && at_bob && wait_until ([this] {
           return p2p_connection_get_state (at_alice.get ()) == P2P_CONNECTION_STATE_CONNECTED &&
                  p2p_connection_get_state (at_bob.get ()) == P2P_CONNECTION_STATE_CONNECTED;
         });
}

bool
Peers::open_channel (const char *name) {
  alices.reset (p2p_connection_open_channel (at_alice.get (), name, nullptr, nullptr));
  bobs.reset (p2p_connection_open_channel (at_bob.get (), name, nullptr, nullptr));
  return alices && bobs;
}

bool
close_agent (P2pAgent *agent) {
  Outcome outcome;
  p2p_agent_close_async (agent, nullptr, Outcome::ready, &outcome);
  GAsyncResult *result = outcome.wait ();
  return result && p2p_agent_close_finish (agent, result, nullptr);
}

bool
Peers::close () {
  alices.reset ();
  bobs.reset ();
  at_alice.reset ();
  at_bob.reset ();
  return close_agent (alice.get ()) && close_agent (bob.get ());
}
