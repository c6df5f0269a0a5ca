// Bursts over the selected pair: cut into datagrams, all or nothing, with trains that end.
#include <dlfcn.h>
#include <nice/agent.h>

#include <algorithm>
#include <atomic>

#include "ice_fixture.hpp"

namespace {

// What libnice's send is made to do next. A full socket cannot be had on loopback by other means.
std::atomic<int> take_at_most{-1};  // messages in all, then it would block; -1: no limit
std::atomic<bool> fail_next{false};

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

}  // namespace
}  // namespace p2p::test
