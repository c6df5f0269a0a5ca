// Which of this machine's addresses get host candidates.
#pragma once
#include <string>
#include <vector>

#include "base/error.hpp"

namespace p2p {

// libnice gives each candidate a preference by its address's place in the list of this machine's
// addresses, and aborts the process at the 64th; places shift while addresses come, hence less.
constexpr std::size_t kMaxLocalAddresses = 48;

struct LocalAddresses {
  std::vector<std::string> chosen;  // an IPv6 link-local one with its "%interface"
  std::size_t left_out = 0;         // by kMaxLocalAddresses
  bool has_ipv4 = false, has_ipv6 = false;
};

// The rule alone: `all` is everything in libnice's order, loopback addresses included. With
// `wanted` exactly those. Without, every address; loopback only if nothing else but link-local ones
// is there, so that two processes on a machine without a network still reach each other.
Result<LocalAddresses> choose_local_addresses (const std::vector<std::string> &all,
                                               const std::vector<std::string> &wanted);
// The rule on this machine as it is now. libnice's list leaves out interfaces named docker*, veth*,
// virbr* and vnet*; in a container or namespace that has nothing else, they count.
Result<LocalAddresses> find_local_addresses (const std::vector<std::string> &wanted);

}  // namespace p2p
