// The figures of a connection, as the C API shows them.
#pragma once
#include <string>

#include "core/connection_core.hpp"

namespace p2p {

// Both are (transfer full) a{sv}.
GVariant *connection_stats_to_variant (const std::string &peer, const ConnectionStats &stats);
// How the last break ended.
GVariant *restored_to_variant (const ConnectionSnapshot &now);

}  // namespace p2p
