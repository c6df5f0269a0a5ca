#include "state-watch.hpp"

#include <utility>

#include "agent-registry.hpp"

namespace p2p {

std::shared_ptr<StateWatch>
StateWatch::start (P2pConnection *connection, GMainContext *context, Tell tell) {
  auto watch = std::make_shared<StateWatch> (connection, context, std::move (tell));
  post_to (context, [watch] { watch->begin (); });
  return watch;
}

StateWatch::StateWatch (P2pConnection *connection, GMainContext *context, Tell tell)
    : connection_ (Ref<P2pConnection>::share (connection)),
      context_ (Ref<GMainContext>::share (context)),
      tell_ (std::move (tell)) {}

void
StateWatch::stop () {
  stopped_ = true;
  post_to (context_.get (), [self = shared_from_this ()] { self->end (); });
}

// Signals that were on their way when the state was read come before settle() does. If there are
// any, they lead to that state; if there are none, it is the one to begin with.
void
StateWatch::begin () {
  using Weak = std::weak_ptr<StateWatch>;
  const auto add = [this] (const char *signal, auto callback) {
    handlers_.push_back (g_signal_connect_data (
        connection_.get (), signal, G_CALLBACK (callback), new Weak (weak_from_this ()),
        [] (gpointer data, GClosure *) { delete static_cast<Weak *> (data); },
        static_cast<GConnectFlags> (0)));
  };
  // Before state-changed, which says the same with less: heard() leaves that one out.
  add (
      "broken", +[] (P2pConnection *, P2pBreakReason reason, const char *text, gpointer data) {
        ConnectionEvent event{P2P_CONNECTION_STATE_BROKEN, text, reason, 0, {}};
        if (const auto self = static_cast<Weak *> (data)->lock ()) self->heard (std::move (event));
      });
  add (
      "restored", +[] (P2pConnection *, guint64 outage_ms, GVariant *details, gpointer data) {
        ConnectionEvent event{P2P_CONNECTION_STATE_CONNECTED,
                              "restored after " + std::to_string (outage_ms) + " ms",
                              P2P_BREAK_REASON_NONE, outage_ms, Ref<GVariant>::share (details)};
        if (const auto self = static_cast<Weak *> (data)->lock ()) self->heard (std::move (event));
      });
  add (
      "state-changed",
      +[] (P2pConnection *, P2pConnectionState state, const char *reason, gpointer data) {
        ConnectionEvent event{state, reason, P2P_BREAK_REASON_NONE, 0, {}};
        if (const auto self = static_cast<Weak *> (data)->lock ()) self->heard (std::move (event));
      });
  first_.state = p2p_connection_get_state (connection_.get ());
  first_.break_reason = p2p_connection_get_break_reason (connection_.get ());
  const UniqueChars reason (p2p_connection_dup_state_reason (connection_.get ()));
  first_.reason = reason.get ();
  post_to (context_.get (), [self = shared_from_this ()] { self->settle (); });
}

void
StateWatch::settle () {
  settled_ = true;
  if (!last_) {
    last_ = first_.state;
    forward (first_);
  }
  for (const ConnectionEvent &event : std::exchange (early_, {})) forward (event);
}

void
StateWatch::end () {
  for (const gulong handler : std::exchange (handlers_, {}))
    g_signal_handler_disconnect (connection_.get (), handler);
}

void
StateWatch::heard (ConnectionEvent event) {
  if (last_ == event.state) return;
  last_ = event.state;
  if (settled_)
    forward (event);
  else
    early_.push_back (std::move (event));
}

void
StateWatch::forward (const ConnectionEvent &event) {
  run_on_events ([self = shared_from_this (), event] {
    if (!self->stopped_) self->tell_ (event);
  });
}

}  // namespace p2p
