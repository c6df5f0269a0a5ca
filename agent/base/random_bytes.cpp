#include "base/random_bytes.hpp"

#include <gnutls/crypto.h>

namespace p2p {

std::string
random_bytes (std::size_t count) {
  std::string bytes (count, '\0');
  // GnuTLS aborts the process itself when the kernel gives no randomness at start-up.
  gnutls_rnd (GNUTLS_RND_KEY, bytes.data (), bytes.size ());
  return bytes;
}

}  // namespace p2p
