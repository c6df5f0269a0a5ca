#include "ice/pair_check.hpp"

#include <stun/constants.h>
#include <stun/stunagent.h>
#include <stun/usages/ice.h>

namespace p2p {

namespace {

// RFC 8445 section 7.1.1: the candidate's own, with the type preference of a peer-reflexive one.
constexpr std::uint32_t kPeerReflexivePreference = 110;  // RFC 8445 section 5.1.2.2

}  // namespace

std::vector<std::uint8_t>
make_pair_check (const PairCheck &check) {
  // Only answers are compared with it, and nobody waits for one.
  static const std::uint16_t no_attributes[] = {0};
  StunAgent agent;
  stun_agent_init (&agent, no_attributes, STUN_COMPATIBILITY_RFC5389,
                   static_cast<StunAgentUsageFlags> (STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS |
                                                     STUN_AGENT_USAGE_USE_FINGERPRINT));
  StunMessage message;
  std::vector<std::uint8_t> bytes (STUN_MAX_MESSAGE_SIZE_IPV6);
  const std::string user = check.remote.ufrag + ":" + check.local.ufrag;
  const std::string &key = check.remote.pwd;
  const std::uint32_t priority =
      (kPeerReflexivePreference << 24) | (check.local_priority & 0xffffff);
  bytes.resize (stun_usage_ice_conncheck_create (
      &agent, &message, bytes.data (), bytes.size (),
      reinterpret_cast<const std::uint8_t *> (user.data ()), user.size (),
      reinterpret_cast<const std::uint8_t *> (key.data ()), key.size (), check.controlling,
      check.controlling, priority, check.tie_breaker, nullptr,
      STUN_USAGE_ICE_COMPATIBILITY_RFC5245));
  return bytes;
}

}  // namespace p2p
