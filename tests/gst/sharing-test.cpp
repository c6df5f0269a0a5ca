// Elements that share an agent and a connection, those who may come in, and the meeting point.
#include <p2p/p2p.h>

#include "process.hpp"
#include "stream.hpp"

namespace p2p::test {
namespace {

void
send (Pipeline &pipeline, const char *source, const Bytes &bytes) {
  ASSERT_EQ (gst_app_src_push_buffer (GST_APP_SRC (pipeline.get (source)), buffer_of (bytes)),
             GST_FLOW_OK);
}

Bytes
receive (Pipeline &pipeline, const char *sink) {
  const Sample got (gst_app_sink_try_pull_sample (GST_APP_SINK (pipeline.get (sink)), kPatience));
  return got ? got.bytes () : Bytes ();
}

std::string
stat_text (Pipeline &pipeline, const char *element, const char *field) {
  GstStructure *stats = nullptr;
  g_object_get (pipeline.get (element), "stats", &stats, nullptr);
  const char *text = gst_structure_get_string (stats, field);
  const std::string result = text ? text : "";
  gst_structure_free (stats);
  return result;
}

TEST (OneId, SharesOneConnectionForAllOfItsElements) {
  Pipeline alice (
      "appsrc name=in1 ! p2psink name=one id=alice peer=bob channel=one async=false "
      "appsrc name=in2 ! p2psink name=two id=alice peer=bob channel=two async=false "
      "p2psrc id=alice peer=bob channel=back ! appsink name=out sync=false async=false");
  Pipeline bob (
      "p2psrc id=bob peer=alice channel=one ! appsink name=out1 sync=false async=false "
      "p2psrc id=bob peer=alice channel=two ! appsink name=out2 sync=false async=false "
      "appsrc name=in ! p2psink id=bob peer=alice channel=back async=false");
  alice.play ();
  bob.play ();
  send (alice, "in1", {1});
  send (alice, "in2", {2});
  send (bob, "in", {3});
  EXPECT_EQ (receive (bob, "out1"), Bytes ({1}));
  EXPECT_EQ (receive (bob, "out2"), Bytes ({2}));
  EXPECT_EQ (receive (alice, "out"), Bytes ({3}));
  const std::string pair = stat_text (alice, "one", "local-candidate");
  EXPECT_NE (pair, "");
  EXPECT_EQ (stat_text (alice, "two", "local-candidate"), pair);
}

TEST (OneId, KeepsTheConnectionUntilItsLastElementHasLeft) {
  Pipeline bob (
      "p2psrc id=bob peer=alice channel=one ! appsink name=out1 sync=false async=false "
      "p2psrc id=bob peer=alice channel=two ! appsink name=out2 sync=false async=false");
  Pipeline one ("appsrc name=in ! p2psink id=alice peer=bob channel=one");
  Pipeline two ("appsrc name=in ! p2psink id=alice peer=bob channel=two");
  for (Pipeline *pipeline : {&bob, &one, &two}) pipeline->play ();
  send (one, "in", {1});
  send (two, "in", {2});
  EXPECT_EQ (receive (bob, "out1"), Bytes ({1}));
  EXPECT_EQ (receive (bob, "out2"), Bytes ({2}));
  one.stop ();
  send (two, "in", {3});
  EXPECT_EQ (receive (bob, "out2"), Bytes ({3}));
}

TEST (OneId, WithTwoSecretsForOnePeerIsAnError) {
  Pipeline both (
      "fakesrc sizetype=fixed sizemax=9 ! p2psink id=alice peer=bob channel=one secret=a "
      "fakesrc sizetype=fixed sizemax=9 ! p2psink id=alice peer=bob channel=two secret=b");
  both.play ();
  const BusMessage error = both.wait (GST_MESSAGE_ERROR);
  EXPECT_TRUE (error.is_error (GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS)) << error.text ();
}

// The fingerprint of an identity, which is made when there is none yet.
std::string
fingerprint_of (const std::string &identity) {
  P2pAgent *agent = p2p_agent_new ("reader");
  g_object_set (agent, "identity", identity.c_str (), nullptr);
  GError *error = nullptr;
  char *text = p2p_agent_get_fingerprint (agent, &error);
  EXPECT_NE (text, nullptr) << (error ? error->message : "");
  const std::string fingerprint = text ? text : "";
  g_clear_error (&error);
  g_free (text);
  g_object_unref (agent);
  return fingerprint;
}

TEST (Fingerprint, LetsInTheOneThatItNames) {
  const std::string friend_file = path_of ("friend"), own = path_of ("own");
  Pipeline listener ("p2psrc name=p2p id=door identity=" + own + " peer-fingerprint=\"" +
                     fingerprint_of (friend_file) + "\" ! appsink name=out sync=false");
  Pipeline sender ("appsrc name=in ! p2psink name=p2p peer=door identity=" + friend_file +
                   " peer-fingerprint=\"" + fingerprint_of (own) + "\"");
  listener.play ();
  sender.play ();
  send (sender, "in", {1});
  EXPECT_EQ (receive (listener, "out"), Bytes ({1}));
  EXPECT_EQ (stat_text (listener, "p2p", "authentication"), "fingerprint");
  EXPECT_EQ (stat_text (sender, "p2p", "authentication"), "fingerprint");
}

TEST (Fingerprint, KeepsOutEveryoneElse) {
  const std::string own = path_of ("own");
  Pipeline listener ("p2psrc id=door identity=" + own + " peer-fingerprint=\"" +
                     fingerprint_of (path_of ("friend")) + "\" ! appsink name=out sync=false");
  Pipeline stranger ("fakesrc sizetype=fixed sizemax=9 ! p2psink id=stranger peer=door identity=" +
                     path_of ("stranger"));
  listener.play ();
  stranger.play ();
  const BusMessage error = stranger.wait (GST_MESSAGE_ERROR, 5 * GST_SECOND);
  EXPECT_EQ (error.type (), GST_MESSAGE_ERROR) << "the stranger waits";
  const BusMessage told = listener.wait (GST_MESSAGE_ERROR, 5 * GST_SECOND);
  EXPECT_TRUE (told.is_error (GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED))
      << told.text ();
  EXPECT_FALSE (
      Sample (gst_app_sink_try_pull_sample (GST_APP_SINK (listener.get ("out")), GST_MSECOND)));
}

// A rendezvous server on a free port.
class Rendezvous : public testing::Test {
 protected:
  void SetUp () override {
    const char *program = g_getenv ("P2P_RENDEZVOUS");
    if (!program) GTEST_SKIP () << "P2P_RENDEZVOUS does not name the server";
    server_ = std::make_unique<Process> (std::string (program) + " --listen 127.0.0.1:0");
    const std::string line = server_->line ();
    const auto colon = line.rfind (':');
    ASSERT_NE (colon, std::string::npos) << line;
    port_ = std::to_string (std::atoi (line.c_str () + colon + 1));
    ASSERT_NE (port_, "0") << line;
  }

  std::unique_ptr<Process> server_;
  std::string port_;
};

TEST_F (Rendezvous, BringsTwoElementsTogether) {
  const std::string where = " rendezvous=ws://127.0.0.1:" + port_ + " ";
  Pipeline receiver ("p2psrc id=bob secret=S" + where + "! appsink name=out sync=false");
  Pipeline sender ("appsrc name=in ! p2psink id=alice peer=bob secret=S" + where);
  receiver.play ();
  sender.play ();
  send (sender, "in", {1, 2, 3});
  EXPECT_EQ (receive (receiver, "out"), Bytes ({1, 2, 3}));
}

TEST_F (Rendezvous, IsNotNeededByAConnectionThatLives) {
  Pipeline receiver ("p2psrc uri=p2p://127.0.0.1:" + port_ + "/alice?id=bob secret=S " +
                     "! appsink name=out sync=false");
  Pipeline sender ("appsrc name=in ! p2psink name=p2p uri=p2p://127.0.0.1:" + port_ +
                   "/bob?id=alice secret=S");
  receiver.play ();
  sender.play ();
  send (sender, "in", {1});
  ASSERT_EQ (receive (receiver, "out"), Bytes ({1}));
  server_.reset ();
  const BusMessage warning = sender.wait (GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  EXPECT_EQ (warning.type (), GST_MESSAGE_WARNING) << warning.text ();
  send (sender, "in", {2});
  EXPECT_EQ (receive (receiver, "out"), Bytes ({2}));
}

}  // namespace
}  // namespace p2p::test
