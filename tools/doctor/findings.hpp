// What the checks have found. Plain values, out of which the verdict and the reports are made.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "doctor/echo_burst.hpp"
#include "doctor/nat_behaviour.hpp"
#include "net/network_snapshot.hpp"

namespace p2p::doctor {

// One question to one server.
struct Attempt {
  std::string protocol;           // "stun", "turn", "http", "https"
  std::string transport;          // "udp", "tcp", "tls", "dtls"
  bool extra = false;             // beside what was asked for: no answer is no failure
  std::optional<TimeUs> took_us;  // until the first answer; none: there was none
  std::string problem;            // then, why: sentences
};

struct RelayFound {
  std::vector<Address> relayed;
  std::optional<std::size_t> largest_datagram_bytes;  // that came back through it
  std::optional<BurstResult> burst;
  std::string note;  // why there is no more, if there is none
};

struct ServerFound {
  enum class Kind { stun, turn, rendezvous };
  Kind kind = Kind::stun;
  std::string uri;  // as it may be shown
  std::vector<Attempt> attempts;
  std::optional<std::size_t> route_mtu_bytes;
  std::optional<RelayFound> relay;  // with an allocation
};

struct NatFound {
  turn::Family family = turn::Family::ipv4;
  NatBehaviour behaviour;
  std::optional<Address> local, mapped;
};

// How far this machine's clock is ahead of a server's; the truth lies between the two.
struct ClockFound {
  std::string source;
  TimeUs least_us = 0, most_us = 0;
};

struct MachineFound {
  NetworkSnapshot network;
  bool udp_segmentation = false, udp_coalescing = false;
};

struct Findings {
  MachineFound machine;
  std::vector<ServerFound> servers;
  std::vector<NatFound> nats;  // of each family over which something has answered
  std::optional<ClockFound> clock;
};

}  // namespace p2p::doctor
