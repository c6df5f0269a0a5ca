// The figures of a connection, as the C API shows them.
#pragma once
#include <string>

#include "core/connection_core.hpp"

namespace p2p {

// (transfer full) a{sv}
GVariant *connection_stats_to_variant (const std::string &peer, const ConnectionStats &stats);

}  // namespace p2p
