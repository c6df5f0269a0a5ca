// When another relay is built, asked and given up, on a virtual clock.
#include "core/standby.hpp"

#include <gtest/gtest.h>

using namespace p2p;

namespace {

constexpr Standby::View kWanted{true, false, false}, kBuilding{true, true, false};
constexpr Standby::View kThere{true, false, true}, kNotWanted{};

class StandbyTest : public testing::Test, protected Standby::Host {
 protected:
  bool standby_build () override {
    if (!may_build) return false;
    builds.push_back (clock.now ());
    standby.see (kBuilding);
    return true;
  }
  void standby_ask () override {
    ++asked;
    if (answers) standby.answered ();
  }
  void standby_give_up () override {
    ++given_up;
    standby.see (kWanted);
  }

  VirtualScheduler clock;
  Standby standby{{true, true}, clock, *this};
  bool may_build = true, answers = true;
  std::vector<TimeUs> builds;
  unsigned asked = 0, given_up = 0;
};

}  // namespace

TEST_F (StandbyTest, IsBuiltSoonAfterARelayIsInUseAndAskedAgainAndAgain) {
  standby.see (kWanted);
  clock.run_for (Standby::kFirstWait);
  ASSERT_EQ (builds.size (), 1U);
  standby.see (kThere);
  clock.run_for (10 * Standby::kAskEvery);
  EXPECT_EQ (asked, 10U);
  EXPECT_EQ (builds.size (), 1U);
  EXPECT_EQ (standby.stats ().built, 1U);
  standby.see (kNotWanted);
  clock.run_for (Standby::kLongestWait);
  EXPECT_EQ (asked, 10U);
  EXPECT_EQ (standby.stats ().lost, 0U);
}

TEST_F (StandbyTest, OneThatDoesNotAnswerIsReplaced) {
  standby.see (kWanted);
  clock.run_for (Standby::kFirstWait);
  standby.see (kThere);
  answers = false;
  clock.run_for (Standby::kAskEvery + Standby::kAnswerWithin);
  EXPECT_EQ (given_up, 1U);
  EXPECT_EQ (standby.stats ().lost, 1U);
  clock.run_for (Standby::kFirstWait);
  EXPECT_EQ (builds.size (), 2U);
}

TEST_F (StandbyTest, ADoubtAsksAtOnceAndAnAnswerEndsIt) {
  standby.see (kWanted);
  clock.run_for (Standby::kFirstWait);
  standby.see (kThere);
  standby.doubt ();
  clock.run_for (kMillisecond);
  EXPECT_EQ (asked, 1U);
  clock.run_for (Standby::kAnswerWithin);
  EXPECT_EQ (given_up, 0U);
}

TEST_F (StandbyTest, FailuresAreFurtherAndFurtherApartUpToABound) {
  standby.see (kWanted);
  clock.run_for (20 * Standby::kLongestWait);
  ASSERT_GT (builds.size (), 10U);
  EXPECT_EQ (builds[1] - builds[0], Standby::kBuildWithin + 2 * Standby::kFirstWait);
  EXPECT_EQ (builds.back () - builds[builds.size () - 2],
             Standby::kBuildWithin + Standby::kLongestWait);
  EXPECT_EQ (standby.stats ().failed, given_up);
  // Another network is another beginning.
  standby.see (kNotWanted);
  standby.see (kWanted);
  const std::size_t before = builds.size ();
  clock.run_for (Standby::kFirstWait);
  EXPECT_EQ (builds.size (), before + 1);
}

TEST_F (StandbyTest, AnAttemptThatEndsByItselfIsAFailureAndOneThatCannotBeginIsNone) {
  may_build = false;
  standby.see (kWanted);
  clock.run_for (kSecond);
  EXPECT_EQ (standby.stats ().failed, 0U);
  may_build = true;
  clock.run_for (Standby::kFirstWait);
  ASSERT_EQ (builds.size (), 1U);
  standby.see (kWanted);
  EXPECT_EQ (standby.stats ().failed, 1U);
  clock.run_for (2 * Standby::kFirstWait);
  EXPECT_EQ (builds.size (), 2U);
}

TEST_F (StandbyTest, ASideThatBuildsNoneStillAsksTheOneOfThePeer) {
  Standby peer ({false, true}, clock, *this);
  peer.see (kWanted);
  clock.run_for (Standby::kLongestWait);
  EXPECT_TRUE (builds.empty ());
  peer.see (kThere);
  answers = false;
  clock.run_for (Standby::kAskEvery + Standby::kAnswerWithin);
  EXPECT_EQ (asked, 1U);
  EXPECT_EQ (given_up, 1U);
}
