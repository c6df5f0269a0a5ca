// What the library's threads do while their process exits.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>

#include "base/loop_thread.hpp"

using namespace p2p;

namespace {

std::atomic<int> turns{0};

void
turn () {
  ++turns;
  ice_loop ().post (turn);
}

// Registered before the threads were started: as late as the destructors of other libraries.
void
expect_quiet () {
  const int before = turns;
  for (int i = 0; i < 200; ++i) sched_yield ();
  if (turns != before) _exit (1);
  bool ran = false;
  ice_loop ().run_sync ([&] { ran = true; });
  if (!ran) _exit (2);
  ice_loop ().post ([] {});
}

void
exit_while_it_turns () {
  std::atexit (expect_quiet);
  turn ();
  core_loop ().run_sync ([] {});
  while (turns < 1000) sched_yield ();
  std::exit (0);
}

void
exit_on_its_own_thread () {
  core_loop ().post ([] { std::exit (0); });
  for (;;) pause ();
}

// A source that becomes ready with the last thing that the loop is told before it is parked.
void
park_with_a_last_word () {
  LoopThread &loop = *new LoopThread ("test");
  std::atomic<bool> go{false}, said{false};
  loop.post ([&] {
    while (!go) sched_yield ();
    GSource *source = g_idle_source_new ();
    g_source_set_priority (source, G_PRIORITY_DEFAULT);
    g_source_set_callback (
        source,
        [] (gpointer data) -> gboolean {
          *static_cast<std::atomic<bool> *> (data) = true;
          return G_SOURCE_REMOVE;
        },
        &said, nullptr);
    g_source_attach (source, loop.context ());
    g_source_unref (source);
  });
  // In the same batch, and without waiting for it.
  loop.park (std::chrono::steady_clock::now ());
  go = true;
  // Not by run_sync(): what it posts may be done in the last turns too, before the source.
  const auto deadline = std::chrono::steady_clock::now () + std::chrono::seconds (10);
  while (!said && std::chrono::steady_clock::now () < deadline) sched_yield ();
  _exit (said ? 0 : 1);
}

}  // namespace

TEST (LoopThreadDeathTest, WhatIsReadyIsDoneBeforeALoopIsParked) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT (park_with_a_last_word (), testing::ExitedWithCode (0), "");
}

TEST (LoopThreadDeathTest, NoneRunsOnWhileTheProcessExits) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT (exit_while_it_turns (), testing::ExitedWithCode (0), "");
}

TEST (LoopThreadDeathTest, OneOfThemMayEndTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT (exit_on_its_own_thread (), testing::ExitedWithCode (0), "");
}
