// The meeting point of one machine, with real processes: election, takeover, and who may come in.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "process.hpp"
#include "signaling/factory.hpp"
#include "signaling/frame.hpp"
#include "signaling/local_place.hpp"

using namespace p2p;

namespace {

class LocalTest : public testing::Test {
 protected:
  std::unique_ptr<Process> helper (const std::string &id) {
    return std::make_unique<Process> (
        std::vector<std::string>{SIGNALING_HELPER, "local:" + socket, id});
  }
  // The process that holds the lock; 0 when none does.
  pid_t host () {
    const int fd = open ((socket + ".lock").c_str (), O_RDWR | O_CLOEXEC);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    EXPECT_EQ (fcntl (fd, F_GETLK, &lock), 0);
    close (fd);
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
  }
  TemporaryDirectory directory;
  std::string socket = directory / "meet.sock";
};

// A bare client that says whatever the test wants.
class RawClient {
 public:
  explicit RawClient (const std::string &path) : fd_ (::socket (AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy (address.sun_path, path.c_str (), sizeof address.sun_path - 1);
    EXPECT_EQ (connect (fd_, reinterpret_cast<sockaddr *> (&address), sizeof address), 0);
  }
  ~RawClient () { close (fd_); }
  void say (const std::string &text) {
    EXPECT_EQ (write (fd_, text.data (), text.size ()), static_cast<ssize_t> (text.size ()));
  }
  std::string line () {
    std::string text;
    char c;
    pollfd readable = {fd_, POLLIN, 0};
    while (poll (&readable, 1, 20000) == 1 && read (fd_, &c, 1) == 1 && c != '\n') text += c;
    return text;
  }

 private:
  int fd_;
};

}  // namespace

TEST_F (LocalTest, TwoProcessesExchangeMessages) {
  auto alice = helper ("alice"), bob = helper ("bob");
  alice->say ("ask bob");
  bob->say ("ask *");
  alice->expect ("+bob");
  bob->expect ("+alice");
  alice->say ("send bob hello there");
  EXPECT_EQ (bob->expect ("alice"), "alice: hello there");
  bob->say ("send alice hi");
  EXPECT_EQ (alice->expect ("bob"), "bob: hi");
  bob->say ("send carol x");
  bob->expect ("!\"carol\" is not at the meeting point");
  EXPECT_EQ (bob->end (0), 0);
  alice->expect ("-bob");
}

TEST_F (LocalTest, TheLastWordsOfTheHostArrive) {
  auto alice = helper ("alice");
  alice->expect ("registered");
  ASSERT_EQ (host (), alice->pid ());
  auto bob = helper ("bob");
  alice->say ("ask bob");
  bob->say ("ask alice");
  alice->expect ("+bob");
  bob->expect ("+alice");
  alice->say ("last bob farewell");
  EXPECT_EQ (alice->end (0), 0);
  EXPECT_EQ (bob->expect ("alice"), "alice: farewell");
  bob->expect ("registered");  // it hosts now
}

TEST_F (LocalTest, SocketIsForItsUserOnly) {
  auto alice = helper ("alice");
  alice->expect ("registered");
  struct stat info;
  ASSERT_EQ (stat (socket.c_str (), &info), 0);
  EXPECT_TRUE (S_ISSOCK (info.st_mode));
  EXPECT_EQ (info.st_mode & 0777, 0600u);
  ASSERT_EQ (stat ((socket + ".lock").c_str (), &info), 0);
  EXPECT_EQ (info.st_mode & 0777, 0600u);
}

TEST_F (LocalTest, SecondProcessWithTheSameIdIsRefusedUntilTheFirstEnds) {
  auto first = helper ("bob");
  first->expect ("registered");
  auto second = helper ("bob");
  second->expect ("refused The id \"bob\" is in use");
  EXPECT_EQ (first->end (SIGKILL) & 0x7f, SIGKILL);
  auto third = helper ("bob");
  third->expect ("registered");
}

TEST_F (LocalTest, StaleSocketFileIsReplaced) {
  auto first = helper ("alice");
  first->expect ("registered");
  first->end (SIGKILL);
  struct stat info;
  ASSERT_EQ (stat (socket.c_str (), &info), 0) << "a killed host leaves its socket behind";
  auto second = helper ("alice");
  second->expect ("registered");
}

TEST_F (LocalTest, LastOneToGoRemovesTheSocket) {
  auto alice = helper ("alice");
  alice->expect ("registered");
  EXPECT_EQ (alice->end (0), 0);
  struct stat info;
  EXPECT_NE (stat (socket.c_str (), &info), 0);
}

TEST_F (LocalTest, EightProcessesElectOneHostAndSurviveItsDeathTwice) {
  std::vector<std::pair<std::string, std::unique_ptr<Process>>> all;
  for (int i = 0; i < 8; ++i) {
    const std::string id = "p" + std::to_string (i);
    all.emplace_back (id, helper (id));
  }
  for (auto &[id, process] : all)
    for (const auto &other : all)
      if (other.first != id) process->say ("ask " + other.first);

  for (int round = 0; round < 3; ++round) {
    // Everybody ends up seeing everybody else, whatever came and went in between.
    for (auto &[id, process] : all) {
      std::set<std::string> present;
      while (present.size () + 1 < all.size ()) {
        const std::string line = process->line ();
        ASSERT_FALSE (line.empty ())
            << id << " sees only " << present.size () << " in round " << round;
        if (line[0] == '+') present.insert (line.substr (1));
        if (line[0] == '-') present.erase (line.substr (1));
      }
    }
    if (round == 2) break;
    const pid_t hosting = host ();
    const auto victim = std::find_if (
        all.begin (), all.end (), [&] (const auto &one) { return one.second->pid () == hosting; });
    ASSERT_NE (victim, all.end ()) << "no process hosts the meeting point";
    victim->second->end (SIGKILL);
    all.erase (victim);
    for (auto &[id, process] : all) {
      process->expect ("connecting The process that hosted");
      process->expect ("registered");
    }
  }
  auto &from = all.front ();
  auto &to = all.back ();
  from.second->say ("send " + to.first + " still here");
  EXPECT_EQ (to.second->expect (from.first + ":"), from.first + ": still here");
}

TEST_F (LocalTest, BadInputGetsAJsonErrorAndOthersAreNotDisturbed) {
  auto alice = helper ("alice");
  alice->expect ("registered");
  RawClient raw (socket);
  EXPECT_NE (raw.line ().find ("\"welcome\""), std::string::npos);
  raw.say ("nonsense\n{\"type\":\"ask\",\"id\":7,\"peer\":\"x\"}\n");
  EXPECT_NE (raw.line ().find ("\"bad-json\""), std::string::npos);
  EXPECT_NE (raw.line ().find ("\"field\":\"id\""), std::string::npos);
  raw.say (std::string (3 * kMaxFrameBytes, 'x') + "\n{\"type\":\"ping\",\"seq\":4}\n");
  EXPECT_NE (raw.line ().find ("\"too-long\""), std::string::npos);
  EXPECT_EQ (raw.line (), "{\"type\":\"pong\",\"seq\":4}");
  auto bob = helper ("bob");
  bob->say ("ask alice");
  alice->say ("ask bob");
  alice->expect ("+bob");
}

TEST_F (LocalTest, PathsThatCannotWorkAreErrorsThatNameThem) {
  EXPECT_NE (checked_local_socket_path ("/nowhere/at/all.sock").error ().message.find ("/nowhere"),
             std::string::npos);
  const auto too_long = checked_local_socket_path (directory / std::string (120, 'x'));
  ASSERT_FALSE (too_long.ok ());
  EXPECT_EQ (too_long.error ().code, P2P_ERROR_INVALID_ARGUMENT);
  Process helper ({SIGNALING_HELPER, "local:/nowhere/at/all.sock", "alice"});
  helper.expect ("error The local socket path");
}

TEST_F (LocalTest, DefaultPlaceIsPrivateWithAndWithoutARuntimeDirectory) {
  const std::string before = g_getenv ("XDG_RUNTIME_DIR") ? g_getenv ("XDG_RUNTIME_DIR") : "";
  const std::string runtime = directory / "";
  chmod (runtime.c_str (), 0700);
  g_setenv ("XDG_RUNTIME_DIR", runtime.c_str (), TRUE);
  auto path = default_local_socket_path ();
  ASSERT_TRUE (path.ok ());
  EXPECT_EQ (*path, directory / "gst-p2p/meet.sock");
  // One that others may write to is not used.
  chmod (runtime.c_str (), 0777);
  path = default_local_socket_path ();
  ASSERT_TRUE (path.ok ());
  EXPECT_NE (*path, directory / "gst-p2p/meet.sock");
  struct stat info;
  ASSERT_EQ (stat (path->substr (0, path->rfind ('/')).c_str (), &info), 0);
  EXPECT_EQ (info.st_mode & 0777, 0700u);
  rmdir ((directory / "gst-p2p").c_str ());
  if (before.empty ())
    g_unsetenv ("XDG_RUNTIME_DIR");
  else
    g_setenv ("XDG_RUNTIME_DIR", before.c_str (), TRUE);
}
