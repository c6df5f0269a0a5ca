// A peer's candidate line: whatever is taken must be made of checked fields, and read back as
// itself.
#include "ice/candidate_sdp.hpp"

#include <cstdlib>
#include <string>

extern "C" int
LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size) {
  const std::string line (reinterpret_cast<const char *> (data), size);
  auto candidate = p2p::parse_remote_candidate (line);
  if (candidate && candidate->use == p2p::RemoteCandidate::Use::check) {
    auto again = p2p::parse_remote_candidate (candidate->to_nice_sdp ());
    if (!again || again->address != candidate->address || again->port != candidate->port) abort ();
  }
  (void)p2p::without_related_address (line);
  return 0;
}
