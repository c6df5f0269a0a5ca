// A thread that iterates one GMainContext, and the three of them that a process has.
#pragma once
#include <glib.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"

namespace p2p {

// Runs `work` on the context's thread, after what is queued already; never from inside the call.
// Thread-safe.
void post (GMainContext *context, std::function<void ()> work);

class LoopThread {
 public:
  explicit LoopThread (const char *name);
  ~LoopThread ();  // ends the loop and joins; not from its own thread
  LoopThread (const LoopThread &) = delete;
  LoopThread &operator= (const LoopThread &) = delete;

  GMainContext *context () const { return context_.get (); }
  bool is_current () const { return g_main_context_is_owner (context_.get ()); }
  // As p2p::post(), for less: tasks are queued beside the context, and one wake-up serves for all
  // that wait. The context's own lock is held while it wakes its thread, which then waits for it.
  void post (std::function<void ()> work);
  // Runs `work` on the loop and waits for it; runs it in place when called on the loop, or parked.
  void run_sync (const std::function<void ()> &work);
  Scheduler &scheduler () { return scheduler_; }
  // Lets its thread do what it was told so far and what is ready, and then nothing ever again.
  // Waits for that, but not longer than until `deadline`, and not on the thread itself.
  void park (std::chrono::steady_clock::time_point deadline);

 private:
  void run_tasks ();

  Ref<GMainContext> context_;
  Ref<GMainLoop> loop_;
  LoopScheduler scheduler_;
  const int wake_fd_;
  UniqueSource wake_source_;
  Mutex mutex_;
  std::vector<std::function<void ()>> tasks_ P2P_GUARDED_BY (mutex_);
  std::atomic<bool> parked_{false};
  GThread *thread_;
};

// The library's own threads. They start with the first use and stay until the process ends, as
// GLib's worker does: nothing has to be joined from a callback, and their number never changes.
// When the process exits they are parked, before any library below is taken down under them.
//   core   owns sessions, transports, paths and signaling clients, and receives datagrams
//   ice    runs libnice's timers, which must not wait behind a flood of datagrams
//   events emits signals for callers that have no main loop, such as GStreamer elements
LoopThread &core_loop ();
LoopThread &ice_loop ();
LoopThread &events_loop ();

// Destroys something of the core thread by a posted task: from inside of one of its own callbacks,
// or after what was retired before it.
template <class T>
void
retire (std::unique_ptr<T> object) {
  if (object) core_loop ().post ([keep = std::shared_ptr<T> (std::move (object))] {});
}

// An object that any thread may hold, and that is destroyed on the core thread alone.
template <class T, class... Args>
std::shared_ptr<T>
make_core_object (Args &&...args) {
  return {std::make_unique<T> (std::forward<Args> (args)...).release (),
          [] (T *object) { retire (std::unique_ptr<T> (object)); }};
}

}  // namespace p2p
