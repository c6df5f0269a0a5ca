// A burst through a relay ends in time and in bytes, and takes losses for what they are.
#include <gtest/gtest.h>

#include <deque>

#include "doctor/echo_burst.hpp"

namespace p2p::doctor {
namespace {

constexpr std::size_t kBytes = 1000;

// A way of a given round trip and rate, with a queue that drops what does not fit.
struct Way {
  TimeUs round_trip = 20 * kMillisecond, per_datagram = 100;
  std::size_t queue = 1000000;
  int drop_every = 0;  // one in so many

  BurstResult run () {
    EchoBurst burst (kBytes, 0);
    std::deque<std::pair<TimeUs, std::uint32_t>> coming;
    TimeUs busy_until = 0, now = 0;
    int count = 0;
    for (; !burst.done (now) && now < 60 * kSecond; now += kMillisecond) {
      while (!coming.empty () && coming.front ().first <= now) {
        burst.received (coming.front ().second, now);
        coming.pop_front ();
      }
      burst.tick (now);
      while (const auto number = burst.next (now)) {
        burst.sent ();
        busy_until = std::max (busy_until, now);
        const bool full = busy_until - now > static_cast<TimeUs> (queue) * per_datagram;
        if (full || (drop_every && ++count % drop_every == 0)) continue;
        busy_until += per_datagram;
        coming.emplace_back (busy_until + round_trip, *number);
      }
    }
    ended = now;
    return burst.result ();
  }
  TimeUs ended = 0;
};

TEST (EchoBurst, EndsWithItsBytesOnAFastWay) {
  Way way;
  way.per_datagram = 1;
  const BurstResult result = way.run ();
  EXPECT_EQ (result.lost, 0u);
  EXPECT_GE (result.bytes, EchoBurst::kMostBytes);
  EXPECT_LT (result.bytes, EchoBurst::kMostBytes + kBytes);
  EXPECT_LT (way.ended, EchoBurst::kLongest);
}

TEST (EchoBurst, EndsInTimeOnASlowWay) {
  Way way;
  way.per_datagram = 10 * kMillisecond;  // 0.8 Mbit/s
  way.queue = 20;
  const BurstResult result = way.run ();
  EXPECT_NEAR (result.megabits_per_s (), 0.8, 0.1);
  EXPECT_LT (way.ended, EchoBurst::kLongest + kSecond);
}

TEST (EchoBurst, MeasuresTheRateOfAWayWithAShortQueue) {
  Way way;
  way.queue = 200;
  const BurstResult result = way.run ();
  EXPECT_GT (result.megabits_per_s (), 40);
  EXPECT_LE (result.megabits_per_s (), 80.1);  // 1000 bytes in 100 us
  // It gives way where it fills the queue.
  EXPECT_LT (result.lost * 10, result.sent);
}

TEST (EchoBurst, GoesOnAfterLosses) {
  Way way;
  way.drop_every = 100;
  const BurstResult result = way.run ();
  EXPECT_GT (result.bytes, 1000 * kBytes);
  EXPECT_NEAR (static_cast<double> (result.lost) / static_cast<double> (result.sent), 0.01, 0.005);
}

TEST (EchoBurst, EndsWhereNothingComesBack) {
  Way way;
  way.drop_every = 1;
  const BurstResult result = way.run ();
  EXPECT_EQ (result.bytes, 0u);
  EXPECT_EQ (result.lost, result.sent);
  EXPECT_EQ (result.megabits_per_s (), 0);
  EXPECT_LE (way.ended, EchoBurst::kLongest + EchoBurst::kSilence + kMillisecond);
}

TEST (EchoBurst, CountsNothingTwice) {
  EchoBurst burst (kBytes, 0);
  ASSERT_EQ (burst.next (0), 0u);
  burst.sent ();
  burst.received (0, 10);
  burst.received (0, 20);
  burst.received (7, 30);  // never sent
  EXPECT_EQ (burst.result ().bytes, kBytes);
  EXPECT_EQ (burst.result ().took_us, 10);
}

}  // namespace
}  // namespace p2p::doctor
