// For which peers a permission is never asked, whatever the server would say: a relay that trusts
// its own network is a way into it for whoever names candidates to us.
#pragma once
#include <vector>

#include "base/error.hpp"
#include "turn/address.hpp"

namespace p2p::turn {

struct PeerPolicy {
  // Peers of private networks: because this machine is in one, or the application said so.
  bool allow_private = false;

  // What is wrong with the peer, if anything. The relay's own addresses are always good: what is
  // sent there comes back.
  Status check (const Address &peer, const std::vector<Address> &relayed) const;
};

// Whether an interface of this machine has an address of a private network.
bool machine_is_private ();

}  // namespace p2p::turn
