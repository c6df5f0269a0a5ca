#include "turn/source_address.hpp"

#include <sys/socket.h>
#include <unistd.h>

namespace p2p::turn {

std::optional<Address>
source_towards (const Address &remote) {
  socklen_t size = 0;
  sockaddr_storage storage = remote.to_sockaddr (&size);
  const int fd = socket (storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const bool known = connect (fd, reinterpret_cast<const sockaddr *> (&storage), size) == 0 &&
                     getsockname (fd, reinterpret_cast<sockaddr *> (&storage), &size) == 0;
  close (fd);
  const auto from = known ? Address::from_sockaddr (storage) : std::nullopt;
  return from ? std::optional (from->without_port ()) : std::nullopt;
}

}  // namespace p2p::turn
