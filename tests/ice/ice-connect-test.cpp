// Two ends find each other over loopback in every way that the network may force on them.
#include <gio/gio.h>

#include <sys/socket.h>

#include <algorithm>

#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

bool
is_tcp (const std::string &sdp) {
  return sdp.find (" TCP ") != std::string::npos;
}

void
expect_only_forward (const IceEnd &end) {
  EXPECT_TRUE (std::is_sorted (end.states.begin (), end.states.end ()));
  EXPECT_EQ (std::adjacent_find (end.states.begin (), end.states.end ()), end.states.end ());
}

// Of this process.
unsigned
connected_tcp_sockets () {
  unsigned count = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    int type = 0;
    socklen_t size = sizeof type;
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    if (getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
        getpeername (fd, reinterpret_cast<sockaddr *> (&peer), &peer_size) == 0 &&
        (peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
      ++count;
  }
  return count;
}

void
expect_pair (const IceEnd &end, const std::string &ip, bool tcp) {
  ASSERT_FALSE (end.pairs.empty ());
  const IcePair &pair = end.pairs.back ();
  EXPECT_EQ (pair.tcp, tcp);
  EXPECT_FALSE (pair.relayed);
  EXPECT_EQ (pair.local_sdp.compare (0, 10, "candidate:"), 0) << pair.local_sdp;
  EXPECT_NE (pair.local.find (ip), std::string::npos) << pair.local;
  EXPECT_NE (pair.remote.find (ip), std::string::npos) << pair.remote;
  EXPECT_NE (pair.local.find (tcp ? "/tcp" : "/udp"), std::string::npos) << pair.local;
  EXPECT_EQ (pair.local.compare (0, pair.local_type.size () + 1, pair.local_type + " "), 0);
}

TEST (IceConnect, CarriesDatagramsBothWaysOverIpv4) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("\x80 hello"));
  ASSERT_TRUE (wait_until ([&] { return couple.a.ready () && couple.b.ready (); }));
  on_core ([&] {
    for (IceEnd *end : {&couple.a, &couple.b}) {
      expect_only_forward (*end);
      expect_pair (*end, "127.0.0.1:", false);
      EXPECT_EQ (end->gathering_done, 1U);
      EXPECT_TRUE (end->transport->gathering_done ());
      EXPECT_EQ (end->transport->local_candidates (), end->candidates);
      EXPECT_EQ (end->transport->path ().max_datagram_bytes (), 65507U);
      EXPECT_EQ (end->transport->path ().info ().kind, "ice");
      EXPECT_EQ (end->transport->path ().info ().local, end->pairs.back ().local);
      EXPECT_FALSE (end->called_back_inside);
      EXPECT_TRUE (end->warnings.empty ());
      EXPECT_GE (end->changes, 1U);
    }
  });
}

TEST (IceConnect, WorksOverIpv6) {
  if (!g_file_test ("/proc/net/if_inet6", G_FILE_TEST_EXISTS)) GTEST_SKIP () << "no IPv6 here";
  IceCouple couple;
  IceConfig a = loopback_config (true), b = loopback_config (false);
  a.local_addresses = b.local_addresses = {"::1"};
  ASSERT_TRUE (couple.connect (a, b));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("six"));
  on_core ([&] {
    expect_pair (couple.a, "[::1]:", false);
    EXPECT_EQ (couple.a.transport->path ().max_datagram_bytes (), 65536U - 48U);
  });
}

TEST (IceConnect, WorksOverTcpAlone) {
  IceCouple couple;
  couple.a.let_through = couple.b.let_through = is_tcp;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("over TCP"));
  on_core ([&] {
    expect_pair (couple.a, "127.0.0.1:", true);
    EXPECT_EQ (couple.a.transport->path ().max_datagram_bytes (), kMinDatagramBytes);
  });
}

TEST (IceConnect, FallsBackToTcpWhereUdpIsSilent) {
  IceCouple couple;
  couple.a.let_through = couple.b.let_through = is_tcp;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  on_core ([&] {
    // Of RFC 5737: nobody answers there.
    for (IceEnd *end : {&couple.a, &couple.b})
      EXPECT_FALSE (end->transport->add_remote_candidate (
          "candidate:9 1 UDP 2130706431 192.0.2.77 4711 typ host"));
  });
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("over TCP at last"));
  on_core ([&] { expect_pair (couple.a, "127.0.0.1:", true); });
}

TEST (IceConnect, OpensNoTcpConnectionWhereUdpWorks) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (wait_until ([&] { return couple.a.ready () && couple.b.ready (); }));
  on_core ([&] {
    ASSERT_TRUE (std::any_of (couple.a.candidates.begin (), couple.a.candidates.end (), is_tcp));
    expect_pair (couple.a, "127.0.0.1:", false);
  });
  EXPECT_EQ (connected_tcp_sockets (), 0U);
}

TEST (IceConnect, MakesNoTcpCandidatesWhenSwitchedOff) {
  IceCouple couple;
  IceConfig a = loopback_config (true), b = loopback_config (false);
  a.tcp = b.tcp = false;
  ASSERT_TRUE (couple.connect (a, b));
  ASSERT_TRUE (couple.wait_usable ());
  on_core ([&] {
    EXPECT_FALSE (couple.a.candidates.empty ());
    EXPECT_TRUE (std::none_of (couple.a.candidates.begin (), couple.a.candidates.end (), is_tcp));
  });
}

TEST (IceConnect, RoleConflictsConverge) {
  for (const bool controlling : {true, false}) {
    IceCouple couple;
    ASSERT_TRUE (couple.connect (loopback_config (controlling), loopback_config (controlling)));
    ASSERT_TRUE (couple.wait_usable ()) << "both " << (controlling ? "controlling" : "controlled");
    ASSERT_TRUE (couple.exchange ("who is who"));
  }
}

TEST (IceConnect, RemoteCandidatesWaitForTheCredentials) {
  IceCouple couple;
  on_core ([&] {
    ASSERT_FALSE (couple.a.open (loopback_config (true)));
    ASSERT_FALSE (couple.b.open (loopback_config (false)));
  });
  ASSERT_TRUE (wait_until ([&] { return couple.a.gathering_done && couple.b.gathering_done; }));
  on_core ([&] {
    EXPECT_TRUE (couple.a.states.empty ());
    EXPECT_FALSE (
        couple.a.transport->set_remote_credentials (couple.b.transport->local_credentials ()));
    EXPECT_FALSE (
        couple.b.transport->set_remote_credentials (couple.a.transport->local_credentials ()));
    // The same again is nothing new; others are.
    EXPECT_FALSE (
        couple.a.transport->set_remote_credentials (couple.b.transport->local_credentials ()));
    EXPECT_TRUE (
        couple.a.transport->set_remote_credentials (couple.a.transport->local_credentials ()));
  });
  ASSERT_TRUE (couple.wait_usable ());
}

TEST (IceConnect, StaysInThePortRange) {
  IceCouple couple;
  IceConfig a = loopback_config (true), b = loopback_config (false);
  a.port_min = 47210;
  a.port_max = 47219;
  ASSERT_TRUE (couple.connect (a, b));
  ASSERT_TRUE (couple.wait_usable ());
  on_core ([&] {
    const std::string &local = couple.a.pairs.back ().local;
    EXPECT_NE (local.find ("127.0.0.1:4721"), std::string::npos) << local;
  });
}

TEST (IceConnect, FailsWhenNoCandidateOfThePeerAnswers) {
  IceEnd end;
  on_core ([&] {
    IceConfig config = loopback_config (true);
    config.tcp = false;
    ASSERT_FALSE (end.open (config));
    ASSERT_FALSE (end.transport->set_remote_credentials ({"abcd", std::string (22, 'p')}));
    ASSERT_FALSE (end.transport->add_remote_candidate ("candidate:1 1 UDP 1 127.0.0.1 9 typ host"));
    end.transport->remote_gathering_done ();
    end.send ("too early");
    EXPECT_EQ (end.sent, Path::Sent::would_block);
  });
  ASSERT_TRUE (wait_until ([&] { return end.failed (); }));
  on_core ([&] {
    end.send ("too late");
    EXPECT_EQ (end.sent, Path::Sent::failed);
    expect_only_forward (end);
    EXPECT_EQ (end.failures, 1U);
    end.send ("too late");
    EXPECT_EQ (end.sent, Path::Sent::failed);
  });
}

TEST (IceConnect, WorksOnWhateverAddressesThisMachineHas) {
  IceCouple couple;
  IceConfig a = loopback_config (true), b = loopback_config (false);
  a.local_addresses.clear ();
  b.local_addresses.clear ();
  ASSERT_TRUE (couple.connect (a, b));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("anywhere"));
}

// Runs a shell script in a network namespace that is new and empty.
int
run_in_empty_network (const std::string &script, std::string &output) {
  const char *argv[] = {"unshare", "--user", "--map-root-user", "--net",
                        "sh",      "-c",     script.c_str (),   nullptr};
  char *out = nullptr, *err = nullptr;
  int status = -1;
  if (!g_spawn_sync (nullptr, const_cast<char **> (argv), nullptr, G_SPAWN_SEARCH_PATH, nullptr,
                     nullptr, &out, &err, &status, nullptr))
    return -1;
  output = std::string (out) + err;
  g_free (out);
  g_free (err);
  return status;
}

// Connects two ends on whatever addresses there are; the build names the program.
constexpr char kConnect[] = "exec \"${ICE_ALONE:?names the program}\"";

TEST (IceWithoutNetwork, TwoEndsConnectWhereThereIsOnlyLoopback) {
  const std::string set_up = "ip link set lo up";
  std::string output;
  if (run_in_empty_network (set_up, output) != 0)
    GTEST_SKIP () << "a network namespace cannot be made here: " << output;
  EXPECT_EQ (run_in_empty_network (set_up + " && " + kConnect, output), 0) << output;
  EXPECT_TRUE (output.find ("host 127.0.0.1:") != std::string::npos ||
               output.find ("host [::1]:") != std::string::npos)
      << output;
}

TEST (IceWithoutNetwork, AVethInterfaceCountsWhenItIsAllThereIs) {
  const std::string set_up =
      "ip link set lo up && ip link add veth0 type veth peer name veth1 && "
      "ip addr add 10.9.8.7/24 dev veth0 && ip link set veth0 up && ip link set veth1 up";
  std::string output;
  if (run_in_empty_network (set_up, output) != 0)
    GTEST_SKIP () << "a network namespace with veth cannot be made here: " << output;
  EXPECT_EQ (run_in_empty_network (set_up + " && " + kConnect, output), 0) << output;
  EXPECT_NE (output.find ("host 10.9.8.7:"), std::string::npos) << output;
}

TEST (IceWithoutNetwork, NotEvenLoopbackIsAClearError) {
  std::string output;
  if (run_in_empty_network ("true", output) != 0)
    GTEST_SKIP () << "a network namespace cannot be made here: " << output;
  EXPECT_NE (run_in_empty_network (kConnect, output), 0);
  EXPECT_NE (output.find ("no usable IP address"), std::string::npos) << output;
}

}  // namespace
}  // namespace p2p::test
