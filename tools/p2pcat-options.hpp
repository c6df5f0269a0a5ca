// The command line of p2pcat.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace p2p {

struct CatOptions {
  std::string id, peer, channel = "default", rendezvous = "local";
  std::string secret, peer_fingerprint, identity, stun_server;
  std::vector<std::string> turn_servers;
  int timeout_s = 0;  // 0: as long as it takes
  // Nothing where it was not given: the library knows best.
  std::optional<unsigned> ping_interval_ms, ping_timeout_ms, peer_comeback_timeout_ms;
  bool verbose = false, new_secret = false, show_fingerprint = false, version = false;
};

// Empties `argv` as far as it understands it. `--help` ends the process, as GOption does.
Result<CatOptions> parse_cat_options (int argc, char **argv);

}  // namespace p2p
