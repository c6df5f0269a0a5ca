#include "agent-registry.hpp"

#include <algorithm>
#include <utility>

namespace p2p {
namespace {

using Agents = std::map<std::string, std::weak_ptr<SharedAgent>>;

// Every living agent that elements made or were given, by what makes it the same. Never destroyed:
// the event context's thread runs on while the process exits.
Agents &
agents () {
  static auto *const map = new Agents;
  return *map;
}

// What a handler of a signal, or of a task's end, gets: the agent, as long as elements use it.
struct Handler {
  std::weak_ptr<SharedAgent> agent;
};

// Handlers may run in the context of an application.
void
on_events_with (gpointer data, std::function<void (SharedAgent &)> work) {
  run_on_events ([agent = static_cast<Handler *> (data)->agent, work = std::move (work)] {
    if (const auto self = agent.lock ()) work (*self);
  });
}

template <class Callback>
gulong
connect_handler (gpointer object, const char *signal, Callback callback,
                 std::weak_ptr<SharedAgent> agent) {
  return g_signal_connect_data (
      object, signal, G_CALLBACK (callback), new Handler{std::move (agent)},
      [] (gpointer data, GClosure *) { delete static_cast<Handler *> (data); },
      static_cast<GConnectFlags> (0));
}

// A GTask callback that keeps a token until the task is done.
void
drop_token (GObject *, GAsyncResult *, gpointer data) {
  delete static_cast<CloseToken *> (data);
}

std::string
make_random_id () {
  char id[16];
  g_snprintf (id, sizeof id, "gst-%08x", g_random_int ());
  return id;
}

bool
is_living (P2pConnection *connection) {
  return p2p_connection_get_state (connection) != P2P_CONNECTION_STATE_REMOVED;
}

void
set_session_store (P2pAgent *agent, const ElementSettings &settings) {
  if (settings.session_store.empty ()) return;
  g_object_set (agent, "session-store-uri", settings.session_store.c_str (), "session-store-key",
                settings.session_store_key.empty () ? nullptr : settings.session_store_key.c_str (),
                nullptr);
}

}  // namespace

bool
on_events () {
  return g_main_context_is_owner (p2p_get_event_context ());
}

void
run_on_events (std::function<void ()> work) {
  if (on_events ())
    work ();
  else
    post_to (p2p_get_event_context (), std::move (work));
}

void
post_to (GMainContext *context, std::function<void ()> work) {
  using Work = std::function<void ()>;
  GSource *source = g_idle_source_new ();
  g_source_set_static_name (source, "p2p element task");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (
      source,
      [] (gpointer data) -> gboolean {
        (*static_cast<Work *> (data)) ();
        return G_SOURCE_REMOVE;
      },
      new Work (std::move (work)), [] (gpointer data) { delete static_cast<Work *> (data); });
  g_source_attach (source, context);
  g_source_unref (source);
}

Error
to_error (const GError *error) {
  if (!error) return {};
  return {error->domain == P2P_ERROR ? static_cast<P2pError> (error->code) : P2P_ERROR_FAILED,
          error->message};
}

Error
take_error (GError *raw) {
  const UniqueError error (raw);
  return to_error (error.get ());
}

SharedAgent::SharedAgent (Ref<P2pAgent> agent, bool ours, std::string rendezvous)
    : agent_ (std::move (agent)), ours_ (ours), rendezvous_ (std::move (rendezvous)) {}

SharedAgent::~SharedAgent () {
  for (const auto &[object, id] : handlers_) {
    g_signal_handler_disconnect (object, id);
    g_object_unref (object);
  }
}

Result<std::shared_ptr<SharedAgent>>
SharedAgent::join (const ElementSettings &settings, std::weak_ptr<AgentUser> user) {
  std::string key;
  if (settings.agent) {
    char text[32];
    g_snprintf (text, sizeof text, "%p", static_cast<void *> (settings.agent.get ()));
    key = text;
  } else {
    key = settings.id + '\n' + settings.rendezvous + '\n' + settings.identity;
  }
  std::shared_ptr<SharedAgent> shared = agents ()[key].lock ();
  const bool fresh = !shared;
  if (fresh) {
    const std::string id = settings.id.empty () ? make_random_id () : settings.id;
    auto agent =
        settings.agent
            ? settings.agent
            : Ref<P2pAgent>::adopt (p2p_agent_new_full (id.c_str (), p2p_get_event_context ()));
    shared.reset (new SharedAgent (std::move (agent), !settings.agent, settings.rendezvous));
    shared->key_ = key;
  }
  if (auto error = shared->configure (settings)) return *error;
  shared->users_.push_back (std::move (user));
  if (fresh) {
    agents ()[key] = shared;
    shared->listen ();
    shared->start ();
  }
  return shared;
}

Status
SharedAgent::configure (const ElementSettings &settings) {
  GError *raw = nullptr;
  const char *peer = settings.peer.empty () ? nullptr : settings.peer.c_str ();
  if (!settings.secret.empty ()) {
    const auto [known, added] = secrets_.emplace (settings.peer, settings.secret);
    if (!added && known->second != settings.secret)
      return Error{P2P_ERROR_INVALID_ARGUMENT,
                   "Two elements with the same id have different secrets for the same peer."};
    if (peer)
      p2p_agent_set_peer_secret (agent_.get (), peer, settings.secret.c_str ());
    else
      p2p_agent_set_secret (agent_.get (), settings.secret.c_str ());
  }
  if (peer)
    if (auto error = pin (settings.peer, settings.peer_fingerprint)) return error;
  if (!ours_) return {};

  set_session_store (agent_.get (), settings);
  if (!settings.identity.empty ())
    g_object_set (agent_.get (), "identity", settings.identity.c_str (), nullptr);
  if (!peer) g_object_set (agent_.get (), "accept-policy", P2P_ACCEPT_POLICY_ASK, nullptr);
  g_object_set (agent_.get (), "ice-transport-policy", settings.ice_transport_policy, "data-path",
                settings.data_path, "turn-standby", gboolean{settings.turn_standby}, nullptr);
  set_liveness (settings.liveness);
  if (!settings.stun_server.empty () &&
      !p2p_agent_set_stun_server (agent_.get (), settings.stun_server.c_str (), &raw))
    return take_error (raw);
  for (const std::string &server : settings.turn_servers) {
    if (std::find (turn_servers_.begin (), turn_servers_.end (), server) != turn_servers_.end ())
      continue;
    if (!p2p_agent_add_turn_server (agent_.get (), server.c_str (), &raw)) return take_error (raw);
    turn_servers_.push_back (server);
  }
  if (users_.empty () && !p2p_agent_set_rendezvous (agent_.get (), rendezvous_.c_str (), &raw))
    return take_error (raw);
  return {};
}

Ref<GMainContext>
SharedAgent::context () const {
  GMainContext *context = nullptr;
  g_object_get (agent_.get (), "main-context", &context, nullptr);
  return Ref<GMainContext>::adopt (context);
}

void
SharedAgent::set_liveness (const LivenessWishes &wishes) {
  if (!ours_) return;
  const auto set = [this] (const char *property, const std::optional<guint> &value) {
    if (value) g_object_set (agent_.get (), property, *value, nullptr);
  };
  set ("ping-interval", wishes.ping_interval_ms);
  set ("ping-timeout", wishes.ping_timeout_ms);
  set ("peer-comeback-timeout", wishes.peer_comeback_timeout_ms);
  set ("idle-timeout", wishes.idle_timeout_ms);
}

Status
SharedAgent::pin (const std::string &peer, const std::string &fingerprint) {
  GError *raw = nullptr;
  if (fingerprint.empty () ||
      p2p_agent_set_peer_fingerprint (agent_.get (), peer.c_str (), fingerprint.c_str (), &raw))
    return {};
  return take_error (raw);
}

void
SharedAgent::start () {
  if (!ours_) return;
  // The task keeps the agent; the handler only asks whether elements still want to know.
  p2p_agent_start_async (
      agent_.get (), nullptr,
      [] (GObject *object, GAsyncResult *result, gpointer data) {
        const std::unique_ptr<Handler> handler (static_cast<Handler *> (data));
        GError *raw = nullptr;
        if (p2p_agent_start_finish (P2P_AGENT (object), result, &raw)) return;
        const Error error = take_error (raw);
        if (const auto self = handler->agent.lock ())
          self->for_each_user ([&] (AgentUser &user) { user.agent_failed (error); });
      },
      new Handler{weak_from_this ()});
}

void
SharedAgent::listen () {
  const auto add = [this] (gpointer object, const char *signal, auto callback) {
    handlers_.emplace_back (g_object_ref (object),
                            connect_handler (object, signal, callback, weak_from_this ()));
  };
  add (
      agent_.get (), "incoming", +[] (P2pAgent *, P2pConnection *connection, gpointer data) {
        on_events_with (data, [came = Ref<P2pConnection>::share (connection)] (SharedAgent &self) {
          self.offer (came.get ());
        });
      });
  add (
      agent_.get (), "signaling-changed",
      +[] (P2pAgent *, P2pSignalingState, const GError *error, gpointer data) {
        on_events_with (data, [problem = to_error (error)] (SharedAgent &self) {
          self.signaling_changed (problem);
        });
      });
  add (
      agent_.get (), "rejected",
      +[] (P2pAgent *, const char *, const GError *error, gpointer data) {
        on_events_with (data, [reason = to_error (error)] (SharedAgent &self) {
          self.for_each_user ([&] (AgentUser &user) { user.rejected (reason); });
        });
      });
  add (
      agent_.get (), "warning", +[] (P2pAgent *, const GError *error, gpointer data) {
        on_events_with (data, [warning = to_error (error)] (SharedAgent &self) {
          self.for_each_user ([&] (AgentUser &user) { user.agent_warned (warning); });
        });
      });
}

void
SharedAgent::for_each_user (const std::function<void (AgentUser &)> &visit) {
  const auto users = users_;  // a visit may change them
  for (const auto &weak : users)
    if (const auto user = weak.lock ()) visit (*user);
}

void
SharedAgent::offer () {
  GListModel *model = p2p_agent_get_connections (agent_.get ());
  for (guint i = 0; i < g_list_model_get_n_items (model); i++) {
    const auto connection =
        Ref<P2pConnection>::adopt (P2P_CONNECTION (g_list_model_get_item (model, i)));
    if (connection) offer (connection.get ());
  }
}

// Gives the connection of a peer that came by itself to the elements that wait for one; nobody
// having a use for it, turns the peer away.
void
SharedAgent::offer (P2pConnection *connection) {
  if (!is_living (connection)) return;
  bool somebody_soon = false;
  for_each_user ([&] (AgentUser &user) {
    const AgentUser::Wish wish = user.wishes_any_peer ();
    if (wish == AgentUser::Wish::now) user.offered (connection);
    if (wish == AgentUser::Wish::soon) somebody_soon = true;
  });
  if (!ours_ || p2p_connection_get_state (connection) != P2P_CONNECTION_STATE_INCOMING) return;
  if (find (connection))
    p2p_connection_accept (connection);
  else if (!somebody_soon)
    p2p_connection_refuse (connection, "It has its peer already.");
}

void
SharedAgent::signaling_changed (const Error &problem) {
  // Each failed attempt tells again what the first one told.
  if (problem.message == std::exchange (last_signaling_problem_, problem.message)) return;
  if (problem.message.empty ()) return;
  for_each_user ([&] (AgentUser &user) { user.agent_warned (problem); });
}

SharedAgent::Connection *
SharedAgent::find (P2pConnection *connection) {
  const auto found =
      std::find_if (connections_.begin (), connections_.end (),
                    [&] (const Connection &c) { return c.connection.get () == connection; });
  return found == connections_.end () ? nullptr : &*found;
}

Result<Ref<P2pConnection>>
SharedAgent::connect (const std::string &peer) {
  const auto existing =
      Ref<P2pConnection>::adopt (p2p_agent_lookup_connection (agent_.get (), peer.c_str ()));
  GError *raw = nullptr;
  auto connection = Ref<P2pConnection>::adopt (
      p2p_agent_open_connection (agent_.get (), peer.c_str (), nullptr, &raw));
  if (!connection) return take_error (raw);
  if (Connection *known = find (connection.get ())) {
    known->users++;
  } else {
    connections_.push_back ({connection, ours_ || connection.get () != existing.get (), 1, {}});
  }
  return connection;
}

void
SharedAgent::use (P2pConnection *connection) {
  if (Connection *known = find (connection))
    known->users++;
  else
    connections_.push_back ({Ref<P2pConnection>::share (connection), ours_, 1, {}});
}

Result<Ref<P2pChannel>>
SharedAgent::open_channel (P2pConnection *connection, const std::string &name,
                           P2pChannelOptions *options) {
  GError *raw = nullptr;
  auto channel = Ref<P2pChannel>::adopt (
      p2p_connection_open_channel (connection, name.c_str (), options, &raw));
  if (!channel) return take_error (raw);
  if (Connection *known = find (connection)) known->channels[channel.get ()]++;
  return channel;
}

void
SharedAgent::release (P2pConnection *connection, P2pChannel *channel, const CloseToken &token) {
  Connection *known = find (connection);
  if (!known) return;
  if (channel && --known->channels[channel] == 0) {
    known->channels.erase (channel);
    p2p_channel_close (channel);
  }
  if (--known->users > 0) return;
  if (known->ours && is_living (connection))
    p2p_connection_close_async (connection, nullptr, drop_token, new CloseToken (token));
  connections_.erase (connections_.begin () + (known - connections_.data ()));
}

void
SharedAgent::leave (const AgentUser *user, const CloseToken &token) {
  users_.erase (std::remove_if (users_.begin (), users_.end (),
                                [&] (const std::weak_ptr<AgentUser> &weak) {
                                  const auto other = weak.lock ();
                                  return !other || other.get () == user;
                                }),
                users_.end ());
  if (!users_.empty ()) return;
  agents ().erase (key_);
  if (ours_) p2p_agent_close_async (agent_.get (), nullptr, drop_token, new CloseToken (token));
}

}  // namespace p2p
