#include "net/route_table.hpp"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

namespace p2p {

namespace {

constexpr std::size_t kIpv4Bytes = 4, kIpv6Bytes = 16;

// A structure at the start of `bytes`, without a wish for their alignment.
template <class T>
std::optional<T>
read (ByteView bytes) {
  T value;
  if (bytes.size < sizeof value) return std::nullopt;
  std::memcpy (&value, bytes.data, sizeof value);
  return value;
}

std::size_t
aligned (std::size_t size) {
  return (size + NLMSG_ALIGNTO - 1) & ~std::size_t{NLMSG_ALIGNTO - 1};
}

bool
is_ip (unsigned family) {
  return family == AF_INET || family == AF_INET6;
}

std::size_t
address_bytes (bool ipv6) {
  return ipv6 ? kIpv6Bytes : kIpv4Bytes;
}

}  // namespace

// The attributes that follow a message's header; of several of one type the last.
class RouteTable::Attributes {
 public:
  Attributes (ByteView bytes, Outcome &outcome) {
    while (bytes.size >= sizeof (rtattr)) {
      const rtattr head = *read<rtattr> (bytes);
      if (head.rta_len < sizeof head || head.rta_len > bytes.size) {
        ++outcome.malformed;
        return;
      }
      values_[head.rta_type & ~unsigned{NLA_F_NESTED | NLA_F_NET_BYTEORDER}] =
          bytes.sub (sizeof head, head.rta_len - sizeof head);
      bytes = bytes.sub (aligned (head.rta_len));
    }
  }

  ByteView get (unsigned type) const {
    const auto found = values_.find (type);
    return found == values_.end () ? ByteView () : found->second;
  }
  std::uint32_t number (unsigned type) const {
    return read<std::uint32_t> (get (type)).value_or (0);
  }
  std::string text (unsigned type) const {
    const std::string all = get (type).to_string ();
    return all.substr (0, all.find ('\0'));
  }

 private:
  std::map<unsigned, ByteView> values_;
};

bool
RouteTable::AddressKey::operator<(const AddressKey &other) const {
  return std::tie (interface_index, ipv6, bytes) <
         std::tie (other.interface_index, other.ipv6, other.bytes);
}

RouteTable::Outcome
RouteTable::apply (ByteView datagram) {
  Outcome outcome;
  while (!datagram.empty ()) {
    const auto head = read<nlmsghdr> (datagram);
    if (!head || head->nlmsg_len < sizeof *head || head->nlmsg_len > datagram.size) {
      ++outcome.malformed;
      break;
    }
    if (head->nlmsg_flags & NLM_F_DUMP_INTR) outcome.interrupted = true;
    if (apply_message (head->nlmsg_type,
                       datagram.sub (sizeof *head, head->nlmsg_len - sizeof *head), outcome))
      outcome.changed = true;
    datagram = datagram.sub (aligned (head->nlmsg_len));
  }
  return outcome;
}

bool
RouteTable::apply_message (unsigned type, ByteView payload, Outcome &outcome) {
  switch (type) {
    case NLMSG_DONE:
      outcome.done = true;
      return false;
    case NLMSG_ERROR:
      if (const auto error = read<nlmsgerr> (payload))
        outcome.error = -error->error;
      else
        ++outcome.malformed;
      return false;
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return apply_link (payload, type == RTM_DELLINK, outcome);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return apply_address (payload, type == RTM_DELADDR, outcome);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return apply_route (payload, type == RTM_DELROUTE, outcome);
    default:
      return false;  // the kernel has many more
  }
}

bool
RouteTable::apply_link (ByteView payload, bool gone, Outcome &outcome) {
  const auto info = read<ifinfomsg> (payload);
  if (!info) {
    ++outcome.malformed;
    return false;
  }
  // A bridge tells of its ports in the same message, with a family of its own.
  if (info->ifi_family != AF_UNSPEC) return false;
  const auto index = static_cast<unsigned> (info->ifi_index);
  if (gone) return links_.erase (index) != 0;
  Link link;
  link.name = Attributes (payload.sub (aligned (sizeof *info)), outcome).text (IFLA_IFNAME);
  link.running = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
  link.loopback = info->ifi_flags & IFF_LOOPBACK;
  const auto [known, is_new] = links_.emplace (index, link);
  const bool changed = is_new || !(known->second == link);
  known->second = std::move (link);
  return changed;
}

bool
RouteTable::apply_address (ByteView payload, bool gone, Outcome &outcome) {
  const auto info = read<ifaddrmsg> (payload);
  if (!info) {
    ++outcome.malformed;
    return false;
  }
  if (!is_ip (info->ifa_family)) return false;
  const bool ipv6 = info->ifa_family == AF_INET6;
  const Attributes attributes (payload.sub (aligned (sizeof *info)), outcome);
  // On a link between two, IFA_ADDRESS is the far end's.
  ByteView bytes = attributes.get (IFA_LOCAL);
  if (bytes.empty ()) bytes = attributes.get (IFA_ADDRESS);
  if (bytes.size != address_bytes (ipv6)) {
    ++outcome.malformed;
    return false;
  }
  const AddressKey key{info->ifa_index, ipv6, bytes.to_string ()};
  if (gone) return addresses_.erase (key) != 0;
  // IFA_FLAGS has all of them, the header only the first eight.
  const std::uint32_t flags =
      attributes.get (IFA_FLAGS).empty () ? info->ifa_flags : attributes.number (IFA_FLAGS);
  const bool doubted = flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED);
  const bool usable = !doubted || (flags & IFA_F_OPTIMISTIC);  // RFC 4429
  const auto [known, is_new] = addresses_.emplace (key, usable);
  return is_new || std::exchange (known->second, usable) != usable;
}

bool
RouteTable::apply_route (ByteView payload, bool gone, Outcome &outcome) {
  const auto info = read<rtmsg> (payload);
  if (!info) {
    ++outcome.malformed;
    return false;
  }
  if (!is_ip (info->rtm_family) || info->rtm_dst_len != 0 || info->rtm_src_len != 0 ||
      info->rtm_type != RTN_UNICAST || (info->rtm_flags & RTM_F_CLONED))
    return false;
  const Attributes attributes (payload.sub (aligned (sizeof *info)), outcome);
  const std::uint32_t table =
      attributes.get (RTA_TABLE).empty () ? info->rtm_table : attributes.number (RTA_TABLE);
  if (table != RT_TABLE_MAIN) return false;

  DefaultRoute route;
  route.ipv6 = info->rtm_family == AF_INET6;
  route.metric = attributes.number (RTA_PRIORITY);
  // RTA_VIA: a gateway of the other family, after two bytes that say which.
  const auto gateway_of = [] (const Attributes &one, bool ipv6) -> std::string {
    const ByteView direct = one.get (RTA_GATEWAY);
    if (direct.size == address_bytes (ipv6))
      return make_network_address (direct.data, ipv6, false).address;
    const ByteView via = one.get (RTA_VIA).sub (sizeof (rtvia));
    if (via.size == address_bytes (!ipv6))
      return make_network_address (via.data, !ipv6, false).address;
    return {};
  };
  route.interface_index = attributes.number (RTA_OIF);
  route.gateway = gateway_of (attributes, route.ipv6);
  bool changed = false;
  if (route.interface_index != 0) changed = put_route (route, gone);
  for (ByteView hops = attributes.get (RTA_MULTIPATH); !hops.empty ();) {
    const auto hop = read<rtnexthop> (hops);
    if (!hop || hop->rtnh_len < sizeof *hop || hop->rtnh_len > hops.size) {
      ++outcome.malformed;
      break;
    }
    const Attributes inner (hops.sub (sizeof *hop, hop->rtnh_len - sizeof *hop), outcome);
    route.interface_index = static_cast<unsigned> (hop->rtnh_ifindex);
    route.gateway = gateway_of (inner, route.ipv6);
    if (put_route (route, gone)) changed = true;
    hops = hops.sub (aligned (hop->rtnh_len));
  }
  return changed;
}

bool
RouteTable::put_route (const DefaultRoute &route, bool gone) {
  return gone ? routes_.erase (route) != 0 : routes_.insert (route).second;
}

NetworkSnapshot
RouteTable::snapshot () const {
  NetworkSnapshot out;
  const auto running = [this] (unsigned index) -> const Link * {
    const auto found = links_.find (index);
    return found != links_.end () && found->second.running ? &found->second : nullptr;
  };
  for (const auto &[key, usable] : addresses_) {
    const Link *const link = running (key.interface_index);
    if (!link || !usable) continue;
    NetworkAddress address = make_network_address (key.bytes.data (), key.ipv6, link->loopback);
    address.interface_index = key.interface_index;
    address.interface_name = link->name;
    out.addresses.push_back (std::move (address));
  }
  std::sort (out.addresses.begin (), out.addresses.end ());
  for (const DefaultRoute &route : routes_)
    if (running (route.interface_index)) out.default_routes.push_back (route);
  return out;
}

}  // namespace p2p
