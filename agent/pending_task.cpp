#include "pending_task.hpp"

namespace p2p {

namespace {

void
return_cancelled (GTask *task) {
  g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, kCancelled);
}

using Weak = std::weak_ptr<PendingTask>;

}  // namespace

void
finish_task (Ref<GTask> task, PendingTask::Finish finish) {
  // The last reference to the task, and with it to the object, must go in the caller's context.
  GMainContext *context = g_task_get_context (task.get ());
  post (context, [task = std::move (task), finish = std::move (finish)] { finish (task.get ()); });
}

void
finish_task (Ref<GTask> task, const Status &status) {
  finish_task (std::move (task), [status] (GTask *t) {
    if (status)
      g_task_return_error (t, status->to_gerror ());
    else
      g_task_return_boolean (t, TRUE);
  });
}

PendingTask::PendingTask (Ref<GTask> task, std::function<void ()> cancelled)
    : task_ (std::move (task)), cancelled_ (std::move (cancelled)) {}

std::shared_ptr<PendingTask>
PendingTask::create (Ref<GTask> task, std::function<void ()> cancelled) {
  // What was taken out of a queue is delivered even when the cancellation comes right after.
  g_task_set_check_cancellable (task.get (), FALSE);
  GCancellable *cancellable = g_task_get_cancellable (task.get ());
  GMainContext *context = g_task_get_context (task.get ());
  std::shared_ptr<PendingTask> self (new PendingTask (std::move (task), std::move (cancelled)));
  if (cancellable) {
    const std::lock_guard lock (self->mutex_);
    self->cancel_source_.reset (g_cancellable_source_new (cancellable));
    g_source_set_static_name (self->cancel_source_.get (), "p2p cancellation");
    const auto on_cancel = [] (GCancellable *, gpointer data) -> gboolean {
      if (const auto pending = static_cast<Weak *> (data)->lock ()) pending->cancel ();
      return G_SOURCE_REMOVE;
    };
    const GCancellableSourceFunc function = on_cancel;
    g_source_set_callback (self->cancel_source_.get (), G_SOURCE_FUNC (function), new Weak (self),
                           [] (gpointer data) { delete static_cast<Weak *> (data); });
    g_source_attach (self->cancel_source_.get (), context);
  }
  return self;
}

bool
PendingTask::claim () {
  const std::lock_guard lock (mutex_);
  if (state_ != State::waiting) return false;
  state_ = State::claimed;
  return true;
}

void
PendingTask::release () {
  std::unique_lock lock (mutex_);
  if (state_ == State::claimed_and_cancelled)
    end (lock, return_cancelled);
  else if (state_ == State::claimed)
    state_ = State::waiting;
}

void
PendingTask::finish (Finish finish) {
  std::unique_lock lock (mutex_);
  if (state_ != State::ended) end (lock, std::move (finish));
}

bool
PendingTask::ended () const {
  const std::lock_guard lock (mutex_);
  return state_ == State::ended;
}

void
PendingTask::cancel () {
  {
    std::unique_lock lock (mutex_);
    if (state_ == State::claimed) state_ = State::claimed_and_cancelled;
    if (state_ != State::waiting) return;
    end (lock, return_cancelled);
  }
  if (cancelled_) cancelled_ ();
}

void
PendingTask::end (std::unique_lock<std::mutex> &lock, Finish finish) {
  state_ = State::ended;
  Ref<GTask> task = std::move (task_);
  UniqueSource source = std::move (cancel_source_);
  lock.unlock ();
  source.reset ();
  finish_task (std::move (task), std::move (finish));
}

}  // namespace p2p
