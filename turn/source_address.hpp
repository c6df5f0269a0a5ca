// From which of this machine's addresses the system would send somewhere.
#pragma once
#include <optional>

#include "turn/address.hpp"

namespace p2p::turn {

// Without a port; none where no route leads there.
std::optional<Address> source_towards (const Address &remote);

}  // namespace p2p::turn
