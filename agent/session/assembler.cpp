#include "session/assembler.hpp"

#include <algorithm>
#include <cstring>

namespace p2p {

namespace {
constexpr std::size_t kFirstCapacityBytes = 64 * 1024;
}

std::size_t
Assembler::Part::feed (ByteView bytes) {
  const std::size_t count = std::min (bytes.size, total - held);
  if (count == 0) return 0;
  if (held + count > capacity) {
    // Doubling; the allocator moves pages instead of copying once the block is large.
    capacity = std::min (total, std::max ({held + count, capacity * 2, kFirstCapacityBytes}));
    data.reset (static_cast<std::uint8_t *> (g_realloc (data.release (), capacity)));
  }
  std::memcpy (data.get () + held, bytes.data, count);
  held += count;
  return count;
}

Ref<GBytes>
Assembler::Part::take () {
  Ref<GBytes> bytes = Ref<GBytes>::adopt (g_bytes_new_take (data.release (), held));
  *this = Part ();
  return bytes;
}

void
Assembler::begin (bool has_attributes, std::size_t attributes_bytes, std::size_t payload_bytes) {
  active_ = true;
  has_attributes_ = has_attributes;
  attributes_ = Part ();
  payload_ = Part ();
  attributes_.total = attributes_bytes;
  payload_.total = payload_bytes;
}

std::size_t
Assembler::feed (ByteView bytes) {
  const std::size_t used = attributes_.feed (bytes);
  return used + payload_.feed (bytes.sub (used));
}

Message
Assembler::take () {
  Message message;
  Ref<GBytes> attributes = attributes_.take ();
  if (has_attributes_) message.attributes = std::move (attributes);
  message.payload = payload_.take ();
  active_ = false;
  return message;
}

}  // namespace p2p
