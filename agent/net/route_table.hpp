// Reads rtnetlink messages (rtnetlink(7), RFC 3549) into a table of links, addresses and default
// routes. Pure: bytes in; what is malformed is counted and skipped, never read out of bounds.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "net/network_snapshot.hpp"

namespace p2p {

class RouteTable {
 public:
  struct Outcome {
    bool changed = false;      // a link, address or default route is not as it was in the table
    bool done = false;         // the end of a dump
    int error = 0;             // the kernel's errno
    bool interrupted = false;  // the kernel changed something in the midst of the dump
    std::size_t malformed = 0;
  };

  // All messages of one datagram, in order.
  Outcome apply (ByteView datagram);
  NetworkSnapshot snapshot () const;

 private:
  struct Link {
    std::string name;
    bool running = false, loopback = false;
    bool operator== (const Link &other) const {
      return name == other.name && running == other.running && loopback == other.loopback;
    }
  };
  struct AddressKey {
    unsigned interface_index;
    bool ipv6;
    std::string bytes;
    bool operator<(const AddressKey &other) const;
  };
  struct Attribute;
  class Attributes;

  bool apply_message (unsigned type, ByteView payload, Outcome &outcome);
  bool apply_link (ByteView payload, bool gone, Outcome &outcome);
  bool apply_address (ByteView payload, bool gone, Outcome &outcome);
  bool apply_route (ByteView payload, bool gone, Outcome &outcome);
  bool put_route (const DefaultRoute &route, bool gone);

  std::map<unsigned, Link> links_;
  std::map<AddressKey, bool> addresses_;  // whether it is usable
  std::set<DefaultRoute> routes_;
};

}  // namespace p2p
