// Redis as a backplane, with the real redis-server: its scripts, its expiry and its outages.
#include "rendezvous/redis_backplane.hpp"

#include <cstring>
#include <optional>
#include <sstream>

#include "redis_server.hpp"

using namespace p2p;

namespace {

using Lines = std::vector<std::string>;

const char *
name_of (Verdict verdict) {
  switch (verdict) {
    case Verdict::held:
      return "held";
    case Verdict::replaced:
      return "replaced";
    case Verdict::taken:
      return "taken";
    case Verdict::unavailable:
      return "unavailable";
  }
  return "";
}

class Node final : public Backplane::Observer {
 public:
  explicit Node (const std::string &uri, const LeaseTimes &times = {15 * kSecond, 60 * kSecond})
      : scheduler_ (nullptr), backplane_ (nullptr, scheduler_, *parse_redis_uri (uri)) {
    backplane_.start (this, times);
  }
  RedisBackplane *operator->() { return &backplane_; }

  void backplane_up () override {
    ++ups;
    up = true;
  }
  void backplane_down (const Error &reason) override {
    up = false;
    reasons.push_back (reason.message);
  }
  void backplane_message (const std::string &text) override { told.push_back (text); }
  void backplane_lost (const std::string &id, const std::string &token, Verdict verdict) override {
    told.push_back (id + " " + token + " " + name_of (verdict));
  }
  void backplane_unreachable (const std::string &server) override { unreachable = server; }

  static bool wait (const std::function<bool ()> &done) {
    const gint64 until = g_get_monotonic_time () + kDeadlineUs;
    const UniqueSource tick (g_timeout_source_new (50));  // so that the limit is looked at
    g_source_set_callback (
        tick.get (), [] (gpointer) -> gboolean { return G_SOURCE_CONTINUE; }, nullptr, nullptr);
    g_source_attach (tick.get (), nullptr);
    while (!done ()) {
      if (g_get_monotonic_time () > until) return false;
      g_main_context_iteration (nullptr, TRUE);
    }
    return true;
  }
  bool wait_up (int times = 1) const {
    return wait ([&] { return up && ups >= times; });
  }
  Lines claim (const std::vector<Claim> &claims) {
    std::optional<Lines> verdicts;
    EXPECT_TRUE (backplane_.claim (claims, [&] (const std::vector<Verdict> &decided) {
      verdicts.emplace ();
      for (const Verdict verdict : decided) verdicts->push_back (name_of (verdict));
    }));
    EXPECT_TRUE (wait ([&] { return verdicts.has_value (); }));
    return verdicts.value_or (Lines ());
  }
  Lines find (const Lines &ids) {
    std::optional<Lines> servers;
    EXPECT_TRUE (backplane_.find (ids, [&] (const Lines &found) { servers = found; }));
    EXPECT_TRUE (wait ([&] { return servers.has_value (); }));
    return servers.value_or (Lines ());
  }

  bool up = false;
  int ups = 0;
  Lines reasons, told;
  std::string unreachable;

 private:
  LoopScheduler scheduler_;
  RedisBackplane backplane_;
};

class RedisBackplaneTest : public testing::Test {
 protected:
  void SetUp () override { redis.start (); }
  RedisServer redis;
};

TEST_F (RedisBackplaneTest, OfTwoKeysTheFirstOwnsAnIdAndOfTwoRegistrationsTheNewerHoldsIt) {
  Node one (redis.uri ()), two (redis.uri ());
  ASSERT_TRUE (one.wait_up () && two.wait_up ());
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", 0}, {"b", "bob", "t2", 0}}), (Lines{"held", "held"}));
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", 0}}), Lines{"held"}) << "renewed";
  EXPECT_EQ (two.claim ({{"a", "mallory", "t3", 0}}), Lines{"taken"});
  EXPECT_EQ (two.claim ({{"a", "alice", "t4", kSecond}}), Lines{"replaced"}) << "an older one";
  EXPECT_EQ (two.find ({"a", "none", "b"}), (Lines{one->name (), "", one->name ()}));
  EXPECT_EQ (two.claim ({{"a", "alice", "t5", 0}}), Lines{"held"});
  EXPECT_TRUE (Node::wait ([&] { return !one.told.empty (); }));
  EXPECT_EQ (one.told, Lines{"a t1 replaced"});
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", kSecond}}), Lines{"replaced"});
  EXPECT_EQ (two.find ({"a"}), Lines{two->name ()});
}

TEST_F (RedisBackplaneTest, WhatIsReleasedIsFreeForItsOwnerAlone) {
  Node one (redis.uri ()), two (redis.uri ());
  ASSERT_TRUE (one.wait_up () && two.wait_up ());
  EXPECT_EQ (one.claim ({{"a", std::string ("\0\xff \n", 4), "t1", 0}}), Lines{"held"});
  EXPECT_TRUE (one->release ({"a", "", "another", 0}));
  EXPECT_EQ (one.find ({"a"}), Lines{one->name ()});
  EXPECT_TRUE (one->release ({"a", "", "t1", 0}));
  EXPECT_EQ (one.find ({"a"}), Lines{""});
  EXPECT_EQ (two.claim ({{"a", "mallory", "t2", 0}}), Lines{"taken"});
  EXPECT_EQ (two.claim ({{"a", std::string ("\0\xff \n", 4), "t3", 0}}), Lines{"held"});
}

TEST_F (RedisBackplaneTest, ALeaseExpiresAndThenTheOwnership) {
  Node one (redis.uri (), {kSecond, 2 * kSecond});
  ASSERT_TRUE (one.wait_up ());
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", 0}}), Lines{"held"});
  EXPECT_TRUE (Node::wait ([&] { return one.find ({"a"}) == Lines{""}; }));
  EXPECT_EQ (one.claim ({{"a", "mallory", "t2", 0}}), Lines{"taken"});
  EXPECT_TRUE (Node::wait ([&] {
    return one.claim ({{"a", "mallory", "t3", 0}}) == Lines{"held"};
  }));
}

TEST_F (RedisBackplaneTest, AnEmptiedRedisLearnsAgainWhoWasFirst) {
  Node one (redis.uri ()), two (redis.uri ());
  ASSERT_TRUE (one.wait_up () && two.wait_up ());
  // The later one comes first; the earlier one has been there for longer, and says so.
  EXPECT_EQ (two.claim ({{"a", "mallory", "t2", kSecond}}), Lines{"held"});
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", 60 * kSecond}}), Lines{"held"});
  EXPECT_TRUE (Node::wait ([&] { return !two.told.empty (); }));
  EXPECT_EQ (two.told, Lines{"a t2 taken"});
  bool kept = false;
  EXPECT_TRUE (one->keep ({{"held", "alice", "", 5 * kSecond}, {"a", "mallory", "", 0}},
                          [&] (const auto &) { kept = true; }));
  EXPECT_TRUE (Node::wait ([&] { return kept; }));
  EXPECT_EQ (two.claim ({{"held", "mallory", "t3", 0}, {"a", "alice", "t4", 0}}),
             (Lines{"taken", "held"}));
}

TEST_F (RedisBackplaneTest, MessagesGoToOneOrToAllAndShowWhoIsNotThere) {
  Node one (redis.uri ()), two (redis.uri ());
  ASSERT_TRUE (one.wait_up () && two.wait_up ());
  const std::string bytes ("any\0bytes\r\n", 11);
  EXPECT_TRUE (one->publish (two->name (), bytes, true));
  EXPECT_TRUE (one->publish ("", "to all", false));
  EXPECT_TRUE (Node::wait ([&] { return two.told.size () == 2 && one.told.size () == 1; }));
  EXPECT_EQ (two.told, (Lines{bytes, "to all"}));
  EXPECT_TRUE (one->publish ("nobody", "?", false));
  EXPECT_TRUE (Node::wait ([&] { return one.unreachable == "nobody"; }));
}

TEST_F (RedisBackplaneTest, ComesUpUnderAnotherNameAfterAnOutage) {
  Node one (redis.uri ());
  ASSERT_TRUE (one.wait_up ());
  const std::string name = one->name ();
  redis.end (SIGKILL);
  EXPECT_TRUE (Node::wait ([&] { return !one.up; }));
  EXPECT_FALSE (one->publish ("", "x", false));
  EXPECT_FALSE (one->claim ({{"a", "alice", "t", 0}}, {}));
  redis.start ();
  ASSERT_TRUE (one.wait_up (2));
  EXPECT_NE (one->name (), name);
  EXPECT_TRUE (one->publish (one->name (), "to me", false));
  EXPECT_TRUE (Node::wait ([&] { return one.told == Lines{"to me"}; }));
}

TEST_F (RedisBackplaneTest, ARegistrationStaysTheSameUnderAnotherName) {
  Node one (redis.uri ());
  ASSERT_TRUE (one.wait_up ());
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", 0}}), Lines{"held"});
  const std::string name = one->name ();
  one->restart ({P2P_ERROR_WOULD_BLOCK, "It is tried."});
  ASSERT_TRUE (one.wait_up (2));
  EXPECT_NE (one->name (), name);
  // Its age is as good as the clocks on the way; that must not make it an older one.
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", 60 * kSecond}}), Lines{"held"});
  EXPECT_EQ (one.find ({"a"}), Lines{one->name ()});
}

TEST_F (RedisBackplaneTest, TheRightsInTheExampleAreEnough) {
  char *raw = nullptr;
  ASSERT_TRUE (g_file_get_contents (REDIS_EXAMPLE, &raw, nullptr, nullptr));
  const UniqueChars text (raw);
  const char *line = g_strstr_len (text.get (), -1, "\nuser rendezvous ");
  ASSERT_NE (line, nullptr);
  std::vector<std::string> words = {"ACL", "SETUSER"};
  std::istringstream rest (std::string (line + 6, std::strchr (line + 1, '\n')));
  for (std::string word; rest >> word;) words.push_back (word);
  LoopScheduler scheduler (nullptr);
  RedisConnection admin (nullptr, scheduler, *parse_redis_uri (redis.uri ()));
  admin.start ();
  ASSERT_TRUE (Node::wait ([&] { return admin.ready (); }));
  bool set = false;
  EXPECT_FALSE (
      admin.command (words, [&] (const Result<RedisReply> &answer) { set = answer.ok (); }));
  ASSERT_TRUE (Node::wait ([&] { return set; }));

  Node one ("redis+unix://rendezvous:PASSWORD@" + redis.socket_path () + "?db=1");
  ASSERT_TRUE (one.wait_up ());
  EXPECT_EQ (one.claim ({{"a", "alice", "t1", 0}}), Lines{"held"});
  EXPECT_EQ (one.claim ({{"a", "alice", "t2", 0}}), Lines{"held"});
  EXPECT_EQ (one.claim ({{"a", "alice", "t2", 0}}), Lines{"held"});
  EXPECT_TRUE (one->release ({"a", "", "t2", 0}));
  EXPECT_TRUE (one->keep ({{"b", "bob", "", 0}}, [] (const auto &) {}));
  EXPECT_EQ (one.find ({"a"}), Lines{""});
  EXPECT_TRUE (one->publish (one->name (), "to me", false));
  EXPECT_TRUE (Node::wait ([&] { return one.told.size () == 2; }));
  EXPECT_TRUE (one.up);
  EXPECT_TRUE (one.reasons.empty ()) << one.reasons.front ();
}

TEST_F (RedisBackplaneTest, ARedisThatRefusesIsNone) {
  Node one (redis.uri ());
  ASSERT_TRUE (one.wait_up ());
  LoopScheduler scheduler (nullptr);
  RedisConnection admin (nullptr, scheduler, *parse_redis_uri (redis.uri ()));
  admin.start ();
  ASSERT_TRUE (Node::wait ([&] { return admin.ready (); }));
  bool set = false;
  EXPECT_FALSE (admin.command ({"ACL", "SETUSER", "default", "-eval"},
                               [&] (const Result<RedisReply> &answer) { set = answer.ok (); }));
  ASSERT_TRUE (Node::wait ([&] { return set; }));
  bool decided = false;
  EXPECT_TRUE (one->claim ({{"a", "alice", "t", 0}}, [&] (const std::vector<Verdict> &verdicts) {
    decided = verdicts.empty ();
  }));
  EXPECT_TRUE (Node::wait ([&] { return decided && !one.up; }));
  EXPECT_NE (one.reasons.back ().find ("refuses EVAL: \"NOPERM"), std::string::npos)
      << one.reasons.back ();
}

}  // namespace
