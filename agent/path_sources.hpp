// From a P2pPathFactory to what the core opens paths with.
#pragma once
#include <memory>

#include "object_path.hpp"

namespace p2p {

// The library's own factories directly; an application's through its agent's main context.
std::shared_ptr<PathSource> path_source_of (P2pPathFactory *factory, Ref<GMainContext> context);

}  // namespace p2p
