// A main context that is iterated from inside of another one's loop, and only when one of its
// sources is due: thousands of them, each with a few descriptors of a library that wants a main
// context, cost their thread nothing while they are quiet.
#pragma once
#include <glib.h>

#include <memory>
#include <vector>

#include "base/fd_watch.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"

namespace p2p {

class NestedContext {
 public:
  // Made on any thread; `outer` and `scheduler`, which is of the same thread, outlive it. It runs
  // as soon as `outer` does. Sources may be attached and destroyed by any thread.
  static std::shared_ptr<NestedContext> create (GMainContext *outer, Scheduler &scheduler);
  NestedContext (GMainContext *outer, Scheduler &scheduler);  // for create() alone
  ~NestedContext ();
  NestedContext (const NestedContext &) = delete;
  NestedContext &operator= (const NestedContext &) = delete;

  GMainContext *context () const { return context_.get (); }

 private:
  void run (int ready_fd, GIOCondition there);
  bool iterate (int ready_fd, GIOCondition there, int *timeout_ms);
  void query (int *timeout_ms);
  void watch_polled ();

  const Ref<GMainContext> outer_, context_;
  Scheduler &scheduler_;
  int wake_fd_ = -1;
  // All below belongs to the thread of `outer`.
  std::unique_ptr<Scheduler::Timer> timer_;
  std::vector<GPollFD> polled_;
  struct Watched {
    int fd;
    std::unique_ptr<FdWatch> watch;
  };
  std::vector<Watched> watched_;
};

}  // namespace p2p
