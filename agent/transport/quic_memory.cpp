#include "transport/quic_memory.hpp"

#include "base/packed_memory.hpp"

namespace p2p {

const ngtcp2_mem *
quic_memory () {
  static const ngtcp2_mem memory = {
      nullptr, [] (std::size_t bytes, void *) { return packed_take (bytes); },
      [] (void *taken, void *) { packed_give_back (taken); },
      [] (std::size_t count, std::size_t bytes, void *) {
        return packed_take_zeroes (count, bytes);
      },
      [] (void *taken, std::size_t bytes, void *) { return packed_resize (taken, bytes); }};
  return &memory;
}

}  // namespace p2p
