// Several meeting points behind one backplane, on a virtual clock.
#include "signaling/federation.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "fake_backplane.hpp"
#include "signaling/broker.hpp"

using namespace p2p;

namespace {

using Lines = std::vector<std::string>;

// A server with its clients; a client's id is its name, and its owner unless said otherwise.
class Server final : public Broker::FrontEnd {
 public:
  Server (FakeRedis &redis, VirtualScheduler &scheduler, const BrokerConfig &config)
      : backplane (redis), broker (config, scheduler, *this, &backplane) {}

  void broker_send (Broker::ClientId client, const std::string &text) override {
    const auto parsed = parse_frame (ByteView (std::string_view (text)));
    ASSERT_TRUE (std::holds_alternative<Frame> (parsed)) << text;
    const auto &frame = std::get<Frame> (parsed);
    Lines &lines = inbox[client];
    if (frame.type == FrameType::registered) {
      lines.push_back ("registered " + frame.id);
      present.erase (frame.id);
    }
    if (frame.type == FrameType::peer) lines.push_back ((frame.present ? "+" : "-") + frame.peer);
    if (frame.type == FrameType::message) lines.push_back (frame.peer + ": " + frame.data);
    if (frame.type == FrameType::error) lines.push_back ("!" + frame.code);
    if (frame.type == FrameType::peer) {
      if (frame.present)
        present[frame.id].insert (frame.peer);
      else
        present[frame.id].erase (frame.peer);
    }
  }
  void broker_close (Broker::ClientId client, Broker::CloseReason) override {
    inbox[client].push_back ("closed");
  }
  void broker_backplane (bool up, const std::string &reason) override {
    log.push_back (up ? "up" : "down: " + reason);
  }

  void give (Broker::ClientId client, FrameType type, const std::string &id,
             const std::string &peer = {}, const std::string &data = {},
             const std::string &owner = {}) {
    Frame frame;
    frame.type = type;
    frame.id = id;
    frame.peer = peer;
    frame.data = data;
    frame.key = owner.empty () ? id : owner;
    const std::string text = to_json (frame);
    broker.receive (client, ByteView (std::string_view (text)));
  }
  void enroll (Broker::ClientId client, const std::string &id, const std::string &owner = {}) {
    if (connected.insert (client).second) broker.connect (client, "");
    give (client, FrameType::enroll, id, {}, {}, owner);
  }
  void leave (Broker::ClientId client) {
    broker.disconnect (client);
    connected.erase (client);
  }
  void ask (Broker::ClientId client, const std::string &id, const std::string &peer) {
    give (client, FrameType::ask, id, peer);
  }
  void say (Broker::ClientId client, const std::string &id, const std::string &peer,
            const std::string &data) {
    give (client, FrameType::message, id, peer, data);
  }
  Lines news (Broker::ClientId client) { return std::exchange (inbox[client], {}); }

  std::map<Broker::ClientId, Lines> inbox;
  std::map<std::string, std::set<std::string>> present;
  std::set<Broker::ClientId> connected;
  Lines log;
  FakeBackplane backplane;
  Broker broker;
};

class FederationTest : public testing::Test {
 protected:
  void SetUp () override {
    config.require_proof = false;
    config.heartbeat_s = 3600;
    for (int i = 0; i < 3; ++i) servers.push_back (make ());
    for (auto &server : servers) server->backplane.go_up ();
    settle ();
  }
  std::unique_ptr<Server> make () { return std::make_unique<Server> (redis, scheduler, config); }
  void settle () { scheduler.run_for (100 * kMillisecond); }
  // alice at the first server, bob at the second, present to each other.
  void meet () {
    one ().enroll (1, "alice");
    two ().enroll (1, "bob");
    settle ();
    one ().ask (1, "alice", "bob");
    two ().ask (1, "bob", "alice");
    settle ();
    EXPECT_EQ (one ().news (1), (Lines{"registered alice", "+bob"}));
    EXPECT_EQ (two ().news (1), (Lines{"registered bob", "+alice"}));
  }
  Server &one () { return *servers[0]; }
  Server &two () { return *servers[1]; }
  Server &three () { return *servers[2]; }

  BrokerConfig config;
  VirtualScheduler scheduler;
  FakeRedis redis{scheduler};
  std::vector<std::unique_ptr<Server>> servers;
};

TEST_F (FederationTest, IdsOfDifferentServersMeetAndTalk) {
  meet ();
  one ().say (1, "alice", "bob", "hello");
  two ().say (1, "bob", "alice", "hi");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"bob: hi"});
  EXPECT_EQ (two ().news (1), Lines{"alice: hello"});
  EXPECT_EQ (one ().broker.backplane_stats ().sent, 1u);
  EXPECT_EQ (one ().broker.backplane_stats ().received, 1u);
}

TEST_F (FederationTest, WhoeverAsksFirstAndWhoeverIsThereFirst) {
  one ().enroll (1, "alice");
  one ().ask (1, "alice", "bob");
  settle ();
  // It is not registered until it is told so.
  EXPECT_EQ (one ().news (1), (Lines{"!not-registered", "registered alice"}));
  one ().ask (1, "alice", "bob");
  settle ();
  one ().news (1);
  two ().enroll (1, "bob");
  settle ();
  two ().ask (1, "bob", "alice");
  settle ();
  EXPECT_EQ (two ().news (1), (Lines{"registered bob", "+alice"}));
  EXPECT_EQ (one ().news (1), Lines{"+bob"});
}

TEST_F (FederationTest, WhoAsksForAnyoneMeetsThoseWhoAskForIt) {
  one ().enroll (1, "alice");
  two ().enroll (1, "server");
  three ().enroll (1, "carol");
  settle ();
  one ().ask (1, "alice", "server");
  settle ();
  two ().ask (1, "server", "*");
  settle ();
  three ().ask (1, "carol", "server");
  three ().ask (1, "carol", "alice");
  settle ();
  EXPECT_EQ (two ().news (1), (Lines{"registered server", "+alice", "+carol"}));
  EXPECT_EQ (one ().news (1), (Lines{"registered alice", "+server"}));
  EXPECT_EQ (three ().news (1), (Lines{"registered carol", "+server"}));
  two ().give (1, FrameType::unask, "server", "*");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"-server"});
  EXPECT_EQ (two ().news (1), (Lines{"-alice", "-carol"}));
}

TEST_F (FederationTest, TwoThatAskForAnyoneDoNotMeet) {
  one ().enroll (1, "alice");
  two ().enroll (1, "bob");
  settle ();
  one ().ask (1, "alice", "*");
  two ().ask (1, "bob", "*");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"registered alice"});
}

TEST_F (FederationTest, TakingBackAnAskEndsPresenceOnBothSides) {
  meet ();
  one ().give (1, FrameType::unask, "alice", "bob");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
  EXPECT_EQ (two ().news (1), Lines{"-alice"});
  two ().say (1, "bob", "alice", "still there?");
  EXPECT_EQ (two ().news (1), Lines{"!not-present"});
  two ().give (1, FrameType::unask, "bob", "alice");
  settle ();
  EXPECT_EQ (one ().broker.backplane_stats ().contacts, 0u);
  EXPECT_EQ (two ().broker.backplane_stats ().contacts, 0u);
  two ().ask (1, "bob", "alice");
  one ().ask (1, "alice", "bob");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"+bob"});
  EXPECT_EQ (two ().news (1), Lines{"+alice"});
}

TEST_F (FederationTest, WhoLeavesIsGoneEverywhereAndMeetsAgainFromElsewhere) {
  meet ();
  two ().leave (1);
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
  three ().enroll (1, "bob");
  settle ();
  three ().ask (1, "bob", "alice");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"+bob"});
  EXPECT_EQ (three ().news (1), (Lines{"registered bob", "+alice"}));
}

TEST_F (FederationTest, AnIdBelongsToTheFirstKeyAtEveryServer) {
  one ().enroll (1, "alice");
  settle ();
  two ().enroll (1, "alice", "mallory");
  settle ();
  EXPECT_EQ (two ().news (1), Lines{"!id-taken"});
  one ().leave (1);
  settle ();
  two ().enroll (1, "alice", "mallory");
  settle ();
  EXPECT_EQ (two ().news (1), Lines{"!id-taken"});
  scheduler.run_for (config.hold_us + 30 * kSecond);
  two ().enroll (2, "alice", "mallory");
  settle ();
  EXPECT_EQ (two ().news (2), Lines{"registered alice"});
}

TEST_F (FederationTest, TheSameKeyReplacesItsOlderRegistrationElsewhere) {
  meet ();
  three ().enroll (1, "bob");
  settle ();
  EXPECT_EQ (three ().news (1), Lines{"registered bob"});
  EXPECT_EQ (two ().news (1), (Lines{"!replaced", "closed"}));
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
  three ().ask (1, "bob", "alice");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"+bob"});
  // And at the same server, as ever.
  three ().enroll (2, "bob");
  settle ();
  EXPECT_EQ (three ().news (1), (Lines{"+alice", "!replaced", "closed"}));
  three ().ask (2, "bob", "alice");
  settle ();
  EXPECT_EQ (one ().news (1), (Lines{"-bob", "+bob"}));
  EXPECT_EQ (three ().news (2), (Lines{"registered bob", "+alice"}));
}

TEST_F (FederationTest, APeerThatComesToTheSameServerIsMetThere) {
  meet ();
  one ().enroll (2, "bob");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
  one ().ask (2, "bob", "alice");
  EXPECT_EQ (one ().news (1), Lines{"+bob"});
  one ().say (1, "alice", "bob", "near");
  EXPECT_EQ (one ().news (2), (Lines{"registered bob", "+alice", "alice: near"}));
  settle ();
  EXPECT_EQ (one ().broker.backplane_stats ().contacts, 0u);
}

TEST_F (FederationTest, OfTwoThatClaimAtOnceOneHolds) {
  one ().enroll (1, "alice", "first");
  two ().enroll (1, "alice", "second");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"registered alice"});
  EXPECT_EQ (two ().news (1), Lines{"!id-taken"});
}

TEST_F (FederationTest, AClientThatLeavesBeforeTheAnswerHoldsNothing) {
  one ().enroll (1, "alice");
  one ().leave (1);
  settle ();
  EXPECT_TRUE (redis.leases.empty ());
}

TEST_F (FederationTest, LeasesAreRenewedAndThoseOfTheDeadExpire) {
  meet ();
  scheduler.run_for (60 * kSecond);
  EXPECT_EQ (redis.leases.size (), 2u);
  EXPECT_GT (redis.leases["bob"].until, scheduler.now ());
  EXPECT_EQ (one ().news (1), Lines ());
  two ().backplane.die ();
  servers[1].reset ();
  scheduler.run_for (10 * kSecond);
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
  scheduler.run_for (10 * kSecond);
  EXPECT_LE (redis.leases["bob"].until, scheduler.now ());
}

TEST_F (FederationTest, AMessageToADeadServerShowsAtOnce) {
  meet ();
  two ().backplane.die ();
  one ().say (1, "alice", "bob", "anybody?");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
}

TEST_F (FederationTest, ClientsOfADeadServerAreMetWhereTheyComeBack) {
  meet ();
  two ().backplane.die ();
  scheduler.run_for (kSecond);
  three ().enroll (1, "bob");
  settle ();
  three ().ask (1, "bob", "alice");
  settle ();
  EXPECT_EQ (one ().news (1), (Lines{"-bob", "+bob"}));
  one ().say (1, "alice", "bob", "again");
  settle ();
  EXPECT_EQ (three ().news (1), (Lines{"registered bob", "+alice", "alice: again"}));
}

TEST_F (FederationTest, AServerThatStoodStillIsForgottenAndMetAgain) {
  meet ();
  two ().backplane.stopped = true;
  scheduler.run_for (5 * kSecond);
  EXPECT_EQ (one ().news (1), Lines ()) << "it beats, but hears nothing";
  two ().backplane.resume ();
  settle ();
  EXPECT_EQ (one ().news (1), Lines ());
  // Its beats stay away: the others give it up, which it learns when it comes back.
  redis.servers.erase (two ().backplane.name ());
  one ().say (1, "alice", "bob", "lost");
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
  redis.servers[two ().backplane.name ()] = &two ().backplane;
  scheduler.run_for (5 * kSecond);
  EXPECT_EQ (one ().news (1), Lines{"+bob"});
  EXPECT_EQ (two ().news (1), (Lines{"-alice", "+alice"}));
}

TEST_F (FederationTest, WithoutTheBackplaneAServerGoesOnAloneAndSaysSo) {
  meet ();
  one ().enroll (2, "carol");
  settle ();
  for (auto &server : servers) server->backplane.go_down ();
  EXPECT_EQ (one ().news (1), Lines{"-bob"});
  EXPECT_EQ (two ().news (1), Lines{"-alice"});
  EXPECT_EQ (one ().log, (Lines{"up", "down: Redis is away."}));
  EXPECT_FALSE (one ().broker.backplane_stats ().up);
  one ().enroll (3, "dave");
  EXPECT_EQ (one ().news (3), Lines{"registered dave"});
  one ().ask (2, "carol", "dave");
  one ().ask (3, "dave", "carol");
  one ().say (3, "dave", "carol", "local");
  EXPECT_EQ (one ().news (2), (Lines{"registered carol", "+dave", "dave: local"}));
  one ().say (1, "alice", "bob", "remote");
  EXPECT_EQ (one ().news (1), Lines{"!not-present"});
  for (auto &server : servers) server->backplane.go_up ();
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"+bob"});
  EXPECT_EQ (two ().news (1), Lines{"+alice"});
  EXPECT_EQ (redis.leases.size (), 4u);
}

TEST_F (FederationTest, AnEmptyBackplaneIsFilledAgain) {
  meet ();
  one ().enroll (2, "held");
  settle ();
  one ().leave (2);
  settle ();
  for (auto &server : servers) server->backplane.go_down ();
  redis.leases.clear ();
  redis.owners.clear ();
  for (auto &server : servers) server->backplane.go_up ();
  settle ();
  EXPECT_EQ (redis.leases.size (), 2u);
  EXPECT_EQ (one ().news (1), (Lines{"-bob", "+bob"}));
  three ().enroll (1, "held", "mallory");
  settle ();
  EXPECT_EQ (three ().news (1), Lines{"!id-taken"});
}

TEST_F (FederationTest, LeasesThatWereLostAloneAreMadeAgain) {
  meet ();
  redis.leases.clear ();
  redis.owners.clear ();
  scheduler.run_for (10 * kSecond);
  EXPECT_EQ (redis.leases.size (), 2u);
  EXPECT_EQ (one ().news (1), Lines ());
}

TEST_F (FederationTest, AfterAnOutageTheNewerRegistrationOfOneKeyHolds) {
  meet ();
  for (auto &server : servers) server->backplane.go_down ();
  scheduler.run_for (10 * kSecond);
  three ().enroll (1, "bob");
  EXPECT_EQ (three ().news (1), Lines{"registered bob"});
  three ().backplane.go_up ();
  settle ();
  two ().news (1);
  two ().backplane.go_up ();
  one ().backplane.go_up ();
  settle ();
  EXPECT_EQ (two ().news (1), (Lines{"!replaced", "closed"}));
  EXPECT_EQ (redis.leases["bob"].server, three ().backplane.name ());
}

TEST_F (FederationTest, AfterAnOutageTheOlderRegistrationOfTwoKeysHolds) {
  meet ();
  for (auto &server : servers) server->backplane.go_down ();
  redis.leases.clear ();
  redis.owners.clear ();
  scheduler.run_for (10 * kSecond);
  three ().enroll (1, "bob", "mallory");
  EXPECT_EQ (three ().news (1), Lines{"registered bob"});
  three ().backplane.go_up ();
  settle ();
  two ().news (1);
  two ().backplane.go_up ();
  settle ();
  EXPECT_EQ (two ().news (1), Lines ());
  EXPECT_EQ (three ().news (1), (Lines{"!id-taken", "closed"}));
  EXPECT_EQ (redis.leases["bob"].server, two ().backplane.name ());
}

TEST_F (FederationTest, ClaimsUnderWayWhenTheBackplaneGoesAreDecidedHere) {
  one ().enroll (1, "alice");
  one ().backplane.go_down ();
  settle ();
  EXPECT_EQ (one ().news (1), Lines{"registered alice"});
  one ().backplane.go_up ();
  settle ();
  EXPECT_EQ (redis.leases["alice"].server, one ().backplane.name ());
}

TEST_F (FederationTest, APeerThatTakesNothingIsBusyAndDropsAreCounted) {
  meet ();
  const std::string data (30 * 1024, 'x');
  for (int i = 0; i < 8; ++i) one ().say (1, "alice", "bob", data);
  settle ();
  const Lines told = one ().news (1);
  ASSERT_FALSE (told.empty ());
  EXPECT_EQ (told.back (), "!peer-busy");
  EXPECT_EQ (two ().broker.backplane_stats ().dropped, told.size ());
  EXPECT_EQ (one ().broker.stats ().messages_dropped, told.size ());
  one ().backplane.full = true;
  scheduler.run_for (10 * kSecond);
  one ().say (1, "alice", "bob", "x");
  EXPECT_EQ (one ().news (1), Lines{"!peer-busy"});
}

TEST_F (FederationTest, WhatIsMalformedIsCountedAndChangesNothing) {
  meet ();
  for (const char *text :
       {"", "\n", "1 beat\n", "2 beat s1\n", "1 beat s1 x\n", "1 tell s2 bob alice 11\n",
        "1 tell s2 bob alice 2\n", "1 tell s2 bob al/ice 110\n", "1 gone s2\n", "1 what s2 bob\n",
        "1 here s2 a b/c\n", "1  beat s1\n", "1 message s2 bob\n", "1 gone s2 bob"})
    one ().backplane.publish ("", text, false);
  settle ();
  EXPECT_EQ (two ().broker.backplane_stats ().malformed, 14u);
  EXPECT_EQ (one ().news (1), Lines ());
}

TEST_F (FederationTest, WhoPretendsToHoldAPeerOfAnotherServerIsNotHeard) {
  meet ();
  const std::string forged = "1 message " + three ().backplane.name () + " bob alice\nforged";
  three ().backplane.publish (one ().backplane.name (), forged, false);
  three ().backplane.publish (one ().backplane.name (),
                              "1 gone " + three ().backplane.name () + " bob\n", false);
  settle ();
  EXPECT_EQ (one ().news (1), Lines ());
}

// Random registrations, asks, moves, deaths and outages; in the end both sides agree, and who wants
// each other is present.
TEST_F (FederationTest, WhateverHappensBothSidesAgreeInTheEnd) {
  const Lines ids = {"a", "b", "c", "d", "e"};
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random (seed);
    const auto any_of = [&random] (std::size_t count) { return random () % count; };
    servers.clear ();
    redis.leases.clear ();
    redis.owners.clear ();
    for (int i = 0; i < 3; ++i) servers.push_back (make ());
    for (auto &server : servers) server->backplane.go_up ();
    Broker::ClientId next = 1;
    std::map<std::string, std::pair<Server *, Broker::ClientId>> where;
    std::map<std::string, std::set<std::string>> asks;
    for (int step = 0; step < 60; ++step) {
      Server &server = *servers[any_of (3)];
      const std::string &id = ids[any_of (ids.size ())];
      const std::string peer = any_of (4) == 0 ? "*" : ids[any_of (ids.size ())];
      switch (any_of (9)) {
        case 0:
        case 1:
          server.enroll (next, id);
          where[id] = {&server, next++};
          asks.erase (id);
          // The client speaks when it is registered.
          scheduler.run_for (20 * kMillisecond);
          break;
        case 2:
        case 3:
        case 4:
        case 5:
          if (where.count (id) != 0 && peer != id) {
            where[id].first->ask (where[id].second, id, peer);
            asks[id].insert (peer);
          }
          break;
        case 6:
          if (where.count (id) != 0) {
            where[id].first->give (where[id].second, FrameType::unask, id, peer);
            asks[id].erase (peer);
          }
          break;
        case 7:
          if (where.count (id) != 0) where[id].first->leave (where[id].second);
          where.erase (id);
          asks.erase (id);
          break;
        case 8:
          server.backplane.go_down ();
          if (any_of (2) == 0) scheduler.run_for (3 * kSecond);
          server.backplane.go_up ();
          break;
      }
      if (any_of (3) != 0) scheduler.run_for (static_cast<TimeUs> (any_of (4)) * kMillisecond);
    }
    scheduler.run_for (30 * kSecond);
    const auto wants = [&] (const std::string &x, const std::string &y) {
      return asks[x].count (y) != 0 || (asks[x].count ("*") != 0 && asks[y].count (x) != 0);
    };
    for (const auto &[id, place] : where)
      for (const std::string &peer : ids) {
        if (peer == id) continue;
        const bool expected = where.count (peer) != 0 && wants (id, peer) && wants (peer, id);
        EXPECT_EQ (place.first->present[id].count (peer) != 0, expected)
            << "seed " << seed << ": " << id << " and " << peer;
      }
    if (HasFailure ()) return;
  }
}

}  // namespace
