// Whatever moment a writer is killed at, what it was told to be durable is there and nothing is
// torn.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <random>

#include "store/store_factory.hpp"
#include "support/store_driver.hpp"
#include "support/temp_folder.hpp"

namespace p2p {
namespace {

struct Outcome {
  int acked = 0;  // the last batch that was told to be durable
  int steps = 0;  // 0: it was killed
  std::string error;
};

// Runs a writer; kills it once it has confirmed `kill_after` batches, unless that is negative.
Outcome
run_writer (const std::vector<std::string> &arguments, int kill_after) {
  int pipe_ends[2];
  EXPECT_EQ (pipe (pipe_ends), 0);
  std::vector<char *> argv = {const_cast<char *> (STORE_WRITER)};
  for (const std::string &argument : arguments)
    argv.push_back (const_cast<char *> (argument.c_str ()));
  argv.push_back (nullptr);
  const pid_t child = fork ();
  if (child == 0) {
    dup2 (pipe_ends[1], STDOUT_FILENO);
    execv (STORE_WRITER, argv.data ());
    _exit (127);
  }
  close (pipe_ends[1]);
  Outcome outcome;
  int acks = 0;
  FILE *lines = fdopen (pipe_ends[0], "r");
  char line[512];
  while (fgets (line, sizeof line, lines)) {
    if (sscanf (line, "acked %d", &outcome.acked) == 1 && ++acks == kill_after)
      kill (child, SIGKILL);
    sscanf (line, "steps %d", &outcome.steps);
    if (g_str_has_prefix (line, "error")) outcome.error = line;
  }
  fclose (lines);
  waitpid (child, nullptr, 0);
  return outcome;
}

int
number (const test::StoreDriver::Items &items, const std::string &key) {
  for (const auto &[name, value] : items)
    if (name == key) return atoi (value.c_str ());
  return 0;
}

class StoreKill : public testing::Test {
 protected:
  // Answers the batch at which the state stands.
  int check (const Outcome &outcome) {
    EXPECT_EQ (outcome.error, "");
    test::StoreDriver store ([this] { return std::move (*make_session_store (uri_, "")); });
    const auto items = store.must_open ();
    EXPECT_GT (store.term, term_) << "a term was handed out twice";
    term_ = store.term;
    const int at = number (items, "first");
    EXPECT_EQ (number (items, "last"), at) << "a batch is torn";
    EXPECT_GE (at, outcome.acked) << "a confirmed batch is lost";
    std::size_t logs = 0;
    for (const auto &[key, value] : items) {
      int n = 0;
      if (sscanf (key.c_str (), "log/%d", &n) != 1) continue;
      ++logs;
      EXPECT_GT (n, at - 4);
      EXPECT_LE (n, at);
      EXPECT_TRUE (value == std::string (3072, static_cast<char> (n)));
    }
    EXPECT_EQ (logs, static_cast<std::size_t> (std::min (at, 4)));
    store.close ();
    return at;
  }

  test::TempFolder folder_;
  const std::string uri_ = "sqlite:" + folder_.file ("s.db");
  std::uint64_t term_ = 0;
};

TEST_F (StoreKill, AtAnyMomentLeavesWhatWasConfirmed) {
  std::mt19937 random (1);
  int killed = 0;
  for (int round = 0; round < 60; ++round) {
    const int after = std::uniform_int_distribution<int> (1, 150) (random);
    const Outcome outcome = run_writer ({uri_, "400"}, after);
    killed += outcome.steps == 0;
    check (outcome);
    ASSERT_FALSE (HasFailure ()) << "round " << round << ", killed after " << after;
  }
  EXPECT_GT (killed, 30) << "the writers were too fast to be killed";
}

TEST_F (StoreKill, AtEveryWriteToTheDiskLeavesWhatWasConfirmed) {
  const std::string complete = "sqlite:" + folder_.file ("complete.db");
  const int steps = run_writer ({complete, "6"}, -1).steps;
  ASSERT_GT (steps, 20);
  for (const char *when : {"before", "half", "after"}) {
    for (int step = 1; step <= steps; ++step) {
      for (const char *end : {"", "-wal", "-shm", "-lock"})
        g_unlink ((folder_.file ("s.db") + end).c_str ());
      term_ = 0;
      const Outcome outcome = run_writer ({uri_, "6", std::to_string (step), when}, -1);
      check (outcome);
      ASSERT_FALSE (HasFailure ()) << "killed " << when << " write " << step << " of " << steps;
    }
  }
}

}  // namespace
}  // namespace p2p
