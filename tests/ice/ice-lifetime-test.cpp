// Transports come and go at any moment, and leave nothing behind.
#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

constexpr int kCycles = 200;

// The loops, GLib's worker and libnice's own statics are there only after a first use.
void
warm_up () {
  ice_loop ();
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
}

// Agents close by themselves on the ICE thread.
void
expect_back_to (std::size_t descriptors, std::size_t threads) {
  EXPECT_TRUE (wait_until ([&] {
    return count_descriptors () == descriptors && count_threads () == threads;
  })) << "descriptors: "
      << descriptors << ", now " << count_descriptors () << "; threads: " << threads << ", now "
      << count_threads ();
}

std::pair<std::size_t, std::size_t>
settled_counts () {
  std::pair<std::size_t, std::size_t> last{0, 0};
  unsigned same = 0;
  // Closed when the numbers have not changed over many rounds of the ICE thread.
  EXPECT_TRUE (wait_until ([&] {
    const std::pair<std::size_t, std::size_t> now{count_descriptors (), count_threads ()};
    same = now == last ? same + 1 : 0;
    last = now;
    return same > 100;
  }));
  return last;
}

TEST (IceLifetime, CyclesOfGatheringLeaveNoDescriptorAndNoThread) {
  warm_up ();
  const auto [descriptors, threads] = settled_counts ();
  for (int i = 0; i < kCycles; ++i) {
    IceEnd end;
    on_core ([&] { ASSERT_FALSE (end.open (loopback_config (i % 2 == 0))); });
    // Every third one goes in the middle of it.
    if (i % 3 != 0) {
      ASSERT_TRUE (wait_until ([&] { return end.gathering_done > 0; }));
    }
  }
  expect_back_to (descriptors, threads);
}

TEST (IceLifetime, CyclesOfConnectingLeaveNoDescriptorAndNoThread) {
  warm_up ();
  const auto [descriptors, threads] = settled_counts ();
  for (int i = 0; i < kCycles / 4; ++i) {
    IceCouple couple;
    ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
    switch (i % 4) {
      case 0:
        break;
      case 1:
        ASSERT_TRUE (wait_until ([&] { return !couple.a.states.empty (); }));
        break;
      case 2:
        ASSERT_TRUE (couple.wait_usable ());
        break;
      default:
        ASSERT_TRUE (couple.wait_usable ());
        ASSERT_TRUE (couple.exchange ("data"));
    }
  }
  expect_back_to (descriptors, threads);
}

TEST (IceLifetime, GoesInTheMiddleOfAFlood) {
  for (int i = 0; i < 20; ++i) {
    IceCouple couple;
    ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
    ASSERT_TRUE (couple.wait_usable ());
    ASSERT_TRUE (couple.exchange ("first"));
    on_core ([&] {
      const std::string burst (64 * 1000, 'f');
      for (int n = 0; n < 20; ++n) couple.a.transport->path ().send (ByteView (burst), 1000);
      // Its datagrams, and tasks of its signals, are still on their way.
      couple.b.close ();
    });
    const std::size_t before = couple.b.received.size ();
    on_core ([&] { EXPECT_EQ (couple.b.received.size (), before); });
  }
}

TEST (IceLifetime, GoesWhileNamesAreLookedUp) {
  for (int i = 0; i < 20; ++i) {
    IceEnd end;
    on_core ([&] {
      IceConfig config = loopback_config (true);
      config.stun_servers = {{"does-not-exist.invalid", 3478}};
      ASSERT_FALSE (end.open (config));
      EXPECT_FALSE (end.transport->add_remote_candidate (
          "candidate:1 1 UDP 1 does-not-exist.local 4711 typ host"));
    });
  }
}

TEST (IceLifetime, MayBeDestroyedByItsObserver) {
  struct Suicide final : IceTransport::Observer {
    std::unique_ptr<IceTransport> transport;
    void ice_candidate (const std::string &) override {}
    void ice_gathering_done () override { transport.reset (); }
    void ice_state (IceState) override {}
    void ice_selected_pair (const IcePair &) override {}
    void ice_warning (const Error &) override {}
    void ice_relay_back () override {}
    void ice_unproven_path () override {}
  } observer;
  on_core ([&] {
    auto made = IceTransport::create (loopback_config (true), observer);
    ASSERT_TRUE (made);
    observer.transport = std::move (*made);
  });
  EXPECT_TRUE (wait_until ([&] { return !observer.transport; }));
}

TEST (IceLifetime, DestructionDoesNotWaitForTheIceThread) {
  IceCouple couple;
  ASSERT_TRUE (couple.connect (loopback_config (true), loopback_config (false)));
  ASSERT_TRUE (couple.wait_usable ());
  GMutex gate;
  g_mutex_init (&gate);
  g_mutex_lock (&gate);
  ice_loop ().post ([&] {
    g_mutex_lock (&gate);
    g_mutex_unlock (&gate);
  });
  // Would hang until the test's time is over if it waited.
  on_core ([&] {
    couple.a.close ();
    couple.b.close ();
  });
  g_mutex_unlock (&gate);
  ice_loop ().run_sync ([] {});
  g_mutex_clear (&gate);
}

}  // namespace
}  // namespace p2p::test
