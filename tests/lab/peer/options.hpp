// The command line.
#pragma once
#include <glib.h>

#include <string>
#include <utility>
#include <vector>

namespace lab {

struct Options {
  std::string id, peer, secret, rendezvous = "local", stun;
  std::vector<std::string> turn;
  int rate_kbit = 800;  // 0: as fast as possible
  int message_bytes = 1000;
  int seconds = 0;   // 0: until it is told by SIGUSR1
  int messages = 0;  // 0: no limit
  int tell_gap_ms = 100;
  bool unreliable = false;
  // Name and value of properties of the agent.
  std::vector<std::pair<std::string, std::string>> properties;
};

// Writes what is wrong to standard error, and returns false.
bool parse_options (int argc, char **argv, Options &options);

}  // namespace lab
