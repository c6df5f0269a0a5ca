// The elements by themselves: what gst-inspect-1.0 shows, properties, URIs, and starting without a
// peer.
#include <gst/base/base.h>
#include <p2p/p2p.h>

#include "../support/gst-pipeline.hpp"

namespace p2p::test {
namespace {

class Element : public testing::TestWithParam<const char *> {
 protected:
  void SetUp () override {
    element_ = gst_element_factory_make (GetParam (), nullptr);
    ASSERT_NE (element_, nullptr) << "GST_PLUGIN_PATH must name the directory of the plugin";
    gst_object_ref_sink (element_);
  }
  void TearDown () override {
    gst_element_set_state (element_, GST_STATE_NULL);
    gst_object_unref (element_);
  }
  std::string text (const char *property) {
    char *value = nullptr;
    g_object_get (element_, property, &value, nullptr);
    const std::string text = value ? value : "";
    g_free (value);
    return text;
  }
  bool is_sink () const { return std::string (GetParam ()) == "p2psink"; }

  GstElement *element_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P (Both, Element, testing::Values ("p2psrc", "p2psink"));

TEST_P (Element, HasEveryPropertyWithABlurb) {
  std::vector<std::string> names = {"uri",
                                    "id",
                                    "peer",
                                    "channel",
                                    "rendezvous",
                                    "secret",
                                    "agent",
                                    "identity",
                                    "stun-server",
                                    "turn-server",
                                    "turn-standby",
                                    "stats",
                                    "ice-transport-policy",
                                    "data-path",
                                    "connection-state",
                                    "peer-fingerprint",
                                    "ping-interval",
                                    "ping-timeout",
                                    "peer-comeback-timeout",
                                    "idle-timeout",
                                    "max-queue-bytes",
                                    "resume",
                                    "session-store",
                                    "session-store-key"};
  if (is_sink ())
    names.insert (names.end (), {"wait-for-connection", "reliable", "ordered",
                                 "max-packet-lifetime", "drain-timeout"});
  else
    names.insert (names.end (), {"caps", "keep-listening"});
  for (const std::string &name : names) {
    GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element_), name.c_str ());
    ASSERT_NE (spec, nullptr) << name;
    EXPECT_GT (std::string (g_param_spec_get_blurb (spec)).size (), 20u) << name;
  }
}

TEST_P (Element, HasItsClassAndRank) {
  GstElementFactory *factory = gst_element_get_factory (element_);
  EXPECT_STREQ (gst_element_factory_get_metadata (factory, GST_ELEMENT_METADATA_KLASS),
                is_sink () ? "Sink/Network" : "Source/Network");
  EXPECT_EQ (gst_plugin_feature_get_rank (GST_PLUGIN_FEATURE (factory)), GST_RANK_PRIMARY);
}

TEST_P (Element, KeepsSecretsToItself) {
  GParamSpec *secret = g_object_class_find_property (G_OBJECT_GET_CLASS (element_), "secret");
  EXPECT_FALSE (secret->flags & G_PARAM_READABLE);
  g_object_set (element_, "id", "me", "secret", "hunter2", "turn-server",
                "turn://user:hunter2@turn.example:3478?transport=udp", nullptr);
  EXPECT_EQ (text ("turn-server"), "turn://turn.example:3478?transport=udp");
  EXPECT_EQ (text ("uri").find ("hunter2"), std::string::npos);
  g_object_set (element_, "session-store", "redis://:hunter2@store.example:6379/1", nullptr);
  EXPECT_EQ (text ("session-store"), "redis://store.example:6379/1");
  EXPECT_EQ (text ("uri").find ("hunter2"), std::string::npos);
}

TEST_P (Element, TakesTheUriApartAndPutsItTogether) {
  auto *handler = GST_URI_HANDLER (element_);
  ASSERT_TRUE (gst_uri_handler_set_uri (handler, "p2p://meet.example/bob/video?id=me", nullptr));
  EXPECT_EQ (text ("rendezvous"), "ws://meet.example:7480");
  EXPECT_EQ (text ("peer"), "bob");
  EXPECT_EQ (text ("channel"), "video");
  EXPECT_EQ (text ("id"), "me");
  EXPECT_EQ (text ("uri"), "p2p://meet.example/bob/video?id=me");
  char *uri = gst_uri_handler_get_uri (handler);
  EXPECT_STREQ (uri, "p2p://meet.example/bob/video?id=me");
  g_free (uri);
}

TEST_P (Element, TakesNoUriForAnAnswer) {
  EXPECT_EQ (text ("uri"), "");
  g_object_set (element_, "uri", "p2p:///bob", "uri", nullptr, nullptr);
  EXPECT_EQ (text ("peer"), "");
}

TEST_P (Element, RefusesBadUrisAndKeepsWhatItHad) {
  auto *handler = GST_URI_HANDLER (element_);
  ASSERT_TRUE (gst_uri_handler_set_uri (handler, "p2p:///bob", nullptr));
  for (const char *uri : {"p2p://a/b/c/d", "p2p:///x?max-queue-bytes=-1",
                          "p2p:///x?ice-transport-policy=some", "p2p:///x?secret=y"}) {
    GError *error = nullptr;
    EXPECT_FALSE (gst_uri_handler_set_uri (handler, uri, &error)) << uri;
    EXPECT_TRUE (g_error_matches (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI)) << uri;
    g_clear_error (&error);
  }
  EXPECT_EQ (text ("peer"), "bob");
}

TEST_P (Element, RefusesAnotherUriWhileItRuns) {
  auto *handler = GST_URI_HANDLER (element_);
  ASSERT_TRUE (gst_uri_handler_set_uri (handler, "p2p:///bob?id=me", nullptr));
  gst_element_set_state (element_, GST_STATE_PAUSED);
  GError *error = nullptr;
  EXPECT_FALSE (gst_uri_handler_set_uri (handler, "p2p:///carol", &error));
  EXPECT_TRUE (g_error_matches (error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE));
  g_clear_error (&error);
  EXPECT_EQ (text ("peer"), "bob");
}

TEST_P (Element, HasStatsAndNoConnectionBeforeItStarts) {
  GstStructure *stats = nullptr;
  P2pConnectionState state = P2P_CONNECTION_STATE_CONNECTED;
  g_object_get (element_, "stats", &stats, "connection-state", &state, nullptr);
  ASSERT_NE (stats, nullptr);
  EXPECT_TRUE (gst_structure_has_name (stats, "application/x-p2p-stats"));
  EXPECT_EQ (state, P2P_CONNECTION_STATE_REMOVED);
  gst_structure_free (stats);
}

TEST_P (Element, AddsTurnServersByTheActionSignal) {
  gboolean added = FALSE;
  g_signal_emit_by_name (element_, "add-turn-server", "turn://u:p@turn.example", &added);
  EXPECT_TRUE (added);
  g_signal_emit_by_name (element_, "add-turn-server", "http://turn.example", &added);
  EXPECT_FALSE (added);
}

TEST_P (Element, FailsToStartWithAMessageWhenNobodyCouldFindIt) {
  GstBus *bus = gst_bus_new ();
  gst_element_set_bus (element_, bus);
  EXPECT_EQ (gst_element_set_state (element_, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  const BusMessage error (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  EXPECT_TRUE (error.is_error (GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
  EXPECT_NE (error.text ().find ("'peer'"), std::string::npos);
  gst_element_set_bus (element_, nullptr);
  gst_object_unref (bus);
}

TEST_P (Element, FailsToStartWithABadUri) {
  GstBus *bus = gst_bus_new ();
  gst_element_set_bus (element_, bus);
  g_object_set (element_, "peer", "bob", "uri", "p2p:///bob?color=red", nullptr);
  EXPECT_EQ (gst_element_set_state (element_, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  const BusMessage error (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  EXPECT_NE (error.text ().find ("color"), std::string::npos);
  gst_element_set_bus (element_, nullptr);
  gst_object_unref (bus);
}

TEST (Source, IsLiveAndAnswersWithItsLatency) {
  Pipeline pipeline ("p2psrc name=src id=latency ! fakesink");
  EXPECT_EQ (pipeline.set (GST_STATE_PAUSED), GST_STATE_CHANGE_NO_PREROLL);
  GstQuery *query = gst_query_new_latency ();
  ASSERT_TRUE (gst_element_query (pipeline.get ("src"), query));
  gboolean live = FALSE;
  GstClockTime minimum = 0, maximum = 0;
  gst_query_parse_latency (query, &live, &minimum, &maximum);
  EXPECT_TRUE (live);
  EXPECT_GT (minimum, 0u);
  gst_query_unref (query);
}

TEST (Sink, RefusesCapsThatAreNotInSystemMemory) {
  Pipeline pipeline (
      "fakesrc num-buffers=1 sizetype=fixed sizemax=10 ! "
      "video/x-raw(memory:Other) ! p2psink peer=nobody");
  pipeline.play ();
  const BusMessage error = pipeline.wait (GST_MESSAGE_ERROR);
  EXPECT_TRUE (error.is_error (GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT)) << error.text ();
}

}  // namespace
}  // namespace p2p::test
