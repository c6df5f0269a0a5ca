// When the peer is asked, when silence and its own word break the connection, and what restores it.
#include <algorithm>

#include "support/liveness_fixture.hpp"

using namespace p2p;
using namespace p2p::test;

TEST_F (LivenessTest, StartPingsAtOnceToLearnTheRoundTrip) {
  liveness = std::make_unique<Liveness> (settings, *this, 1);
  EXPECT_EQ (liveness->deadline (), kNever);
  liveness->start (now);
  ASSERT_EQ (pings.size (), 1u);
  liveness->pong_arrived (now += 70 * kMs, 70 * kMs);
  EXPECT_EQ (liveness->smoothed_rtt (), 70 * kMs);
}

TEST_F (LivenessTest, NothingIsAskedWhileAnythingArrives) {
  begin ();
  for (int i = 0; i < 100; ++i) at (now + 900 * kMs, [&] { liveness->heard (now); });
  EXPECT_TRUE (pings.empty ());
  EXPECT_EQ (told, "");
}

TEST_F (LivenessTest, APingFollowsAnIntervalOfSilenceOnTheGrid) {
  begin ();
  for (int i = 0; i < 100; ++i) {
    const TimeUs heard_at = now + (i * 7919) % 1000;
    at (heard_at, [&] { liveness->heard (now); });
    pings.clear ();
    pass (kSecond - 1);
    ASSERT_TRUE (pings.empty ());
    pass (200 * kMs + 1);
    ASSERT_FALSE (pings.empty ());
    EXPECT_EQ (pings[0].at % (50 * kMs), 0);
    EXPECT_FALSE (pings[0].unheard);
    liveness->pong_arrived (now, now - pings[0].at);
  }
}

TEST_F (LivenessTest, TwoSidesDoNotAlwaysAskAtTheSameMoment) {
  begin ();
  std::vector<int> slots (5);
  for (int i = 0; i < 200; ++i) {
    const TimeUs silent_since = now = (now / kSecond + 1) * kSecond;
    liveness->ping_arrived (now, false);
    pings.clear ();
    pass (kSecond + 200 * kMs);
    ++slots[static_cast<std::size_t> ((pings[0].at - silent_since - kSecond) / (50 * kMs))];
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_GT (slots[i], 25) << i;
}

TEST_F (LivenessTest, AMissingAnswerIsToldOnceAndMakesPingsQuick) {
  begin ();
  pass (1850 * kMs);
  EXPECT_EQ (told, "s");
  EXPECT_LT (told_at - pings[0].at, 100 * kMs);
  EXPECT_GE (pings.size (), 14u);
  EXPECT_LE (pings.size (), 20u);
  for (TimeUs gap : gaps ()) EXPECT_GE (gap, 10 * kMs);
  for (const Ping &ping : pings) EXPECT_FALSE (ping.unheard);
  liveness->heard (now);
  pings.clear ();
  pass (kSecond - 1);
  EXPECT_TRUE (pings.empty ()) << "a sign of life ends the hurry";
  pass (600 * kMs);
  EXPECT_EQ (told, "ss");
}

TEST_F (LivenessTest, ALongRoundTripLeavesTimeForMoreThanOneQuestion) {
  begin ({}, 400 * kMs);
  const TimeUs heard_at = now;
  pass (liveness->patience () - 1);
  const auto in_time = std::count_if (pings.begin (), pings.end (), [&] (const Ping &ping) {
    return ping.at + 400 * kMs < heard_at + liveness->patience ();
  });
  EXPECT_GE (in_time, 8);
  EXPECT_GE (told_at, pings[0].at + 400 * kMs) << "no answer is missing before a round trip";
}

TEST_F (LivenessTest, SilenceBreaksAfterTheTimeoutCountedFromWhenTheLastLeft) {
  begin ();
  const TimeUs heard_at = now;
  pass (1855 * kMs - 1);
  EXPECT_EQ (liveness->state (), Liveness::State::live);
  pass (1);
  EXPECT_EQ (told, "sB");
  EXPECT_EQ (reason, BreakReason::silence);
  EXPECT_EQ (told_at, heard_at + 1855 * kMs);
  EXPECT_TRUE (pings.back ().unheard) << "the first ping of a break goes out with it";
  EXPECT_EQ (pings.back ().at, now);
}

TEST_F (LivenessTest, AnOwnTimeoutIsKeptAndMayChangeWhileItRuns) {
  LivenessSettings slow;
  slow.ping_timeout = 7 * kSecond;
  begin (slow);
  pass (6 * kSecond);
  EXPECT_EQ (liveness->state (), Liveness::State::live);
  LivenessSettings quick;
  quick.ping_interval = 100 * kMs;
  pings.clear ();
  liveness->set_settings (now, quick);
  EXPECT_EQ (pings.size (), 1u);
  EXPECT_EQ (liveness->state (), Liveness::State::live) << "nothing was asked by these settings";
  pass (200 * kMs);
  EXPECT_EQ (liveness->state (), Liveness::State::broken);
  EXPECT_EQ (told, "ssB");
}

// The peer broke its patience ago: what a busy machine makes answers vary has no room in the
// timeout.
TEST_F (LivenessTest, WhatThePeerSaysIsDoubtedForOneUsualAnswerHoweverMuchAnswersVary) {
  begin ();
  for (int i = 0; i < 40; ++i)
    at (now + 100 * kMs, [&] { liveness->pong_arrived (now, i % 2 == 0 ? 10 * kMs : 90 * kMs); });
  ASSERT_GT (liveness->smoothed_rtt (), 30 * kMs);
  ASSERT_LT (liveness->smoothed_rtt (), 60 * kMs);
  told.clear ();
  const TimeUs said_at = now;
  liveness->ping_arrived (now, true);
  pass (200 * kMs);
  EXPECT_NE (told.find ('B'), std::string::npos) << told;
  EXPECT_EQ (reason, BreakReason::peer);
  EXPECT_LE (told_at, said_at + 80 * kMs);
}

TEST_F (LivenessTest, ATimeoutShorterThanTheRoundTripDoesNotFlap) {
  LivenessSettings quick;
  quick.ping_interval = 50 * kMs;
  quick.ping_timeout = 20 * kMs;
  const TimeUs rtt = 900 * kMs;
  begin (quick, rtt);
  pings.clear ();
  // The peer does nothing but answer.
  for (std::size_t answered = 0; now < kBegin + 60 * kSecond;) {
    if (answered < pings.size () && pings[answered].at + rtt <= liveness->deadline ()) {
      now = pings[answered].at + rtt;
      liveness->pong_arrived (now, rtt);
      ++answered;
    } else {
      now = liveness->deadline ();
      liveness->on_deadline (now);
    }
    ASSERT_EQ (liveness->state (), Liveness::State::live);
  }
}

TEST_F (LivenessTest, PatienceGrowsWithTheRoundTripButNotByOneLatePong) {
  begin ();
  EXPECT_EQ (liveness->patience (), 1855 * kMs);
  // Ten pings that a stopped peer answers all at once.
  now += kSecond;
  for (int i = 10; i > 0; --i) liveness->pong_arrived (now, i * 90 * kMs);
  EXPECT_LT (liveness->smoothed_rtt (), 150 * kMs) << "one sample for a round trip";
  EXPECT_LT (liveness->patience (), 2000 * kMs);
  for (int i = 0; i < 60; ++i) liveness->pong_arrived (now += kSecond, kSecond);
  EXPECT_GE (liveness->patience (), 2500 * kMs);
}

TEST_F (LivenessTest, BrokenPingsBackOffSlowlyWithJitterAndBeginAnewWithTheNetwork) {
  LivenessSettings patient;
  patient.comeback_timeout = 0;
  begin (patient);
  break_by_silence ();
  pings.clear ();
  pass (59 * kSecond);
  EXPECT_LE (gaps ()[0], 150 * kMs);
  for (TimeUs gap : gaps ()) {
    EXPECT_GE (gap, 80 * kMs);
    EXPECT_LE (gap, 500 * kMs);
  }
  EXPECT_NE (gaps ()[20], gaps ()[21]) << "sides that broke together must not stay in step";
  for (const Ping &ping : pings) EXPECT_TRUE (ping.unheard);
  pass (60 * kSecond);
  pings.clear ();
  pass (60 * kSecond);
  for (TimeUs gap : gaps ()) {
    EXPECT_GE (gap, 4 * kSecond);
    EXPECT_LE (gap, 5 * kSecond);
  }
  pings.clear ();
  liveness->network_changed (now);
  pass (10 * kSecond);
  EXPECT_EQ (pings[0].at, now - 10 * kSecond);
  for (TimeUs gap : gaps ()) EXPECT_LE (gap, 500 * kMs);
  EXPECT_EQ (told, "sB");
}

TEST_F (LivenessTest, APongRestores) {
  begin ();
  break_by_silence ();
  pass (3 * kSecond);
  liveness->pong_arrived (now, 40 * kMs);
  EXPECT_EQ (told, "sBR");
  EXPECT_EQ (outage, 3 * kSecond);
  EXPECT_EQ (liveness->state (), Liveness::State::live);
  pings.clear ();
  pass (kSecond - 1);
  EXPECT_TRUE (pings.empty ());
}

TEST_F (LivenessTest, AnAnswerThatTookLongerThanThePatienceRestoresToo) {
  begin ();
  break_by_silence ();
  at (now + 100 * kMs, [&] { liveness->pong_arrived (now, now - pings[0].at); });
  EXPECT_EQ (told, "sBR");
}

TEST_F (LivenessTest, HearingAloneDoesNotRestoreButAsksAtOnce) {
  LivenessSettings patient;
  patient.comeback_timeout = 0;
  begin (patient);
  break_by_silence ();
  pass (150 * kSecond);
  pings.clear ();
  liveness->heard (now);
  ASSERT_EQ (pings.size (), 1u);
  EXPECT_FALSE (pings[0].unheard) << "the peer is heard now";
  pass (kSecond);
  EXPECT_GE (pings.size (), 3u) << "and the way probably works";
  EXPECT_EQ (told, "sB");
  liveness->ping_arrived (now, false);
  EXPECT_EQ (told, "sB");
}

TEST_F (LivenessTest, TwoBrokenSidesDoNotWaitForEachOther) {
  begin ();
  break_by_silence ();
  pass (10 * kSecond);
  pings.clear ();
  liveness->ping_arrived (now, true);  // as broken as we are
  ASSERT_EQ (pings.size (), 1u) << "our own ping is what gets us its pong";
  liveness->pong_arrived (now += 40 * kMs, 40 * kMs);
  EXPECT_EQ (told, "sBR");
}

TEST_F (LivenessTest, APeerThatDoesNotHearUsBreaksUnlessAPongComes) {
  begin ();
  pings.clear ();
  pass (500 * kMs);
  liveness->ping_arrived (now, true);
  ASSERT_EQ (pings.size (), 1u) << "asks at once";
  const TimeUs said_at = now;
  while (now < said_at + 50 * kMs) {
    liveness->heard (now);  // it goes on to be heard
    pass (5 * kMs);
  }
  EXPECT_GE (pings.size (), 5u) << "and quickly";
  EXPECT_EQ (liveness->state (), Liveness::State::live);
  pass (10 * kMs);
  EXPECT_EQ (told, "B");
  EXPECT_EQ (reason, BreakReason::peer);
  EXPECT_EQ (told_at, said_at + 55 * kMs) << "an answer is due after that";
  EXPECT_FALSE (pings.back ().unheard) << "we do hear the peer";
  // Still only one direction.
  for (int i = 0; i < 20; ++i) {
    pass (100 * kMs);
    liveness->heard (now);
    liveness->ping_arrived (now, true);
  }
  // A pong to what was asked before is none to the question.
  liveness->pong_arrived (now, now - said_at + 1);
  EXPECT_EQ (told, "B");
  liveness->pong_arrived (now, now - said_at);
  EXPECT_EQ (told, "BR");
}

TEST_F (LivenessTest, APongSettlesWhatThePeerSaid) {
  begin ();
  liveness->ping_arrived (now, true);
  pass (40 * kMs);
  liveness->pong_arrived (now, 41 * kMs);  // asked before
  pass (10 * kMs);
  liveness->pong_arrived (now, 40 * kMs);
  pings.clear ();
  pass (900 * kMs);
  EXPECT_TRUE (pings.empty ());
  EXPECT_EQ (told, "");
}

TEST_F (LivenessTest, TheTimeToProveItselfGrowsWithTheRoundTripUpToThePatience) {
  begin ({}, 300 * kMs);
  pass (1500 * kMs);
  liveness->pong_arrived (now, 300 * kMs);
  const TimeUs said_at = now;
  liveness->ping_arrived (now, true);
  pass (kSecond);
  EXPECT_EQ (told_at, said_at + 380 * kMs);
  EXPECT_EQ (reason, BreakReason::peer);
}

TEST_F (LivenessTest, TheTimeToProveItselfIsNeverLongerThanThePatience) {
  LivenessSettings quick;
  quick.ping_interval = 10 * kMs;
  begin (quick, kMs);
  ASSERT_LT (liveness->patience (), 25 * kMs);
  const TimeUs said_at = now;
  liveness->ping_arrived (now, true);
  for (int i = 0; i < 20 && told.find ('B') == std::string::npos; ++i) {
    pass (2 * kMs);
    liveness->heard (now);
  }
  EXPECT_EQ (reason, BreakReason::peer);
  EXPECT_EQ (told_at, said_at + liveness->patience ());
}

TEST_F (LivenessTest, ALostNetworkBreaksAtOnceAndOnlyANewPongEndsIt) {
  begin ();
  pass (500 * kMs);
  liveness->break_now (now, BreakReason::network_down);
  EXPECT_EQ (told, "B");
  EXPECT_EQ (reason, BreakReason::network_down);
  EXPECT_EQ (pings.size (), 1u);
  pass (10 * kMs);
  liveness->heard (now);
  liveness->ping_arrived (now, false);
  liveness->pong_arrived (now, 11 * kMs);  // of a ping from before
  EXPECT_EQ (told, "B");
  liveness->pong_arrived (now, 10 * kMs);
  EXPECT_EQ (told, "BR");
}

TEST_F (LivenessTest, ThereAreNeverTwoBreaksWithoutARestore) {
  begin ();
  break_by_silence ();
  for (const BreakReason more : {BreakReason::network_down, BreakReason::relay_lost,
                                 BreakReason::transport, BreakReason::peer}) {
    pass (500 * kMs);
    liveness->break_now (now, more);
    liveness->ping_arrived (now, true);
  }
  EXPECT_EQ (told, "sB");
  EXPECT_EQ (liveness->reason (), BreakReason::silence);
  liveness->pong_arrived (now, kMs);
  EXPECT_EQ (told, "sB") << "its ping left before what broke last";
  liveness->pong_arrived (now, 0);
  EXPECT_EQ (told, "sBR");
}

TEST_F (LivenessTest, AChangeOfTheNetworkAsksAtOnce) {
  begin ();
  pass (300 * kMs);
  liveness->network_changed (now);
  ASSERT_EQ (pings.size (), 1u);
  pass (100 * kMs);
  EXPECT_EQ (told, "s") << "and misses the answer soon";
  EXPECT_GE (pings.size (), 2u);
}
