// What kind of NAT it is: the cases of RFC 5780, and those of servers that do not know it.
#include <gtest/gtest.h>

#include "doctor/nat_behaviour.hpp"

namespace p2p::doctor {
namespace {

Address
at (const std::string &ip, std::uint16_t port) {
  return *Address::parse (ip, port);
}

const Address kLocal = at ("10.1.0.2", 40000);
// P:p, A:p and A:a of RFC 5780 section 4.3.
const Address kFirst = at ("203.0.113.10", 3478), kOtherIp = at ("203.0.113.11", 3478),
              kOtherBoth = at ("203.0.113.11", 3479), kOtherPort = at ("203.0.113.10", 3479);

Address
mapped (std::uint16_t port) {
  return at ("203.0.113.1", port);
}

NatSeen
seen (const std::vector<std::pair<Address, Address>> &mappings,
      std::optional<FilterSeen> filter = {}) {
  NatSeen out;
  for (const auto &[destination, as] : mappings) out.mappings.push_back ({destination, as, kLocal});
  out.filter = filter;
  return out;
}

struct Case {
  const char *name;
  NatSeen seen;
  std::optional<bool> translated;
  Mapping mapping;
  Filtering filtering;
  const char *common;
};

const FilterSeen kOpen = {true, true, true, false, false},
                 kByAddress = {true, true, false, false, false},
                 kByPort = {true, false, false, false, false},
                 kLost = {false, false, false, false, false},
                 kSpoiled = {true, true, true, true, false},
                 kIgnored = {true, false, false, false, true};

const Case kCases[] = {
    {"nothing answers", seen ({}), {}, Mapping::unknown, Filtering::unknown, "unknown"},
    {"mapped to itself", seen ({{kFirst, kLocal}}, kOpen), false, Mapping::endpoint_independent,
     Filtering::endpoint_independent, "no NAT"},
    {"mapped to itself, filtered", seen ({{kFirst, kLocal}}, kByPort), false,
     Mapping::endpoint_independent, Filtering::address_and_port_dependent,
     "no NAT, but a firewall"},
    {"full cone",
     seen ({{kFirst, mapped (1)}, {kOtherIp, mapped (1)}, {kOtherBoth, mapped (1)}}, kOpen), true,
     Mapping::endpoint_independent, Filtering::endpoint_independent, "full cone NAT"},
    {"restricted cone",
     seen ({{kFirst, mapped (1)}, {kOtherIp, mapped (1)}, {kOtherBoth, mapped (1)}}, kByAddress),
     true, Mapping::endpoint_independent, Filtering::address_dependent,
     "address-restricted cone NAT"},
    {"port-restricted cone",
     seen ({{kFirst, mapped (1)}, {kOtherIp, mapped (1)}, {kOtherBoth, mapped (1)}}, kByPort), true,
     Mapping::endpoint_independent, Filtering::address_and_port_dependent,
     "port-restricted cone NAT"},
    {"a mapping for each address",
     seen ({{kFirst, mapped (1)}, {kOtherIp, mapped (2)}, {kOtherBoth, mapped (2)}}, kByAddress),
     true, Mapping::address_dependent, Filtering::address_dependent, "symmetric NAT"},
    {"a mapping for each address and port",
     seen ({{kFirst, mapped (1)}, {kOtherIp, mapped (2)}, {kOtherBoth, mapped (3)}}, kByPort), true,
     Mapping::address_and_port_dependent, Filtering::address_and_port_dependent, "symmetric NAT"},
    {"another public address for each",
     seen ({{kFirst, mapped (1)}, {kOtherIp, at ("203.0.113.99", 1)}}), true, Mapping::dependent,
     Filtering::unknown, "symmetric NAT"},
    {"one server alone", seen ({{kFirst, mapped (1)}}), true, Mapping::unknown, Filtering::unknown,
     "NAT of unknown kind"},
    {"two servers, one mapping", seen ({{kFirst, mapped (1)}, {kOtherBoth, mapped (1)}}), true,
     Mapping::endpoint_independent, Filtering::unknown, "cone NAT"},
    {"two servers, two mappings", seen ({{kFirst, mapped (1)}, {kOtherBoth, mapped (2)}}), true,
     Mapping::dependent, Filtering::unknown, "symmetric NAT"},
    {"two ports of one server, one mapping",
     seen ({{kFirst, mapped (1)}, {kOtherPort, mapped (1)}}), true, Mapping::unknown,
     Filtering::unknown, "NAT of unknown kind"},
    {"two ports of one server, two mappings",
     seen ({{kFirst, mapped (1)}, {kOtherPort, mapped (2)}}), true,
     Mapping::address_and_port_dependent, Filtering::unknown, "symmetric NAT"},
    {"a server on this side of the NAT", seen ({{kFirst, kLocal}, {kOtherIp, mapped (1)}}), true,
     Mapping::unknown, Filtering::unknown, "NAT of unknown kind"},
    {"the first answer is lost to the filter's socket", seen ({{kFirst, mapped (1)}}, kLost), true,
     Mapping::unknown, Filtering::unknown, "NAT of unknown kind"},
    {"the server does not do the tests", seen ({{kFirst, mapped (1)}}, kIgnored), true,
     Mapping::unknown, Filtering::unknown, "NAT of unknown kind"},
    {"the other address was sent to before",
     seen ({{kFirst, mapped (1)}, {kOtherIp, mapped (1)}}, kSpoiled), true,
     Mapping::endpoint_independent, Filtering::unknown, "cone NAT"},
};

TEST (NatBehaviour, IsToldFromWhatServersSee) {
  for (const Case &one : kCases) {
    SCOPED_TRACE (one.name);
    const NatBehaviour found = classify (one.seen);
    EXPECT_EQ (found.translated, one.translated);
    EXPECT_EQ (mapping_name (found.mapping), std::string (mapping_name (one.mapping)));
    EXPECT_EQ (filtering_name (found.filtering), std::string (filtering_name (one.filtering)));
    EXPECT_EQ (common_name (found), one.common);
  }
}

TEST (NatBehaviour, OfTwoInterfacesIsNotComparedWithEachOther) {
  NatSeen both = seen ({{kFirst, mapped (1)}});
  both.mappings.push_back ({kOtherIp, mapped (2), at ("10.3.0.2", 40000)});
  EXPECT_EQ (classify (both).mapping, Mapping::unknown);
}

}  // namespace
}  // namespace p2p::doctor
