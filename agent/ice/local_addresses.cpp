#include "ice/local_addresses.hpp"

#include <arpa/inet.h>
#include <gio/gio.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <nice/interfaces.h>

#include <algorithm>
#include <array>

#include "base/ptr.hpp"

namespace p2p {

namespace {

enum class Kind { none, ordinary, link_local, loopback };

struct Address {
  Kind kind = Kind::none;
  bool ipv6 = false;
};

std::string
without_scope (const std::string &address) {
  return address.substr (0, address.find ('%'));
}

Address
classify (const std::string &address) {
  const std::string ip = without_scope (address);
  in_addr v4;
  if (ip == address && inet_pton (AF_INET, ip.c_str (), &v4) == 1) {
    const std::uint32_t host = ntohl (v4.s_addr);
    if (host == 0 || host >= 0xe0000000) return {};
    if (host >> 24 == 127) return {Kind::loopback, false};
    return {host >> 16 == 0xa9fe ? Kind::link_local : Kind::ordinary, false};  // RFC 3927
  }
  in6_addr v6;
  if (inet_pton (AF_INET6, ip.c_str (), &v6) != 1) return {};
  if (IN6_IS_ADDR_UNSPECIFIED (&v6) || IN6_IS_ADDR_MULTICAST (&v6)) return {};
  if (IN6_IS_ADDR_LOOPBACK (&v6)) return {Kind::loopback, true};
  return {IN6_IS_ADDR_LINKLOCAL (&v6) ? Kind::link_local : Kind::ordinary, true};
}

bool
has_ordinary (const std::vector<std::string> &all) {
  return std::any_of (all.begin (), all.end (), [] (const std::string &address) {
    return classify (address).kind == Kind::ordinary;
  });
}

// A link-local address is none without its interface; whoever named it may not have known.
std::string
with_scope (const std::vector<std::string> &all, const std::string &address) {
  if (classify (address).kind != Kind::link_local || address != without_scope (address))
    return address;
  const auto same = std::find_if (all.begin (), all.end (), [&] (const std::string &one) {
    return without_scope (one) == address;
  });
  return same == all.end () ? address : *same;
}

void
choose (LocalAddresses &out, const std::string &address) {
  out.chosen.push_back (address);
  (classify (address).ipv6 ? out.has_ipv6 : out.has_ipv4) = true;
}

}  // namespace

Result<LocalAddresses>
choose_local_addresses (const std::vector<std::string> &all,
                        const std::vector<std::string> &wanted) {
  LocalAddresses out;
  const auto within_limit = [&] (const std::string &address) {
    const auto place = std::find_if (all.begin (), all.end (), [&] (const std::string &one) {
      return without_scope (one) == without_scope (address);
    });
    return static_cast<std::size_t> (place - all.begin ()) < kMaxLocalAddresses;
  };

  if (!wanted.empty ()) {
    for (const auto &address : wanted) {
      if (classify (address).kind == Kind::none)
        return Error{P2P_ERROR_INVALID_ARGUMENT, "The local address \"" + address +
                                                     "\" is not an IP address that a socket can "
                                                     "have; name one of this machine's."};
      if (within_limit (address) && out.chosen.size () < kMaxLocalAddresses)
        choose (out, with_scope (all, address));
      else
        ++out.left_out;
    }
  } else {
    const bool ordinary = has_ordinary (all);
    for (const auto &address : all) {
      const Kind kind = classify (address).kind;
      if (kind == Kind::none || (kind == Kind::loopback && ordinary)) continue;
      if (within_limit (address))
        choose (out, address);
      else
        ++out.left_out;
    }
  }
  if (out.chosen.empty ())
    return Error{P2P_ERROR_UNREACHABLE,
                 "This machine has no usable IP address, not even the loopback one; bring up a "
                 "network interface."};
  return out;
}

namespace {

bool
is_bindable (const std::string &address) {
  const auto where =
      Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string (address.c_str (), 0));
  if (!where) return false;
  const auto socket =
      Ref<GSocket>::adopt (g_socket_new (g_socket_address_get_family (where.get ()),
                                         G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
  return socket && g_socket_bind (socket.get (), where.get (), FALSE, nullptr);
}

std::vector<std::string>
addresses_of_every_interface () {
  std::vector<std::string> out;
  ifaddrs *interfaces = nullptr;
  if (getifaddrs (&interfaces) != 0) return out;
  for (const ifaddrs *one = interfaces; one; one = one->ifa_next) {
    if (!one->ifa_addr || !(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK)) continue;
    const bool ipv6 = one->ifa_addr->sa_family == AF_INET6;
    if (!ipv6 && one->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo (one->ifa_addr, ipv6 ? sizeof (sockaddr_in6) : sizeof (sockaddr_in),
                     text.data (), text.size (), nullptr, 0, NI_NUMERICHOST) == 0)
      out.emplace_back (text.data ());
  }
  freeifaddrs (interfaces);
  return out;
}

}  // namespace

Result<LocalAddresses>
find_local_addresses (const std::vector<std::string> &wanted) {
  std::vector<std::string> all;
  GList *ips = nice_interfaces_get_local_ips (TRUE);
  for (GList *item = ips; item; item = item->next)
    all.emplace_back (static_cast<const char *> (item->data));
  g_list_free_full (ips, g_free);
  if (!has_ordinary (all))
    for (const auto &address : addresses_of_every_interface ())
      if (std::find (all.begin (), all.end (), address) == all.end ()) all.push_back (address);
  auto found = choose_local_addresses (all, wanted);
  if (!found || wanted.empty ()) return found;
  // libnice would not notice: an active TCP candidate is bound only when it connects.
  for (const auto &address : found->chosen)
    if (!is_bindable (address))
      return Error{P2P_ERROR_UNREACHABLE, "The local address " + address +
                                              " is not one of this machine's; name others, or none "
                                              "to use all."};
  return found;
}

}  // namespace p2p
