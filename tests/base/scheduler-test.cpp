// Timers on both clocks: order, re-arming, and destruction from inside their own callback.
#include "base/scheduler.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/loop_thread.hpp"

using namespace p2p;

TEST (VirtualScheduler, RunsTimersInOrderOfTimeThenOfArming) {
  VirtualScheduler scheduler;
  std::string order;
  auto late = scheduler.make_timer ([&] { order += 'c'; });
  auto first = scheduler.make_timer ([&] { order += 'a'; });
  auto second = scheduler.make_timer ([&] { order += 'b'; });
  late->arm (20);
  first->arm (10);
  second->arm (10);
  scheduler.run_until (19);
  EXPECT_EQ (order, "ab");
  EXPECT_EQ (scheduler.now (), 19);
  scheduler.run_until (20);
  EXPECT_EQ (order, "abc");
}

TEST (VirtualScheduler, DisarmedAndDestroyedTimersDoNotRun) {
  VirtualScheduler scheduler;
  int runs = 0;
  auto kept = scheduler.make_timer ([&] { ++runs; });
  auto gone = scheduler.make_timer ([&] { ++runs; });
  kept->arm (5);
  gone->arm (5);
  kept->disarm ();
  gone.reset ();
  EXPECT_EQ (scheduler.next_deadline (), kNever);
  EXPECT_FALSE (scheduler.run_next ());
  EXPECT_EQ (runs, 0);
}

TEST (VirtualScheduler, TimerMayDestroyItself) {
  VirtualScheduler scheduler;
  std::unique_ptr<Scheduler::Timer> timer;
  bool ran = false;
  timer = scheduler.make_timer ([&] {
    timer.reset ();
    ran = true;
  });
  timer->arm (1);
  EXPECT_TRUE (scheduler.run_next ());
  EXPECT_TRUE (ran);
}

TEST (LoopScheduler, TimerRunsOnItsThreadAndMayDestroyItself) {
  LoopThread loop ("test");
  std::unique_ptr<Scheduler::Timer> timer;
  bool on_loop = false;
  Ref<GMainLoop> wait = Ref<GMainLoop>::adopt (g_main_loop_new (nullptr, FALSE));
  loop.run_sync ([&] {
    timer = loop.scheduler ().make_timer ([&] {
      on_loop = loop.is_current ();
      timer.reset ();
      post (nullptr, [&] { g_main_loop_quit (wait.get ()); });
    });
    timer->arm (loop.scheduler ().now () + kMillisecond);
  });
  g_main_loop_run (wait.get ());
  EXPECT_TRUE (on_loop);
}

namespace {

// Its own context, iterated by the test.
struct LoopTimers : testing::Test {
  void turn () { g_main_context_iteration (context.get (), FALSE); }
  std::unique_ptr<Scheduler::Timer> make (char name) {
    return scheduler.make_timer ([this, name] { order += name; });
  }
  const Ref<GMainContext> context = Ref<GMainContext>::adopt (g_main_context_new ());
  LoopScheduler scheduler{context.get ()};
  std::string order;
};

}  // namespace

TEST_F (LoopTimers, DueOnesRunInOrderOfTimeThenOfArming) {
  const TimeUs past = scheduler.now () - kSecond;
  auto late = make ('c'), first = make ('a'), second = make ('b'), future = make ('x');
  late->arm (past + 20);
  first->arm (past + 10);
  second->arm (past + 10);
  future->arm (scheduler.now () + 3600 * kSecond);
  turn ();
  EXPECT_EQ (order, "abc");
}

TEST_F (LoopTimers, MovedDeadlinesCountAsMoved) {
  const TimeUs past = scheduler.now () - kSecond;
  auto back = make ('b'), forth = make ('f'), off = make ('o'), away = make ('a');
  back->arm (past);
  back->arm (past + 3600 * kSecond);
  forth->arm (past + 3600 * kSecond);
  forth->arm (past);
  off->arm (past);
  off->disarm ();
  away->arm (past);
  away.reset ();
  turn ();
  EXPECT_EQ (order, "f");
  back->arm (past);
  turn ();
  EXPECT_EQ (order, "fb");
}

TEST_F (LoopTimers, WhatIsArmedByATimerWaitsForTheNextTurn) {
  std::unique_ptr<Scheduler::Timer> again, other;
  again = scheduler.make_timer ([&] {
    order += 'r';
    again->arm (0);
  });
  other = make ('o');
  again->arm (1);
  other->arm (2);
  turn ();
  EXPECT_EQ (order, "ro");
  other->arm (2);
  turn ();
  EXPECT_EQ (order, "roro");
}

TEST_F (LoopTimers, OneMayDestroyAnotherThatIsDue) {
  std::unique_ptr<Scheduler::Timer> first, second = make ('s');
  first = scheduler.make_timer ([&] {
    order += 'f';
    second.reset ();
  });
  first->arm (1);
  second->arm (1);
  turn ();
  turn ();
  EXPECT_EQ (order, "f");
}

TEST_F (LoopTimers, HoldsOrderAmongManyThatAreMovedAndDestroyed) {
  std::vector<std::unique_ptr<Scheduler::Timer>> timers;
  std::vector<int> ran;
  std::vector<TimeUs> due (500);
  const TimeUs past = scheduler.now () - kSecond;
  for (int i = 0; i < 500; ++i)
    timers.push_back (scheduler.make_timer ([&ran, i] { ran.push_back (i); }));
  for (int round = 0; round < 3; ++round)
    for (std::size_t i = 0; i < 500; ++i) {
      due[i] = past + static_cast<TimeUs> (i * 7919 * static_cast<std::size_t> (round + 1) % 1009);
      timers[i]->arm (due[i]);
    }
  for (std::size_t i = 0; i < 500; i += 3) timers[i].reset ();
  turn ();
  EXPECT_EQ (ran.size (), 333u);
  for (std::size_t i = 1; i < ran.size (); ++i)
    EXPECT_LE (due[static_cast<std::size_t> (ran[i - 1])], due[static_cast<std::size_t> (ran[i])]);
}
