#include "doctor/machine.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#include "base/scheduler.hpp"
#include "net/portable_source.hpp"
#include "net/route_socket.hpp"

namespace p2p::doctor {

namespace {

bool
udp_takes ([[maybe_unused]] int option, [[maybe_unused]] int value) {
#ifdef SOL_UDP
  const int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool taken = setsockopt (fd, SOL_UDP, option, &value, sizeof value) == 0;
  close (fd);
  return taken;
#else
  return false;
#endif
}

}  // namespace

MachineFound
look_at_machine (GMainContext *context) {
  MachineFound out;
  LoopScheduler scheduler (context);
  std::optional<NetworkSnapshot> network;
  if (const auto routes = RouteSocket::create (context)) network = (*routes.value ()).read ();
  if (!network) network = make_portable_source (context, scheduler)->read ();
  if (network) out.network = *network;
#ifdef UDP_SEGMENT
  out.udp_segmentation = udp_takes (UDP_SEGMENT, 1200);
#endif
#ifdef UDP_GRO
  out.udp_coalescing = udp_takes (UDP_GRO, 1);
#endif
  return out;
}

}  // namespace p2p::doctor
