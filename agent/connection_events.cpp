#include "connection_events.hpp"

#include <algorithm>

namespace p2p {

void
ConnectionEvents::post (std::function<void (P2pConnection *)> work) {
  post_event (context_.get (), [connection = connection_, work = std::move (work)] {
    if (const Ref<P2pConnection> alive = connection.lock ()) work (alive.get ());
  });
}

bool
ConnectionEvents::reached (Until until) const {
  if (!state_) return false;
  if (*state_ == P2P_CONNECTION_STATE_REMOVED) return true;
  return until == Until::connected && *state_ == P2P_CONNECTION_STATE_CONNECTED;
}

Status
ConnectionEvents::outcome () const {
  if (state_ != P2P_CONNECTION_STATE_REMOVED) return {};
  if (error_) return error_;
  return Error{P2P_ERROR_CLOSED, "The connection was closed: " + reason_ + "."};
}

Status
ConnectionEvents::wait_connected (GCancellable *cancellable, bool *cancelled) {
  *cancelled = false;
  const auto on_cancel = [] (GCancellable *, gpointer data) {
    auto *self = static_cast<ConnectionEvents *> (data);
    // Under the lock, so that it cannot fall between the waiter's look and its wait.
    const std::lock_guard lock (self->mutex_);
    self->changed_.notify_all ();
  };
  void (*const function) (GCancellable *, gpointer) = on_cancel;
  // Connected and disconnected unlocked: the one may call at once, the other waits for a call.
  const gulong id =
      cancellable ? g_cancellable_connect (cancellable, G_CALLBACK (function), this, nullptr) : 0;
  Status status;
  {
    std::unique_lock lock (mutex_);
    changed_.wait (lock, [&] {
      return reached (Until::connected) || g_cancellable_is_cancelled (cancellable);
    });
    *cancelled = !reached (Until::connected);
    status = outcome ();
  }
  if (cancellable) g_cancellable_disconnect (cancellable, id);
  return status;
}

void
ConnectionEvents::finish (const Waiter &waiter, const Status &status) {
  if (!waiter.task->claim ()) return;
  const bool wants_removal = waiter.until == Until::removed;
  waiter.task->finish ([connection = connection_, status, wants_removal] (GTask *task) {
    Ref<P2pConnection> alive = connection.lock ();
    if (wants_removal)
      g_task_return_boolean (task, TRUE);
    else if (status)
      g_task_return_error (task, status->to_gerror ());
    else if (alive)
      g_task_return_pointer (task, alive.leak (), g_object_unref);
    else
      g_task_return_new_error (task, P2P_ERROR, P2P_ERROR_CLOSED,
                               "The connection was dropped by the application.");
  });
}

void
ConnectionEvents::wait (Until until, Ref<GTask> task) {
  const auto forget = [weak = weak_from_this ()] {
    const auto self = weak.lock ();
    if (!self) return;
    const std::lock_guard lock (self->mutex_);
    auto &waiters = self->waiters_;
    waiters.erase (std::remove_if (waiters.begin (), waiters.end (),
                                   [] (const Waiter &waiter) { return waiter.task->ended (); }),
                   waiters.end ());
  };
  const Waiter waiter{until, PendingTask::create (std::move (task), forget)};
  Status status;
  {
    const std::lock_guard lock (mutex_);
    if (!reached (until)) {
      waiters_.push_back (waiter);
      return;
    }
    status = outcome ();
  }
  finish (waiter, status);
}

void
ConnectionEvents::connection_changed (const ConnectionSnapshot &now) {
  std::vector<Waiter> done;
  Status status;
  {
    const std::lock_guard lock (mutex_);
    state_ = now.state;
    error_ = now.error;
    reason_ = now.reason;
    status = outcome ();
    const auto first_done =
        std::stable_partition (waiters_.begin (), waiters_.end (),
                               [this] (const Waiter &waiter) { return !reached (waiter.until); });
    done.assign (first_done, waiters_.end ());
    waiters_.erase (first_done, waiters_.end ());
    changed_.notify_all ();
  }
  post ([handlers = handlers_, now] (P2pConnection *connection) {
    handlers.changed (connection, now);
  });
  for (const Waiter &waiter : done) finish (waiter, status);
}

void
ConnectionEvents::connection_channel_opened (std::shared_ptr<ChannelPort> port) {
  post ([handlers = handlers_, port = std::move (port)] (P2pConnection *connection) {
    handlers.channel_opened (connection, port);
  });
}

void
ConnectionEvents::connection_channel_closed (const std::string &name) {
  post ([handlers = handlers_, name] (P2pConnection *connection) {
    handlers.channel_closed (connection, name);
  });
}

void
ConnectionEvents::connection_warning (const Error &warning) {
  post ([handlers = handlers_, warning] (P2pConnection *connection) {
    handlers.warning (connection, warning);
  });
}

}  // namespace p2p
