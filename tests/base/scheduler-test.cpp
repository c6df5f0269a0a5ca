// Timers on both clocks: order, re-arming, and destruction from inside their own callback.
#include "base/scheduler.hpp"

#include <gtest/gtest.h>

#include <string>

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
