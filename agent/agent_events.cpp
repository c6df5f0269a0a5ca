#include "agent_events.hpp"

#include <algorithm>
#include <utility>

namespace p2p {

void
AgentEvents::post (std::function<void (P2pAgent *)> work) {
  post_event (context_.get (), [agent = agent_, work = std::move (work)] {
    if (const Ref<P2pAgent> alive = agent.lock ()) work (alive.get ());
  });
}

void
AgentEvents::finish (const std::shared_ptr<PendingTask> &task, const Status &outcome) {
  if (!task->claim ()) return;
  task->finish ([outcome] (GTask *t) {
    if (outcome)
      g_task_return_error (t, outcome->to_gerror ());
    else
      g_task_return_boolean (t, TRUE);
  });
}

void
AgentEvents::wait_registered (Ref<GTask> task) {
  const auto forget = [weak = weak_from_this ()] {
    const auto self = weak.lock ();
    if (!self) return;
    const std::lock_guard lock (self->mutex_);
    auto &waiting = self->waiting_;
    waiting.erase (std::remove_if (waiting.begin (), waiting.end (),
                                   [] (const auto &pending) { return pending->ended (); }),
                   waiting.end ());
  };
  const auto pending = PendingTask::create (std::move (task), forget);
  Status outcome;
  {
    const std::lock_guard lock (mutex_);
    if (!outcome_) {
      waiting_.push_back (pending);
      return;
    }
    outcome = *outcome_;
  }
  finish (pending, outcome);
}

void
AgentEvents::registered (const Status &outcome) {
  std::vector<std::shared_ptr<PendingTask>> waiting;
  {
    const std::lock_guard lock (mutex_);
    outcome_ = outcome;
    waiting.swap (waiting_);
  }
  for (const auto &pending : waiting) finish (pending, outcome);
}

Signaling::State
AgentEvents::state () const {
  const std::lock_guard lock (mutex_);
  return state_;
}

bool
AgentEvents::network_available () const {
  const std::lock_guard lock (mutex_);
  return network_available_;
}

void
AgentEvents::agent_signaling_state (Signaling::State state, const Status &reason) {
  {
    const std::lock_guard lock (mutex_);
    state_ = state;
  }
  post ([handlers = handlers_, state, reason] (P2pAgent *agent) {
    handlers.signaling_state (agent, state, reason);
  });
}

void
AgentEvents::agent_incoming (std::shared_ptr<ConnectionCore> connection) {
  post ([handlers = handlers_, connection = std::move (connection)] (P2pAgent *agent) {
    handlers.incoming (agent, connection);
  });
}

void
AgentEvents::agent_connection_removed (std::shared_ptr<ConnectionCore> connection) {
  post ([handlers = handlers_, connection = std::move (connection)] (P2pAgent *agent) {
    handlers.removed (agent, connection);
  });
}

void
AgentEvents::agent_rejected (const std::string &peer, const Error &reason) {
  post ([handlers = handlers_, peer, reason] (P2pAgent *agent) {
    handlers.rejected (agent, peer, reason);
  });
}

void
AgentEvents::agent_warning (const Error &warning) {
  post ([handlers = handlers_, warning] (P2pAgent *agent) { handlers.warning (agent, warning); });
}

void
AgentEvents::agent_network_available (bool available) {
  {
    const std::lock_guard lock (mutex_);
    if (std::exchange (network_available_, available) == available) return;
  }
  post ([handlers = handlers_] (P2pAgent *agent) { handlers.network_available (agent); });
}

}  // namespace p2p
