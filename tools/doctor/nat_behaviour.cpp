#include "doctor/nat_behaviour.hpp"

namespace p2p::doctor {

namespace {

Mapping
classify_mapping (const std::vector<MappingSeen> &seen) {
  bool other_ip_same = false, other_ip_differs = false;
  bool other_port_same = false, other_port_differs = false;
  for (auto one = seen.begin (); one != seen.end (); ++one)
    for (auto two = one + 1; two != seen.end (); ++two) {
      // Another interface is another way out, with another NAT.
      if (one->destination == two->destination || one->local != two->local) continue;
      const bool same_ip = one->destination.without_port () == two->destination.without_port ();
      const bool same = one->mapped == two->mapped;
      if (same_ip) (same ? other_port_same : other_port_differs) = true;
      // Another address at another port tells of the address only where the mapping stays.
      if (!same_ip) (same ? other_ip_same : other_ip_differs) = true;
    }
  if (other_port_differs) return Mapping::address_and_port_dependent;
  if (other_ip_differs) return other_port_same ? Mapping::address_dependent : Mapping::dependent;
  // Two ports of one address do not tell what another address would see.
  return other_ip_same ? Mapping::endpoint_independent : Mapping::unknown;
}

Filtering
classify_filtering (const FilterSeen &seen) {
  if (!seen.first || seen.ignored) return Filtering::unknown;
  if (seen.other_address)
    return seen.other_address_known ? Filtering::unknown : Filtering::endpoint_independent;
  return seen.other_port ? Filtering::address_dependent : Filtering::address_and_port_dependent;
}

}  // namespace

NatBehaviour
classify (const NatSeen &seen) {
  NatBehaviour out;
  // A server on this side of the NAT sees what is not translated, and tells nothing about the rest.
  std::vector<MappingSeen> translated;
  for (const MappingSeen &one : seen.mappings) {
    if (!one.local) continue;
    if (one.mapped != *one.local) translated.push_back (one);
    out.translated = !translated.empty ();
  }
  // RFC 5780 section 4.3: mapped to itself, there is nothing to be dependent.
  out.mapping =
      out.translated == false ? Mapping::endpoint_independent : classify_mapping (translated);
  if (seen.filter) out.filtering = classify_filtering (*seen.filter);
  return out;
}

const char *
mapping_name (Mapping mapping) {
  switch (mapping) {
    case Mapping::unknown:
      return "unknown";
    case Mapping::endpoint_independent:
      return "endpoint-independent";
    case Mapping::address_dependent:
      return "address-dependent";
    case Mapping::address_and_port_dependent:
      return "address-and-port-dependent";
    case Mapping::dependent:
      return "dependent";
  }
  return "";
}

const char *
filtering_name (Filtering filtering) {
  switch (filtering) {
    case Filtering::unknown:
      return "unknown";
    case Filtering::endpoint_independent:
      return "endpoint-independent";
    case Filtering::address_dependent:
      return "address-dependent";
    case Filtering::address_and_port_dependent:
      return "address-and-port-dependent";
  }
  return "";
}

std::string
common_name (const NatBehaviour &behaviour) {
  if (!behaviour.translated) return "unknown";
  if (!*behaviour.translated) {
    const bool filters = behaviour.filtering == Filtering::address_dependent ||
                         behaviour.filtering == Filtering::address_and_port_dependent;
    return filters ? "no NAT, but a firewall" : "no NAT";
  }
  switch (behaviour.mapping) {
    case Mapping::unknown:
      return "NAT of unknown kind";
    case Mapping::address_dependent:
    case Mapping::address_and_port_dependent:
    case Mapping::dependent:
      return "symmetric NAT";
    case Mapping::endpoint_independent:
      break;
  }
  switch (behaviour.filtering) {
    case Filtering::unknown:
      return "cone NAT";
    case Filtering::endpoint_independent:
      return "full cone NAT";
    case Filtering::address_dependent:
      return "address-restricted cone NAT";
    case Filtering::address_and_port_dependent:
      return "port-restricted cone NAT";
  }
  return "";
}

}  // namespace p2p::doctor
