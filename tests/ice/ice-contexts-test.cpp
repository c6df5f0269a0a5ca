// Where libnice's timers and sockets run: apart from each other, and a few agents to each context.
#include "ice/ice_contexts.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <vector>

#include "base/loop_thread.hpp"
#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

// The thread on which the context runs what is attached to it.
GThread *
thread_of (GMainContext *context) {
  std::atomic<GThread *> thread{nullptr};
  post (context, [&] { thread = g_thread_self (); });
  while (!thread) g_thread_yield ();
  return thread;
}

std::shared_ptr<NestedContext>
take (std::shared_ptr<NestedContext> (*from) ()) {
  std::shared_ptr<NestedContext> taken;
  on_core ([&] { taken = from (); });
  return taken;
}

TEST (IceContexts, TimersDoNotShareAThreadWithData) {
  const auto timers = take (take_timer_context), sockets = take (take_socket_context);
  GThread *const core = thread_of (core_loop ().context ());
  EXPECT_EQ (thread_of (timers->context ()), thread_of (ice_loop ().context ()));
  EXPECT_EQ (thread_of (sockets->context ()), core);
  EXPECT_NE (thread_of (timers->context ()), core);
}

TEST (IceContexts, AFewAgentsShareOne) {
  for (const auto from : {take_timer_context, take_socket_context}) {
    std::vector<std::shared_ptr<NestedContext>> taken;
    std::set<NestedContext *> different;
    for (int i = 0; i < 100; ++i) {
      taken.push_back (take (from));
      different.insert (taken.back ().get ());
    }
    EXPECT_GT (different.size (), 100U / 20);
    EXPECT_LT (different.size (), 100U);
  }
}

TEST (IceContexts, ThoseOfNobodyGo) {
  const auto count = [] {
    // What was dropped is destroyed by tasks of both threads, which those that still run there may
    // be the ones to post.
    for (int turn = 0; turn < 2; ++turn) {
      (void)thread_of (ice_loop ().context ());
      (void)thread_of (core_loop ().context ());
    }
    return count_descriptors ();
  };
  (void)take (take_timer_context);
  (void)take (take_socket_context);
  const std::size_t before = count ();
  {
    std::vector<std::shared_ptr<NestedContext>> taken;
    for (int i = 0; i < 64; ++i) {
      taken.push_back (take (take_timer_context));
      taken.push_back (take (take_socket_context));
    }
    EXPECT_GT (count (), before);
  }
  EXPECT_EQ (count (), before);
}

}  // namespace
}  // namespace p2p::test
