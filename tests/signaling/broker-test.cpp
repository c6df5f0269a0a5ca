// The meeting point on a virtual clock: who may talk to whom, who owns an id, and what abuse gets.
#include "signaling/broker.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "signaling/key_proof.hpp"

using namespace p2p;

namespace {

class BrokerTest : public testing::Test, public Broker::FrontEnd {
 protected:
  void SetUp () override {
    config.require_proof = false;
    make ();
  }
  void make () { broker = std::make_unique<Broker> (config, scheduler, *this); }

  void broker_send (Broker::ClientId client, const std::string &text) override {
    auto parsed = parse_frame (ByteView (std::string_view (text)));
    ASSERT_TRUE (std::holds_alternative<Frame> (parsed)) << text;
    const Frame &frame = std::get<Frame> (parsed);
    if (frame.type == FrameType::ping && answer_pings) pongs.emplace_back (client, frame.seq);
    if (frame.type == FrameType::ping || frame.type == FrameType::pong) return;
    if (frame.type == FrameType::welcome) challenges[client] = frame.challenge;
    inbox[client].push_back (frame);
  }
  void broker_close (Broker::ClientId client, Broker::CloseReason reason) override {
    closed[client] = reason;
  }

  void give (Broker::ClientId client, const Frame &frame) { give (client, to_json (frame)); }
  void give (Broker::ClientId client, const std::string &text) {
    broker->receive (client, ByteView (std::string_view (text)));
    while (!pongs.empty ()) {
      Frame pong;
      pong.type = FrameType::pong;
      pong.seq = pongs.back ().second;
      const Broker::ClientId from = pongs.back ().first;
      pongs.pop_back ();
      const std::string pong_text = to_json (pong);
      broker->receive (from, ByteView (std::string_view (pong_text)));
    }
  }
  void give (Broker::ClientId client, FrameType type, const std::string &id,
             const std::string &peer = {}, const std::string &data = {}) {
    Frame frame;
    frame.type = type;
    frame.id = id;
    frame.peer = peer;
    frame.data = data;
    frame.key = "owner-" + std::to_string (client);
    give (client, frame);
  }
  void enroll (Broker::ClientId client, const std::string &id) {
    if (inbox.count (client) == 0) broker->connect (client, "");
    give (client, FrameType::enroll, id);
  }
  // What has arrived since the last call, in short: "registered alice", "+bob", "bob: text",
  // "!code".
  std::vector<std::string> news (Broker::ClientId client) {
    std::vector<std::string> lines;
    for (const Frame &frame : inbox[client]) {
      if (frame.type == FrameType::registered) lines.push_back ("registered " + frame.id);
      if (frame.type == FrameType::peer) lines.push_back ((frame.present ? "+" : "-") + frame.peer);
      if (frame.type == FrameType::message) lines.push_back (frame.peer + ": " + frame.data);
      if (frame.type == FrameType::error)
        lines.push_back ("!" + frame.code + (frame.field.empty () ? "" : " " + frame.field));
    }
    inbox[client].clear ();
    return lines;
  }
  using Lines = std::vector<std::string>;

  BrokerConfig config;
  VirtualScheduler scheduler;
  std::unique_ptr<Broker> broker;
  std::map<Broker::ClientId, std::vector<Frame>> inbox;
  std::map<Broker::ClientId, std::string> challenges;
  std::map<Broker::ClientId, Broker::CloseReason> closed;
  std::vector<std::pair<Broker::ClientId, std::uint64_t>> pongs;
  bool answer_pings = true;
};

}  // namespace

TEST_F (BrokerTest, OnlyTwoThatAskForEachOtherMeet) {
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "bob");
  EXPECT_EQ (news (1), Lines{"registered alice"});
  EXPECT_EQ (news (2), Lines{"registered bob"});
  give (2, FrameType::message, "bob", "alice", "too soon");
  EXPECT_EQ (news (2), Lines{"!not-present peer"});
  give (2, FrameType::ask, "bob", "alice");
  EXPECT_EQ (news (1), Lines{"+bob"});
  EXPECT_EQ (news (2), Lines{"+alice"});
  give (1, FrameType::message, "alice", "bob", "hello");
  give (2, FrameType::message, "bob", "alice", "hi");
  EXPECT_EQ (news (1), Lines{"bob: hi"});
  EXPECT_EQ (news (2), Lines{"alice: hello"});
}

TEST_F (BrokerTest, AskingBeforeThePeerIsThereWorks) {
  enroll (1, "alice");
  give (1, FrameType::ask, "alice", "bob");
  news (1);
  enroll (2, "bob");
  EXPECT_EQ (news (1), Lines{});
  give (2, FrameType::ask, "bob", "alice");
  EXPECT_EQ (news (1), Lines{"+bob"});
}

TEST_F (BrokerTest, AskingForAnyMeetsWhoeverAsks) {
  enroll (1, "early");
  give (1, FrameType::ask, "early", "server");
  enroll (2, "server");
  give (2, FrameType::ask, "server", "*");
  enroll (3, "late");
  give (3, FrameType::ask, "late", "server");
  EXPECT_EQ (news (2), (Lines{"registered server", "+early", "+late"}));
  EXPECT_EQ (news (3), (Lines{"registered late", "+server"}));
  give (2, FrameType::unask, "server", "*");
  EXPECT_EQ (news (2), (Lines{"-early", "-late"}));
  EXPECT_EQ (news (3), Lines{"-server"});
}

TEST_F (BrokerTest, TwoThatAskForAnyDoNotMeet) {
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "*");
  give (2, FrameType::ask, "bob", "*");
  EXPECT_EQ (news (1), Lines{"registered alice"});
}

TEST_F (BrokerTest, BothAskExplicitlyAndForAnyAndMeetOnce) {
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "*");
  give (2, FrameType::ask, "bob", "*");
  give (1, FrameType::ask, "alice", "bob");
  give (2, FrameType::ask, "bob", "alice");
  EXPECT_EQ (news (1), (Lines{"registered alice", "+bob"}));
  give (2, FrameType::unask, "bob", "*");
  EXPECT_EQ (news (1), Lines{});
  give (1, FrameType::unask, "alice", "bob");
  EXPECT_EQ (news (1), Lines{});
  give (1, FrameType::unask, "alice", "*");
  EXPECT_EQ (news (1), Lines{"-bob"});
}

TEST_F (BrokerTest, GoingAndUnaskingEndPresence) {
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "bob");
  give (2, FrameType::ask, "bob", "alice");
  give (2, FrameType::unask, "bob", "alice");
  EXPECT_EQ (news (1), (Lines{"registered alice", "+bob", "-bob"}));
  give (2, FrameType::ask, "bob", "alice");
  broker->disconnect (2);
  EXPECT_EQ (news (1), (Lines{"+bob", "-bob"}));
  EXPECT_EQ (broker->stats ().clients, 1u);
}

TEST_F (BrokerTest, UnregisteringEndsPresenceAndKeepsTheConnection) {
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "bob");
  give (2, FrameType::ask, "bob", "alice");
  give (2, FrameType::resign, "bob");
  EXPECT_EQ (news (1).back (), "-bob");
  give (2, FrameType::message, "bob", "alice", "x");
  EXPECT_EQ (news (2).back (), "!not-registered id");
  enroll (2, "bob");
  EXPECT_EQ (news (2), Lines{"registered bob"});
}

TEST_F (BrokerTest, IdBelongsToTheFirstOwnerUntilTheHoldEnds) {
  enroll (1, "alice");
  enroll (2, "alice");
  EXPECT_EQ (news (2), Lines{"!id-taken id"});
  broker->disconnect (1);
  give (2, FrameType::enroll, "alice");
  EXPECT_EQ (news (2), Lines{"!id-taken id"});
  EXPECT_EQ (broker->stats ().held, 1u);
  scheduler.run_for (24 * 3600 * kSecond);
  broker->disconnect (2);
  enroll (3, "alice");
  EXPECT_EQ (news (3), Lines{"registered alice"});
}

TEST_F (BrokerTest, OwnerComesBackAndReplacesItsOldConnection) {
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "bob");
  give (2, FrameType::ask, "bob", "alice");
  news (1), news (2);
  broker->connect (3, "");
  Frame again;
  again.type = FrameType::enroll;
  again.id = "alice";
  again.key = "owner-1";
  give (3, again);
  EXPECT_EQ (news (1), Lines{"!replaced"});
  EXPECT_EQ (closed.at (1), Broker::CloseReason::replaced);
  EXPECT_EQ (news (2), Lines{"-alice"});
  EXPECT_EQ (news (3), Lines{"registered alice"});
  give (3, FrameType::ask, "alice", "bob");
  EXPECT_EQ (news (2), Lines{"+alice"});
  EXPECT_EQ (broker->stats ().held, 0u);
}

TEST_F (BrokerTest, HeldIdsAreBoundedAndTheOldestGoesFirst) {
  config.max_held = 2;
  make ();
  for (const Broker::ClientId client : {1, 2, 3}) {
    enroll (client, "id" + std::to_string (client));
    broker->disconnect (client);
  }
  EXPECT_EQ (broker->stats ().held, 2u);
  enroll (4, "id1");
  enroll (4, "id2");
  EXPECT_EQ (news (4), (Lines{"registered id1", "!id-taken id"}));
}

TEST_F (BrokerTest, KeyMustProveTheId) {
  config.require_proof = true;
  make ();
  const auto key = *make_ephemeral_signing_key ();
  const auto other = *make_ephemeral_signing_key ();
  const auto proof = [&] (const SigningKey &with, const std::string &challenge,
                          const std::string &id) {
    const std::string text = registration_proof_text (challenge, id);
    Frame frame;
    frame.type = FrameType::enroll;
    frame.id = id;
    frame.key = with.public_key_der ();
    frame.signature = *with.sign (ByteView (std::string_view (text)));
    return frame;
  };
  broker->connect (1, "");
  broker->connect (2, "");
  EXPECT_NE (challenges[1], challenges[2]);
  give (1, proof (*key, challenges[1], "alice"));
  EXPECT_EQ (news (1), Lines{"registered alice"});
  // Another connection's challenge, another id, another key, no signature, no key.
  give (2, proof (*key, challenges[1], "alice"));
  Frame frame = proof (*key, challenges[2], "mallory");
  frame.id = "alice";
  give (2, frame);
  frame = proof (*key, challenges[2], "alice");
  frame.key = other->public_key_der ();
  give (2, frame);
  frame.signature.clear ();
  give (2, frame);
  frame.key = "not a key";
  give (2, frame);
  EXPECT_EQ (news (2), Lines (5, "!bad-proof signature"));
  give (2, proof (*other, challenges[2], "alice"));
  EXPECT_EQ (news (2), Lines{"!id-taken id"});
  give (2, proof (*key, challenges[2], "alice"));
  EXPECT_EQ (news (2), Lines{"registered alice"});
  EXPECT_EQ (closed.at (1), Broker::CloseReason::replaced);
}

TEST_F (BrokerTest, IdsAndAsksAreLimited) {
  config.max_asks_per_id = 3;
  make ();
  for (int i = 0; i < 9; ++i) enroll (1, "id" + std::to_string (i));
  EXPECT_EQ (news (1).back (), "!limit id");
  for (int i = 0; i < 4; ++i) give (1, FrameType::ask, "id0", "peer" + std::to_string (i));
  EXPECT_EQ (news (1), Lines{"!limit peer"});
  give (1, FrameType::unask, "id0", "peer0");
  give (1, FrameType::ask, "id0", "peer3");
  give (1, FrameType::ask, "id0", "peer3");
  EXPECT_EQ (news (1), Lines{});
  give (1, FrameType::ask, "id0", "id0");
  EXPECT_EQ (news (1), Lines{"!bad-field peer"});
}

TEST_F (BrokerTest, ClientsAreLimitedInAllAndPerSource) {
  config.max_clients = 3;
  config.max_clients_per_source = 2;
  make ();
  EXPECT_TRUE (broker->connect (1, "a"));
  EXPECT_TRUE (broker->connect (2, "a"));
  EXPECT_FALSE (broker->connect (3, "a"));
  EXPECT_EQ (news (3), Lines{"!full"});
  EXPECT_EQ (closed.at (3), Broker::CloseReason::full);
  EXPECT_TRUE (broker->connect (4, "b"));
  EXPECT_FALSE (broker->connect (5, "c"));
  broker->disconnect (1);
  EXPECT_TRUE (broker->connect (6, "a"));
}

TEST_F (BrokerTest, MemoryIsLimitedAndGivenBack) {
  config.max_memory_bytes = 64 * 1024;
  make ();
  Broker::ClientId next = 1;
  while (broker->connect (next, "")) ++next;
  EXPECT_LE (broker->stats ().memory_bytes, config.max_memory_bytes);
  EXPECT_GE (next, 5u);
  for (Broker::ClientId client = 1; client < next; ++client) broker->disconnect (client);
  EXPECT_EQ (broker->stats ().memory_bytes, 0u);
}

TEST_F (BrokerTest, MemoryIsGivenBackAfterTraffic) {
  config.hold_us = 0;
  make ();
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "bob");
  give (2, FrameType::ask, "bob", "*");
  for (int i = 0; i < 20; ++i)
    give (1, FrameType::message, "alice", "bob", std::string (10000, 'x'));
  EXPECT_EQ (broker->stats ().messages, 20u);
  broker->disconnect (1);
  broker->disconnect (2);
  EXPECT_EQ (broker->stats ().memory_bytes, 0u);
}

TEST_F (BrokerTest, FramesAreLimitedByRateThenClosed) {
  enroll (1, "alice");
  for (int i = 0; i < 399; ++i) give (1, FrameType::unask, "alice", "bob");
  EXPECT_EQ (news (1), Lines{"registered alice"});
  give (1, FrameType::unask, "alice", "bob");
  EXPECT_EQ (news (1), Lines{"!rate"});
  scheduler.run_for (kSecond);
  for (int i = 0; i < 100; ++i) give (1, FrameType::unask, "alice", "bob");
  EXPECT_EQ (news (1), Lines{});
  EXPECT_TRUE (closed.empty ());
  for (int i = 0; i < 40 && closed.empty (); ++i) give (1, FrameType::unask, "alice", "bob");
  EXPECT_EQ (closed.at (1), Broker::CloseReason::abuse);
  EXPECT_EQ (broker->stats ().clients, 0u);
}

TEST_F (BrokerTest, BytesAreLimitedByRateAndTheErrorNamesTheLostMessage) {
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "bob");
  give (2, FrameType::ask, "bob", "alice");
  for (int i = 0; i < 13; ++i)
    give (1, FrameType::message, "alice", "bob", std::string (kMaxSignalBytes, 'x'));
  const std::vector<Frame> frames = inbox[1];
  ASSERT_EQ (frames.back ().code, "rate");
  EXPECT_EQ (frames.back ().peer, "bob");
  EXPECT_EQ (broker->stats ().messages, 11u);
  EXPECT_EQ (broker->stats ().messages_dropped, 2u);
}

TEST_F (BrokerTest, BadFramesAreAnsweredAndOnlyRepeatedAbuseCloses) {
  enroll (1, "alice");
  news (1);
  give (1, "nonsense");
  give (1, "{\"type\":\"ask\",\"id\":5}");
  give (1, "{\"type\":\"registered\",\"id\":\"alice\"}");
  broker->receive_bad (1, {"too-long", "", "The frame is too long."});
  EXPECT_EQ (news (1), (Lines{"!bad-json", "!bad-field id", "!unknown-type type", "!too-long"}));
  EXPECT_TRUE (closed.empty ());
  for (int i = 0; i < 60; ++i) {
    scheduler.run_for (2 * kSecond);
    give (1, "nonsense");
  }
  EXPECT_TRUE (closed.empty ());
  for (int i = 0; i < 20; ++i) give (1, "nonsense");
  EXPECT_EQ (closed.at (1), Broker::CloseReason::abuse);
}

TEST_F (BrokerTest, SlowReaderLosesMessagesWithAnErrorAndIsClosedByTheRest) {
  answer_pings = false;
  enroll (1, "alice");
  enroll (2, "bob");
  give (1, FrameType::ask, "alice", "bob");
  give (2, FrameType::ask, "bob", "*");
  news (1), news (2);
  for (int i = 0; i < 3; ++i)
    give (1, FrameType::message, "alice", "bob", std::string (kMaxSignalBytes, 'x'));
  EXPECT_EQ (inbox[2].size (), 2u);
  EXPECT_EQ (news (1), Lines{"!peer-busy peer"});
  EXPECT_TRUE (closed.empty ());
  for (int i = 0; i < 20000 && closed.empty (); ++i) {
    give (1, FrameType::unask, "alice", "bob");
    give (1, FrameType::ask, "alice", "bob");
    scheduler.run_for (20 * kMillisecond);
  }
  EXPECT_EQ (closed.at (2), Broker::CloseReason::slow);
  EXPECT_EQ (inbox[1].back ().present, false);
}

TEST_F (BrokerTest, SilentClientsAreClosed) {
  enroll (1, "alice");
  enroll (2, "bob");
  broker->connect (3, "");
  scheduler.run_for (config.register_within_us + 5 * kSecond);
  EXPECT_EQ (closed.at (3), Broker::CloseReason::silent);
  Frame ping;
  ping.type = FrameType::ping;
  for (int i = 0; i < 10; ++i) {
    give (2, ping);
    scheduler.run_for (20 * kSecond);
  }
  EXPECT_EQ (closed.count (1), 1u);
  EXPECT_EQ (closed.count (2), 0u);
}

TEST_F (BrokerTest, TwoIdsOfOneClientMayMeetAndGoTogether) {
  enroll (1, "a");
  enroll (1, "b");
  give (1, FrameType::ask, "a", "b");
  give (1, FrameType::ask, "b", "a");
  EXPECT_EQ (news (1), (Lines{"registered a", "registered b", "+a", "+b"}));
  broker->disconnect (1);
  EXPECT_EQ (broker->stats ().ids, 0u);
}
