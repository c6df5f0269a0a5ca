#include "object_signaling.hpp"

#include <atomic>
#include <vector>

namespace p2p {

namespace {

// Each direction: an application that does not iterate its context, or floods us, costs so much
// memory at most.
constexpr int kMaxQueued = 1000;

class Signals {
 public:
  template <class Handler, class Data>
  void connect (P2pSignaling *object, const char *name, Handler handler,
                const std::weak_ptr<Data> &link) {
    using Weak = std::weak_ptr<Data>;
    ids_.push_back (g_signal_connect_data (
        object, name, G_CALLBACK (handler), new Weak (link),
        [] (gpointer data, GClosure *) { delete static_cast<Weak *> (data); },
        static_cast<GConnectFlags> (0)));
  }
  void disconnect (P2pSignaling *object) {
    for (const gulong id : ids_) g_signal_handler_disconnect (object, id);
    ids_.clear ();
  }

 private:
  std::vector<gulong> ids_;
};

}  // namespace

P2pSignalingState
to_public (Signaling::State state) {
  switch (state) {
    case Signaling::State::idle:
      return P2P_SIGNALING_STATE_IDLE;
    case Signaling::State::connecting:
      return P2P_SIGNALING_STATE_CONNECTING;
    case Signaling::State::registered:
      return P2P_SIGNALING_STATE_REGISTERED;
    case Signaling::State::refused:
      return P2P_SIGNALING_STATE_REFUSED;
  }
  return P2P_SIGNALING_STATE_IDLE;
}

Signaling::State
from_public (P2pSignalingState state) {
  switch (state) {
    case P2P_SIGNALING_STATE_IDLE:
      return Signaling::State::idle;
    case P2P_SIGNALING_STATE_CONNECTING:
      return Signaling::State::connecting;
    case P2P_SIGNALING_STATE_REGISTERED:
      return Signaling::State::registered;
    case P2P_SIGNALING_STATE_REFUSED:
      return Signaling::State::refused;
  }
  return Signaling::State::idle;
}

struct ObjectSignaling::Link : std::enable_shared_from_this<Link> {
  Link (Ref<P2pSignaling> the_object, Ref<GMainContext> the_context)
      : object (std::move (the_object)), context (std::move (the_context)) {}

  using Work = std::function<void (Link &)>;

  // From any thread to the core, where it is dropped when the signaling has gone meanwhile.
  void to_core (Work work) {
    if (queued_in.fetch_add (1) >= kMaxQueued) {
      queued_in--;
      return;
    }
    core_loop ().post ([weak = weak_from_this (), work = std::move (work)] {
      const auto link = weak.lock ();
      if (!link) return;
      link->queued_in--;
      if (link->observer) work (*link);
    });
  }

  static std::shared_ptr<Link> from (gpointer data) {
    return static_cast<std::weak_ptr<Link> *> (data)->lock ();
  }
  static void on_state (P2pSignaling *, P2pSignalingState state, const GError *reason,
                        gpointer data);
  static void on_peer (P2pSignaling *, const char *peer, gboolean present, gpointer data);
  static void on_message (P2pSignaling *, const char *peer, GBytes *message, gpointer data);

  const Ref<P2pSignaling> object;
  const Ref<GMainContext> context;
  std::atomic<int> queued_in{0}, queued_out{0};
  // Core thread only.
  Observer *observer = nullptr;
  State state = State::idle;
  std::set<std::string> present;
  Signals signals;
};

void
ObjectSignaling::Link::on_state (P2pSignaling *, P2pSignalingState state, const GError *reason,
                                 gpointer data) {
  const auto link = from (data);
  if (!link) return;
  Status error;
  if (reason) error = from_gerror (reason, P2P_ERROR_SIGNALING);
  link->to_core ([state = from_public (state), error] (Link &l) {
    l.state = state;
    l.observer->signaling_state (state, error ? &*error : nullptr);
  });
}

void
ObjectSignaling::Link::on_peer (P2pSignaling *, const char *peer, gboolean present, gpointer data) {
  const auto link = from (data);
  if (!link) return;
  link->to_core ([peer = std::string (peer), present] (Link &l) {
    // Once per change, however often the application says it.
    const bool changed = present ? l.present.insert (peer).second : l.present.erase (peer) > 0;
    if (changed) l.observer->signaling_peer (peer, present);
  });
}

void
ObjectSignaling::Link::on_message (P2pSignaling *, const char *peer, GBytes *message,
                                   gpointer data) {
  const auto link = from (data);
  gsize size = 0;
  const auto *bytes = static_cast<const char *> (g_bytes_get_data (message, &size));
  if (!link || size > kMaxSignalBytes) return;
  link->to_core ([peer = std::string (peer), text = std::string (bytes, size)] (Link &l) {
    l.observer->signaling_message (peer, text);
  });
}

ObjectSignaling::ObjectSignaling (Ref<P2pSignaling> object, Ref<GMainContext> context)
    : link_ (std::make_shared<Link> (std::move (object), std::move (context))) {
  const std::weak_ptr<Link> weak = link_;
  P2pSignaling *target = link_->object.get ();
  link_->signals.connect (target, "state-changed", &Link::on_state, weak);
  link_->signals.connect (target, "peer-changed", &Link::on_peer, weak);
  link_->signals.connect (target, "message", &Link::on_message, weak);
}

ObjectSignaling::~ObjectSignaling () {
  link_->observer = nullptr;
  link_->signals.disconnect (link_->object.get ());
  call (p2p_signaling_stop);
}

void
ObjectSignaling::call (std::function<void (P2pSignaling *)> work) {
  // The posted work holds the object, so that its last reference goes in the context.
  link_->queued_out++;
  post_event (link_->context.get (), [link = link_, work = std::move (work)] {
    link->queued_out--;
    work (link->object.get ());
  });
}

void
ObjectSignaling::set_observer (Observer *observer) {
  link_->observer = observer;
}

void
ObjectSignaling::start (const std::string &id) {
  call ([id] (P2pSignaling *object) { p2p_signaling_start (object, id.c_str ()); });
}

void
ObjectSignaling::ask (const std::string &peer) {
  call ([peer] (P2pSignaling *object) { p2p_signaling_ask (object, peer.c_str ()); });
}

void
ObjectSignaling::unask (const std::string &peer) {
  link_->present.erase (peer);
  call ([peer] (P2pSignaling *object) { p2p_signaling_unask (object, peer.c_str ()); });
}

Status
ObjectSignaling::send (const std::string &peer, const std::string &message) {
  if (message.size () > kMaxSignalBytes)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE, "A signaling message of " +
                                                  std::to_string (message.size ()) +
                                                  " bytes is above the limit of 64 KiB."};
  if (link_->present.count (peer) == 0)
    return Error{P2P_ERROR_NOT_CONNECTED, "The peer \"" + peer + "\" is not present."};
  if (link_->queued_out >= kMaxQueued)
    return Error{P2P_ERROR_LIMIT,
                 "The application does not take its signaling messages; iterate its main context."};
  link_->queued_out++;
  post_event (link_->context.get (), [link = link_, peer, message] {
    link->queued_out--;
    const auto bytes = Ref<GBytes>::adopt (g_bytes_new (message.data (), message.size ()));
    GError *error = nullptr;
    if (p2p_signaling_send (link->object.get (), peer.c_str (), bytes.get (), &error)) return;
    // The message counts as lost on the way; why is told as the reason of the unchanged state.
    Error reason{P2P_ERROR_SIGNALING, "A signaling message could not be sent."};
    if (error) reason = from_gerror (error, P2P_ERROR_SIGNALING);
    g_clear_error (&error);
    link->to_core ([reason] (Link &l) { l.observer->signaling_state (l.state, &reason); });
  });
  return {};
}

Signaling::State
ObjectSignaling::state () const {
  return link_->state;
}

}  // namespace p2p
