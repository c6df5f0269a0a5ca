// Three real rendezvous servers behind a real Redis, with real clients at each of them.
#include "redis_server.hpp"

using namespace p2p;

namespace {

class Server {
 public:
  Server (const std::string &redis, const std::string &listen = "127.0.0.1:0")
      : process_ (std::vector<std::string>{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh", RENDEZVOUS,
                                           "--listen", listen, "--backplane", redis}) {
    const std::string line = process_.expect ("listening on ");
    uri_ = line.substr (13, line.find (' ', 13) - 13);
  }
  const std::string &uri () const { return uri_; }
  int end (int signal) { return process_.end (signal); }
  void send (int signal) const { kill (process_.pid (), signal); }
  // Reads its log until a line has that in it. GLib puts an empty line before a warning.
  std::string log (const std::string &part) {
    const gint64 until = g_get_monotonic_time () + kDeadlineUs;
    while (g_get_monotonic_time () < until) {
      const std::string line = process_.line ();
      if (line.find (part) != std::string::npos) return line;
    }
    ADD_FAILURE () << part << " was not logged";
    return {};
  }

 private:
  Process process_;
  std::string uri_;
};

class Client {
 public:
  Client (const std::string &uri, const std::string &id)
      : process_ (std::vector<std::string>{SIGNALING_HELPER, uri, id}) {
    expect ("registered");
  }
  void say (const std::string &line) { process_.say (line); }
  void expect (const std::string &start) { EXPECT_NE (process_.expect (start), "") << start; }

 private:
  Process process_;
};

class ManyServersTest : public testing::Test {
 protected:
  void SetUp () override {
    redis.start ();
    for (int i = 0; i < 3; ++i) {
      servers.push_back (std::make_unique<Server> (redis.uri ()));
      servers.back ()->log ("event=backplane-up");
    }
  }
  // All servers, beginning with that one.
  std::string uris (std::size_t first) const {
    std::string text;
    for (std::size_t i = 0; i < servers.size (); ++i)
      text += (i == 0 ? "" : ",") + servers[(first + i) % servers.size ()]->uri ();
    return text;
  }
  static void meet (Client &one, const std::string &name, Client &other,
                    const std::string &other_name) {
    one.say ("ask " + other_name);
    other.say ("ask " + name);
    one.expect ("+" + other_name);
    other.expect ("+" + name);
  }
  static void talk (Client &one, const std::string &name, Client &other,
                    const std::string &other_name, const std::string &text) {
    one.say ("send " + other_name + " " + text);
    other.expect (name + ": " + text);
    other.say ("send " + name + " " + text);
    one.expect (other_name + ": " + text);
  }

  RedisServer redis;
  std::vector<std::unique_ptr<Server>> servers;
};

TEST_F (ManyServersTest, ClientsOfEachReachThoseOfTheOthers) {
  Client alice (servers[0]->uri (), "alice"), bob (servers[1]->uri (), "bob"),
      carol (servers[2]->uri (), "carol");
  meet (alice, "alice", bob, "bob");
  meet (bob, "bob", carol, "carol");
  meet (carol, "carol", alice, "alice");
  talk (alice, "alice", bob, "bob", "one");
  talk (bob, "bob", carol, "carol", "two");
  talk (carol, "carol", alice, "alice", std::string (1024, 'x'));
  // Another program cannot have the name, wherever it asks.
  Process thief (std::vector<std::string>{SIGNALING_HELPER, servers[2]->uri (), "alice"});
  EXPECT_NE (thief.expect ("refused").find ("in use by somebody else"), std::string::npos);
}

TEST_F (ManyServersTest, ClientsOfAKilledServerGoOnAtAnother) {
  constexpr std::size_t kPairs = 4;
  std::vector<std::unique_ptr<Client>> near, far;
  for (std::size_t i = 0; i < kPairs; ++i) {
    const std::string n = std::to_string (i);
    near.push_back (std::make_unique<Client> (servers[0]->uri (), "near" + n));
    far.push_back (std::make_unique<Client> (uris (1), "far" + n));
    meet (*near[i], "near" + n, *far[i], "far" + n);
  }
  // Under load: what is under way when the server dies is lost, with presence as the sign.
  for (int message = 0; message < 20; ++message) {
    for (std::size_t i = 0; i < kPairs; ++i) {
      near[i]->say ("send far" + std::to_string (i) + " load");
      far[i]->say ("send near" + std::to_string (i) + " load");
    }
    if (message == 10) servers[1]->end (SIGKILL);
  }
  for (std::size_t i = 0; i < kPairs; ++i) {
    const std::string n = std::to_string (i);
    near[i]->expect ("-far" + n);
    far[i]->expect ("-near" + n);
    near[i]->expect ("+far" + n);
    far[i]->expect ("+near" + n);
    talk (*near[i], "near" + n, *far[i], "far" + n, "after");
  }
}

TEST_F (ManyServersTest, AServerThatIsKilledWithoutClientsComingBackIsNoticed) {
  Client alice (servers[0]->uri (), "alice"), bob (servers[1]->uri (), "bob");
  meet (alice, "alice", bob, "bob");
  servers[1]->end (SIGKILL);
  alice.expect ("-bob");
}

TEST_F (ManyServersTest, WithoutRedisEachGoesOnAloneAndAnEmptyOneIsFilled) {
  Client alice (servers[0]->uri (), "alice"), bob (servers[1]->uri (), "bob"),
      near (servers[0]->uri (), "near");
  meet (alice, "alice", bob, "bob");
  meet (alice, "alice", near, "near");
  redis.end (SIGKILL);
  alice.expect ("-bob");
  bob.expect ("-alice");
  const std::string line = servers[0]->log ("event=backplane-down");
  EXPECT_NE (line.find ("is lost: "), std::string::npos) << line;
  talk (alice, "alice", near, "near", "alone");
  Client dave (servers[0]->uri (), "dave");
  meet (alice, "alice", dave, "dave");
  redis.start ();
  servers[0]->log ("event=backplane-up");
  alice.expect ("+bob");
  bob.expect ("+alice");
  talk (alice, "alice", bob, "bob", "together");
}

TEST_F (ManyServersTest, ARedisThatStandsStillDoesNotHoldUpThoseAtOneServer) {
  Client alice (servers[0]->uri (), "alice"), bob (servers[1]->uri (), "bob"),
      near (servers[0]->uri (), "near");
  meet (alice, "alice", bob, "bob");
  meet (alice, "alice", near, "near");
  redis.send (SIGSTOP);
  talk (alice, "alice", near, "near", "still here");
  alice.expect ("-bob");
  redis.send (SIGCONT);
  alice.expect ("+bob");
  talk (alice, "alice", bob, "bob", "together");
}

TEST (Backplane, WhatIsWrongWithItsUriIsSaid) {
  Process server (std::vector<std::string>{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh", RENDEZVOUS,
                                           "--backplane", "http://:hunter2@host"});
  const std::string line = server.line ();
  EXPECT_NE (line.find ("the scheme must be redis://"), std::string::npos) << line;
  EXPECT_EQ (line.find ("hunter2"), std::string::npos) << line;
  const int status = server.end (0);
  EXPECT_EQ (WEXITSTATUS (status), 2);
}

}  // namespace
