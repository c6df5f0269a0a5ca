#include "ice/ice_contexts.hpp"

#include <algorithm>
#include <vector>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

// A turn looks at some two sources for each; fewer would spend a descriptor and a kilobyte on each.
constexpr long kAgentsPerContext = 16;

}  // namespace

std::shared_ptr<NestedContext>
take_ice_context () {
  static auto *const contexts = new std::vector<std::weak_ptr<NestedContext>>;
  contexts->erase (std::remove_if (contexts->begin (), contexts->end (),
                                   [] (const auto &weak) { return weak.expired (); }),
                   contexts->end ());
  // The newest first: it has room as long as agents only come.
  for (auto weak = contexts->rbegin (); weak != contexts->rend (); ++weak)
    if (weak->use_count () < kAgentsPerContext)
      if (auto context = weak->lock ()) return context;
  auto made = NestedContext::create (ice_loop ().context (), ice_loop ().scheduler ());
  contexts->push_back (made);
  return made;
}

}  // namespace p2p
