// Two agents on a virtual clock, joined by a signaling that delays, reorders, repeats and loses,
// and by paths that fail: whatever the order of events, both end in the same session or know why
// not.
#include "virtual_world.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

class Interleavings : public WorldTest {
 protected:
  void run (int seeds, const Faults &faults, bool must_connect) {
    core_loop ().run_sync ([&] {
      for (int seed = 1; seed <= seeds && !HasFailure (); ++seed) {
        SCOPED_TRACE ("seed " + std::to_string (seed));
        one (static_cast<std::uint64_t> (seed), faults, must_connect);
      }
    });
  }

 private:
  void one (std::uint64_t seed, const Faults &faults, bool must_connect) {
    World world (seed, faults);
    const bool alice_asks = world.roll (4) != 0, bob_asks = !alice_asks || world.roll (2) == 0;
    auto alice = world.make_agent (settings_of ("alice", !alice_asks));
    auto bob = world.make_agent (settings_of ("bob", !bob_asks));
    std::vector<std::shared_ptr<ConnectionCore>> asked;
    auto ask = [&] (Agent &agent, const char *peer) {
      auto opened = agent.open_connection (peer, std::nullopt);
      ASSERT_TRUE (opened.ok ());
      asked.push_back (*opened);
      world.run_for (static_cast<TimeUs> (world.roll (400)) * kMillisecond);
    };
    if (alice_asks) ask (*alice, "bob");
    if (bob_asks) ask (*bob, "alice");
    if (world.roll (4) == 0) {
      // Changes its mind at any moment, and comes back at once.
      Agent &fickle = alice_asks ? *alice : *bob;
      for (const auto &connection : fickle.connections ()) connection->close ();
      world.post_pending ();
      ask (fickle, alice_asks ? "bob" : "alice");
      // Its peer may have been told that this is the end.
      world.run_for (kSecond);
      Agent &other = alice_asks ? *bob : *alice;
      if ((alice_asks ? bob_asks : alice_asks) && other.connections ().empty ())
        ask (other, alice_asks ? "alice" : "bob");
    }
    world.run_for (180 * kSecond);
    const auto a = state_of (*alice), b = state_of (*bob);
    std::string text;
    for (const auto &connection : asked)
      text += "to " + connection->peer () + ": " + connection->snapshot ().reason + "; ";
    EXPECT_EQ (connected (a), connected (b)) << text;
    if (must_connect) {
      EXPECT_TRUE (connected (a)) << text;
    }
    if (connected (a) && connected (b)) {
      EXPECT_EQ (a->local_config->attempt, b->remote_config->attempt);
      EXPECT_EQ (b->local_config->attempt, a->remote_config->attempt);
    } else {
      // Only whoever waits for a peer that does not ask may still be waiting.
      EXPECT_FALSE (a && b) << text;
    }
    asked.clear ();
    alice->close (nullptr);
    bob->close (nullptr);
    world.post_pending ();
    const std::weak_ptr<Agent> gone_a = alice, gone_b = bob;
    alice.reset ();
    bob.reset ();
    world.post_pending ();
    EXPECT_TRUE (gone_a.expired () && gone_b.expired ());
  }
};

}  // namespace

TEST_F (Interleavings, InOrderEverybodyConnects) {
  run (300, Faults{}, true);
}

TEST_F (Interleavings, ReorderedAndRepeatedEverybodyConnects) {
  Faults faults;
  faults.reorder = faults.duplicate = true;
  faults.max_delay = kSecond;
  run (400, faults, true);
}

TEST_F (Interleavings, RetriesThatCrossEndInOneSession) {
  Faults faults;
  faults.broken_paths = 1;  // of each side: two together are what the retries cover
  faults.reorder = faults.duplicate = true;
  faults.max_delay = kSecond;
  run (300, faults, true);
}

TEST_F (Interleavings, WithLossNobodyHangs) {
  Faults faults;
  faults.loss = 0.2;
  faults.reorder = faults.duplicate = true;
  faults.broken_paths = 2;
  run (300, faults, false);
}

// Its process was ended while the two were about to connect; the new one knows nothing of that.
TEST_F (Interleavings, APeerThatIsStartedAnewBeforeTheConnectionIsUpIsNotWaitedForInVain) {
  core_loop ().run_sync ([&] {
    for (std::uint64_t seed = 1; seed <= 100 && !HasFailure (); ++seed) {
      SCOPED_TRACE ("seed " + std::to_string (seed));
      World world (seed, Faults{});
      LinkOptions down;
      down.down = true;
      world.set_links (down);
      // The one that asks is the QUIC client, or the server.
      const std::string asks = world.roll (2) == 0 ? "alice" : "bob";
      const std::string listens = asks == "alice" ? "bob" : "alice";
      auto asking = world.make_agent (settings_of (asks, false));
      auto first = world.make_agent (settings_of (listens, true));
      auto opened = asking->open_connection (listens, std::nullopt);
      ASSERT_TRUE (opened.ok ());
      world.run_for (static_cast<TimeUs> (world.roll (5000)) * kMillisecond);
      // It cannot say goodbye.
      world.set_signaling (false);
      world.post_pending ();
      first->close (nullptr);
      world.post_pending ();
      first.reset ();
      world.run_for (kSecond);
      world.set_links ({});
      auto second = world.make_agent (settings_of (listens, true));
      world.set_signaling (true);
      world.run_for (3 * kSecond);
      EXPECT_TRUE (connected (state_of (*asking)))
          << asks << " asks: " << (*opened)->snapshot ().reason;
      EXPECT_TRUE (connected (state_of (*second)));
      for (const auto &agent : {asking, second}) agent->close (nullptr);
      world.post_pending ();
    }
  });
}
