// A data channel of GStreamer's webrtcbin: SCTP over DTLS over ICE.
#define GST_USE_UNSTABLE_API
#include <gst/sdp/sdp.h>
#include <gst/webrtc/webrtc.h>

#include <atomic>

#include "endpoint.hpp"
#include "exchange.hpp"

namespace bench {

namespace {

// So many bytes may wait in the channel: enough to keep it busy, little enough to be near its end.
constexpr guint64 kBufferedBytes = 1 << 18;

class WebrtcEndpoint : public Endpoint {
 public:
  explicit WebrtcEndpoint (const Settings &settings)
      : pipeline_ (make_pipeline ()), bin_ (make_bin ()), offering_ (settings.offering) {
    payload_ = g_bytes_new_take (g_malloc0 (settings.message_bytes), settings.message_bytes);
    gst_bin_add (GST_BIN (pipeline_), bin_);
    g_signal_connect (bin_, "notify::ice-gathering-state", G_CALLBACK (on_gathering), this);
    g_signal_connect (bin_, "on-data-channel", G_CALLBACK (on_data_channel), this);
    gst_element_set_state (pipeline_, GST_STATE_PLAYING);
  }
  ~WebrtcEndpoint () override {
    gst_element_set_state (pipeline_, GST_STATE_NULL);
    g_clear_object (&channel_);
    gst_object_unref (pipeline_);
    g_bytes_unref (payload_);
  }

  bool symmetric () const override { return false; }

  std::string describe (const std::string &offer) override {
    if (offering_) {
      GstWebRTCDataChannel *channel = nullptr;
      g_signal_emit_by_name (bin_, "create-data-channel", "bench", nullptr, &channel);
      if (!channel) fail ("webrtcbin makes no data channel");
      take (channel);
      make_description ("create-offer", "offer");
    } else {
      set_remote (GST_WEBRTC_SDP_TYPE_OFFER, offer);
      make_description ("create-answer", "answer");
    }
    while (!gathered_) g_main_context_iteration (nullptr, TRUE);
    GstWebRTCSessionDescription *local = nullptr;
    g_object_get (bin_, "local-description", &local, nullptr);
    char *sdp = gst_sdp_message_as_text (local->sdp);
    const std::string text = sdp;
    g_free (sdp);
    gst_webrtc_session_description_free (local);
    return text;
  }

  void accept (const std::string &description) override {
    set_remote (GST_WEBRTC_SDP_TYPE_ANSWER, description);
  }

  bool send () override {
    GError *error = nullptr;
    if (!gst_webrtc_data_channel_send_data_full (channel_, payload_, &error)) fail (error->message);
    if (buffered_bytes () < kBufferedBytes) return true;
    full_ = true;
    // It may have drained between the two lines above.
    return buffered_bytes () < kBufferedBytes / 2 && full_.exchange (false);
  }

 private:
  static GstElement *make_pipeline () {
    gst_init (nullptr, nullptr);
    return gst_pipeline_new (nullptr);
  }

  static GstElement *make_bin () {
    GstElement *bin = gst_element_factory_make ("webrtcbin", nullptr);
    if (!bin) fail ("there is no webrtcbin");
    g_object_set (bin, "bundle-policy", GST_WEBRTC_BUNDLE_POLICY_MAX_BUNDLE, nullptr);
    return bin;
  }

  static void on_gathering (GObject *bin, GParamSpec *, gpointer endpoint) {
    GstWebRTCICEGatheringState state = GST_WEBRTC_ICE_GATHERING_STATE_NEW;
    g_object_get (bin, "ice-gathering-state", &state, nullptr);
    if (state != GST_WEBRTC_ICE_GATHERING_STATE_COMPLETE) return;
    static_cast<WebrtcEndpoint *> (endpoint)->gathered_ = true;
    g_main_context_wakeup (nullptr);
  }

  static void on_data_channel (GstElement *, GstWebRTCDataChannel *channel, gpointer endpoint) {
    auto *self = static_cast<WebrtcEndpoint *> (endpoint);
    self->take (GST_WEBRTC_DATA_CHANNEL (g_object_ref (channel)));
    on_ready (channel, nullptr, self);
  }

  static void on_ready (GstWebRTCDataChannel *channel, GParamSpec *, gpointer endpoint) {
    auto *self = static_cast<WebrtcEndpoint *> (endpoint);
    GstWebRTCDataChannelState state = GST_WEBRTC_DATA_CHANNEL_STATE_CONNECTING;
    g_object_get (channel, "ready-state", &state, nullptr);
    if (state != GST_WEBRTC_DATA_CHANNEL_STATE_OPEN || self->open_.exchange (true)) return;
    // On the main context: the channel is locked here.
    g_idle_add (
        [] (gpointer data) -> gboolean {
          static_cast<WebrtcEndpoint *> (data)->on_open ();
          return G_SOURCE_REMOVE;
        },
        self);
  }

  static void on_data (GstWebRTCDataChannel *, GBytes *bytes, gpointer endpoint) {
    static_cast<WebrtcEndpoint *> (endpoint)->on_message (g_bytes_get_size (bytes));
  }

  static void on_low (GstWebRTCDataChannel *, gpointer endpoint) {
    auto *self = static_cast<WebrtcEndpoint *> (endpoint);
    if (self->full_.exchange (false)) self->on_writable ();
  }

  void take (GstWebRTCDataChannel *channel) {
    channel_ = channel;
    g_object_set (channel, "buffered-amount-low-threshold", kBufferedBytes / 2, nullptr);
    g_signal_connect (channel, "notify::ready-state", G_CALLBACK (on_ready), this);
    g_signal_connect (channel, "on-message-data", G_CALLBACK (on_data), this);
    g_signal_connect (channel, "on-buffered-amount-low", G_CALLBACK (on_low), this);
  }

  guint64 buffered_bytes () {
    guint64 bytes = 0;
    g_object_get (channel_, "buffered-amount", &bytes, nullptr);
    return bytes;
  }

  void make_description (const char *how, const char *field) {
    GstPromise *made = gst_promise_new ();
    g_signal_emit_by_name (bin_, how, nullptr, made);
    gst_promise_wait (made);
    GstWebRTCSessionDescription *description = nullptr;
    gst_structure_get (gst_promise_get_reply (made), field, GST_TYPE_WEBRTC_SESSION_DESCRIPTION,
                       &description, nullptr);
    gst_promise_unref (made);
    if (!description) fail ("webrtcbin describes nothing");
    apply ("set-local-description", description);
  }

  void set_remote (GstWebRTCSDPType type, const std::string &text) {
    GstSDPMessage *sdp = nullptr;
    if (gst_sdp_message_new_from_text (text.c_str (), &sdp) != GST_SDP_OK)
      fail ("webrtcbin does not understand its own description");
    apply ("set-remote-description", gst_webrtc_session_description_new (type, sdp));
  }

  // Takes the description.
  void apply (const char *how, GstWebRTCSessionDescription *description) {
    GstPromise *applied = gst_promise_new ();
    g_signal_emit_by_name (bin_, how, description, applied);
    gst_promise_wait (applied);
    gst_promise_unref (applied);
    gst_webrtc_session_description_free (description);
  }

  GstElement *pipeline_, *bin_;
  const bool offering_;
  GBytes *payload_ = nullptr;
  GstWebRTCDataChannel *channel_ = nullptr;
  std::atomic<bool> gathered_{false}, open_{false}, full_{false};
};

}  // namespace

std::unique_ptr<Endpoint>
make_endpoint (const Settings &settings) {
  return std::make_unique<WebrtcEndpoint> (settings);
}

}  // namespace bench
