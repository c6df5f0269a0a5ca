// How a peer can be reached for one attempt to connect: ICE credentials, candidates and the
// fingerprint of its certificate, as one object that can be written down and read back.
#pragma once
#include <string>
#include <vector>

#include "base/error.hpp"

namespace p2p {

struct NetworkConfig {
  std::string id;
  std::string attempt;      // random, unique per attempt; both sides' attempts make a pair
  std::string fingerprint;  // normalized
  std::string ufrag, pwd;
  std::vector<std::string> candidates;  // SDP: "candidate:…"
  bool complete = false;                // all candidates are there; none will be trickled
};

constexpr std::size_t kMaxCandidates = 64;

// JSON text; parse errors name the field. Unknown fields are skipped, so later versions can add.
std::string network_config_to_json (const NetworkConfig &config);
Result<NetworkConfig> network_config_from_json (const std::string &json);

}  // namespace p2p
