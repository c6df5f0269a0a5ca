#include "device.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace delaywire {

namespace {

// What a burst of a fast sender may take before the wire has read it.
constexpr int kReceiveBufferBytes = 8 << 20;

// Enters a namespace that `ip netns` made, and comes back at the end of the scope.
class InNamespace {
 public:
  explicit InNamespace (const std::string &name)
      : home_ (open ("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (home_ < 0) die ("/proc/self/ns/net");
    if (name.empty ()) return;
    const int there = open (("/run/netns/" + name).c_str (), O_RDONLY | O_CLOEXEC);
    if (there < 0) die ("namespace " + name);
    if (setns (there, CLONE_NEWNET) != 0) die ("setns " + name);
    close (there);
  }
  ~InNamespace () {
    if (setns (home_, CLONE_NEWNET) != 0) die ("setns back");
    close (home_);
  }
  InNamespace (const InNamespace &) = delete;
  InNamespace &operator= (const InNamespace &) = delete;

 private:
  int home_;
};

struct Place {
  std::string name_space;
  std::string device;
};

Place
parse (const std::string &spec) {
  const auto colon = spec.rfind (':');
  if (colon == std::string::npos) return {"", spec};
  return {spec.substr (0, colon), spec.substr (colon + 1)};
}

ifreq
request_for (const std::string &device) {
  ifreq request{};
  std::snprintf (request.ifr_name, IFNAMSIZ, "%s", device.c_str ());
  return request;
}

}  // namespace

void
die (const std::string &what) {
  std::fprintf (stderr, "delaywire: %s: %s\n", what.c_str (), std::strerror (errno));
  std::exit (1);
}

int
open_tap (const std::string &spec, int mtu_bytes) {
  const Place place = parse (spec);
  const InNamespace inside (place.name_space);
  const int fd = open ("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) die ("/dev/net/tun");
  ifreq request = request_for (place.device);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (ioctl (fd, TUNSETIFF, &request) != 0) die ("TUNSETIFF " + place.device);
  // Whole, checksummed frames only: what a real cable carries.
  if (ioctl (fd, TUNSETOFFLOAD, 0) != 0) die ("TUNSETOFFLOAD " + place.device);
  const int control = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  request.ifr_mtu = mtu_bytes;
  if (control < 0 || ioctl (control, SIOCSIFMTU, &request) != 0) die ("MTU of " + place.device);
  close (control);
  return fd;
}

int
open_packet (const std::string &spec) {
  const Place place = parse (spec);
  const InNamespace inside (place.name_space);
  const int fd = socket (AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons (ETH_P_ALL));
  if (fd < 0) die ("AF_PACKET");
  ifreq request = request_for (place.device);
  if (ioctl (fd, SIOCGIFINDEX, &request) != 0) die (place.device);
  const int on = 1;
  packet_mreq membership{};
  membership.mr_ifindex = request.ifr_ifindex;
  membership.mr_type = PACKET_MR_PROMISC;
  // Only root may exceed the system's limit; with less, a burst loses frames as a real queue would.
  setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof kReceiveBufferBytes);
  if (setsockopt (fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0) die ("PACKET_VNET_HDR");
  if (setsockopt (fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
    die ("PACKET_IGNORE_OUTGOING");
  if (setsockopt (fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) != 0)
    die ("PACKET_ADD_MEMBERSHIP");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons (ETH_P_ALL);
  address.sll_ifindex = membership.mr_ifindex;
  if (bind (fd, reinterpret_cast<sockaddr *> (&address), sizeof address) != 0)
    die ("bind " + place.device);
  return fd;
}

}  // namespace delaywire
