// Bursts over the selected pair: cut into datagrams, all or nothing, with trains that end.
#include <dlfcn.h>
#include <nice/agent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "../support/loopback.hpp"
#include "ice/nice_path.hpp"
#include "ice_fixture.hpp"

namespace {

// What libnice's send is made to do next. A full socket cannot be had on loopback by other means.
std::atomic<int> take_at_most{-1};  // messages in all, then it would block; -1: no limit
std::atomic<bool> fail_next{false};
std::vector<std::string> *kept = nullptr;  // where, when set, messages go instead of to libnice

}  // namespace

// Stands before libnice's function of that name.
extern "C" gint
nice_agent_send_messages_nonblocking (NiceAgent *agent, guint stream, guint component,
                                      const NiceOutputMessage *messages, guint count,
                                      GCancellable *cancellable, GError **error) {
  static const auto original = reinterpret_cast<decltype (&nice_agent_send_messages_nonblocking)> (
      dlsym (RTLD_NEXT, "nice_agent_send_messages_nonblocking"));
  if (fail_next.exchange (false)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "told to fail");
    return -1;
  }
  if (kept) {
    for (guint i = 0; i < count; ++i)
      kept->emplace_back (static_cast<const char *> (messages[i].buffers->buffer),
                          messages[i].buffers->size);
    return static_cast<gint> (count);
  }
  const int limit = take_at_most;
  if (limit == 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "told to block");
    return -1;
  }
  if (limit > 0) count = std::min (count, static_cast<guint> (limit));
  const gint sent = original (agent, stream, component, messages, count, cancellable, error);
  if (limit > 0 && sent > 0) take_at_most = limit - sent;
  return sent;
}

namespace p2p::test {
namespace {

bool
is_tcp (const std::string &sdp) {
  return sdp.find (" TCP ") != std::string::npos;
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

TEST (NicePath, ABurstOverUdpGoesOnWhenTheSocketHasRoom) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("first"));
  std::string burst;
  for (char c = 'a'; c < 'k'; ++c) burst += std::string (100, c);
  on_core ([&] {
    couple.b.received.clear ();
    Path &path = couple.a.transport->path ();
    take_at_most = 0;
    EXPECT_EQ (path.send (ByteView (burst), 100), Path::Sent::would_block);
    take_at_most = -1;
    // Not before path_writable, or bursts would overtake each other.
    EXPECT_EQ (path.send (ByteView (burst), 100), Path::Sent::would_block);
    EXPECT_EQ (couple.a.writable, 0U);
  });
  ASSERT_TRUE (wait_until ([&] { return couple.a.writable == 1; }));
  on_core ([&] {
    EXPECT_TRUE (couple.b.received.empty ());
    Path &path = couple.a.transport->path ();
    take_at_most = 4;
    EXPECT_EQ (path.send (ByteView (burst), 100), Path::Sent::all);
    EXPECT_EQ (path.send (ByteView ("z", 1), 1), Path::Sent::would_block);
    take_at_most = -1;
  });
  ASSERT_TRUE (
      wait_until ([&] { return couple.a.writable == 2 && couple.b.received.size () == 10; }));
  on_core ([&] {
    for (std::size_t i = 0; i < 10; ++i)
      EXPECT_EQ (couple.b.received[i], std::string (100, static_cast<char> ('a' + i)));
    // Nobody was turned away, so nobody is told.
    take_at_most = 4;
    couple.b.received.clear ();
    EXPECT_EQ (couple.a.transport->path ().send (ByteView (burst), 100), Path::Sent::all);
    take_at_most = -1;
  });
  ASSERT_TRUE (wait_until ([&] { return couple.b.received.size () == 10; }));
  on_core ([&] { EXPECT_EQ (couple.a.writable, 2U); });
}

TEST (NicePath, ABurstThatFailsIsLostAndTheNextOneGoes) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  ASSERT_TRUE (couple.exchange ("first"));
  on_core ([&] {
    fail_next = true;
    couple.a.send ("lost");
    EXPECT_EQ (couple.a.sent, Path::Sent::failed);
    EXPECT_EQ (couple.a.failures, 0U);
  });
  ASSERT_TRUE (couple.exchange ("second"));
}

TEST (NicePath, GoesWhileItWaitsForRoom) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  on_core ([&] {
    take_at_most = 0;
    couple.a.send ("stuck");
    EXPECT_EQ (couple.a.sent, Path::Sent::would_block);
    couple.a.close ();
    take_at_most = -1;
  });
  core_loop ().run_sync ([] {});
  on_core ([&] { EXPECT_EQ (couple.a.writable, 0U); });
}

// On a virtual clock, with a socket in the place of the peer, and no pair but the one that it is
// told of.
class EarlyNicePath : public testing::Test {
 protected:
  EarlyNicePath () {
    std::vector<EarlySends::Target> targets (1);
    targets[0].socket = Ref<GSocket>::adopt (g_socket_new (
        G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
    const sockaddr_in any = loopback (0);
    socklen_t bytes = sizeof targets[0].remote;
    EXPECT_EQ (bind (peer, reinterpret_cast<const sockaddr *> (&any), sizeof any), 0);
    EXPECT_EQ (getsockname (peer, reinterpret_cast<sockaddr *> (&targets[0].remote), &bytes), 0);
    path.send_early (std::make_unique<EarlySends> (std::move (targets)));
    kept = &over_the_pair;
  }
  ~EarlyNicePath () override {
    kept = nullptr;
    close (peer);
  }
  Path::Sent send (const std::string &text) { return path.send (ByteView (text), text.size ()); }
  std::string arrived () {
    std::string text (100, 0);
    text.resize (static_cast<std::size_t> (
        std::max<ssize_t> (0, recv (peer, text.data (), text.size (), MSG_DONTWAIT))));
    return text;
  }
  void select_pair () {
    IcePair pair;
    pair.local_sdp = pair.remote_sdp = "a pair";
    pair.tcp = true;
    path.pair_selected (pair);
  }

  const Ref<NiceAgent> agent =
      Ref<NiceAgent>::adopt (nice_agent_new (core_loop ().context (), NICE_COMPATIBILITY_RFC5245));
  const guint stream = nice_agent_add_stream (agent.get (), 1);
  const int peer = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  VirtualScheduler scheduler;
  NicePath path{agent.get (), stream, scheduler, core_loop ().context (), {}};
  std::vector<std::string> over_the_pair;
};

TEST_F (EarlyNicePath, TwoDatagramsLeaveAndGoAgainOverAPairThatComesSoon) {
  EXPECT_EQ (send ("one"), Path::Sent::all);
  EXPECT_EQ (arrived (), "one");
  EXPECT_EQ (send ("two"), Path::Sent::all);
  EXPECT_EQ (arrived (), "two");
  scheduler.run_for (200 * kMillisecond);
  select_pair ();
  EXPECT_EQ (over_the_pair, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ (send ("three"), Path::Sent::all);
  EXPECT_EQ (arrived (), "");
  EXPECT_EQ (over_the_pair.size (), 3U);
}

TEST_F (EarlyNicePath, AThirdDatagramWaitsForThePair) {
  EXPECT_EQ (send ("one"), Path::Sent::all);
  EXPECT_EQ (send ("two"), Path::Sent::all);
  EXPECT_EQ (send ("three"), Path::Sent::would_block);
  for (const char *text : {"one", "two", ""}) EXPECT_EQ (arrived (), text);
}

TEST_F (EarlyNicePath, WhatWasAnsweredDoesNotGoAgain) {
  EXPECT_EQ (send ("one"), Path::Sent::all);
  path.received (ByteView ("answer", 6));
  select_pair ();
  EXPECT_TRUE (over_the_pair.empty ());
}

TEST_F (EarlyNicePath, WhatIsOldDoesNotGoAgain) {
  EXPECT_EQ (send ("one"), Path::Sent::all);
  scheduler.run_for (300 * kMillisecond);
  select_pair ();
  EXPECT_TRUE (over_the_pair.empty ());
}

TEST_F (EarlyNicePath, GoesToFourAddressesOfThePeerAtMostAndToNoRelay) {
  NiceAddress local;
  nice_address_init (&local);
  ASSERT_TRUE (nice_address_set_from_string (&local, "127.0.0.1"));
  ASSERT_TRUE (nice_agent_add_local_address (agent.get (), &local));
  ASSERT_TRUE (nice_agent_gather_candidates (agent.get (), stream));
  const auto targets = [&] (const std::vector<std::string> &candidates) {
    return EarlySends::targets (agent.get (), stream, candidates).size ();
  };
  const std::string host = "candidate:1 1 UDP 2130706431 127.0.0.1 4711 typ host";
  EXPECT_EQ (targets ({}), 0U);
  EXPECT_EQ (targets ({"candidate:1 1 UDP 2 192.0.2.1 4711 typ relay raddr 0.0.0.0 rport 0",
                       "candidate:1 1 TCP 2 127.0.0.1 4711 typ host tcptype passive",
                       "candidate:1 1 UDP 2 ::1 4711 typ host",
                       "candidate:1 1 UDP 2 0123.local 4711 typ host", host}),
             1U);
  EXPECT_EQ (targets ({host, host, host, host, host}), 4U);
}

}  // namespace
}  // namespace p2p::test
