// Plain UDP by blocking calls, 64-byte pings: what every library above it is compared with.
//   bench-udp ping|pong ADDRESS PORT [COUNT]
// COUNT is enough for a warm-up besides; the side that answers runs until it is ended.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "exchange.hpp"
#include "pings.hpp"

using namespace bench;

int
main (int argc, char **argv) {
  if (argc < 4) {
    std::fprintf (stderr, "usage: bench-udp ping|pong ADDRESS PORT [COUNT]\n");
    return 2;
  }
  const bool pinging = std::strcmp (argv[1], "ping") == 0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons (static_cast<std::uint16_t> (std::atoi (argv[3])));
  if (inet_pton (AF_INET, argv[2], &address.sin_addr) != 1) fail ("bad address");
  const int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  char message[64] = {};
  const auto *name = reinterpret_cast<const sockaddr *> (&address);
  if (!pinging) {
    if (bind (fd, name, sizeof address) != 0) fail ("the port is taken");
    say ("open", "%s", "");
    sockaddr_in from{};
    socklen_t length = sizeof from;
    for (;;) {
      const ssize_t size =
          recvfrom (fd, message, sizeof message, 0, reinterpret_cast<sockaddr *> (&from), &length);
      if (size > 0)
        sendto (fd, message, static_cast<std::size_t> (size), 0,
                reinterpret_cast<sockaddr *> (&from), length);
    }
  }
  if (connect (fd, name, sizeof address) != 0) fail ("no way to that address");
  Pings pings (argc > 4 ? std::atoi (argv[4]) : 10000);
  do {
    pings.begin ();
    if (send (fd, message, sizeof message, 0) < 0 || recv (fd, message, sizeof message, 0) < 0)
      fail ("nobody answers");
  } while (pings.end ());
  close (fd);
  return 0;
}
