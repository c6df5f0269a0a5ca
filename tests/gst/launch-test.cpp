// The main job: two processes of gst-launch-1.0 carry a file.
#include "process.hpp"

namespace p2p::test {
namespace {

TEST (Launch, TwoProcessesCarryAFile) {
  const std::string sent = make_file ("in", 32 * 1024 * 1024);
  Process receiver (kLaunch +
                    "-q p2psrc id=bob peer=alice secret=S ! filesink location=" + path_of ("out"));
  Process sender (kLaunch + "-q filesrc location=" + path_of ("in") +
                  " ! p2psink id=alice peer=bob secret=S");
  EXPECT_EQ (sender.wait (), 0);
  EXPECT_EQ (receiver.wait (), 0);
  EXPECT_TRUE (read_file ("out") == sent);
}

TEST (Launch, WrongSecretEndsBothWithAnError) {
  Process receiver (kLaunch + "-q p2psrc id=eve peer=mallory secret=A ! fakesink");
  Process sender (kLaunch +
                  "-q fakesrc sizetype=fixed sizemax=9 ! p2psink id=mallory peer=eve secret=B");
  EXPECT_EQ (sender.wait (), 1);
  EXPECT_EQ (receiver.wait (), 1);
}

TEST (Launch, InterruptEndsAWaitingProcess) {
  Process receiver (kLaunch + "p2psrc id=waiting ! fakesink");
  ASSERT_TRUE (receiver.says ("PLAYING"));
  receiver.signal (SIGINT);
  EXPECT_GE (receiver.wait (), 0) << "it ends by itself";
}

}  // namespace
}  // namespace p2p::test
