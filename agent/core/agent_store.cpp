// The half of Agent that keeps its sessions in a store, and has them back from it.
#include "base/loop_thread.hpp"
#include "core/agent.hpp"
#include "core/keeper.hpp"

namespace p2p {

std::string
Agent::own_fingerprint () {
  auto identity = this->identity ();
  return identity ? (*identity)->fingerprint () : std::string ();
}

// Whoever asks for a connection before the store is open waits for what comes from there.
void
Agent::when_restored (std::function<void ()> work) {
  if (store_opening_)
    after_restore_.push_back (std::move (work));
  else
    work ();
}

void
Agent::open_store (std::function<void (const Status &)> done) {
  const auto make = settings ().make_store;
  if (!make || store_) {
    done ({});
    return;
  }
  auto made = make ();
  if (!made) {
    done (made.error ());
    return;
  }
  store_ = std::move (*made);
  store_->set_observer (this);
  store_opening_ = true;
  store_->open (id_, [weak = weak_from_this (),
                      done = std::move (done)] (Result<SessionStore::Opened> opened) {
    const auto self = weak.lock ();
    if (!self) return;
    self->store_opening_ = false;
    Status failed;
    if (!opened) {
      failed = opened.error ();
      self->store_.reset ();
    } else if (!self->closed_) {
      self->epoch_ = opened->term;
      self->restore (opened->items);
    }
    done (failed);
    for (const auto &work : std::exchange (self->after_restore_, {})) work ();
  });
}

void
Agent::restore (const std::vector<StoreItem> &items) {
  auto all = Keeper::sort (items);
  if (!all.empty ()) watch_network ();
  for (Keeper::Kept &kept : all) {
    auto record = session_record_from_json (kept.record);
    std::shared_ptr<Connection> connection;
    bool asked_for = false;
    {
      const MutexLock lock (mutex_);
      auto &slot = connections_[kept.peer];
      asked_for = slot && !slot->removed ();
      if (!asked_for)
        slot = make_core_object<Connection> (kept.peer, weak_from_this (),
                                             settings_.max_message_bytes, clock_);
      connection = slot;
    }
    Status bad;
    if (!record)
      bad = record.error ();
    else if (record->peer != kept.peer || record->own_fingerprint != own_fingerprint ())
      bad = Error{P2P_ERROR_NOT_AUTHORIZED,
                  "The session with \"" + kept.peer +
                      "\" was kept under another identity than this agent's. Give the agent that "
                      "identity, or another store."};
    else
      bad = connection->restore (*record, kept.items);
    const auto observer = observer_.lock ();
    if (!bad) {
      if (observer && !asked_for && record->incoming) observer->agent_incoming (connection);
      continue;
    }
    if (observer) observer->agent_warning (*bad);
    // It stays, for whoever mends what is wrong; a new session with that peer begins by erasing it.
    if (asked_for) continue;
    const MutexLock lock (mutex_);
    connections_.erase (kept.peer);
  }
}

// Another process has the sessions now, or nothing can be kept any longer. To go on would be to
// confirm what is not durable.
void
Agent::store_lost (const Error &error) {
  const auto keep = weak_from_this ().lock ();
  if (!keep) return;
  if (const auto observer = observer_.lock ()) observer->agent_warning (error);
  for (const auto &connection : living ()) connection->abandon (error);
}

void
Agent::close_store (std::function<void ()> done) {
  if (!store_ || store_opening_) {
    done ();
    return;
  }
  store_->set_observer (nullptr);
  store_->close ([store = store_, done = std::move (done)] (const Status &) {
    done ();
    core_loop ().post ([store] {});
  });
  store_.reset ();
}

}  // namespace p2p
