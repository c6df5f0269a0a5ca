// p2pcat joins standard input and output of two processes, and says how it went by its exit status.
#include "process.hpp"

namespace p2p::test {
namespace {

class Cat : public testing::Test {
 protected:
  void SetUp () override {
    const char *program = g_getenv ("P2PCAT");
    if (!program) GTEST_SKIP () << "P2PCAT does not name the program";
    cat_ = std::string (program) + " ";
  }

  std::string cat_;
};

TEST_F (Cat, JoinsBothEnds) {
  const std::string sent = make_file ("cat-in", 1000000);
  make_file ("hello", 8);
  Process bob (cat_ + "--id cat -s S <" + path_of ("hello") + " >" + path_of ("cat-out"));
  Process alice (cat_ + "cat -s S <" + path_of ("cat-in") + " >" + path_of ("cat-back"));
  EXPECT_EQ (alice.wait (), 0);
  EXPECT_EQ (bob.wait (), 0);
  EXPECT_TRUE (read_file ("cat-out") == sent);
  EXPECT_EQ (read_file ("cat-back"), read_file ("hello"));
}

TEST_F (Cat, CarriesMuchBothWaysAtOnce) {
  constexpr std::size_t kSize = 10 * 1024 * 1024;
  const std::string there = make_file ("there", kSize, 1), back = make_file ("back", kSize, 2);
  Process bob (cat_ + "--id both -s S <" + path_of ("back") + " >" + path_of ("there-out"));
  Process alice (cat_ + "both -s S <" + path_of ("there") + " >" + path_of ("back-out"));
  EXPECT_EQ (alice.wait (), 0);
  EXPECT_EQ (bob.wait (), 0);
  EXPECT_TRUE (read_file ("there-out") == there);
  EXPECT_TRUE (read_file ("back-out") == back);
}

// One direction ends at once, the other one goes on.
TEST_F (Cat, GoesOnInOneDirectionWhenTheOtherHasEnded) {
  constexpr std::size_t kSize = 10 * 1024 * 1024;
  const std::string sent = make_file ("half", kSize);
  for (const bool connecting_side_sends : {true, false}) {
    const std::string full = " <" + path_of ("half") + " >/dev/null";
    const std::string empty = " </dev/null >" + path_of ("half-out");
    Process bob (cat_ + "--id half -s S" + (connecting_side_sends ? empty : full));
    Process alice (cat_ + "half -s S" + (connecting_side_sends ? full : empty));
    EXPECT_EQ (alice.wait (), 0);
    EXPECT_EQ (bob.wait (), 0);
    EXPECT_TRUE (read_file ("half-out") == sent);
  }
}

TEST_F (Cat, EndsAtAnInterrupt) {
  // Whichever way it waits: for a peer that comes, for one that does not, or for input.
  for (const char *arguments : {"-v --id lonely", "-v nobody"}) {
    Process cat (cat_ + arguments + " 2>&1");
    ASSERT_NE (cat.line (), "");
    cat.signal (SIGINT);
    EXPECT_EQ (cat.wait (), 128 + SIGINT) << arguments;
  }
}

TEST_F (Cat, EndsAtAnInterruptWhileConnected) {
  Process bob (cat_ + "-v --id pair -s S 2>&1");
  Process alice (cat_ + "-v pair -s S 2>&1");
  ASSERT_TRUE (alice.says ("connected"));
  ASSERT_TRUE (bob.says ("connected"));
  alice.signal (SIGINT);
  EXPECT_EQ (alice.wait (), 128 + SIGINT);
}

// The processes of a stopped one live on and say nothing.
TEST_F (Cat, TellsOfABreakAndEndsWithAnErrorWhenThePeerStaysAway) {
  const std::string quick = "--ping-interval 50 --ping-timeout 200 -s S ";
  Process bob ("sh -c 'echo $$; exec " + cat_ + "-v --id away " + quick + "2>&1'");
  const std::string pid = bob.line ();
  Process alice (cat_ + "-v away --peer-comeback-timeout 2000 " + quick + "2>&1");
  ASSERT_TRUE (bob.says ("connected"));
  ASSERT_TRUE (alice.says ("connected"));
  const auto stop = [&pid] (int signal) { ASSERT_EQ (kill (std::atoi (pid.c_str ()), signal), 0); };
  stop (SIGSTOP);
  EXPECT_TRUE (alice.says ("broken"));
  stop (SIGCONT);
  EXPECT_TRUE (alice.says ("connected (restored"));
  stop (SIGSTOP);
  EXPECT_TRUE (alice.says ("broken"));
  EXPECT_TRUE (alice.says ("removed"));
  EXPECT_EQ (alice.wait (), 1);
  stop (SIGCONT);
}

// What it had sent may be lost, so that its end is none in order.
TEST_F (Cat, EndsWithAnErrorWhenThePeerHasForgottenTheSession) {
  const std::string waits = cat_ + "-v --id forgets -s S 2>&1";
  Process bob ("sh -c 'echo $$; exec " + waits + "'");
  const std::string pid = bob.line ();
  Process alice (cat_ + "-v forgets --ping-interval 50 --ping-timeout 200 -s S 2>&1");
  ASSERT_TRUE (alice.says ("connected (connected"));
  ASSERT_EQ (kill (std::atoi (pid.c_str ()), SIGKILL), 0);
  Process again (waits);
  EXPECT_TRUE (alice.says ("removed"));
  EXPECT_EQ (alice.wait (), 1);
}

TEST_F (Cat, GivesUpAfterItsTimeout) {
  Process cat (cat_ + "nobody --timeout 1 2>&1");
  EXPECT_NE (cat.line ().find ("no connection after 1 s"), std::string::npos);
  EXPECT_EQ (cat.wait (), 1);
}

TEST_F (Cat, SaysThatTheSecretIsWrong) {
  Process bob (cat_ + "--id guarded -s right </dev/null 2>&1");
  Process alice (cat_ + "guarded -s wrong </dev/null 2>&1");
  EXPECT_NE (alice.line ().find ("secret"), std::string::npos);
  EXPECT_NE (bob.line ().find ("secret"), std::string::npos);
  EXPECT_EQ (alice.wait (), 1);
  EXPECT_EQ (bob.wait (), 1);
}

TEST_F (Cat, RefusesASecondPeer) {
  Process bob (cat_ + "-v --id taken -s S 2>&1");
  Process alice (cat_ + "-v taken -s S 2>&1");
  ASSERT_TRUE (bob.says ("connected"));
  Process carol (cat_ + "taken -s S 2>&1");
  EXPECT_NE (carol.line (), "");
  EXPECT_EQ (carol.wait (), 1);
}

TEST_F (Cat, RefusesACommandLineThatMeansNothing) {
  for (const char *arguments :
       {"", "a b", "--no-such-option", "a --timeout -1", "a -s x --secret-file y",
        "a --secret-file /nonexistent", "a --rendezvous ftp://x", "a --stun-server x:y:z",
        "--id x --turn-server y", "a --ping-interval 9", "a --ping-timeout -1",
        "a --peer-comeback-timeout 3600001"}) {
    Process cat (cat_ + arguments + " </dev/null 2>&1");
    EXPECT_EQ (cat.line ().rfind ("p2pcat: ", 0), 0u) << arguments;
    EXPECT_EQ (cat.wait (), 2) << arguments;
  }
}

TEST_F (Cat, MakesStrongSecrets) {
  std::string secrets[2];
  for (std::string &secret : secrets) {
    Process cat (cat_ + "--new-secret");
    secret = cat.line ();
    EXPECT_EQ (cat.wait (), 0);
    EXPECT_GE (secret.size (), 22u) << "128 bits";
  }
  EXPECT_NE (secrets[0], secrets[1]);
}

}  // namespace
}  // namespace p2p::test
