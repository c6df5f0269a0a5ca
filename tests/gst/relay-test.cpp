// What elements ask of a TURN server (coturn), and what they leave there.
#include "../turn/coturn.hpp"
#include "process.hpp"

namespace p2p::test {
namespace {

class Relayed : public testing::Test {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
    ASSERT_TRUE (coturn_.start ()) << coturn_.log ();
  }
  // An element's properties of which it gets a relay and nothing else.
  std::string relay_only () const {
    const UniqueChars password (g_uri_escape_string (Coturn::kPassword, nullptr, FALSE));
    return " ice-transport-policy=relay turn-server=turn://" + std::string (Coturn::kUser) + ":" +
           password.get () + "@127.0.0.1:" + std::to_string (coturn_.port ()) + " ";
  }
  bool holds (int sessions) const {
    for (const gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
         g_get_monotonic_time () < end; g_usleep (10000))
      if (coturn_.sessions () == sessions) return true;
    return false;
  }
  Coturn coturn_;
};

TEST_F (Relayed, AFileGoesThroughAndNoAllocationIsLeft) {
  const std::string sent = make_file ("in", 1024 * 1024);
  Process receiver (kLaunch + "-q p2psrc id=bob peer=alice secret=S" + relay_only () +
                    "! filesink location=" + path_of ("out"));
  Process sender (kLaunch + "-q filesrc location=" + path_of ("in") +
                  " ! p2psink id=alice peer=bob secret=S" + relay_only ());
  EXPECT_EQ (sender.wait (), 0);
  EXPECT_EQ (receiver.wait (), 0);
  EXPECT_TRUE (read_file ("out") == sent);
  EXPECT_TRUE (coturn_.is_left_with_nothing ()) << coturn_.log ();
}

TEST_F (Relayed, AnInterruptLeavesNoAllocation) {
  Process receiver (kLaunch + "-q p2psrc id=bob peer=alice secret=S" + relay_only () +
                    "! fakesink");
  Process sender (kLaunch + "-q fakesrc sizetype=fixed sizemax=1000 datarate=100000" +
                  " ! p2psink id=alice peer=bob secret=S" + relay_only ());
  ASSERT_TRUE (holds (2)) << coturn_.log ();
  receiver.signal (SIGINT);
  sender.signal (SIGINT);
  EXPECT_GE (sender.wait (), 0);
  EXPECT_GE (receiver.wait (), 0);
  EXPECT_TRUE (coturn_.is_left_with_nothing ()) << coturn_.log ();
}

}  // namespace
}  // namespace p2p::test
