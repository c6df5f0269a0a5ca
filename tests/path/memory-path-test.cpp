// The memory link: what is sent arrives, in order and in time, except for the faults asked for.
#include "path/memory_path.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/loop_thread.hpp"

using namespace p2p;

namespace {

struct Sink : Path::Receiver {
  void path_received (Path &path, ByteView datagram) override {
    received.push_back (datagram.to_string ());
    times.push_back (path.scheduler ().now ());
    if (on_datagram) on_datagram ();
  }
  void path_batch_done (Path &) override { ++batches; }
  void path_writable (Path &) override {}
  void path_changed (Path &) override {}
  void path_failed (Path &, const Error &) override {}

  std::vector<std::string> received;
  std::vector<TimeUs> times;
  int batches = 0;
  std::function<void ()> on_datagram;
};

struct Bench {
  explicit Bench (const LinkOptions &options, std::uint64_t seed = 1)
      : link (MemoryLink::create (scheduler, seed)) {
    link->set_options (options);
    link->b ().set_receiver (&sink);
  }
  void send (const std::string &text, std::size_t segment_bytes = 1200) {
    EXPECT_EQ (link->a ().send (ByteView (text), segment_bytes), Path::Sent::all);
  }
  void send_numbers (int count) {
    for (int i = 0; i < count; ++i) send (std::to_string (i));
  }

  VirtualScheduler scheduler;
  std::unique_ptr<MemoryLink> link;
  Sink sink;
};

LinkOptions
clean () {
  return {};
}

}  // namespace

TEST (MemoryPath, SplitsABurstAtTheSegmentSize) {
  Bench bench (clean ());
  bench.send ("aaabbbcc", 3);
  EXPECT_TRUE (bench.sink.received.empty ()) << "delivered from inside of send()";
  bench.scheduler.run_for (0);
  EXPECT_EQ (bench.sink.received, (std::vector<std::string>{"aaa", "bbb", "cc"}));
  EXPECT_EQ (bench.sink.batches, 1);
}

TEST (MemoryPath, RefusesASegmentSizeOfZero) {
  Bench bench (clean ());
  EXPECT_EQ (bench.link->a ().send (ByteView (std::string_view ("x")), 0), Path::Sent::failed);
}

TEST (MemoryPath, DelayAndRateAreExact) {
  LinkOptions options;
  options.delay = 10 * kMillisecond;
  options.rate_bits_per_s = 8'000'000;  // one byte per microsecond
  Bench bench (options);
  bench.send (std::string (2000, 'x'), 1000);
  bench.scheduler.run_for (kSecond);
  EXPECT_EQ (bench.sink.times, (std::vector<TimeUs>{11000, 12000}));
}

TEST (MemoryPath, AFullBottleneckDrops) {
  LinkOptions options;
  options.rate_bits_per_s = 8'000'000;
  options.queue_bytes = 2500;
  Bench bench (options);
  bench.send (std::string (5000, 'x'), 1000);
  bench.scheduler.run_for (kSecond);
  EXPECT_EQ (bench.sink.received.size (), 2u);
  EXPECT_EQ (bench.link->stats ().overflowed, 3u);
}

TEST (MemoryPath, JitterKeepsOrderAndReorderBreaksIt) {
  LinkOptions options;
  options.delay = kMillisecond;
  options.jitter = 20 * kMillisecond;
  Bench jittery (options);
  jittery.send_numbers (200);
  jittery.scheduler.run_for (kSecond);
  ASSERT_EQ (jittery.sink.received.size (), 200u);
  for (int i = 0; i < 200; ++i) EXPECT_EQ (jittery.sink.received[i], std::to_string (i));
  EXPECT_GT (jittery.sink.times.back (), jittery.sink.times.front ());

  options.jitter = 0;
  options.reorder = 0.2;
  Bench reordering (options);
  reordering.send_numbers (200);
  reordering.scheduler.run_for (kSecond);
  EXPECT_EQ (reordering.sink.received.size (), 200u);
  EXPECT_NE (reordering.sink.received, jittery.sink.received);
  EXPECT_GT (reordering.link->stats ().reordered, 20u);
}

TEST (MemoryPath, LosesAndDuplicatesAsOftenAsAsked) {
  LinkOptions options;
  options.loss = 0.25;
  options.duplicate = 0.1;
  Bench bench (options);
  bench.send_numbers (4000);
  bench.scheduler.run_for (kSecond);
  const LinkStats stats = bench.link->stats ();
  EXPECT_NEAR (static_cast<double> (stats.lost), 1000, 150);
  EXPECT_NEAR (static_cast<double> (stats.duplicated), 300, 75);
  EXPECT_EQ (stats.delivered, stats.sent - stats.lost + stats.duplicated);
  EXPECT_EQ (bench.sink.received.size (), stats.delivered);
}

TEST (MemoryPath, OneSeedGivesOneRun) {
  LinkOptions options;
  options.loss = 0.2;
  options.reorder = 0.2;
  options.jitter = 3 * kMillisecond;
  const auto run = [&] (std::uint64_t seed) {
    Bench bench (options, seed);
    bench.send_numbers (300);
    bench.scheduler.run_for (kSecond);
    return std::make_pair (bench.sink.received, bench.sink.times);
  };
  EXPECT_EQ (run (7), run (7));
  EXPECT_NE (run (7), run (8));
}

TEST (MemoryPath, LongDatagramsVanishWhileThePathClaimsMore) {
  LinkOptions options;
  options.max_datagram_bytes = 1250;
  Bench bench (options);
  EXPECT_EQ (bench.link->a ().max_datagram_bytes (), 1452u);
  bench.send (std::string (1251, 'x'), 2000);
  bench.send (std::string (1250, 'y'), 2000);
  bench.scheduler.run_for (kSecond);
  ASSERT_EQ (bench.sink.received.size (), 1u);
  EXPECT_EQ (bench.sink.received[0][0], 'y');
}

TEST (MemoryPath, DownLosesOneDirectionOnly) {
  LinkOptions up, down;
  down.down = true;
  Bench bench (up);
  Sink back;
  bench.link->a ().set_receiver (&back);
  bench.link->set_options (down, up);
  bench.send ("lost");
  bench.link->b ().send (ByteView (std::string_view ("kept")), 1200);
  bench.scheduler.run_for (kSecond);
  EXPECT_TRUE (bench.sink.received.empty ());
  EXPECT_EQ (back.received, std::vector<std::string>{"kept"});
}

TEST (MemoryPath, ReceiverMayGoFromInsideOfItsCallback) {
  Bench bench (clean ());
  bench.sink.on_datagram = [&] { bench.link->b ().set_receiver (nullptr); };
  bench.send_numbers (3);
  bench.scheduler.run_for (kSecond);
  EXPECT_EQ (bench.sink.received.size (), 1u);
  EXPECT_EQ (bench.sink.batches, 0);
}

TEST (MemoryPath, EchoWithoutDelayStandsStillInTimeButGoesTurnByTurn) {
  Bench bench (clean ());
  bench.sink.on_datagram = [&] {
    if (bench.sink.received.size () < 5) bench.send ("again");
  };
  bench.send ("first");
  bench.scheduler.run_for (0);
  EXPECT_EQ (bench.sink.received.size (), 5u);
  EXPECT_EQ (bench.sink.batches, 5);
}

TEST (MemoryPath, WorksOnARealLoop) {
  LoopThread loop ("test");
  Sink sink;
  std::unique_ptr<MemoryLink> link;
  Ref<GMainLoop> wait = Ref<GMainLoop>::adopt (g_main_loop_new (nullptr, FALSE));
  sink.on_datagram = [&] { post (nullptr, [&] { g_main_loop_quit (wait.get ()); }); };
  loop.run_sync ([&] {
    link = MemoryLink::create (loop.scheduler (), 1);
    link->b ().set_receiver (&sink);
    link->a ().send (ByteView (std::string_view ("over the loop")), 1200);
  });
  g_main_loop_run (wait.get ());
  loop.run_sync ([&] { link.reset (); });
  EXPECT_EQ (sink.received, std::vector<std::string>{"over the loop"});
}
