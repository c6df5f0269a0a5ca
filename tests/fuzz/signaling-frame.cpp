// The frames of the meeting point, read by the server from anybody and by clients from any server.
#include "signaling/frame.hpp"

extern "C" int
LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size) {
  (void)p2p::parse_frame ({data, size});
  return 0;
}
