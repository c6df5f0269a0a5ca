// The queue that costs nothing while it is empty does what a deque does.
#include "base/fifo.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>

namespace p2p {
namespace {

TEST (Fifo, HoldsNoMemoryBeforeTheFirstEntryAndGivesBackWhatABurstTook) {
  Fifo<int> queue;
  EXPECT_EQ (queue.capacity (), 0U);
  for (int i = 0; i < 1000; ++i) queue.push_back (i);
  EXPECT_GE (queue.capacity (), 1000U);
  while (!queue.empty ()) queue.pop_front ();
  EXPECT_EQ (queue.capacity (), 0U);
  // A steady flow does not take and give back memory for each entry.
  queue.push_back (1);
  const std::size_t few = queue.capacity ();
  queue.pop_front ();
  EXPECT_EQ (queue.capacity (), few);
}

TEST (Fifo, LetsGoOfWhatIsTaken) {
  Fifo<std::shared_ptr<int>> queue;
  const auto entry = std::make_shared<int> (1);
  for (int i = 0; i < 3; ++i) queue.push_back (entry);
  queue.pop_front ();
  queue.pop_back ();
  EXPECT_EQ (entry.use_count (), 2);
  queue.clear ();
  EXPECT_EQ (entry.use_count (), 1);
}

TEST (Fifo, IsEmptyAfterItWasMovedFrom) {
  Fifo<int> queue;
  queue.push_back (7);
  Fifo<int> other (std::move (queue));
  EXPECT_TRUE (queue.empty ());  // NOLINT(bugprone-use-after-move): that is what it promises
  queue.push_back (8);
  other = std::move (queue);
  EXPECT_EQ (other.size (), 1U);
  EXPECT_EQ (other.front (), 8);
}

TEST (Fifo, DoesWhatADequeDoes) {
  std::mt19937 random (1);
  Fifo<int> queue;
  std::deque<int> model;
  const auto below = [&] (std::size_t n) { return static_cast<std::size_t> (random () % n); };
  for (int step = 0; step < 20000; ++step) {
    // Grows and shrinks in turns, so that it wraps and gives back.
    const bool grows = (step / 100) % 2 == 0;
    switch (below (grows ? 5 : 9)) {
      case 0:
      case 1:
        queue.push_back (step);
        model.push_back (step);
        break;
      case 2:
        queue.push_front (step);
        model.push_front (step);
        break;
      case 3: {
        const std::size_t at = below (model.size () + 1);
        queue.insert (at, step);
        model.insert (model.begin () + static_cast<std::ptrdiff_t> (at), step);
        break;
      }
      case 4: {
        const int divisor = 2 + static_cast<int> (below (20));
        const auto unwanted = [divisor] (int entry) { return entry % divisor == 0; };
        queue.remove_if (unwanted);
        model.erase (std::remove_if (model.begin (), model.end (), unwanted), model.end ());
        break;
      }
      case 5:
        if (model.empty ()) break;
        queue.pop_back ();
        model.pop_back ();
        break;
      default:
        if (model.empty ()) break;
        queue.pop_front ();
        model.pop_front ();
        break;
    }
    ASSERT_EQ (queue.size (), model.size ());
    ASSERT_TRUE (std::equal (queue.begin (), queue.end (), model.begin ())) << step;
    if (model.empty ()) continue;
    ASSERT_EQ (queue.front (), model.front ());
    ASSERT_EQ (queue.back (), model.back ());
  }
}

TEST (Fifo, CanBeSearchedWhenItIsSorted) {
  Fifo<int> queue;
  for (int i = 0; i < 6; ++i) queue.push_back (-1);
  for (int i = 0; i < 6; ++i) queue.pop_front ();
  for (int i = 0; i < 8; ++i) queue.push_back (10 * i);
  const Fifo<int> &constant = queue;
  const auto found = std::lower_bound (constant.begin (), constant.end (), 41);
  EXPECT_EQ (found - constant.begin (), 5);
  EXPECT_EQ (*found, 50);
}

}  // namespace
}  // namespace p2p
