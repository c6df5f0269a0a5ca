// A connectivity check of our own, beside those of libnice.
#pragma once
#include <cstdint>
#include <vector>

#include "ice/ice_transport.hpp"

namespace p2p {

struct PairCheck {
  IceCredentials local, remote;
  bool controlling = false;
  std::uint64_t tie_breaker = 0;
  std::uint32_t local_priority = 0;  // of the local candidate
};

// A STUN Binding request as RFC 8445 section 7.2.2 has it, signed for the peer; it nominates when
// it comes from the controlling side.
std::vector<std::uint8_t> make_pair_check (const PairCheck &check);

}  // namespace p2p
