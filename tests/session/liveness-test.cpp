// The rules of liveness, one by one, on one side with a peer that says what the test lets it say.
#include "session/liveness.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace p2p;

namespace {

constexpr TimeUs kMs = kMillisecond;
constexpr TimeUs kBegin = 1000 * kSecond;

class LivenessTest : public testing::Test, public Liveness::Host {
 protected:
  void begin (LivenessSettings the_settings = {}, TimeUs rtt = 40 * kMs) {
    settings = the_settings;
    liveness = std::make_unique<Liveness> (settings, *this, 1);
    liveness->start (now, rtt);
    for (int i = 0; i < 20; ++i) at (now + rtt, [&] { liveness->pong_arrived (now, rtt); });
    pings.clear ();
  }
  void at (TimeUs when, const std::function<void ()> &event) {
    until (when);
    event ();
  }
  // Serves deadlines in time.
  void until (TimeUs when) {
    while (liveness->deadline () <= when) {
      ASSERT_GE (liveness->deadline (), now) << "a deadline in the past is never met in time";
      now = liveness->deadline ();
      liveness->on_deadline (now);
    }
    now = when;
  }
  void pass (TimeUs span) { until (now + span); }
  // The process does not run, and then `event` is the first thing that happens.
  void stall (TimeUs span, const std::function<void ()> &event = {}) {
    now += span;
    if (event)
      event ();
    else
      liveness->on_deadline (now);
  }
  void break_by_silence () {
    pass (liveness->patience ());
    ASSERT_EQ (liveness->state (), Liveness::State::broken);
  }
  std::vector<TimeUs> gaps () const {
    std::vector<TimeUs> spans;
    for (std::size_t i = 1; i < pings.size (); ++i) spans.push_back (pings[i].at - pings[i - 1].at);
    return spans;
  }

  struct Ping {
    TimeUs at;
    bool unheard;
  };
  LivenessSettings settings;
  std::unique_ptr<Liveness> liveness;
  TimeUs now = kBegin;
  std::vector<Ping> pings;
  std::string told;  // one letter for each event
  TimeUs told_at = 0, outage = 0, stalled_span = 0;
  BreakReason reason = BreakReason::silence;
  Error error;
  std::function<void (char)> answer;  // to an event, from inside of it

 private:
  void tell (char event) {
    told += event;
    told_at = now;
    if (answer) answer (event);
  }
  void liveness_ping (bool unheard) override {
    EXPECT_NE (liveness->state (), Liveness::State::over);
    pings.push_back ({now, unheard});
    if (answer) answer ('p');
  }
  void liveness_suspect () override { tell ('s'); }
  void liveness_stalled (TimeUs span) override {
    stalled_span = span;
    tell ('Z');
  }
  void liveness_broken (BreakReason the_reason) override {
    reason = the_reason;
    tell ('B');
  }
  void liveness_restored (TimeUs the_outage) override {
    outage = the_outage;
    tell ('R');
  }
  void liveness_over (const Error &the_error) override {
    error = the_error;
    tell ('O');
  }
};

}  // namespace

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
  pass (1900 * kMs);
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
  pass (1980 * kMs - 1);
  EXPECT_EQ (liveness->state (), Liveness::State::live);
  pass (1);
  EXPECT_EQ (told, "sB");
  EXPECT_EQ (reason, BreakReason::silence);
  EXPECT_EQ (told_at, heard_at + 1980 * kMs);
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
  EXPECT_EQ (liveness->patience (), 1980 * kMs);
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
  while (now < said_at + 190 * kMs) {
    liveness->heard (now);  // it goes on to be heard
    pass (5 * kMs);
  }
  EXPECT_GE (pings.size (), 12u) << "and quickly";
  EXPECT_EQ (liveness->state (), Liveness::State::live);
  pass (10 * kMs);
  EXPECT_EQ (told, "sB");
  EXPECT_EQ (reason, BreakReason::peer);
  EXPECT_EQ (told_at, said_at + 200 * kMs);
  EXPECT_FALSE (pings.back ().unheard) << "we do hear the peer";
  // Still only one direction.
  for (int i = 0; i < 20; ++i) {
    pass (100 * kMs);
    liveness->heard (now);
    liveness->ping_arrived (now, true);
  }
  // A pong to what was asked before is none to the question.
  liveness->pong_arrived (now, now - said_at + 1);
  EXPECT_EQ (told, "sB");
  liveness->pong_arrived (now, now - said_at);
  EXPECT_EQ (told, "sBR");
}

TEST_F (LivenessTest, APongSettlesWhatThePeerSaid) {
  begin ();
  liveness->ping_arrived (now, true);
  pass (40 * kMs);
  liveness->pong_arrived (now, 41 * kMs);  // asked before
  pass (60 * kMs);
  liveness->pong_arrived (now, 40 * kMs);
  pings.clear ();
  pass (900 * kMs);
  EXPECT_TRUE (pings.empty ());
  EXPECT_EQ (told, "s");
}

TEST_F (LivenessTest, TheTimeToProveItselfGrowsWithTheRoundTripUpToThePatience) {
  begin ({}, 300 * kMs);
  pass (1500 * kMs);
  liveness->pong_arrived (now, 300 * kMs);
  const TimeUs said_at = now;
  liveness->ping_arrived (now, true);
  pass (kSecond);
  EXPECT_EQ (told_at, said_at + 900 * kMs);
  EXPECT_EQ (reason, BreakReason::peer);
}

TEST_F (LivenessTest, TheTimeToProveItselfIsNeverLongerThanThePatience) {
  LivenessSettings quick;
  quick.ping_interval = 20 * kMs;
  begin (quick, kMs);
  const TimeUs said_at = now;
  liveness->ping_arrived (now, true);
  for (int i = 0; i < 20 && told.find ('B') == std::string::npos; ++i) {
    pass (5 * kMs);
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

TEST_F (LivenessTest, AnOwnStallIsNotBlamedOnThePeer) {
  begin ();
  pass (500 * kMs);
  stall (10 * kSecond);
  EXPECT_EQ (told, "Z");
  EXPECT_GE (stalled_span, 9 * kSecond);
  ASSERT_EQ (pings.size (), 1u) << "asks at once";
  EXPECT_EQ (pings[0].at, now);
  const TimeUs awake_at = now;
  pass (1900 * kMs);
  EXPECT_EQ (told, "Zs");
  pass (100 * kMs);
  EXPECT_EQ (told, "ZsB") << "but silence after it is";
  EXPECT_EQ (told_at, awake_at + 1980 * kMs);
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
  pass (100 * kMs);
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
  pass (2900 * kMs);
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
