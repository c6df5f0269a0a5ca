// A sender and a receiver of one process, and what goes into one and comes out of the other.
#pragma once
#include <gst/app/app.h>

#include <memory>
#include <random>
#include <vector>

#include "../support/gst-pipeline.hpp"

namespace p2p::test {

using Bytes = std::vector<guint8>;

inline GstBuffer *
buffer_of (const Bytes &bytes) {
  return bytes.empty () ? gst_buffer_new () : gst_buffer_new_memdup (bytes.data (), bytes.size ());
}

inline Bytes
random_bytes (std::size_t size, unsigned seed) {
  std::mt19937 random (seed);
  Bytes bytes (size);
  for (auto &byte : bytes) byte = static_cast<guint8> (random ());
  return bytes;
}

struct Sample {
  GstSample *sample = nullptr;

  explicit Sample (GstSample *s) : sample (s) {}
  Sample (Sample &&other) noexcept : sample (std::exchange (other.sample, nullptr)) {}
  Sample &operator= (Sample &&other) noexcept {
    std::swap (sample, other.sample);
    return *this;
  }
  ~Sample () {
    if (sample) gst_sample_unref (sample);
  }
  explicit operator bool () const { return sample; }
  GstBuffer *buffer () const { return gst_sample_get_buffer (sample); }
  Bytes bytes () const {
    Bytes bytes (gst_buffer_get_size (buffer ()));
    if (!bytes.empty ()) gst_buffer_extract (buffer (), 0, bytes.data (), bytes.size ());
    return bytes;
  }
};

// A sender and a receiver: appsrc ! p2psink -> p2psrc ! appsink.
class Stream : public testing::Test {
 protected:
  void start (const std::string &sink = "", const std::string &src = "",
              const std::string &appsink = "") {
    sender_ = std::make_unique<Pipeline> (
        "appsrc name=in format=time ! p2psink name=p2p peer=bob " + sink);
    receiver_ = std::make_unique<Pipeline> ("p2psrc name=p2p id=bob " + src +
                                            " ! appsink name=out sync=false " + appsink);
    receiver_->play ();
    sender_->play ();
    in_ = GST_APP_SRC (sender_->get ("in"));
    out_ = GST_APP_SINK (receiver_->get ("out"));
  }
  Sample pull (GstClockTime patience = kPatience) {
    return Sample (gst_app_sink_try_pull_sample (out_, patience));
  }
  void push (GstBuffer *buffer) { ASSERT_EQ (gst_app_src_push_buffer (in_, buffer), GST_FLOW_OK); }

  std::unique_ptr<Pipeline> sender_, receiver_;
  GstAppSrc *in_ = nullptr;
  GstAppSink *out_ = nullptr;
};

}  // namespace p2p::test
