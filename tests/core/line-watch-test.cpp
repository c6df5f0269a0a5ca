// The watch of a line between two sides that do not agree which transport they have.
#include "core/line_watch.hpp"

#include <gtest/gtest.h>

#include "path/memory_path.hpp"

using namespace p2p;

namespace {

constexpr TimeUs kOneWay = 5 * kMillisecond;

struct Side final : LineWatch::Observer {
  Side (Scheduler &clock, bool client)
      : watch ({{}, SharedSecret{}, client, 1}, clock, *this), ways (clock) {}
  void watch_suspect () override {}
  void watch_probes () override {}
  void watch_broken (BreakReason) override {}
  void watch_restored (TimeUs, LineWatch::Way) override {}
  void watch_over (const Error &) override {}
  void watch_way_answers (LineWatch::Way) override { heard_before_answer = heard; }
  void watch_way_wanted (LineWatch::Way) override {}
  void watch_transport (std::uint64_t name, bool anew) override {
    heard = name;
    if (name < transport && anew) watch.tell ();
    if (name <= transport || !wants) return;
    transport = name + 1;
    watch.set_transport (transport, true);
    watch.prove (ways.in_use ());
  }
  void watch_way_silent (LineWatch::Way) override {}
  void watch_way_changed (LineWatch::Way) override {}
  void watch_way_failed (LineWatch::Way, const Error &) override {}
  bool watch_may_ask (LineWatch::Way) const override { return true; }

  LineWatch watch;
  PathGroup ways;
  std::uint64_t transport = 0, heard = 0, heard_before_answer = 0;
  bool wants = false;
};

}  // namespace

// It asks for one that is older than the peer's; the answer to that question comes together with
// what the peer has, and does not stand for an answer to the next one.
TEST (LineWatchTest, APeerThatHasANewerTransportIsAskedForOneThatIsNewerStill) {
  VirtualScheduler clock;
  LinkOptions slow;
  slow.delay = kOneWay;
  const auto link = MemoryLink::create (clock, 1);
  link->set_options (slow);
  Side living (clock, false), restarted (clock, true);
  living.ways.add (link->a ());
  restarted.ways.add (link->b ());
  living.transport = 7;
  living.watch.set_transport (living.transport, false);
  living.watch.watch (&living.ways, nullptr);
  restarted.transport = 5;
  restarted.wants = true;
  restarted.watch.set_transport (restarted.transport, true);
  restarted.watch.watch (&restarted.ways, nullptr);
  restarted.watch.start_broken (BreakReason::transport);
  restarted.watch.prove (restarted.ways.in_use ());
  clock.run_for (6 * kOneWay);
  EXPECT_EQ (restarted.transport, 8U);
  EXPECT_EQ (living.heard, 8U);
  living.watch.stop ();
  restarted.watch.stop ();
}

// Both ask for a transport, and a client begins when it is answered: by then it must know that the
// other name is the greater one.
TEST (LineWatchTest, WhatIsToldInReturnForAPingIsHeardBeforeItsAnswer) {
  VirtualScheduler clock;
  LinkOptions slow;
  slow.delay = kOneWay;
  const auto link = MemoryLink::create (clock, 1);
  link->set_options (slow);
  Side server (clock, false), client (clock, true);
  server.ways.add (link->a ());
  client.ways.add (link->b ());
  server.transport = 7;
  client.transport = 5;
  for (Side *side : {&server, &client}) {
    side->watch.set_transport (side->transport, true);
    side->watch.watch (&side->ways, nullptr);
  }
  client.watch.prove (client.ways.in_use ());
  clock.run_for (3 * kOneWay);
  EXPECT_EQ (client.heard_before_answer, 7U);
  server.watch.stop ();
  client.watch.stop ();
}
