// An asynchronous call that waits for its turn: finished once, from any thread, in the main context
// that it was made in; a cancellation ends it at once.
#pragma once
#include <functional>
#include <memory>
#include <mutex>

#include "facade.hpp"

namespace p2p {

class PendingTask : public std::enable_shared_from_this<PendingTask> {
 public:
  using Finish = std::function<void (GTask *)>;

  // `cancelled` is called, in the task's context, after a cancellation has ended it.
  static std::shared_ptr<PendingTask> create (Ref<GTask> task, std::function<void ()> cancelled);

  // Between claim() and finish() or release() a cancellation waits, so that what was taken out of a
  // queue for this task cannot be lost. False when it has ended already.
  bool claim ();
  void release ();
  // Ends a claimed task: `finish` returns its value, in the task's context.
  void finish (Finish finish);
  bool ended () const;

 private:
  enum class State { waiting, claimed, claimed_and_cancelled, ended };

  PendingTask (Ref<GTask> task, std::function<void ()> cancelled);
  void cancel ();
  void end (std::unique_lock<std::mutex> &lock, Finish finish);

  mutable std::mutex mutex_;
  State state_ = State::waiting;  // guarded by mutex_
  Ref<GTask> task_;               // guarded by mutex_
  UniqueSource cancel_source_;    // guarded by mutex_
  const std::function<void ()> cancelled_;
};

// Finishes a task that never had to wait, from any thread.
void finish_task (Ref<GTask> task, PendingTask::Finish finish);
void finish_task (Ref<GTask> task, const Status &status);

}  // namespace p2p
