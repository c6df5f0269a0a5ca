// Several ways as one path: it sends on the one in use, receives on all, and keeps probes apart.
#include "path/path_group.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "path/memory_path.hpp"

using namespace p2p;

namespace {

struct Above final : Path::Receiver {
  void path_received (Path &, ByteView datagram) override {
    received.push_back (datagram.to_string ());
  }
  void path_batch_done (Path &) override { ++batches; }
  void path_writable (Path &) override { ++writable; }
  void path_changed (Path &) override { ++changed; }
  void path_failed (Path &, const Error &) override { ++failed; }

  std::vector<std::string> received;
  int batches = 0, writable = 0, changed = 0, failed = 0;
};

struct Beside final : PathGroup::Observer {
  void group_probe (PathGroup::Way way, ByteView datagram) override {
    probes.emplace_back (way, datagram.to_string ());
  }
  void group_way_changed (PathGroup::Way) override {}
  void group_way_failed (PathGroup::Way, const Error &) override {}

  std::vector<std::pair<PathGroup::Way, std::string>> probes;
};

const std::string kProbe = "\x80 a probe";

class Groups : public testing::Test {
 protected:
  void SetUp () override {
    for (const auto &link : {one.get (), other.get ()}) {
      near.add (link->a ());
      far.add (link->b ());
    }
    near.set_receiver (&near_above);
    far.set_receiver (&far_above);
    near.set_observer (&near_beside);
    far.set_observer (&far_beside);
  }
  void send (const std::string &text) {
    EXPECT_EQ (near.send (ByteView (text), 1200), Path::Sent::all);
  }

  VirtualScheduler scheduler;
  std::unique_ptr<MemoryLink> one = MemoryLink::create (scheduler, 1),
                              other = MemoryLink::create (scheduler, 2);
  Above near_above, far_above;
  Beside near_beside, far_beside;
  PathGroup near{scheduler}, far{scheduler};
};

}  // namespace

TEST_F (Groups, TheFirstWayIsInUseUntilAnotherOneIs) {
  send ("first");
  scheduler.run_for (kMillisecond);
  EXPECT_EQ (one->stats ().sent, 1U);
  near.use (near.ways ()[1]);
  EXPECT_EQ (near_above.changed, 1) << "what was learned about the way is stale";
  send ("second");
  scheduler.run_for (kMillisecond);
  EXPECT_EQ (one->stats ().sent, 1U);
  EXPECT_EQ (other->stats ().sent, 1U);
  EXPECT_EQ (far_above.received, (std::vector<std::string>{"first", "second"}));
}

TEST_F (Groups, ProbesGoWhereTheyAreSentAndNotToWhatStandsAbove) {
  for (const PathGroup::Way way : near.ways ())
    EXPECT_EQ (near.send_probe (way, ByteView (kProbe)), Path::Sent::all);
  scheduler.run_for (kMillisecond);
  ASSERT_EQ (far_beside.probes.size (), 2U);
  EXPECT_EQ (far_beside.probes[0].first, far.ways ()[0]);
  EXPECT_EQ (far_beside.probes[1].first, far.ways ()[1]);
  EXPECT_TRUE (far_above.received.empty ());
  EXPECT_EQ (far_above.batches, 0);
  EXPECT_EQ (far.last_carried_us (far.ways ()[0]), 0) << "a probe carries nothing";
}

TEST_F (Groups, WithoutAWayWhatIsSentIsLost) {
  near.remove (near.in_use ());
  EXPECT_EQ (near.in_use (), 0U);
  EXPECT_EQ (near.send (ByteView (std::string_view ("x")), 1), Path::Sent::failed);
  EXPECT_GE (near.max_burst_bytes (), near.max_datagram_bytes ());
  near.use (near.ways ()[0]);
  send ("again");
  scheduler.run_for (kMillisecond);
  EXPECT_EQ (far_above.received, std::vector<std::string>{"again"});
}

TEST_F (Groups, AWayThatIsRemovedIsHeardNoMore) {
  far.remove (far.ways ()[0]);
  send ("lost");
  scheduler.run_for (kMillisecond);
  EXPECT_TRUE (far_above.received.empty ());
}

TEST_F (Groups, ProbesAreHeardWhileNobodyReceives) {
  const auto link = MemoryLink::create (scheduler, 3);
  PathGroup alone{scheduler};
  Beside beside;
  alone.set_observer (&beside);
  const PathGroup::Way way = alone.add (link->b ());
  (void)link->a ().send (ByteView (kProbe), kProbe.size ());
  scheduler.run_for (kMillisecond);
  ASSERT_EQ (beside.probes.size (), 1U);
  EXPECT_EQ (beside.probes[0], std::pair (way, kProbe));
}
