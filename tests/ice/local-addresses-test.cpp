// Which addresses get candidates, and that libnice is never shown one at which it would abort.
#include "ice/local_addresses.hpp"

#include <gtest/gtest.h>

namespace p2p {
namespace {

using Strings = std::vector<std::string>;

Strings
chosen (const Strings &all, const Strings &wanted = {}) {
  auto result = choose_local_addresses (all, wanted);
  return result ? result->chosen : Strings{"error"};
}

TEST (LocalAddresses, LoopbackIsLeftOutBesideARealNetwork) {
  EXPECT_EQ (chosen ({"192.0.2.2", "fd00::2", "fe80::1%eth0", "127.0.0.1", "::1"}),
             (Strings{"192.0.2.2", "fd00::2", "fe80::1%eth0"}));
}

TEST (LocalAddresses, LoopbackIsAllThereIsWithoutANetwork) {
  EXPECT_EQ (chosen ({"127.0.0.1", "::1"}), (Strings{"127.0.0.1", "::1"}));
  EXPECT_EQ (chosen ({"127.0.0.1"}), (Strings{"127.0.0.1"}));
}

TEST (LocalAddresses, LinkLocalAloneIsNotANetwork) {
  EXPECT_EQ (chosen ({"fe80::1%eth0", "169.254.3.4", "127.0.0.1"}),
             (Strings{"fe80::1%eth0", "169.254.3.4", "127.0.0.1"}));
}

TEST (LocalAddresses, WantedOnesAreTakenAsTheyAre) {
  EXPECT_EQ (chosen ({"192.0.2.2", "127.0.0.1", "::1"}, {"::1", "127.0.0.1"}),
             (Strings{"::1", "127.0.0.1"}));
}

TEST (LocalAddresses, ALinkLocalOneGetsItsInterface) {
  auto found = choose_local_addresses ({"fe80::1%eth0", "fe80::2%eth1"}, {"fe80::2"});
  ASSERT_TRUE (found.ok ());
  EXPECT_EQ (found->chosen, (std::vector<std::string>{"fe80::2%eth1"}));
}

TEST (LocalAddresses, WhatIsNoAddressOfASocketIsNamedInTheError) {
  for (const char *bad : {"", "eth0", "1.2.3", "0.0.0.0", "224.0.0.1", "255.255.255.255",
                          "::", "ff02::1", "127.0.0.1%lo", "[::1]", "host.example", "1.2.3.4:5"}) {
    auto result = choose_local_addresses ({"127.0.0.1"}, {bad});
    ASSERT_FALSE (result) << bad;
    EXPECT_EQ (result.error ().code, P2P_ERROR_INVALID_ARGUMENT) << bad;
    EXPECT_NE (result.error ().message.find ("\"" + std::string (bad) + "\""), std::string::npos);
  }
}

TEST (LocalAddresses, NothingAtAllIsAnError) {
  auto result = choose_local_addresses ({}, {});
  ASSERT_FALSE (result);
  EXPECT_EQ (result.error ().code, P2P_ERROR_UNREACHABLE);
}

TEST (LocalAddresses, StopsBeforeLibniceWouldAbort) {
  Strings all;
  for (int i = 1; i <= 100; ++i) all.push_back ("10.0.0." + std::to_string (i));
  all.push_back ("127.0.0.1");
  auto result = choose_local_addresses (all, {});
  ASSERT_TRUE (result);
  EXPECT_EQ (result->chosen.size (), kMaxLocalAddresses);
  EXPECT_EQ (result->left_out, 100 - kMaxLocalAddresses);

  // An explicit one at the end of a long list, and one that is not in it, would abort as well.
  for (const char *beyond : {"127.0.0.1", "10.0.0.100", "192.0.2.1"})
    EXPECT_FALSE (choose_local_addresses (all, {beyond})) << beyond;
  EXPECT_TRUE (choose_local_addresses (all, {"10.0.0.1"}));
}

TEST (LocalAddresses, TellsTheFamilies) {
  auto v4 = choose_local_addresses ({"127.0.0.1"}, {});
  ASSERT_TRUE (v4);
  EXPECT_TRUE (v4->has_ipv4);
  EXPECT_FALSE (v4->has_ipv6);
  auto v6 = choose_local_addresses ({"fe80::1%eth0"}, {});
  ASSERT_TRUE (v6);
  EXPECT_FALSE (v6->has_ipv4);
  EXPECT_TRUE (v6->has_ipv6);
}

}  // namespace
}  // namespace p2p
