// Figures of pings: round trips and their jitter on the followed way, and loss.
#include "session/ping_log.hpp"

#include <gtest/gtest.h>

using namespace p2p;

namespace {

constexpr TimeUs kMs = kMillisecond;

// One ping, answered after `rtt`.
void
exchange (PingLog &log, TimeUs &now, std::uint64_t number, TimeUs rtt, int way = 0) {
  log.sent (now, number, way);
  now += rtt;
  ASSERT_TRUE (log.answered (now, number));
}

}  // namespace

TEST (PingLog, TellsRoundTripAndWayOfAnAnsweredPing) {
  PingLog log;
  log.sent (100 * kMs, 7, 3);
  log.sent (110 * kMs, 9, 4);
  const auto second = log.answered (140 * kMs, 9);
  const auto first = log.answered (150 * kMs, 7);
  ASSERT_TRUE (first && second);
  EXPECT_EQ (first->rtt, 50 * kMs);
  EXPECT_EQ (first->way, 3);
  EXPECT_EQ (second->rtt, 30 * kMs);
  EXPECT_EQ (second->way, 4);
}

// What is taken from the answer's time is when it was asked: not before what it has to prove.
TEST (PingLog, AnAnswerInTheSameMicrosecondTookNoTimeAndIsMeasuredAllTheSame) {
  PingLog log;
  log.sent (kMs, 1, 0);
  const auto answer = log.answered (kMs, 1);
  ASSERT_TRUE (answer);
  EXPECT_EQ (answer->rtt, 0);
  EXPECT_EQ (log.stats (kMs).smoothed_rtt_us, 1) << "0 would mean that nothing was measured";
}

TEST (PingLog, AnAnswerCountsOnceAndOnlyForOurPings) {
  PingLog log;
  log.sent (0, 1, 0);
  EXPECT_FALSE (log.answered (kMs, 2));
  EXPECT_TRUE (log.answered (kMs, 1));
  EXPECT_FALSE (log.answered (2 * kMs, 1));
  EXPECT_FALSE (log.answered (2 * kMs, 0)) << "an entry that was never used has no number";
  EXPECT_EQ (log.stats (kSecond).pongs_received, 1u);
}

TEST (PingLog, SmoothsTheRoundTripAsTcpAndItsJitterAsRtp) {
  PingLog log;
  TimeUs now = 0;
  exchange (log, now, 1, 80 * kMs);
  EXPECT_EQ (log.stats (now).smoothed_rtt_us, 80 * kMs);
  EXPECT_EQ (log.stats (now).jitter_us, 0);
  exchange (log, now, 2, 160 * kMs);
  exchange (log, now, 3, 40 * kMs);
  const PingStats stats = log.stats (now);
  EXPECT_EQ (stats.rtt_us, 40 * kMs);
  EXPECT_EQ (stats.min_rtt_us, 40 * kMs);
  EXPECT_EQ (stats.smoothed_rtt_us, (80 * kMs * 7 / 8 + 160 * kMs / 8) * 7 / 8 + 40 * kMs / 8);
  // 80 ms / 16 = 5 ms, then 5 + (120 - 5) / 16.
  EXPECT_NEAR (static_cast<double> (stats.jitter_us), 12187.5, 1);
}

TEST (PingLog, APingIsLostAfterASecondOrFourRoundTrips) {
  PingLog log;
  TimeUs now = 0;
  exchange (log, now, 1, 10 * kMs);
  log.sent (now, 2, 0);
  EXPECT_EQ (log.stats (now + kSecond).pings_lost, 0u);
  EXPECT_EQ (log.stats (now + kSecond + 1).pings_lost, 1u);
  EXPECT_DOUBLE_EQ (log.stats (now + kSecond + 1).loss, 0.5);

  PingLog slow;
  now = 0;
  exchange (slow, now, 1, 500 * kMs);
  slow.sent (now, 2, 0);
  EXPECT_EQ (slow.stats (now + 2 * kSecond).pings_lost, 0u);
  EXPECT_EQ (slow.stats (now + 2 * kSecond + 1).pings_lost, 1u);
}

TEST (PingLog, ALateAnswerTakesTheLossBack) {
  PingLog log;
  log.sent (0, 1, 0);
  EXPECT_EQ (log.stats (3 * kSecond).pings_lost, 1u);
  ASSERT_TRUE (log.answered (4 * kSecond, 1));
  EXPECT_EQ (log.stats (4 * kSecond).pings_lost, 0u);
  EXPECT_DOUBLE_EQ (log.stats (4 * kSecond).loss, 0);
}

TEST (PingLog, RemembersTheLast64) {
  PingLog log;
  for (std::uint64_t i = 0; i < 65; ++i) log.sent (static_cast<TimeUs> (i), i, 0);
  EXPECT_FALSE (log.answered (kMs, 0));
  EXPECT_TRUE (log.answered (kMs, 1));
  EXPECT_TRUE (log.answered (kMs, 64));
  const PingStats stats = log.stats (kMs);
  EXPECT_EQ (stats.pings_sent, 65u);
  EXPECT_EQ (stats.pings_lost, 1u) << "the one whose answer could not be told any longer";
}

TEST (PingLog, LossIsThatOfTheLast64Only) {
  PingLog log;
  TimeUs now = 0;
  for (std::uint64_t i = 0; i < 64; ++i) log.sent (now, i, 0);
  now += 2 * kSecond;
  EXPECT_DOUBLE_EQ (log.stats (now).loss, 1);
  for (std::uint64_t i = 64; i < 96; ++i) exchange (log, now, i, kMs);
  EXPECT_DOUBLE_EQ (log.stats (now).loss, 0.5);
  for (std::uint64_t i = 96; i < 128; ++i) exchange (log, now, i, kMs);
  EXPECT_DOUBLE_EQ (log.stats (now).loss, 0);
  EXPECT_EQ (log.stats (now).pings_lost, 64u);
}

TEST (PingLog, TimesAreThoseOfTheFollowedWay) {
  PingLog log;
  TimeUs now = 0;
  log.follow (1);
  exchange (log, now, 1, 90 * kMs, 1);
  exchange (log, now, 2, 10 * kMs, 2);
  EXPECT_EQ (log.stats (now).smoothed_rtt_us, 90 * kMs);
  log.follow (2);
  EXPECT_EQ (log.stats (now).smoothed_rtt_us, 0);
  exchange (log, now, 3, 20 * kMs, 2);
  const PingStats stats = log.stats (now);
  EXPECT_EQ (stats.smoothed_rtt_us, 20 * kMs);
  EXPECT_EQ (stats.min_rtt_us, 20 * kMs);
  EXPECT_EQ (stats.jitter_us, 0);
  EXPECT_EQ (stats.pongs_received, 3u);
}

TEST (PingLog, WhatWasForgottenIsNeitherLostNorAnswered) {
  PingLog log;
  log.sent (0, 1, 0);
  log.forget_unanswered ();
  EXPECT_FALSE (log.answered (10 * kSecond, 1));
  EXPECT_EQ (log.stats (10 * kSecond).pings_lost, 0u);
  EXPECT_EQ (log.stats (10 * kSecond).smoothed_rtt_us, 0);
}
