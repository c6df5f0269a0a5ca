// The main contexts of NiceAgents, on the ICE thread. GLib looks at every source of a context at
// each turn of it, so each context serves a few agents only.
#pragma once
#include <memory>

#include "base/nested_context.hpp"

namespace p2p {

// One with room; whoever holds it counts as one agent. Core thread only, but it may be dropped
// anywhere.
std::shared_ptr<NestedContext> take_ice_context ();

}  // namespace p2p
