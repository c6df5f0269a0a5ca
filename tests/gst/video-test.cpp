// Live video: p2psrc ! decodebin shows every frame that was encoded at the other end.
#include "stream.hpp"

namespace p2p::test {
namespace {

constexpr int kFrames = 90;

struct Way {
  const char *name, *encode;
  std::vector<const char *> elements;  // that it needs
};

class Video : public testing::TestWithParam<Way> {};

TEST_P (Video, ArrivesFrameByFrame) {
  for (const char *element : GetParam ().elements) {
    GstElementFactory *factory = gst_element_factory_find (element);
    if (!factory) GTEST_SKIP () << "there is no element " << element;
    gst_object_unref (factory);
  }
  Pipeline receiver ("p2psrc id=viewer ! decodebin ! appsink name=out sync=false");
  Pipeline sender ("videotestsrc is-live=true num-buffers=" + std::to_string (kFrames) +
                   " ! video/x-raw,width=160,height=120,framerate=60/1 ! " +
                   std::string (GetParam ().encode) + " ! p2psink peer=viewer async=false");
  receiver.play ();
  sender.play ();
  auto *out = GST_APP_SINK (receiver.get ("out"));
  int frames = 0;
  GstClockTime last = 0;
  while (const Sample got{gst_app_sink_try_pull_sample (out, kPatience)}) {
    frames++;
    const GstStructure *caps = gst_caps_get_structure (gst_sample_get_caps (got.sample), 0);
    int width = 0;
    EXPECT_TRUE (gst_structure_get_int (caps, "width", &width));
    EXPECT_EQ (width, 160);
    const GstClockTime plays = gst_segment_to_running_time (
        gst_sample_get_segment (got.sample), GST_FORMAT_TIME, GST_BUFFER_PTS (got.buffer ()));
    ASSERT_TRUE (GST_CLOCK_TIME_IS_VALID (plays));
    if (frames > 1) {
      EXPECT_GT (plays, last) << "frame " << frames;
    }
    last = plays;
  }
  EXPECT_TRUE (gst_app_sink_is_eos (out));
  EXPECT_EQ (frames, kFrames);
  EXPECT_EQ (sender.wait_end (), "eos");
}

INSTANTIATE_TEST_SUITE_P (
    Live, Video,
    testing::Values (Way{"H264ByteStream",
                         "x264enc tune=zerolatency ! video/x-h264,stream-format=byte-stream",
                         {"x264enc", "avdec_h264", "h264parse"}},
                     Way{"H264WithCodecData",
                         "x264enc tune=zerolatency ! video/x-h264,stream-format=avc ! h264parse",
                         {"x264enc", "avdec_h264", "h264parse"}},
                     Way{"H264InMpegTs",
                         "x264enc tune=zerolatency ! mpegtsmux",
                         {"x264enc", "avdec_h264", "h264parse", "mpegtsmux", "tsdemux"}},
                     Way{"H264InMatroska",
                         "x264enc tune=zerolatency ! matroskamux streamable=true",
                         {"x264enc", "avdec_h264", "h264parse", "matroskamux", "matroskademux"}},
                     Way{"Raw", "identity", {"videotestsrc"}}),
    [] (const auto &way) { return std::string (way.param.name); });

}  // namespace
}  // namespace p2p::test
