// The half of Agent that any thread may call: it checks, and posts to the core.
#include "base/loop_thread.hpp"
#include "core/agent.hpp"

namespace p2p {

void
Agent::set_observer (std::weak_ptr<AgentCore::Observer> observer) {
  core_loop ().post ([self = shared_from_this (), observer = std::move (observer)] {
    self->observer_ = observer;
  });
}

void
Agent::configure (const AgentSettings &settings) {
  {
    const MutexLock lock (mutex_);
    settings_ = settings;
  }
  core_loop ().post ([self = shared_from_this ()] {
    self->apply_accept_policy ();
    for (const auto &connection : self->living ()) connection->settings_changed ();
  });
}

void
Agent::add_path_source (std::shared_ptr<PathSource> source) {
  core_loop ().post ([self = shared_from_this (), source = std::move (source)] {
    self->sources_.push_back (source);
  });
}

Result<std::string>
Agent::fingerprint () {
  auto loaded = identity ();
  if (!loaded) return loaded.error ();
  return (*loaded)->fingerprint ();
}

void
Agent::start (MakeSignaling make, Done registered) {
  {
    const MutexLock lock (mutex_);
    starting_ = make != nullptr;
  }
  core_loop ().post (
      [self = shared_from_this (), make = std::move (make), registered = std::move (registered)] {
        if (self->signaling_ || self->closed_) {
          registered (Error{P2P_ERROR_FAILED, "The agent was started or closed before."});
          return;
        }
        if (const Status bad = check_agent_id (self->id_, "This agent's")) {
          self->give_up (*bad, registered);
          return;
        }
        auto identity = self->identity ();
        if (!identity) {
          self->give_up (identity.error (), registered);
          return;
        }
        self->open_store ([weak = std::weak_ptr (self), make, registered] (const Status &failed) {
          const auto agent = weak.lock ();
          if (!agent) return;
          if (failed)
            agent->give_up (*failed, registered);
          else
            agent->begin (make, registered);
        });
      });
}

// The sessions that were kept are back.
void
Agent::begin (const MakeSignaling &make, const Done &registered) {
  if (closed_) {
    registered (Error{P2P_ERROR_CLOSED, "The agent was closed."});
    return;
  }
  if (!make) {
    registered ({});
    return;
  }
  auto identity = this->identity ();
  auto signaling = identity ? make (**identity) : identity.error ();
  if (!signaling) {
    give_up (signaling.error (), registered);
    return;
  }
  registered_ = registered;
  signaling_ = std::move (*signaling);
  signaling_->set_observer (this);
  signaling_->start (id_);
  ask_for_peers ();
}

void
Agent::create_network_config (const std::string &peer, ConfigDone done) {
  core_loop ().post ([self = shared_from_this (), peer, done = std::move (done)] {
    auto config = self->attempt_config (peer);
    if (!config) {
      done (config.error ());
      return;
    }
    self->preparations_[peer] = std::make_shared<Preparation> (*config, done);
  });
}

Result<std::shared_ptr<ConnectionCore>>
Agent::open_connection (const std::string &peer, const std::optional<NetworkConfig> &remote) {
  if (const Status bad = check_agent_id (peer, "The peer's")) return *bad;
  if (peer == id_)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "\"" + peer + "\" is this agent's own id."};
  std::shared_ptr<Connection> connection;
  {
    const MutexLock lock (mutex_);
    auto &slot = connections_[peer];
    // One that is on its way out makes place.
    if (slot && !slot->removed ()) {
      connection = slot;
    } else {
      slot = make_core_object<Connection> (peer, weak_from_this (), settings_.max_message_bytes,
                                           clock_);
      core_loop ().post ([self = shared_from_this (), connection = slot, remote] {
        self->when_restored (
            [self, connection, remote] { self->start_connection (*connection, remote); });
      });
      return std::static_pointer_cast<ConnectionCore> (slot);
    }
  }
  // What is asked for here is wanted: an incoming one that waits is accepted.
  connection->accept ();
  if (remote)
    if (const Status bad = connection->update_remote_config (*remote)) return *bad;
  return std::static_pointer_cast<ConnectionCore> (connection);
}

void
Agent::start_connection (Connection &connection, const std::optional<NetworkConfig> &remote) {
  // It came back from the store meanwhile.
  if (connection.established ()) return;
  if (closed_) {
    connection.shut_down ("the agent is closed");
    return;
  }
  if (refused_ && !remote) {
    connection.fail (*refused_);
    return;
  }
  watch_network ();
  if (signaling_) signaling_->ask (connection.peer ());
  connection.start_outgoing (remote);
}

std::vector<std::shared_ptr<ConnectionCore>>
Agent::connections () const {
  const MutexLock lock (mutex_);
  std::vector<std::shared_ptr<ConnectionCore>> all;
  for (const auto &[peer, connection] : connections_)
    if (!connection->removed ()) all.push_back (connection);
  return all;
}

// Calls back on the core thread, once every source has closed its paths.
static void
tell_when_closed (const std::vector<std::shared_ptr<PathSource>> &sources,
                  const AgentCore::Done &closed) {
  if (!closed) return;
  // The last to let go of it calls back: also a main context that ends without running its work.
  const std::shared_ptr<void> last (
      nullptr, [closed] (void *) { core_loop ().post ([closed] { closed ({}); }); });
  for (const auto &source : sources) source->when_closed ([last] {});
}

void
Agent::close (Done closed) {
  core_loop ().post ([self = shared_from_this (), closed = std::move (closed)] {
    self->closed_ = true;
    self->sleep_check_->disarm ();
    std::map<std::string, std::shared_ptr<Connection>> all;
    {
      const MutexLock lock (self->mutex_);
      all = self->connections_;
    }
    for (const auto &[peer, connection] : all) connection->shut_down ("closed by this side");
    for (const auto &[peer, connection] : std::exchange (self->successors_, {}))
      connection->shut_down ("closed by this side");
    self->preparations_.clear ();
    if (self->signaling_) self->signaling_->set_observer (nullptr);
    self->signaling_.reset ();
    self->present_.clear ();
    if (const Done done = std::exchange (self->registered_, nullptr))
      done (Error{P2P_ERROR_CLOSED, "The agent was closed."});
    // Attempts are retired: their paths are destroyed before this runs.
    self->close_store ([sources = self->sources_, closed] {
      core_loop ().post ([sources, closed] { tell_when_closed (sources, closed); });
    });
  });
}

// What cannot be started at all ends every connection that waits for it.
void
Agent::give_up (const Error &error, const Done &done) {
  {
    const MutexLock lock (mutex_);
    starting_ = false;
  }
  for (const auto &connection : living ()) connection->fail (error);
  done (error);
}

}  // namespace p2p
