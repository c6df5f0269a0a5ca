// What is to be examined: the command line of `p2pcat doctor`.
#pragma once
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ice/ice_servers.hpp"
#include "signaling/factory.hpp"
#include "turn/server.hpp"

namespace p2p::doctor {

struct Request {
  std::vector<StunServer> stun;
  std::vector<turn::Server> turn;
  std::vector<SignalingUri> rendezvous;  // those that are reached over a network
  bool json = false, burst = true, version = false;
};

// `--help` ends the process, as GOption does.
Result<Request> parse_command_line (int argc, char **argv);

}  // namespace p2p::doctor
