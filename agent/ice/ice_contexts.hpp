// The main contexts of NiceAgents. GLib looks at every source and every descriptor of a context at
// each turn of it: on those of the whole thread, 1,000 agents would take half of a core for
// nothing. So each few agents have contexts of their own, which run only when something of theirs
// is due.
#pragma once
#include <memory>

#include "base/nested_context.hpp"

namespace p2p {

// Contexts with room; whoever holds one counts as one agent. Taken on the core thread; they may be
// dropped anywhere.
std::shared_ptr<NestedContext> take_timer_context ();   // on the ICE thread
std::shared_ptr<NestedContext> take_socket_context ();  // on the core thread

}  // namespace p2p
