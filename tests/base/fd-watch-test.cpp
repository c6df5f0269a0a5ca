// Descriptors and whole main contexts that share one place in a loop.
#include "base/fd_watch.hpp"

#include <glib-unix.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/loop_thread.hpp"
#include "base/nested_context.hpp"

using namespace p2p;

namespace {

struct Pipe {
  Pipe () { EXPECT_EQ (pipe (ends.data ()), 0); }
  ~Pipe () {
    if (ends[0] >= 0) close (ends[0]);
    close (ends[1]);
  }
  Pipe (const Pipe &) = delete;
  Pipe &operator= (const Pipe &) = delete;
  int reader () const { return ends[0]; }
  void fill () const { EXPECT_EQ (write (ends[1], "x", 1), 1); }
  void drain () const {
    char byte = 0;
    EXPECT_EQ (read (ends[0], &byte, 1), 1);
  }
  std::array<int, 2> ends{};
};

class FdWatchTest : public testing::Test {
 protected:
  // Every turn that finds something to do.
  void turn () const {
    while (g_main_context_iteration (context.get (), FALSE)) {
    }
  }
  int polled () const {
    gint timeout = 0, priority = 0;
    EXPECT_TRUE (g_main_context_acquire (context.get ()));
    g_main_context_prepare (context.get (), &priority);
    const int count = g_main_context_query (context.get (), G_MAXINT, &timeout, nullptr, 0);
    g_main_context_release (context.get ());
    return count;
  }
  const Ref<GMainContext> context = Ref<GMainContext>::adopt (g_main_context_new ());
};

TEST_F (FdWatchTest, ManyTakeOnePlaceInThePollArray) {
  const int before = polled ();
  std::array<Pipe, 20> pipes;
  std::vector<std::unique_ptr<FdWatch>> watches;
  for (const Pipe &one : pipes)
    watches.push_back (
        std::make_unique<FdWatch> (context.get (), one.reader (), G_IO_IN, [] (GIOCondition) {}));
  EXPECT_EQ (polled (), before + 1);
  watches.clear ();
  EXPECT_EQ (polled (), before);
}

TEST_F (FdWatchTest, TellsWhatIsThereForAsLongAsItIsThere) {
  const Pipe one, other;
  std::string told;
  const FdWatch a (context.get (), one.reader (), G_IO_IN, [&] (GIOCondition there) {
    EXPECT_EQ (there, G_IO_IN);
    told += 'a';
    one.drain ();
  });
  const FdWatch b (context.get (), other.reader (), G_IO_IN, [&] (GIOCondition) { told += 'b'; });
  turn ();
  EXPECT_EQ (told, "");
  one.fill ();
  one.fill ();
  turn ();
  EXPECT_EQ (told, "aa");
}

TEST_F (FdWatchTest, TwoOfOneDescriptorHearOnlyWhatTheyWant) {
  const Pipe one;
  int reads = 0, writes = 0;
  const FdWatch reader (context.get (), one.reader (), G_IO_IN, [&] (GIOCondition) {
    ++reads;
    one.drain ();
  });
  auto other =
      std::make_unique<FdWatch> (context.get (), one.reader (), static_cast<GIOCondition> (0),
                                 [&] (GIOCondition) { ++writes; });
  one.fill ();
  turn ();
  other.reset ();
  one.fill ();
  turn ();
  EXPECT_EQ (reads, 2);
  EXPECT_EQ (writes, 0);
}

TEST_F (FdWatchTest, AsleepItIsSilent) {
  const Pipe one;
  int calls = 0;
  FdWatch watch (context.get (), one.reader (), G_IO_IN, [&] (GIOCondition) {
    ++calls;
    watch.set_events (static_cast<GIOCondition> (0));
  });
  one.fill ();
  turn ();
  EXPECT_EQ (calls, 1);
  watch.set_events (G_IO_IN);
  turn ();
  EXPECT_EQ (calls, 2);
}

TEST_F (FdWatchTest, MayBeDestroyedByItsOwnOrAnothersCall) {
  const Pipe one, other;
  std::unique_ptr<FdWatch> a, b;
  int calls = 0;
  const auto end_both = [&] (GIOCondition) {
    ++calls;
    a.reset ();
    b.reset ();
  };
  a = std::make_unique<FdWatch> (context.get (), one.reader (), G_IO_IN, end_both);
  b = std::make_unique<FdWatch> (context.get (), other.reader (), G_IO_IN, end_both);
  one.fill ();
  other.fill ();
  turn ();
  EXPECT_EQ (calls, 1);
}

TEST_F (FdWatchTest, RenewedItFollowsANumberToItsNextDescriptor) {
  Pipe one, other;
  int calls = 0;
  FdWatch watch (context.get (), one.reader (), G_IO_IN, [&] (GIOCondition) {
    ++calls;
    one.drain ();
  });
  // The descriptor is closed and its number taken by that of the other pipe.
  ASSERT_EQ (dup2 (other.reader (), one.ends[0]), one.ends[0]);
  watch.renew ();
  other.fill ();
  turn ();
  EXPECT_EQ (calls, 1);
}

TEST_F (FdWatchTest, NestedContextRunsItsSourcesInsideOfTheOuter) {
  LoopScheduler scheduler (context.get ());
  auto nested = NestedContext::create (context.get (), scheduler);
  turn ();
  const Pipe one;
  int reads = 0, idles = 0, timeouts = 0;
  struct Counter {
    const Pipe &pipe;
    int &count;
  } counter{one, reads};
  const UniqueSource readable (g_unix_fd_source_new (one.reader (), G_IO_IN));
  const GUnixFDSourceFunc on_read = [] (gint, GIOCondition, gpointer data) -> gboolean {
    auto *read = static_cast<Counter *> (data);
    ++read->count;
    read->pipe.drain ();
    return G_SOURCE_CONTINUE;
  };
  g_source_set_callback (readable.get (), G_SOURCE_FUNC (on_read), &counter, nullptr);
  g_source_attach (readable.get (), nested->context ());
  const GSourceFunc count = [] (gpointer data) -> gboolean {
    ++*static_cast<int *> (data);
    return G_SOURCE_REMOVE;
  };
  const UniqueSource idle (g_idle_source_new ());
  g_source_set_callback (idle.get (), count, &idles, nullptr);
  g_source_attach (idle.get (), nested->context ());
  const UniqueSource timeout (g_timeout_source_new (1));
  g_source_set_callback (timeout.get (), count, &timeouts, nullptr);
  g_source_attach (timeout.get (), nested->context ());
  one.fill ();
  while (timeouts == 0) g_main_context_iteration (context.get (), TRUE);
  EXPECT_EQ (reads, 1);
  EXPECT_EQ (idles, 1);
  one.fill ();
  turn ();
  EXPECT_EQ (reads, 2);
}

TEST_F (FdWatchTest, NestedContextWakesForSourcesOfOtherThreads) {
  LoopScheduler scheduler (context.get ());
  const auto nested = NestedContext::create (context.get (), scheduler);
  turn ();
  bool ran = false;
  std::thread other ([&] { post (nested->context (), [&] { ran = true; }); });
  while (!ran) g_main_context_iteration (context.get (), TRUE);
  other.join ();
}

TEST_F (FdWatchTest, NestedContextMayGoInsideOfItsOwnSource) {
  LoopScheduler scheduler (context.get ());
  const int before = polled ();
  auto nested = NestedContext::create (context.get (), scheduler);
  post (nested->context (), [&] { nested.reset (); });
  turn ();
  EXPECT_FALSE (nested);
  EXPECT_EQ (polled (), before);
}

}  // namespace
