#include "ice/ice_contexts.hpp"

#include <algorithm>
#include <vector>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

// A turn looks at one timer or some three descriptors for each; with fewer agents, each would pay
// for more of the context: 4 KiB and a descriptor.
constexpr long kAgentsPerTimerContext = 16;
constexpr long kAgentsPerSocketContext = 2;

class Pool {
 public:
  Pool (LoopThread &thread, long agents_per_context)
      : thread_ (thread), agents_per_context_ (agents_per_context) {}

  std::shared_ptr<NestedContext> take () {
    contexts_.erase (std::remove_if (contexts_.begin (), contexts_.end (),
                                     [] (const auto &weak) { return weak.expired (); }),
                     contexts_.end ());
    // The newest first: it has room as long as agents only come.
    for (auto weak = contexts_.rbegin (); weak != contexts_.rend (); ++weak)
      if (weak->use_count () < agents_per_context_)
        if (auto context = weak->lock ()) return context;
    auto made = NestedContext::create (thread_.context (), thread_.scheduler ());
    contexts_.push_back (made);
    return made;
  }

 private:
  LoopThread &thread_;
  const long agents_per_context_;
  std::vector<std::weak_ptr<NestedContext>> contexts_;
};

}  // namespace

std::shared_ptr<NestedContext>
take_timer_context () {
  static auto *const pool = new Pool (ice_loop (), kAgentsPerTimerContext);
  return pool->take ();
}

std::shared_ptr<NestedContext>
take_socket_context () {
  static auto *const pool = new Pool (core_loop (), kAgentsPerSocketContext);
  return pool->take ();
}

}  // namespace p2p
