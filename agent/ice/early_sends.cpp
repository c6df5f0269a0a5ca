#include "ice/early_sends.hpp"

#include <netinet/in.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "ice/candidate_sdp.hpp"
#include "ice/nice_handle.hpp"

namespace p2p {

namespace {

struct Unref {
  void operator() (GPtrArray *array) const { g_ptr_array_unref (array); }
};

// IPv4 or IPv6, and the address; nothing for a name, TCP or a relay.
std::optional<NiceAddress>
direct_address (const std::string &sdp) {
  auto candidate = parse_remote_candidate (sdp);
  NiceAddress address;
  nice_address_init (&address);
  if (!candidate || candidate->transport != "UDP" || candidate->type == "relay" ||
      !nice_address_set_from_string (&address, candidate->address.c_str ()))
    return {};
  nice_address_set_port (&address, candidate->port);
  return address;
}

bool
may_reach (GSocket *socket, const NiceAddress &remote) {
  const bool ipv6 = nice_address_ip_version (&remote) == 6;
  return g_socket_get_socket_type (socket) == G_SOCKET_TYPE_DATAGRAM &&
         g_socket_get_family (socket) == (ipv6 ? G_SOCKET_FAMILY_IPV6 : G_SOCKET_FAMILY_IPV4);
}

}  // namespace

std::vector<EarlySends::Target>
EarlySends::targets (NiceAgent *agent, guint stream,
                     const std::vector<std::string> &remote_candidates) {
  const std::unique_ptr<GPtrArray, Unref> sockets (
      nice_agent_get_sockets (agent, stream, kNiceComponent));
  std::vector<Target> targets;
  for (const std::string &sdp : remote_candidates) {
    const auto remote = direct_address (sdp);
    for (guint i = 0; remote && sockets && i < sockets->len; ++i) {
      auto *socket = static_cast<GSocket *> (g_ptr_array_index (sockets.get (), i));
      if (targets.size () == kMaxTargets || !may_reach (socket, *remote)) continue;
      targets.push_back ({Ref<GSocket>::share (socket), {}});
      nice_address_copy_to_sockaddr (&*remote,
                                     reinterpret_cast<sockaddr *> (&targets.back ().remote));
    }
  }
  return targets;
}

EarlySends::EarlySends (std::vector<Target> targets) : targets_ (std::move (targets)) {}

bool
EarlySends::send (ByteView burst, std::size_t segment_bytes, TimeUs now) {
  const std::size_t count = (burst.size + segment_bytes - 1) / segment_bytes;
  if (sent_.size () + count > kMaxDatagrams) return false;
  if (sent_.empty ()) first_at_ = now;
  for (std::size_t at = 0; at < burst.size; at += segment_bytes) {
    const ByteView datagram = burst.sub (at, segment_bytes);
    for (const Target &target : targets_) {
      const socklen_t bytes =
          target.remote.ss_family == AF_INET6 ? sizeof (sockaddr_in6) : sizeof (sockaddr_in);
      // One that cannot leave is lost, as on a wire.
      if (sendto (g_socket_get_fd (target.socket.get ()), datagram.data, datagram.size,
                  MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr *> (&target.remote),
                  bytes) < 0)
        g_debug ("ice: nothing goes there yet: %s", g_strerror (errno));
    }
    sent_.emplace_back (datagram.begin (), datagram.end ());
  }
  return true;
}

std::vector<std::vector<std::uint8_t>>
EarlySends::take (TimeUs now) {
  auto sent = std::exchange (sent_, {});
  if (now - first_at_ > kUnprovenFor) sent.clear ();
  return sent;
}

}  // namespace p2p
