// Two ends find each other over loopback in every way that the network may force on them.
#include <gio/gio.h>

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
  ASSERT_TRUE (wait_until ([&] {
    return couple.a.states.back () == IceState::ready && couple.b.states.back () == IceState::ready;
  }));
  on_core ([&] {
    for (IceEnd *end : {&couple.a, &couple.b}) {
      expect_only_forward (*end);
      expect_pair (*end, "127.0.0.1:", false);
      EXPECT_EQ (end->gathering_done, 1U);
      EXPECT_TRUE (end->transport->gathering_done ());
      EXPECT_EQ (end->transport->local_candidates (), end->candidates);
      EXPECT_EQ (end->transport->path ().max_datagram_bytes (), 1452U);
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
    EXPECT_EQ (couple.a.transport->path ().max_datagram_bytes (), 1232U);
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
    EXPECT_EQ (end.sent, Path::Sent::failed);
  });
  ASSERT_TRUE (wait_until ([&] { return end.failed (); }));
  on_core ([&] {
    expect_only_forward (end);
    EXPECT_EQ (end.failures, 1U);
    end.send ("too late");
    EXPECT_EQ (end.sent, Path::Sent::failed);
  });
}

TEST (NicePath, CutsABurstIntoDatagramsAndTellsWhereATrainEnds) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("first"));
  const std::string burst = std::string (100, 'a') + std::string (100, 'b') + std::string (50, 'c');
  on_core ([&] {
    couple.b.received.clear ();
    Path &path = couple.a.transport->path ();
    EXPECT_EQ (path.send (ByteView (burst), 100), Path::Sent::all);
    EXPECT_EQ (path.send (ByteView (), 100), Path::Sent::all);
    EXPECT_EQ (path.send (ByteView (burst), 0), Path::Sent::failed);
    const std::string huge (path.max_burst_bytes () + 1, 'x');
    EXPECT_EQ (path.send (ByteView (huge), 1000), Path::Sent::failed);
  });
  ASSERT_TRUE (wait_until ([&] { return couple.b.received.size () == 3; }));
  on_core ([&] {
    EXPECT_EQ (couple.b.received[0], std::string (100, 'a'));
    EXPECT_EQ (couple.b.received[1], std::string (100, 'b'));
    EXPECT_EQ (couple.b.received[2], std::string (50, 'c'));

    // Many at once, while nobody reads: libnice hands them over without a pause.
    couple.b.received.clear ();
    couple.b.batches = 0;
    couple.b.longest_batch = 0;
    const std::string many (100 * 100, 'm');
    EXPECT_EQ (couple.a.transport->path ().send (ByteView (many), 100), Path::Sent::all);
  });
  ASSERT_TRUE (wait_until (
      [&] { return couple.b.received.size () == 100 && couple.b.received_since_batch == 0; }));
  on_core ([&] {
    EXPECT_EQ (couple.b.longest_batch, 32U);
    EXPECT_EQ (couple.b.batches, 4U);
  });
}

TEST (NicePath, ABurstThatIsStuckHalfwayIsKeptAndNothingIsLost) {
  // TCP, because it loses nothing by itself: what arrives is what the path accepted.
  IceCouple couple;
  couple.a.let_through = couple.b.let_through = is_tcp;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("first"));
  unsigned accepted = 0;
  const auto next_burst = [&] {
    std::string burst;
    for (unsigned i = 0; i < 64; ++i) {
      std::string datagram = std::to_string (accepted + i);
      datagram.resize (1000, '.');
      burst += datagram;
    }
    return burst;
  };
  const auto fill = [&] {
    Path &path = couple.a.transport->path ();
    for (int i = 0; i < 1000; ++i) {
      const std::string burst = next_burst ();
      const Path::Sent sent = path.send (ByteView (burst), 1000);
      if (sent != Path::Sent::all) return sent;
      accepted += 64;
    }
    return Path::Sent::all;
  };
  on_core ([&] {
    couple.b.received.clear ();
    // Both ends live on this thread, so nobody reads meanwhile and the buffers fill up.
    EXPECT_EQ (fill (), Path::Sent::would_block);
    EXPECT_EQ (couple.a.transport->path ().send (ByteView ("x", 1), 1), Path::Sent::would_block);
    EXPECT_EQ (couple.a.writable, 0U);
  });
  ASSERT_TRUE (wait_until ([&] { return couple.a.writable == 1; }));
  on_core ([&] { EXPECT_EQ (fill (), Path::Sent::would_block); });
  ASSERT_TRUE (
      wait_until ([&] { return couple.a.writable == 2 && couple.b.received.size () == accepted; }));
  on_core ([&] {
    for (unsigned i = 0; i < accepted; ++i) {
      ASSERT_EQ (couple.b.received[i].size (), 1000U);
      ASSERT_EQ (std::stoul (couple.b.received[i]), i);
    }
  });
}

TEST (NicePath, WithoutAReceiverDatagramsAreDropped) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("first"));
  on_core ([&] {
    couple.b.transport->path ().set_receiver (nullptr);
    couple.b.received.clear ();
    couple.a.send ("into the void");
  });
  ASSERT_TRUE (wait_until ([&] {
    couple.b.send ("back");
    return std::find (couple.a.received.begin (), couple.a.received.end (), "back") !=
           couple.a.received.end ();
  }));
  on_core ([&] {
    EXPECT_TRUE (couple.b.received.empty ());
    couple.b.transport->path ().set_receiver (&couple.b);
  });
  ASSERT_TRUE (couple.exchange ("second"));
}

// Run by the test below in a network namespace; elsewhere it would prove nothing.
TEST (IceWithoutNetwork, DISABLED_LoopbackIsFoundByItself) {
  IceCouple couple;
  IceConfig a = loopback_config (true), b = loopback_config (false);
  a.local_addresses.clear ();
  b.local_addresses.clear ();
  ASSERT_TRUE (couple.connect (a, b));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("alone in the world"));
}

int
run_in_empty_network (const std::string &script, const char *argument, std::string &output) {
  const char *argv[] = {"unshare",       "--user", "--map-root-user", "--net", "sh", "-c",
                        script.c_str (), "sh",     argument,          nullptr};
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

TEST (IceWithoutNetwork, TwoEndsConnectWhereThereIsOnlyLoopback) {
  std::string output;
  if (run_in_empty_network ("ip link set lo up", "", output) != 0)
    GTEST_SKIP () << "a network namespace cannot be made here: " << output;
  char *self = g_file_read_link ("/proc/self/exe", nullptr);
  const int status = run_in_empty_network (
      "ip link set lo up && exec \"$1\" --gtest_also_run_disabled_tests "
      "--gtest_filter=IceWithoutNetwork.DISABLED_*",
      self, output);
  g_free (self);
  EXPECT_EQ (status, 0) << output;
  EXPECT_NE (output.find ("[  PASSED  ] 1 test"), std::string::npos) << output;
}

TEST (IceWithoutNetwork, NotEvenLoopbackIsAClearError) {
  std::string output;
  if (run_in_empty_network ("true", "", output) != 0)
    GTEST_SKIP () << "a network namespace cannot be made here: " << output;
  char *self = g_file_read_link ("/proc/self/exe", nullptr);
  run_in_empty_network (
      "exec \"$1\" --gtest_also_run_disabled_tests --gtest_filter=IceWithoutNetwork.DISABLED_*",
      self, output);
  g_free (self);
  EXPECT_NE (output.find ("no usable IP address"), std::string::npos) << output;
}

}  // namespace
}  // namespace p2p::test
