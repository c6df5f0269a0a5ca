// Two moments of a network, compared.
#include "net/network_snapshot.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

using namespace p2p;

namespace {

NetworkAddress
address (const std::string &text, unsigned index = 2) {
  const bool ipv6 = text.find (':') != std::string::npos;
  std::array<char, 16> bytes{};
  EXPECT_EQ (inet_pton (ipv6 ? AF_INET6 : AF_INET, text.c_str (), bytes.data ()), 1);
  NetworkAddress out = make_network_address (bytes.data (), ipv6, false);
  out.interface_index = index;
  out.interface_name = "eth" + std::to_string (index);
  return out;
}

NetworkSnapshot
network (std::vector<NetworkAddress> addresses, std::vector<DefaultRoute> routes = {}) {
  std::sort (addresses.begin (), addresses.end ());
  return {std::move (addresses), std::move (routes)};
}

}  // namespace

TEST (NetworkSnapshot, AddressesAreWhatTheirRangeSays) {
  EXPECT_TRUE (address ("127.0.0.1").loopback);
  EXPECT_TRUE (address ("127.9.9.9").loopback);
  EXPECT_TRUE (address ("::1").loopback);
  EXPECT_TRUE (address ("169.254.3.4").link_local);
  EXPECT_TRUE (address ("fe80::1").link_local);
  for (const char *ordinary : {"10.0.0.1", "192.0.2.1", "2001:db8::1", "fd00::1"}) {
    EXPECT_FALSE (address (ordinary).loopback) << ordinary;
    EXPECT_FALSE (address (ordinary).link_local) << ordinary;
    EXPECT_EQ (address (ordinary).address, ordinary);
  }
}

TEST (NetworkSnapshot, UsableIsAnyAddressButLoopback) {
  EXPECT_FALSE (network ({}).usable ());
  EXPECT_FALSE (network ({address ("127.0.0.1"), address ("::1")}).usable ());
  EXPECT_TRUE (network ({address ("127.0.0.1"), address ("10.0.0.1")}).usable ());
  EXPECT_TRUE (network ({address ("fe80::1")}).usable ());
}

TEST (NetworkSnapshot, HasAnAddressOnItsInterface) {
  const NetworkSnapshot now = network ({address ("fe80::1", 3), address ("10.0.0.1")});
  EXPECT_TRUE (now.has ("10.0.0.1"));
  EXPECT_TRUE (now.has ("fe80::1"));
  EXPECT_TRUE (now.has ("fe80::1%eth3"));
  EXPECT_FALSE (now.has ("fe80::1%eth2"));
  EXPECT_FALSE (now.has ("10.0.0.2"));
  EXPECT_FALSE (now.has (""));
}

TEST (NetworkSnapshot, TheSameIsNoChange) {
  const NetworkSnapshot one =
      network ({address ("10.0.0.1"), address ("fe80::1")}, {{false, 2, "10.0.0.254", 100}});
  EXPECT_FALSE (difference (one, one).any ());
  EXPECT_FALSE (difference ({}, {}).any ());
}

TEST (NetworkSnapshot, DifferenceNamesWhatCameAndWhatWent) {
  const NetworkSnapshot before = network ({address ("10.0.0.1"), address ("10.0.0.2")});
  const NetworkSnapshot now = network ({address ("10.0.0.2"), address ("10.0.0.3")});
  const NetworkChange change = difference (before, now);
  EXPECT_EQ (change.added, std::vector{address ("10.0.0.3")});
  EXPECT_EQ (change.removed, std::vector{address ("10.0.0.1")});
  EXPECT_FALSE (change.default_routes_changed);
  EXPECT_TRUE (change.any ());
}

TEST (NetworkSnapshot, AnAddressThatMovesToAnotherInterfaceGoesAndComes) {
  const NetworkChange change =
      difference (network ({address ("10.0.0.1", 2)}), network ({address ("10.0.0.1", 3)}));
  EXPECT_EQ (change.added.size (), 1U);
  EXPECT_EQ (change.removed.size (), 1U);
}

TEST (NetworkSnapshot, AnotherGatewayInterfaceOrMetricIsAChangeOfRoutes) {
  const DefaultRoute route{false, 2, "10.0.0.254", 100};
  for (const DefaultRoute &other :
       {DefaultRoute{false, 2, "10.0.0.253", 100}, DefaultRoute{false, 3, "10.0.0.254", 100},
        DefaultRoute{false, 2, "10.0.0.254", 50}})
    EXPECT_TRUE (difference (network ({}, {route}), network ({}, {other})).any ());
  EXPECT_TRUE (difference (network ({}, {route}), network ({})).default_routes_changed);
}
