// Own stalls, which nobody else is blamed for, and the timeouts that end a connection.
#include "support/liveness_fixture.hpp"

using namespace p2p;
using namespace p2p::test;

TEST_F (LivenessTest, AnOwnStallIsNotBlamedOnThePeer) {
  begin ();
  pass (500 * kMs);
  stall (10 * kSecond);
  EXPECT_EQ (told, "Z");
  EXPECT_GE (stalled_span, 9 * kSecond);
  ASSERT_EQ (pings.size (), 1u) << "asks at once";
  EXPECT_EQ (pings[0].at, now);
  const TimeUs awake_at = now;
  pass (1850 * kMs);
  EXPECT_EQ (told, "Zs");
  pass (100 * kMs);
  EXPECT_EQ (told, "ZsB") << "but silence after it is";
  EXPECT_EQ (told_at, awake_at + 1855 * kMs);
}

TEST_F (LivenessTest, AStallIsNoticedByWhateverComesFirst) {
  using Call = std::function<void ()>;
  const std::vector<Call> calls = {
      [&] { liveness->heard (now); },
      [&] { liveness->ping_arrived (now, true); },
      [&] { liveness->pong_arrived (now, 10 * kSecond); },
      [&] { liveness->network_changed (now); },
      [&] { liveness->set_settings (now, settings); },
      [&] { liveness->on_deadline (now); },
  };
  for (const Call &call : calls) {
    told.clear ();
    begin ();
    pass (kSecond);
    stall (10 * kSecond, call);
    liveness->pong_arrived (now + 1, 1);
    EXPECT_EQ (told, "Z");
    EXPECT_LT (liveness->smoothed_rtt (), 41 * kMs) << "the stall is no round trip";
  }
}

TEST_F (LivenessTest, WhatThePeerSaidWhileWeDidNotRunDoesNotCount) {
  begin ();
  pass (500 * kMs);
  stall (10 * kSecond, [&] { liveness->ping_arrived (now, true); });
  for (int i = 0; i < 20; ++i) liveness->ping_arrived (now + 100 * kMs, true);
  now += 100 * kMs;
  pass (800 * kMs);
  liveness->heard (now);
  EXPECT_EQ (told.find ('B'), std::string::npos);
  liveness->ping_arrived (now, true);
  pass (200 * kMs);
  EXPECT_EQ (reason, BreakReason::peer) << "what it says later does";
  EXPECT_NE (told.find ('B'), std::string::npos);
}

TEST_F (LivenessTest, WhatIsUnderWayFromAStallDoesNotCountEither) {
  begin ({}, 300 * kMs);
  stall (10 * kSecond);
  pass (590 * kMs);
  told.clear ();
  liveness->ping_arrived (now, true);
  pass (kSecond);
  EXPECT_EQ (told.find ('B'), std::string::npos);
}

TEST_F (LivenessTest, WhatThePeerSaidBeforeAStallIsAskedAnew) {
  begin ();
  liveness->ping_arrived (now, true);
  pass (30 * kMs);
  told.clear ();
  stall (10 * kSecond);
  EXPECT_EQ (told, "Z");
  pass (500 * kMs);
  EXPECT_EQ (told, "Zs");
}

TEST_F (LivenessTest, APongFromBeforeAStallProvesNothing) {
  begin ();
  break_by_silence ();
  pass (3 * kSecond);
  pings.clear ();
  stall (10 * kSecond, [&] { liveness->pong_arrived (now, 5 * kSecond); });
  EXPECT_EQ (told, "sBZ");
  ASSERT_FALSE (pings.empty ());
  liveness->pong_arrived (now, 0);
  EXPECT_EQ (told, "sBZR");
}

TEST_F (LivenessTest, AStallIsToldOnceAlsoToAHostThatCallsBack) {
  LivenessSettings idle;
  idle.idle_timeout = 8 * kSecond;
  begin (idle);
  answer = [&] (char) { liveness->heard (now); };
  stall (20 * kSecond);
  EXPECT_EQ (told, "ZO") << "idleness is counted through";
  told.clear ();
  begin ();
  answer = {};
  break_by_silence ();
  answer = [&] (char) { liveness->heard (now); };
  stall (20 * kSecond);
  EXPECT_EQ (told, "sBZ");
}

TEST_F (LivenessTest, ASideThatIsStalledAgainAndAgainStillNoticesSilence) {
  begin ();
  int turns = 0;
  for (; turns < 100 && liveness->state () == Liveness::State::live; ++turns) {
    stall (700 * kMs);
    pass (300 * kMs);
  }
  EXPECT_EQ (reason, BreakReason::silence);
  EXPECT_NE (told.find ('B'), std::string::npos);
  EXPECT_LT (turns, 20);
}

TEST_F (LivenessTest, ALateTimerIsNoStall) {
  begin ();
  pass (500 * kMs);
  now = liveness->deadline () + 400 * kMs;
  liveness->on_deadline (now);
  EXPECT_EQ (pings.size (), 1u);
  EXPECT_EQ (told, "");
}

// At ping-interval=100 a thread that wakes 40 ms late, which is no stall yet, has that much less
// time.
TEST_F (LivenessTest, ALateWakeUpReadsWhatHasComeBeforeItBlamesThePeer) {
  LivenessSettings quick;
  quick.ping_interval = 100 * kMs;
  begin (quick, 10 * kMs);
  pass (liveness->patience () - 1);
  told.clear ();
  now += 41 * kMs;
  liveness->on_deadline (now);
  EXPECT_EQ (told, "");
  EXPECT_GT (liveness->deadline (), now) << "the loop turns once more";
  liveness->heard (now);
  pass (90 * kMs);
  EXPECT_EQ (told, "");
}

TEST_F (LivenessTest, AThreadThatAlwaysWakesLateStillNoticesSilence) {
  LivenessSettings quick;
  quick.ping_interval = 100 * kMs;
  begin (quick, 10 * kMs);
  const TimeUs heard_at = now;
  while (liveness->state () == Liveness::State::live && now < heard_at + kSecond) {
    now = liveness->deadline () + 30 * kMs;
    liveness->on_deadline (now);
  }
  EXPECT_EQ (told, "sB");
  EXPECT_LE (told_at, heard_at + liveness->patience () + 70 * kMs);
}

TEST_F (LivenessTest, AfterTheComebackTimeoutItIsOverAndNothingFollows) {
  begin ();
  break_by_silence ();
  const TimeUs broken_at = now;
  pass (60 * kSecond);
  EXPECT_EQ (told, "sBO");
  EXPECT_EQ (told_at, broken_at + 30 * kSecond);
  EXPECT_EQ (error.code, P2P_ERROR_TIMED_OUT);
  EXPECT_EQ (error.message,
             "The connection broke because nothing came from the peer, and the peer did not come "
             "back within 30 s; connect again when it can be reached.");
  EXPECT_EQ (liveness->deadline (), kNever);
  pings.clear ();
  liveness->heard (now);
  liveness->ping_arrived (now, true);
  liveness->pong_arrived (now, kMs);
  liveness->network_changed (now);
  liveness->break_now (now, BreakReason::transport);
  liveness->set_settings (now, {});
  liveness->on_deadline (now);
  EXPECT_EQ (told, "sBO");
  EXPECT_TRUE (pings.empty ());
}

TEST_F (LivenessTest, OwnStallsAreNotPartOfTheComebackTimeout) {
  begin ();
  break_by_silence ();
  const TimeUs broken_at = now;
  pass (10 * kSecond);
  stall (100 * kSecond);
  EXPECT_EQ (told, "sBZ");
  pass (60 * kSecond);
  EXPECT_EQ (told, "sBZO");
  EXPECT_NEAR (static_cast<double> (told_at - broken_at), 130e6, 1e6);
}

TEST_F (LivenessTest, WithoutAComebackTimeoutItIsNeverOver) {
  LivenessSettings patient;
  patient.comeback_timeout = 0;
  begin (patient);
  break_by_silence ();
  pass (3600 * kSecond);
  EXPECT_EQ (told, "sB");
  liveness->pong_arrived (now, kMs);
  EXPECT_EQ (told, "sBR");
}

TEST_F (LivenessTest, AShorterComebackTimeoutCountsFromTheSameBreak) {
  begin ();
  break_by_silence ();
  pass (10 * kSecond);
  settings.comeback_timeout = 5 * kSecond;
  liveness->set_settings (now, settings);
  EXPECT_EQ (told, "sBO");
}

TEST_F (LivenessTest, WithoutApplicationDataTheIdleTimeoutEndsIt) {
  LivenessSettings idle;
  idle.idle_timeout = 10 * kSecond;
  begin (idle);
  answer = [&] (char event) {
    if (event == 'p') liveness->pong_arrived (now, 0);
  };
  pass (5 * kSecond);
  liveness->carried (now);
  const TimeUs carried_at = now;
  pass (60 * kSecond);
  EXPECT_EQ (told, "O");
  EXPECT_EQ (told_at, carried_at + 10 * kSecond);
  EXPECT_EQ (error.code, P2P_ERROR_TIMED_OUT);
  EXPECT_EQ (error.message,
             "No application data went either way for 10 s, which is the idle timeout; connect "
             "again when there is something to send.");
}

TEST_F (LivenessTest, AnOutageIsNoIdleness) {
  LivenessSettings idle;
  idle.idle_timeout = 5 * kSecond;
  begin (idle);
  liveness->carried (now);
  break_by_silence ();
  pass (20 * kSecond);
  liveness->pong_arrived (now, kMs);
  answer = [&] (char event) {
    if (event == 'p') liveness->pong_arrived (now, 0);
  };
  pass (3000 * kMs);
  EXPECT_EQ (told, "sBR");
  pass (200 * kMs);
  EXPECT_EQ (told, "sBRO");
}

TEST_F (LivenessTest, TheHostMayCallBackFromInsideOfEveryEvent) {
  begin ();
  bool inside = false;
  answer = [&] (char) {
    if (inside) return;
    inside = true;
    liveness->heard (now);
    liveness->network_changed (now);
    inside = false;
  };
  pass (1500 * kMs);
  answer = [&] (char event) {
    if (event == 'B') liveness->pong_arrived (now, 0);
  };
  liveness->break_now (now, BreakReason::relay_lost);
  EXPECT_EQ (liveness->state (), Liveness::State::live);
  answer = [&] (char) { liveness->heard (now); };
  stall (20 * kSecond);
  pass (10 * kSecond);
  EXPECT_EQ (liveness->state (), Liveness::State::live);
}
