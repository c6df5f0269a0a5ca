// What kind of NAT this is, out of what was seen from behind it: the rules of RFC 5780 sections 4.3
// and 4.4, and what can be said with less than they ask for. Pure values.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "turn/address.hpp"

namespace p2p::doctor {

using turn::Address;

// One socket, as a destination saw it, and as this machine knows it on the way there.
struct MappingSeen {
  Address destination, mapped;
  std::optional<Address> local;
};

// Which answers came back to a socket that has sent to the server's first address only.
struct FilterSeen {
  bool first = false;          // from where it was sent to: without it, the others mean nothing
  bool other_port = false;     // CHANGE-REQUEST with "change port"
  bool other_address = false;  // with both changed
  // Something else here has sent to that other address: its answer proves less.
  bool other_address_known = false;
  // The server answers from where it was asked, whatever was asked for: it does not do the tests.
  bool ignored = false;
};

struct NatSeen {
  std::vector<MappingSeen> mappings;
  std::optional<FilterSeen> filter;  // where a server offers these tests
};

// Names of RFC 4787 sections 4.1 and 5.
enum class Mapping {
  unknown,
  endpoint_independent,
  address_dependent,
  address_and_port_dependent,
  dependent,  // on the address, or on address and port: two servers cannot tell
};
enum class Filtering {
  unknown,
  endpoint_independent,
  address_dependent,
  address_and_port_dependent,
};

struct NatBehaviour {
  std::optional<bool> translated;  // none: nothing has answered
  Mapping mapping = Mapping::unknown;
  Filtering filtering = Filtering::unknown;
};

NatBehaviour classify (const NatSeen &seen);

const char *mapping_name (Mapping mapping);        // "endpoint-independent"
const char *filtering_name (Filtering filtering);  // "address-dependent"
// As people know it: "port-restricted cone NAT", "symmetric NAT", "no NAT".
std::string common_name (const NatBehaviour &behaviour);

}  // namespace p2p::doctor
