// rtnetlink messages, good ones and bad ones.
#include "net/route_table.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cstring>
#include <random>

using namespace p2p;

namespace {

using Bytes = std::vector<std::uint8_t>;

template <class T>
void
append (Bytes &out, const T &value) {
  const auto *bytes = reinterpret_cast<const std::uint8_t *> (&value);
  out.insert (out.end (), bytes, bytes + sizeof value);
  out.resize ((out.size () + 3) / 4 * 4);
}

void
attribute (Bytes &out, unsigned short type, const Bytes &value) {
  append (out, rtattr{static_cast<unsigned short> (sizeof (rtattr) + value.size ()), type});
  out.insert (out.end (), value.begin (), value.end ());
  out.resize ((out.size () + 3) / 4 * 4);
}

Bytes
text (const std::string &value) {
  Bytes out (value.begin (), value.end ());
  out.push_back (0);
  return out;
}

Bytes
number (std::uint32_t value) {
  Bytes out;
  append (out, value);
  return out;
}

Bytes
ip (const std::string &value) {
  const bool ipv6 = value.find (':') != std::string::npos;
  Bytes out (ipv6 ? 16 : 4);
  EXPECT_EQ (inet_pton (ipv6 ? AF_INET6 : AF_INET, value.c_str (), out.data ()), 1);
  return out;
}

Bytes
message (unsigned short type, const Bytes &payload, unsigned short flags = 0) {
  Bytes out;
  append (out, nlmsghdr{static_cast<std::uint32_t> (sizeof (nlmsghdr) + payload.size ()), type,
                        flags, 1, 0});
  out.insert (out.end (), payload.begin (), payload.end ());
  return out;
}

Bytes
link (int index, const std::string &name, unsigned flags = IFF_UP | IFF_RUNNING,
      unsigned short type = RTM_NEWLINK, unsigned char family = AF_UNSPEC) {
  Bytes out;
  append (out, ifinfomsg{family, 0, 0, index, flags, 0});
  attribute (out, IFLA_IFNAME, text (name));
  return message (type, out);
}

Bytes
address (unsigned index, const std::string &value, std::uint32_t flags = 0,
         unsigned short type = RTM_NEWADDR) {
  Bytes out;
  const auto family =
      static_cast<unsigned char> (value.find (':') == std::string::npos ? AF_INET : AF_INET6);
  append (out, ifaddrmsg{family, 24, static_cast<unsigned char> (flags), 0, index});
  attribute (out, IFA_ADDRESS, ip (value));
  attribute (out, IFA_FLAGS, number (flags));
  return message (type, out);
}

struct Route {
  std::string gateway = "10.0.0.254";
  unsigned index = 2, metric = 0;
  unsigned char prefix = 0, table = RT_TABLE_MAIN, kind = RTN_UNICAST;
  unsigned flags = 0;
};

Bytes
route (const Route &what, unsigned short type = RTM_NEWROUTE) {
  Bytes out;
  const auto family = static_cast<unsigned char> (
      what.gateway.find (':') == std::string::npos ? AF_INET : AF_INET6);
  append (out, rtmsg{family, what.prefix, 0, 0, what.table, 0, 0, what.kind, what.flags});
  if (what.index != 0) attribute (out, RTA_OIF, number (what.index));
  if (!what.gateway.empty ()) attribute (out, RTA_GATEWAY, ip (what.gateway));
  if (what.metric != 0) attribute (out, RTA_PRIORITY, number (what.metric));
  return message (type, out);
}

Bytes
operator+ (Bytes one, const Bytes &other) {
  one.insert (one.end (), other.begin (), other.end ());
  return one;
}

std::vector<std::string>
addresses (const RouteTable &table) {
  std::vector<std::string> out;
  for (const NetworkAddress &one : table.snapshot ().addresses)
    out.push_back (one.address + "%" + one.interface_name);
  return out;
}
using Texts = std::vector<std::string>;

}  // namespace

TEST (RouteTable, ListsAddressesOfLinksThatAreUpAndRun) {
  RouteTable table;
  const auto outcome = table.apply (
      link (1, "lo", IFF_UP | IFF_RUNNING | IFF_LOOPBACK) + link (2, "eth0") +
      link (3, "eth1", IFF_UP) + link (4, "eth2", IFF_RUNNING) + address (1, "10.9.9.9") +
      address (2, "10.0.0.1") + address (2, "fe80::1") + address (3, "10.0.1.1") +
      address (4, "10.0.2.1") + address (5, "10.0.3.1") + message (NLMSG_DONE, number (0)));
  EXPECT_TRUE (outcome.changed);
  EXPECT_TRUE (outcome.done);
  EXPECT_EQ (outcome.malformed, 0U);
  EXPECT_EQ (addresses (table), (Texts{"10.9.9.9%lo", "10.0.0.1%eth0", "fe80::1%eth0"}));
  EXPECT_TRUE (table.snapshot ().addresses[0].loopback) << "any address there is";
  EXPECT_FALSE (table.snapshot ().addresses[1].loopback);
  EXPECT_TRUE (table.snapshot ().addresses[2].link_local);
}

TEST (RouteTable, AnAddressInDoubtIsNotListed) {
  RouteTable table;
  table.apply (link (2, "eth0") + address (2, "2001:db8::1", IFA_F_TENTATIVE) +
               address (2, "2001:db8::2", IFA_F_DADFAILED | IFA_F_PERMANENT) +
               address (2, "2001:db8::3", IFA_F_TENTATIVE | IFA_F_OPTIMISTIC));
  EXPECT_EQ (addresses (table), Texts{"2001:db8::3%eth0"});
  EXPECT_TRUE (table.apply (address (2, "2001:db8::1")).changed);
  EXPECT_EQ (addresses (table).size (), 2U);
}

TEST (RouteTable, TheNearEndOfALinkBetweenTwoCounts) {
  Bytes payload;
  append (payload, ifaddrmsg{AF_INET, 32, 0, 0, 2});
  attribute (payload, IFA_ADDRESS, ip ("10.8.0.2"));
  attribute (payload, IFA_LOCAL, ip ("10.8.0.1"));
  RouteTable table;
  table.apply (link (2, "tun0") + message (RTM_NEWADDR, payload));
  EXPECT_EQ (addresses (table), Texts{"10.8.0.1%tun0"});
}

TEST (RouteTable, OnlyWhatIsDifferentIsAChange) {
  RouteTable table;
  const Bytes all = link (2, "eth0") + address (2, "10.0.0.1") + route ({});
  EXPECT_TRUE (table.apply (all).changed);
  EXPECT_FALSE (table.apply (all).changed);
  EXPECT_FALSE (table.apply (address (2, "10.0.0.1", IFA_F_PERMANENT)).changed);
  EXPECT_FALSE (table.apply (link (2, "eth0", 0, RTM_DELLINK, AF_BRIDGE)).changed);
  EXPECT_FALSE (table.apply (address (2, "10.0.0.2", 0, RTM_DELADDR)).changed);
  EXPECT_FALSE (table.apply (message (RTM_NEWNEIGH, number (0))).changed);
  EXPECT_TRUE (table.apply (link (2, "eth0", IFF_UP)).changed);
  EXPECT_TRUE (table.apply (link (2, "wan")).changed);
  EXPECT_TRUE (table.apply (address (2, "10.0.0.1", 0, RTM_DELADDR)).changed);
  EXPECT_TRUE (table.apply (route ({}, RTM_DELROUTE)).changed);
  EXPECT_TRUE (table.apply (link (2, "wan", 0, RTM_DELLINK)).changed);
}

TEST (RouteTable, OnlyDefaultRoutesOfTheMainTableCount) {
  RouteTable table;
  Route other;
  table.apply (link (2, "eth0"));
  other.prefix = 24;
  EXPECT_FALSE (table.apply (route (other)).changed);
  other = Route{};
  other.table = RT_TABLE_LOCAL;
  EXPECT_FALSE (table.apply (route (other)).changed);
  other = Route{};
  other.kind = RTN_UNREACHABLE;
  EXPECT_FALSE (table.apply (route (other)).changed);
  other = Route{};
  other.flags = RTM_F_CLONED;
  EXPECT_FALSE (table.apply (route (other)).changed);
  other = Route{};
  other.metric = 7;
  EXPECT_TRUE (table.apply (route (other)).changed);
  other.gateway = "fe80::1";
  other.metric = 1024;
  EXPECT_TRUE (table.apply (route (other)).changed);
  other.index = 9;  // a link that is not there
  EXPECT_TRUE (table.apply (route (other)).changed);
  EXPECT_EQ (table.snapshot ().default_routes,
             (std::vector<DefaultRoute>{{false, 2, "10.0.0.254", 7}, {true, 2, "fe80::1", 1024}}));
  table.apply (link (2, "eth0", IFF_UP));
  EXPECT_TRUE (table.snapshot ().default_routes.empty ()) << "a dead link leads nowhere";
}

TEST (RouteTable, EveryHopOfARouteOverSeveralCounts) {
  Bytes hops;
  for (const int index : {2, 3}) {
    Bytes inner;
    attribute (inner, RTA_GATEWAY, ip ("10.0." + std::to_string (index) + ".254"));
    append (hops, rtnexthop{static_cast<unsigned short> (sizeof (rtnexthop) + inner.size ()), 0, 0,
                            index});
    hops = hops + inner;
  }
  Bytes payload;
  append (payload, rtmsg{AF_INET, 0, 0, 0, RT_TABLE_MAIN, 0, 0, RTN_UNICAST, 0});
  attribute (payload, RTA_MULTIPATH, hops);
  RouteTable table;
  table.apply (link (2, "eth0") + link (3, "eth1") + message (RTM_NEWROUTE, payload));
  EXPECT_EQ (table.snapshot ().default_routes,
             (std::vector<DefaultRoute>{{false, 2, "10.0.2.254", 0}, {false, 3, "10.0.3.254", 0}}));
}

TEST (RouteTable, AGatewayMayBeOfTheOtherFamily) {
  Bytes payload, via = number (AF_INET6);
  via.resize (2);
  via = via + ip ("fe80::1");
  append (payload, rtmsg{AF_INET, 0, 0, 0, RT_TABLE_MAIN, 0, 0, RTN_UNICAST, 0});
  attribute (payload, RTA_OIF, number (2));
  attribute (payload, RTA_VIA, via);
  RouteTable table;
  table.apply (link (2, "eth0") + message (RTM_NEWROUTE, payload));
  EXPECT_EQ (table.snapshot ().default_routes,
             (std::vector<DefaultRoute>{{false, 2, "fe80::1", 0}}));
}

TEST (RouteTable, ErrorsAndInterruptionsAreHandedOn) {
  RouteTable table;
  Bytes payload;
  append (payload, nlmsgerr{-EPERM, {}});
  EXPECT_EQ (table.apply (message (NLMSG_ERROR, payload)).error, EPERM);
  EXPECT_TRUE (table.apply (message (NLMSG_DONE, number (0), NLM_F_DUMP_INTR)).interrupted);
}

TEST (RouteTable, LengthsThatLieAreCountedAndNotFollowed) {
  const Bytes good = address (2, "10.0.0.1");
  for (const std::uint32_t length : {0U, 15U, 17U, 20U, 1000U, 0xffffffffU}) {
    Bytes bad = good;
    std::memcpy (bad.data (), &length, sizeof length);
    RouteTable table;
    const auto outcome = table.apply (link (2, "eth0") + bad);
    EXPECT_GE (outcome.malformed, 1U) << length;
    EXPECT_TRUE (outcome.changed) << "what stands before it counts";
    EXPECT_EQ (addresses (table), Texts{}) << length;
  }
  for (const std::uint16_t length : {0, 3, 9, 2000}) {
    Bytes bad = good;
    std::memcpy (bad.data () + sizeof (nlmsghdr) + sizeof (ifaddrmsg), &length, sizeof length);
    RouteTable table;
    EXPECT_GE (table.apply (bad).malformed, 1U) << length;
  }
}

// In a block of its exact size, so that a sanitizer or valgrind sees one byte too many.
TEST (RouteTable, NoCutAndNoNoiseLeadsOutOfBounds) {
  const Bytes all = link (2, "eth0") + address (2, "10.0.0.1") + address (2, "fe80::1") +
                    route ({}) + message (NLMSG_ERROR, number (1)) +
                    message (NLMSG_DONE, number (0));
  for (std::size_t size = 0; size <= all.size (); ++size) {
    const Bytes cut (all.begin (), all.begin () + static_cast<std::ptrdiff_t> (size));
    RouteTable table;
    table.apply (cut);
    EXPECT_LE (table.snapshot ().addresses.size (), 2U);
  }
  std::minstd_rand random (7);
  for (int round = 0; round < 20000; ++round) {
    Bytes noisy = all;
    for (int flips = 0; flips < 4; ++flips)
      noisy[random () % noisy.size ()] = static_cast<std::uint8_t> (random ());
    RouteTable table;
    table.apply (noisy);
    table.snapshot ();
  }
}
