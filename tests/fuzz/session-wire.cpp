// What the session reads: the first byte chooses the decoder, the rest is the input.
#include "session/wire.hpp"

#include <string>

namespace wire = p2p::wire;

extern "C" int
LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size) {
  if (size == 0) return 0;
  const p2p::ByteView rest (data + 1, size - 1);
  wire::Reader reader (rest);
  switch (data[0] % 7) {
    case 0:
      (void)wire::decode_control (reader);
      break;
    case 1:
      (void)wire::decode_hello (rest);
      break;
    case 2:
      (void)wire::decode_open (reader);
      break;
    case 3:
      (void)wire::decode_record (reader);
      break;
    case 4:
      (void)wire::decode_message_head (reader);
      break;
    case 5:
      (void)wire::decode_reply (reader);
      break;
    case 6:
      (void)wire::decode_datagram (rest);
      break;
  }
  return 0;
}
