// A living session whose line breaks, moves and comes back, on a virtual clock: whatever the order
// of events, both sides end on one line again, every message arrives once and in order, and each
// break has its end.
#include "lines.hpp"

using namespace p2p;
using namespace p2p::test;

TEST_F (Lines, AnOutageIsOneBreakAndOneRestoreOnBothSidesAndLosesNothing) {
  each_seed (kSeeds / 25, {}, [&] (World &world) {
    const LinkOptions usual = link_with (25 * kMillisecond);
    world.set_links (usual);
    connect (world);
    if (HasFatalFailure ()) return;
    world.set_links (down ());
    const TimeUs outage = 3 * kSecond + static_cast<TimeUs> (world.roll (22 * kSecond));
    run (world, outage);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->broken, 1);
      EXPECT_EQ (side->told->reason, P2P_BREAK_REASON_SILENCE);
      EXPECT_LE (side->told->at, world.clock.now () - outage + 2100 * kMillisecond);
    }
    const TimeUs usable = world.clock.now ();
    world.set_links (usual);
    run (world, 3 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->restored, 1);
      EXPECT_EQ (side->told->broken, 1);
      EXPECT_LE (side->told->at, usable + kSecond + 100 * kMillisecond);
      // Not only told: the messages move.
      EXPECT_GE (side->received + 3, side == &alice ? bob.sent : alice.sent);
    }
    finish (world);
  });
}

TEST_F (Lines, AnOutageWithoutSignalingHealsAsWell) {
  each_seed (kSeeds / 25, {}, [&] (World &world) {
    const LinkOptions usual = link_with (10 * kMillisecond);
    world.set_links (usual);
    connect (world);
    if (HasFatalFailure ()) return;
    world.set_signaling (false);
    world.set_links (down ());
    run (world, 4 * kSecond + static_cast<TimeUs> (world.roll (20 * kSecond)));
    world.set_links (usual);
    const TimeUs usable = world.clock.now ();
    run (world, 3 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->restored, 1);
      EXPECT_LE (side->told->at, usable + kSecond + 40 * kMillisecond);
    }
    finish (world);
  });
}

TEST_F (Lines, WhatPassesInOneDirectionOnlyIsBrokenOnBothSides) {
  each_seed (kSeeds / 25, {}, [&] (World &world) {
    const LinkOptions usual = link_with (10 * kMillisecond);
    world.set_links (usual);
    connect (world,
             [] (AgentSettings &settings) { settings.liveness.comeback_timeout = 60 * kSecond; });
    if (HasFatalFailure ()) return;
    world.set_signaling (false);
    const bool from_client = world.roll (2) == 0;
    world.set_links (from_client ? down () : usual, from_client ? usual : down ());
    run (world, 30 * kSecond);
    Side &deaf = from_client ? alice : bob, &mute = from_client ? bob : alice;
    EXPECT_EQ (deaf.told->reason, P2P_BREAK_REASON_SILENCE);
    EXPECT_EQ (mute.told->reason, P2P_BREAK_REASON_PEER);
    world.set_links (usual);
    run (world, 3 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->broken, 1);
      EXPECT_EQ (side->told->restored, 1);
    }
    finish (world);
  });
}

TEST_F (Lines, APeerThatNeverComesBackIsRemovedWithTheReason) {
  each_seed (1, {}, [&] (World &world) {
    connect (world,
             [] (AgentSettings &settings) { settings.liveness.comeback_timeout = 5 * kSecond; });
    if (HasFatalFailure ()) return;
    world.set_signaling (false);
    world.set_links (down ());
    run (world, 8 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->broken, 1);
      EXPECT_EQ (side->told->state, P2P_CONNECTION_STATE_REMOVED);
      const Status error = side->connection->snapshot ().error;
      ASSERT_TRUE (error);
      EXPECT_EQ (error->code, P2P_ERROR_TIMED_OUT);
    }
    end (world);
  });
}

TEST_F (Lines, AChangeOfNetworkMovesToAnotherWayWithoutAGap) {
  each_seed (kSeeds / 25, {}, [&] (World &world) {
    const LinkOptions usual = link_with (10 * kMillisecond);
    world.set_links (usual);
    connect (world);
    if (HasFatalFailure ()) return;
    Side &moved = world.roll (2) == 0 ? alice : bob;
    change_network (moved);
    run (world, 15 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->broken, 0);
      EXPECT_LE (side->longest_gap, 100 * kMillisecond) << "two messages apart";
    }
    // The ways that were left are gone.
    EXPECT_EQ (alice.connection->snapshot ().local_config->attempt,
               bob.connection->snapshot ().remote_config->attempt);
    EXPECT_EQ (bob.connection->snapshot ().local_config->attempt,
               alice.connection->snapshot ().remote_config->attempt);
    finish (world);
  });
}

TEST_F (Lines, ATransportThatEndsIsReplacedAndNothingIsLostOrDoubled) {
  each_seed (kSeeds / 25, {}, [&] (World &world) {
    const LinkOptions usual = link_with (20 * kMillisecond, world.roll (2) == 0 ? 0.1 : 0);
    world.set_links (usual);
    connect (world);
    if (HasFatalFailure ()) return;
    const Error why = {P2P_ERROR_FAILED, "It ends for the test."};
    const auto sides = world.roll (3);
    // In the middle of whatever is under way.
    run (world, static_cast<TimeUs> (world.roll (100)) * kMillisecond);
    if (sides != 0) alice.connection->lose_transport (why);
    if (sides != 1) bob.connection->lose_transport (why);
    run (world, 5 * kSecond);
    Side &told = sides != 0 ? alice : bob;
    EXPECT_EQ (told.told->broken, 1);
    EXPECT_EQ (told.told->restored, 1) << told.told->removed << told.connection->snapshot ().reason;
    EXPECT_TRUE (told.connection->snapshot ().restored.new_transport);
    finish (world);
  });
}

TEST_F (Lines, APathThatSaysItFailedIsABreakAtOnceAndAnotherTakesItsPlace) {
  each_seed (kSeeds / 25, {}, [&] (World &world) {
    world.set_links (link_with (10 * kMillisecond));
    connect (world);
    if (HasFatalFailure ()) return;
    run (world, static_cast<TimeUs> (world.roll (1000)) * kMillisecond);
    const TimeUs failed_at = world.clock.now ();
    world.fail_links ();
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->state, P2P_CONNECTION_STATE_BROKEN);
      EXPECT_EQ (side->told->reason, P2P_BREAK_REASON_TRANSPORT);
      EXPECT_EQ (side->told->at, failed_at);
      EXPECT_EQ (side->connection->snapshot ().reason,
                 "the path has failed: It fails for the test.");
    }
    run (world, 3 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->broken, 1);
      EXPECT_EQ (side->told->restored, 1);
      EXPECT_LE (side->told->at, failed_at + 1200 * kMillisecond);
      EXPECT_FALSE (side->connection->snapshot ().restored.new_transport);
    }
    finish (world);
  });
}

TEST_F (Lines, ARelayedConnectionMovesToADirectWayOnceThereIsOneAndToNoOtherRelay) {
  each_seed (kSeeds / 250, {}, [&] (World &world) {
    world.set_links (link_with (10 * kMillisecond));
    world.set_relayed (true);
    connect (world);
    if (HasFatalFailure ()) return;
    const auto relayed = [] (const Side &side) {
      return side.connection->snapshot ().path->relayed;
    };
    // It looks for one after 30 and after 90 s, in vain.
    run (world, 80 * kSecond + static_cast<TimeUs> (world.roll (60 * kSecond)));
    EXPECT_TRUE (relayed (alice) && relayed (bob));
    const TimeUs direct_at = world.clock.now ();
    world.set_relayed (false);
    while ((relayed (alice) || relayed (bob)) && world.clock.now () < direct_at + 130 * kSecond)
      run (world, kSecond);
    EXPECT_FALSE (relayed (alice) || relayed (bob));
    // What is left behind goes, and nothing is looked for any more.
    run (world, 10 * kSecond);
    const std::string attempt = bob.connection->snapshot ().local_config->attempt;
    run (world, 400 * kSecond);
    EXPECT_EQ (bob.connection->snapshot ().local_config->attempt, attempt);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->broken, 0);
      EXPECT_LE (side->longest_gap, 100 * kMillisecond) << "two messages apart";
    }
    finish (world);
  });
}

// The first relay dies and comes back, and then the second one dies; either side may be the one
// that has TURN servers, or both.
TEST_F (Lines, WithTwoRelaysTheDeathOfEitherIsNoBreakAndTheOneThatIsBackIsUsedAgain) {
  each_seed (kSeeds / 50, {}, [&] (World &world) {
    world.set_links (link_with (10 * kMillisecond));
    world.set_relays ({"192.0.2.1", "192.0.2.2"});
    const auto with = world.roll (3);
    connect (world, [&] (AgentSettings &settings) {
      if (with == 2 || (with == 0) == (settings.id == "alice")) settings.turn_servers.resize (2);
    });
    if (HasFatalFailure ()) return;
    const auto relay = [] (const Side &side) {
      const auto relays = side.connection->stats ().snapshot.path->relays;
      return relays.empty () ? "" : relays.front ();
    };
    const auto ready = [&] {
      return alice.connection->stats ().relay_standby && bob.connection->stats ().relay_standby;
    };
    run (world, 3 * kSecond + static_cast<TimeUs> (world.roll (5 * kSecond)));
    for (const char *dies : {"192.0.2.1", "192.0.2.2"}) {
      EXPECT_TRUE (ready ());
      const std::string in_use = relay (alice);
      EXPECT_EQ (in_use, relay (bob));
      EXPECT_EQ (in_use, dies);
      world.set_relay (in_use, false);
      run (world, 3 * kSecond);
      for (Side *side : {&alice, &bob}) {
        EXPECT_EQ (side->told->broken, 0);
        // The ping interval and a fifth, which its grid may add, two answers, and ticks of this
        // test.
        EXPECT_LE (side->longest_gap, 1400 * kMillisecond);
        EXPECT_NE (relay (*side), in_use);
      }
      run (world, 5 * kSecond);
      EXPECT_FALSE (ready ());
      world.set_relay (in_use, true);
      run (world, 30 * kSecond);
    }
    finish (world);
  });
}

TEST_F (Lines, ARelayThatIsNotInUseIsReplacedAndNothingElseHappens) {
  each_seed (kSeeds / 50, {}, [&] (World &world) {
    world.set_links (link_with (10 * kMillisecond));
    world.set_relays ({"192.0.2.1", "192.0.2.2", "192.0.2.3"});
    connect (world, [] (AgentSettings &settings) { settings.turn_servers.resize (2); });
    if (HasFatalFailure ()) return;
    run (world, 3 * kSecond);
    EXPECT_TRUE (alice.connection->stats ().relay_standby);
    world.set_relay ("192.0.2.2", false);
    run (world, 20 * kSecond);
    std::uint64_t built = 0, lost = 0;
    for (Side *side : {&alice, &bob}) {
      const ConnectionStats stats = side->connection->stats ();
      EXPECT_TRUE (stats.relay_standby);
      built += stats.relay_standbys_built;
      lost += stats.relay_standbys_lost;
      EXPECT_EQ (stats.snapshot.path->relays, std::vector<std::string>{"192.0.2.1"});
      EXPECT_EQ (side->told->broken, 0);
      EXPECT_LE (side->longest_gap, 100 * kMillisecond);
    }
    // Whoever hears of the other one first does not miss the one before.
    EXPECT_GE (built, 3U);
    EXPECT_GE (lost, 1U);
    finish (world);
  });
}

TEST_F (Lines, WithoutAStandbyTheDeathOfARelayIsABreakThatAnotherOneMends) {
  each_seed (kSeeds / 250, {}, [&] (World &world) {
    world.set_links (link_with (10 * kMillisecond));
    world.set_relays ({"192.0.2.1", "192.0.2.2"});
    connect (world, [] (AgentSettings &settings) {
      settings.turn_servers.resize (2);
      settings.turn_standby = false;
    });
    if (HasFatalFailure ()) return;
    run (world, 10 * kSecond);
    EXPECT_FALSE (alice.connection->stats ().relay_standby);
    world.set_relay ("192.0.2.1", false);
    run (world, 10 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->broken, 1);
      EXPECT_EQ (side->told->restored, 1);
    }
    finish (world);
  });
}

// Both sides begin anew at any moment, generations cross, signaling and in-band signals are late,
// come twice or not at all, and the line dies in between.
TEST_F (Lines, WhateverTheOrderOfEventsBothSidesMeetAgain) {
  Faults faults;
  faults.reorder = faults.duplicate = true;
  faults.max_delay = kSecond;
  each_seed (kSeeds, faults, [&] (World &world) {
    auto usual = [&] {
      return link_with (static_cast<TimeUs> (world.roll (60)) * kMillisecond,
                        world.roll (3) == 0 ? 0.05 : 0);
    };
    world.set_links (link_with (10 * kMillisecond));
    connect (world, [] (AgentSettings &settings) { settings.liveness.comeback_timeout = 0; });
    if (HasFatalFailure ()) return;
    world.set_signaling_loss (0.05);
    const int events = 2 + static_cast<int> (world.roll (5));
    int lost_transports = 0;
    for (int i = 0; i < events; ++i) {
      switch (world.roll (7)) {
        case 0:
          change_network (alice);
          break;
        case 1:
          change_network (bob);
          break;
        case 2:
          change_network (alice);
          change_network (bob);
          break;
        case 3:
          world.set_links (down ());
          break;
        case 4:
          world.set_links (usual ());
          break;
        case 5:
          // One after the other of them would be given up.
          if (++lost_transports > 2) break;
          (world.roll (2) == 0 ? alice : bob)
              .connection->lose_transport ({P2P_ERROR_FAILED, "It ends for the test."});
          break;
        default:
          world.set_signaling (world.roll (2) == 0);
          break;
      }
      run (world, static_cast<TimeUs> (world.roll (4000)) * kMillisecond);
    }
    world.set_signaling (true);
    world.set_links (link_with (10 * kMillisecond));
    // Another transport needs signaling, of which each message may be late or lost.
    for (int i = 0; i < 30 && (alice.told->state != P2P_CONNECTION_STATE_CONNECTED ||
                               bob.told->state != P2P_CONNECTION_STATE_CONNECTED);
         ++i)
      run (world, 2 * kSecond);
    run (world, 2 * kSecond);
    for (Side *side : {&alice, &bob}) {
      EXPECT_EQ (side->told->state, P2P_CONNECTION_STATE_CONNECTED) << side->told->removed;
      EXPECT_EQ (side->told->broken, side->told->restored);
    }
    finish (world);
  });
}
