// The watch of a line: what two sides that do not agree which transport they have tell each other,
// and what is a sign of life.
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
  void watch_broken (BreakReason reason) override { breaks.push_back (reason); }
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
  std::vector<BreakReason> breaks;
  std::uint64_t transport = 0, heard = 0, heard_before_answer = 0;
  bool wants = false;
};

class LineWatchTest : public testing::Test {
 protected:
  LineWatchTest () {
    LinkOptions slow;
    slow.delay = kOneWay;
    link->set_options (slow);
    server.ways.add (link->a ());
    client.ways.add (link->b ());
  }
  ~LineWatchTest () override {
    server.watch.stop ();
    client.watch.stop ();
  }

  VirtualScheduler clock;
  const std::unique_ptr<MemoryLink> link = MemoryLink::create (clock, 1),
                                    spare = MemoryLink::create (clock, 2);
  Side server{clock, false}, client{clock, true};
};

}  // namespace

// It asks for one that is older than the peer's; the answer to that question comes together with
// what the peer has, and does not stand for an answer to the next one.
TEST_F (LineWatchTest, APeerThatHasANewerTransportIsAskedForOneThatIsNewerStill) {
  server.transport = 7;
  server.watch.set_transport (server.transport, false);
  server.watch.watch (&server.ways, nullptr);
  client.transport = 5;
  client.wants = true;
  client.watch.set_transport (client.transport, true);
  client.watch.watch (&client.ways, nullptr);
  client.watch.start_broken (BreakReason::transport);
  client.watch.prove (client.ways.in_use ());
  clock.run_for (6 * kOneWay);
  EXPECT_EQ (client.transport, 8U);
  EXPECT_EQ (server.heard, 8U);
}

// Both ask for a transport, and a client begins when it is answered: by then it must know that the
// other name is the greater one.
TEST_F (LineWatchTest, WhatIsToldInReturnForAPingIsHeardBeforeItsAnswer) {
  server.transport = 7;
  client.transport = 5;
  for (Side *side : {&server, &client}) {
    side->watch.set_transport (side->transport, true);
    side->watch.watch (&side->ways, nullptr);
  }
  client.watch.prove (client.ways.in_use ());
  clock.run_for (3 * kOneWay);
  EXPECT_EQ (client.heard_before_answer, 7U);
}

// As those of a relay that is kept ready, which is asked now and then.
TEST_F (LineWatchTest, AnswersOnAnotherWayDoNotHideTheSilenceOfTheOneInUse) {
  server.ways.add (spare->a ());
  const LineWatch::Way other = client.ways.add (spare->b ());
  for (Side *side : {&server, &client}) {
    side->watch.watch (&side->ways, nullptr);
    side->watch.start_broken (BreakReason::transport);
  }
  clock.run_for (kSecond);
  EXPECT_FALSE (server.watch.broken () || client.watch.broken ());
  LinkOptions down;
  down.down = true;
  link->set_options (down);
  for (int i = 0; i < 20; ++i) {
    client.watch.prove (other);
    clock.run_for (100 * kMillisecond);
  }
  const std::vector<BreakReason> expected{BreakReason::transport, BreakReason::silence};
  EXPECT_EQ (client.breaks, expected);
  EXPECT_EQ (server.breaks, expected);
}
