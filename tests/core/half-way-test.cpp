// A session of which one side is up and the other not yet: the QUIC client is half a round trip
// ahead.
#include "lines.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

class HalfWay : public Lines {
 protected:
  static LinkOptions half_way_link () {
    LinkOptions options;
    options.delay = 25 * kMillisecond;
    return options;
  }
  void begin (World &world) {
    world.set_links (half_way_link ());
    alice = make_side (world, "alice", "bob");
    bob = make_side (world, "bob", "alice");
  }
  // `body` begins when bob, the client, is connected, and nothing that he says since then arrives.
  template <class Prepare, class Body>
  void each_half_way (Prepare prepare, Body body) {
    core_loop ().run_sync ([&] {
      for (int seed = 1; seed <= kSeeds / 25 && !HasFailure (); ++seed) {
        SCOPED_TRACE ("seed " + std::to_string (seed));
        // A world of the same seed goes the same way; there it is seen when that moment is.
        TimeUs moment = 0;
        {
          World world (static_cast<std::uint64_t> (seed), {});
          prepare (world);
          while (bob.told->state != P2P_CONNECTION_STATE_CONNECTED && moment < 60 * kSecond) {
            run (world, kMillisecond);
            moment = world.clock.now ();
          }
          if (killed.agent) killed.agent->close (nullptr);
          killed = {};
          end (world);
        }
        World world (static_cast<std::uint64_t> (seed), {});
        prepare (world);
        run (world, moment - world.clock.now () - 10 * kMillisecond);
        world.set_links (down (), half_way_link ());
        run (world, 100 * kMillisecond);
        ASSERT_EQ (bob.told->state, P2P_CONNECTION_STATE_CONNECTED);
        body (world);
      }
    });
  }

  Side killed;
};

}  // namespace

// The client is connected half a round trip before the server, which has no line until then.
TEST_F (HalfWay, AnOutageBetweenTheTwoEndsOfTheHandshakeHealsAndLosesNothing) {
  each_half_way ([&] (World &world) { begin (world); },
                 [&] (World &world) {
                   ASSERT_EQ (alice.told->state, P2P_CONNECTION_STATE_CONNECTING);
                   if (world.roll (2) == 0) world.set_links (down ());
                   run (world, static_cast<TimeUs> (world.roll (25 * kSecond)));
                   EXPECT_EQ (alice.told->state, P2P_CONNECTION_STATE_CONNECTING);
                   world.set_links (half_way_link ());
                   run (world, 3 * kSecond);
                   for (Side *side : {&alice, &bob}) {
                     EXPECT_EQ (side->told->state, P2P_CONNECTION_STATE_CONNECTED)
                         << side->told->removed;
                     EXPECT_EQ (side->told->broken, side->told->restored);
                   }
                   finish (world);
                 });
}

TEST_F (HalfWay, AServerThatClosesBetweenTheTwoEndsOfTheHandshakeIsHeard) {
  each_half_way ([&] (World &world) { begin (world); },
                 [&] (World &world) {
                   ASSERT_EQ (alice.told->state, P2P_CONNECTION_STATE_CONNECTING);
                   alice.agent->close (nullptr);
                   world.run_for (500 * kMillisecond);
                   EXPECT_EQ (bob.told->state, P2P_CONNECTION_STATE_REMOVED);
                   EXPECT_EQ (bob.told->removed, "closed by the peer");
                   end (world);
                 });
}

// The server still has its session with the process before.
TEST_F (HalfWay, AClientThatWasRestartedAndIsHalfWayIsNotSentAway) {
  each_half_way (
      [&] (World &world) {
        world.set_links (half_way_link ());
        connect (world,
                 [] (AgentSettings &settings) { settings.accept_policy = P2P_ACCEPT_POLICY_ALL; });
        world.silence ("bob");
        world.post_pending ();
        killed = std::move (bob);
        bob = make_side (world, "bob", "alice");
      },
      [&] (World &world) {
        world.set_links (down ());
        run (world, 5 * kSecond);
        EXPECT_EQ (bob.told->state, P2P_CONNECTION_STATE_BROKEN);
        world.set_links (half_way_link ());
        run (world, 3 * kSecond);
        EXPECT_EQ (bob.told->state, P2P_CONNECTION_STATE_CONNECTED) << bob.told->removed;
        EXPECT_EQ (alice.told->state, P2P_CONNECTION_STATE_REMOVED);
        killed.agent->close (nullptr);
        killed = {};
        end (world);
      });
}
