// What users of network elements complain about: hangs, silence, loops and leaks.
#include <dirent.h>

#include <atomic>

#include "../support/gst-pipeline.hpp"

namespace p2p::test {
namespace {

constexpr gint64 kMaxStopMs = 1000;

int
count_entries (const char *path) {
  DIR *directory = opendir (path);
  int count = 0;
  while (readdir (directory)) count++;
  closedir (directory);
  return count;
}

class Stops : public testing::TestWithParam<const char *> {};

TEST_P (Stops, WithinASecondWhileItConnects) {
  for (const GstState state : {GST_STATE_READY, GST_STATE_PAUSED, GST_STATE_PLAYING}) {
    Pipeline pipeline (GetParam ());
    pipeline.set (state);
    EXPECT_LT (pipeline.stop (), kMaxStopMs) << gst_element_state_get_name (state);
  }
}

TEST_P (Stops, WithinASecondOnceItWaits) {
  Pipeline pipeline (GetParam ());
  pipeline.play ();
  pipeline.wait (GST_MESSAGE_EOS | GST_MESSAGE_ERROR, 300 * GST_MSECOND);
  EXPECT_LT (pipeline.stop (), kMaxStopMs);
}

INSTANTIATE_TEST_SUITE_P (
    WithoutPeer, Stops,
    testing::Values ("fakesrc sizetype=fixed sizemax=10 ! p2psink peer=nobody",
                     "fakesrc num-buffers=1 ! p2psink peer=nobody",
                     "fakesrc num-buffers=0 ! p2psink peer=nobody", "p2psrc id=lonely ! fakesink",
                     "p2psrc peer=nobody ! fakesink",
                     "p2psrc id=me rendezvous=ws://127.0.0.1:1 ! fakesink"));

TEST (WrongSecret, IsOneErrorOnBothSidesWithinFiveSeconds) {
  Pipeline receiver ("p2psrc id=guarded peer=stranger secret=right ! fakesink");
  Pipeline sender (
      "fakesrc sizetype=fixed sizemax=10 ! p2psink id=stranger peer=guarded secret=wrong");
  receiver.play ();
  sender.play ();
  for (Pipeline *pipeline : {&receiver, &sender}) {
    const BusMessage error = pipeline->wait (GST_MESSAGE_ERROR, 5 * GST_SECOND);
    EXPECT_TRUE (error.is_error (GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED))
        << error.text ();
  }
  EXPECT_FALSE (receiver.wait (GST_MESSAGE_ERROR, 500 * GST_MSECOND));
}

TEST (WrongSecret, IsAnErrorOfASourceThatTakesAnyPeer) {
  Pipeline receiver ("p2psrc id=open secret=right ! fakesink");
  Pipeline sender ("fakesrc sizetype=fixed sizemax=10 ! p2psink peer=open secret=wrong");
  receiver.play ();
  sender.play ();
  for (Pipeline *pipeline : {&receiver, &sender}) {
    const BusMessage error = pipeline->wait (GST_MESSAGE_ERROR, 5 * GST_SECOND);
    EXPECT_TRUE (error.is_error (GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED))
        << error.text ();
  }
}

TEST (UnreachableServer, IsAWarningAndNoError) {
  Pipeline receiver ("p2psrc id=me rendezvous=ws://127.0.0.1:1 ! fakesink");
  receiver.play ();
  const BusMessage message = receiver.wait (GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  EXPECT_EQ (message.type (), GST_MESSAGE_WARNING) << message.text ();
  EXPECT_FALSE (message.text ().empty ());
}

TEST (Stats, CanBeReadAtAnyMoment) {
  Pipeline receiver ("p2psrc name=p2p id=polled ! fakesink");
  Pipeline sender ("fakesrc sizetype=fixed sizemax=10 ! p2psink name=p2p peer=polled");
  struct Poll {
    std::atomic<bool> stop{false};
    GstElement *elements[2];
  } poll;
  poll.elements[0] = receiver.get ("p2p");
  poll.elements[1] = sender.get ("p2p");
  GThread *thread = g_thread_new (
      "poll",
      [] (gpointer data) -> gpointer {
        auto *p = static_cast<Poll *> (data);
        while (!p->stop)
          for (GstElement *element : p->elements) {
            GstStructure *stats = nullptr;
            g_object_get (element, "stats", &stats, nullptr);
            gst_structure_free (stats);
          }
        return nullptr;
      },
      &poll);
  receiver.play ();
  sender.play ();
  EXPECT_TRUE (sender.wait_connection ("connected"));
  sender.stop ();
  receiver.stop ();
  poll.stop = true;
  g_thread_join (thread);
}

TEST (Resources, AreTheSameAfterManyConnections) {
  int threads = 0, descriptors = 0;
  for (int i = 0; i < 200; i++) {
    {
      Pipeline receiver ("p2psrc id=again ! fakesink");
      Pipeline sender ("fakesrc num-buffers=1 sizetype=fixed sizemax=10 ! p2psink peer=again");
      receiver.play ();
      sender.play ();
      ASSERT_EQ (sender.wait_end (), "eos") << i;
      ASSERT_EQ (receiver.wait_end (), "eos") << i;
    }
    if (i == 20) {  // pools of threads have filled
      threads = count_entries ("/proc/self/task");
      descriptors = count_entries ("/proc/self/fd");
    }
  }
  // ICE agents close in the background: those of the last connections may still be at it.
  const gint64 until = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  while (count_entries ("/proc/self/fd") > descriptors + 2 && g_get_monotonic_time () < until)
    g_thread_yield ();
  EXPECT_LE (count_entries ("/proc/self/task"), threads + 2);
  EXPECT_LE (count_entries ("/proc/self/fd"), descriptors + 2);
}

}  // namespace
}  // namespace p2p::test
