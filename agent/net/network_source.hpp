// Where the network monitor learns about the network. One thread's.
#pragma once
#include <functional>
#include <optional>

#include "net/network_snapshot.hpp"

namespace p2p {

class NetworkSource {
 public:
  virtual ~NetworkSource () = default;  // no call follows
  // From now on `spoke` is called, never from inside of a call, when something may have changed.
  virtual void start (std::function<void ()> spoke) = 0;
  // The network as it is now; nothing when it cannot be had at the moment.
  virtual std::optional<NetworkSnapshot> read () = 0;
};

}  // namespace p2p
