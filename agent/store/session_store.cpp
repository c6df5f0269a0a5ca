#include "store/session_store.hpp"

namespace p2p {

std::uint64_t
batch_bytes (const StoreBatch &batch) {
  std::uint64_t bytes = 0;
  for (const StoreChange &change : batch) {
    bytes += change.key.size () + change.end.size ();
    if (change.value) bytes += g_bytes_get_size (change.value.get ());
  }
  return bytes;
}

}  // namespace p2p
