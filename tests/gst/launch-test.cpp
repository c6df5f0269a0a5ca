// The main job: two processes of gst-launch-1.0 carry a file; and two of p2pcat join their ends.
#include <gio/gio.h>

#include <cstring>
#include <random>

#include "../support/gst-pipeline.hpp"

namespace p2p::test {
namespace {

std::string
path_of (const char *name) {
  return gst_environment->directory () + "/" + name;
}

std::string
make_file (const char *name, std::size_t size) {
  std::string bytes (size, '\0');
  std::mt19937 random (7);
  for (std::size_t i = 0; i + 4 <= size; i += 4) {
    const std::uint32_t word = random ();
    std::memcpy (&bytes[i], &word, 4);
  }
  g_file_set_contents (path_of (name).c_str (), bytes.data (), static_cast<gssize> (size), nullptr);
  return bytes;
}

std::string
read_file (const char *name) {
  char *data = nullptr;
  gsize size = 0;
  if (!g_file_get_contents (path_of (name).c_str (), &data, &size, nullptr)) return "";
  const std::string bytes (data, size);
  g_free (data);
  return bytes;
}

class Launch : public testing::Test {
 protected:
  // Runs a shell's command line in the background.
  GSubprocess *run (const std::string &command) {
    GError *error = nullptr;
    GSubprocess *process = g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, &error, "sh", "-c",
                                             ("exec timeout 60 " + command).c_str (), nullptr);
    EXPECT_NE (process, nullptr) << (error ? error->message : "");
    g_clear_error (&error);
    return process;
  }
  static int wait (GSubprocess *process) {
    g_subprocess_wait (process, nullptr, nullptr);
    const int status =
        g_subprocess_get_if_exited (process) ? g_subprocess_get_exit_status (process) : -1;
    g_object_unref (process);
    return status;
  }
};

TEST_F (Launch, TwoProcessesCarryAFile) {
  const std::string sent = make_file ("in", 32 * 1024 * 1024);
  GSubprocess *receiver = run (
      "gst-launch-1.0 -q p2psrc id=bob peer=alice secret=S ! filesink location=" + path_of ("out"));
  GSubprocess *sender = run ("gst-launch-1.0 -q filesrc location=" + path_of ("in") +
                             " ! p2psink id=alice peer=bob secret=S");
  EXPECT_EQ (wait (sender), 0);
  EXPECT_EQ (wait (receiver), 0);
  EXPECT_TRUE (read_file ("out") == sent);
}

TEST_F (Launch, WrongSecretEndsBothWithAnError) {
  GSubprocess *receiver = run ("gst-launch-1.0 -q p2psrc id=eve peer=mallory secret=A ! fakesink");
  GSubprocess *sender = run (
      "gst-launch-1.0 -q fakesrc sizetype=fixed sizemax=9 ! p2psink id=mallory peer=eve secret=B");
  EXPECT_EQ (wait (sender), 1);
  EXPECT_EQ (wait (receiver), 1);
}

TEST_F (Launch, CatJoinsBothEnds) {
  const std::string cat = g_getenv ("P2PCAT");
  const std::string sent = make_file ("cat-in", 1000000);
  GSubprocess *bob =
      run ("sh -c 'echo hello | " + cat + " --id cat -s S > " + path_of ("cat-out") + "'");
  GSubprocess *alice =
      run (cat + " cat -s S < " + path_of ("cat-in") + " > " + path_of ("cat-back"));
  EXPECT_EQ (wait (alice), 0);
  EXPECT_EQ (wait (bob), 0);
  EXPECT_TRUE (read_file ("cat-out") == sent);
  EXPECT_EQ (read_file ("cat-back"), "hello\n");
}

}  // namespace
}  // namespace p2p::test
