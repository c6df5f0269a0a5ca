#include "transport/mtu_search.hpp"

#include <gtest/gtest.h>

namespace p2p {
namespace {

constexpr std::size_t kBase = 1200;

// A way that carries `passes` bytes. Answers how many probes it took until none was due.
struct Way {
  MtuSearch search;
  std::size_t passes;
  TimeUs now = 0;
  std::uint64_t tag = 0;
  std::vector<std::size_t> probed;

  explicit Way (std::size_t max, std::size_t can) : search (kBase, max), passes (can) {}
  bool step () {
    const auto size = search.due (now);
    if (!size) return false;
    probed.push_back (*size);
    search.sent (++tag, *size, now + kSecond);
    now += 10 * kMillisecond;
    if (*size <= passes)
      EXPECT_TRUE (search.acked (tag, now));
    else
      EXPECT_TRUE (search.lost (tag, now));
    return true;
  }
  std::size_t settle () {
    probed.clear ();
    while (step ()) EXPECT_LT (probed.size (), 40u);
    return probed.size ();
  }
};

TEST (MtuSearch, TakesOneProbeWhereTheInterfaceIsTheLimit) {
  Way way (1472, 1472);
  EXPECT_EQ (way.search.packet_bytes (), kBase);
  EXPECT_EQ (way.settle (), 1u);
  EXPECT_EQ (way.search.packet_bytes (), 1472u);
}

TEST (MtuSearch, FindsTheCommonSizeBelowEveryLimit) {
  for (const auto &[limit, found] :
       std::vector<std::pair<std::size_t, std::size_t>>{{1200, 1200},
                                                        {1231, 1200},
                                                        {1232, 1232},
                                                        {1300, 1252},
                                                        {1400, 1392},
                                                        {1452, 1452},
                                                        {1471, 1464},
                                                        {1472, 1472},
                                                        {8951, 1472},
                                                        {8952, 8952},
                                                        {65507, 65507}}) {
    Way way (65507, limit);
    EXPECT_LE (way.settle (), 16u) << limit;
    EXPECT_EQ (way.search.packet_bytes (), found) << limit;
  }
}

TEST (MtuSearch, HasNothingToDoWhereTheBaseIsTheLimit) {
  Way way (kBase, 65507);
  EXPECT_EQ (way.settle (), 0u);
  way.now += 3600 * kSecond;
  EXPECT_EQ (way.settle (), 0u);
}

TEST (MtuSearch, IsNotMisledByTwoLossesInARow) {
  MtuSearch search (kBase, 1472);
  for (std::uint64_t tag = 1; tag <= 2; ++tag) {
    ASSERT_EQ (search.due (0), 1472u);
    search.sent (tag, 1472, kSecond);
    EXPECT_TRUE (search.lost (tag, 0));
  }
  ASSERT_EQ (search.due (0), 1472u);
  search.sent (3, 1472, kSecond);
  EXPECT_TRUE (search.acked (3, 0));
  EXPECT_EQ (search.packet_bytes (), 1472u);
}

TEST (MtuSearch, ASilentProbeIsLostInTime) {
  MtuSearch search (kBase, 1472);
  ASSERT_TRUE (search.due (0));
  search.sent (1, 1472, kSecond);
  EXPECT_FALSE (search.due (kSecond - 1));
  EXPECT_EQ (search.due (kSecond), 1472u);
}

TEST (MtuSearch, IgnoresWhatIsSaidOfOldProbes) {
  MtuSearch search (kBase, 1472);
  ASSERT_TRUE (search.due (0));
  search.sent (1, 1472, kSecond);
  search.reset (1472);
  EXPECT_FALSE (search.acked (1, 0));
  EXPECT_FALSE (search.lost (1, 0));
  EXPECT_EQ (search.packet_bytes (), kBase);
}

TEST (MtuSearch, FallsToTheBaseInABlackHoleAndSearchesBelow) {
  Way way (1472, 1472);
  way.settle ();
  way.passes = 1400;
  way.search.black_hole (way.now);
  EXPECT_EQ (way.search.packet_bytes (), kBase);
  way.settle ();
  EXPECT_EQ (way.search.packet_bytes (), 1392u);
  for (const std::size_t size : way.probed) EXPECT_LT (size, 1472u);
}

TEST (MtuSearch, TriesTheLargerSizesAgainAfterTenMinutes) {
  Way way (1472, 1300);
  way.settle ();
  ASSERT_EQ (way.search.packet_bytes (), 1252u);
  way.passes = 1472;
  way.now += 599 * kSecond;
  EXPECT_EQ (way.settle (), 0u);
  way.now += 2 * kSecond;
  EXPECT_GT (way.settle (), 0u);
  EXPECT_EQ (way.search.packet_bytes (), 1472u);
}

TEST (MtuSearch, ABlackHoleAtTheLeastSizeIsTriedAgainLater) {
  Way way (1232, 1232);
  way.settle ();
  way.passes = 1200;
  way.search.black_hole (way.now);
  EXPECT_EQ (way.settle (), 0u);
  way.passes = 1232;
  way.now += 601 * kSecond;
  EXPECT_EQ (way.settle (), 1u);
  EXPECT_EQ (way.search.packet_bytes (), 1232u);
}

TEST (MtuSearch, StartsAnewOnAnotherWay) {
  Way way (65507, 65507);
  way.settle ();
  way.search.reset (1472);
  EXPECT_EQ (way.search.packet_bytes (), kBase);
  EXPECT_EQ (way.settle (), 1u);
  EXPECT_EQ (way.search.packet_bytes (), 1472u);
}

}  // namespace
}  // namespace p2p
