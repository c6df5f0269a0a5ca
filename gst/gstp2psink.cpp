/**
 * SECTION:element-p2psink
 * @title: p2psink
 * @short_description: sends buffers to a peer, through NATs
 *
 * Sends each buffer as one message, with its timestamps and flags, the caps, and the end of the
 * stream, to a #GstP2pSrc (element p2psrc) of another process or machine; see there for how peers
 * find each other, and for the messages on the bus. Nothing is dropped silently: a full queue
 * blocks the streaming thread, which holds back what is upstream.
 *
 * The sink prerolls on its first buffer, as any sink, and does not wait for the peer to do so: it
 * waits when it is playing. In a pipeline whose source is live, set `async=false`. It sends as soon
 * as it gets (`sync=false`).
 *
 * What travels besides the buffers: changes of the caps, new segments as such, and EOS. Tags, gap
 * events, the table of contents, custom events, metadata of buffers, and events and queries that
 * go upstream stay in their pipeline; a muxer before the sink carries tags. The caps must be of
 * plain values, in system memory.
 *
 * While the connection is broken, what was sent waits for its restore, and the full queue blocks. A
 * connection that is lost for good is an error.
 *
 * With `wait-for-connection=false` buffers are dropped, and counted in `stats`, while there is no
 * connection or it is broken. At EOS the sink waits until the peer has taken everything, and gives
 * up with a warning when the peer has taken nothing for `drain-timeout`, which does not count while
 * the connection is broken. A peer that leaves before ends the stream: EOS, with a warning.
 *
 * With `resume` the stream of bytes goes on where the peer's output ends, after either side was
 * killed and started again; see #GstP2pSrc, which needs it as well. The sink seeks upstream for
 * that, in bytes and with a flush: filesrc can, and an appsrc that is told so. It has ended when
 * the peer's output has all of it, so that EOS waits for a peer that is gone until
 * `peer-comeback-timeout` makes it an error (0: for ever); `drain-timeout` means nothing then.
 * Where upstream cannot seek, a warning says so, and after a restart the stream goes on from what
 * is sent next.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=in ! p2psink peer=bob
 * gst-launch-1.0 filesrc location=in ! p2psink id=alice peer=bob resume=true
 * gst-launch-1.0 videotestsrc is-live=true ! x264enc ! p2psink peer=bob async=false
 * gst-launch-1.0 filesrc location=in ! p2psink uri="p2p://HOST/bob?id=alice" secret=S
 * ]|
 *
 * Since: 1.0
 */
#include "gstp2psink.h"

#include <memory>

#include "buffer-codec.hpp"
#include "gstp2pelement.hpp"
#include "sink-resume.hpp"

GST_DEBUG_CATEGORY (p2psink_debug);
#define GST_CAT_DEFAULT p2psink_debug

namespace {

// The link has posted the error; what is upstream would post another one for GST_FLOW_ERROR.
constexpr GstFlowReturn kFailed = GST_FLOW_EOS;
// The channel has ended, and another one is waited for.
constexpr GstFlowReturn kAnotherSession = GST_FLOW_CUSTOM_SUCCESS;
// Of a stream that can be resumed: whatever the buffers are, a message has at most this of it.
constexpr gsize kMaxSliceBytes = 4 * 1024 * 1024;

struct Private {
  explicit Private (GstElement *element) : core (element, true) {}

  p2p::ElementCore core;
  // Streaming thread only; made anew at each start.
  std::unique_ptr<p2p::BufferEncoder> encoder;
  std::shared_ptr<p2p::SinkResume> resume;  // null: not wanted
  bool told_peer_left = false;
};

GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

}  // namespace

struct _GstP2pSink {
  GstBaseSink parent_instance;
  Private *priv;
};

static void gst_p2p_sink_uri_handler_init (gpointer iface, gpointer data);

G_DEFINE_TYPE_WITH_CODE (GstP2pSink, gst_p2p_sink, GST_TYPE_BASE_SINK,
                         G_IMPLEMENT_INTERFACE (GST_TYPE_URI_HANDLER,
                                                gst_p2p_sink_uri_handler_init))
GST_ELEMENT_REGISTER_DEFINE (p2psink, "p2psink", GST_RANK_PRIMARY, GST_TYPE_P2P_SINK)

static Private &
priv_of (gpointer instance) {
  return *static_cast<GstP2pSink *> (instance)->priv;
}

static void
gst_p2p_sink_init (GstP2pSink *self) {
  self->priv = new Private (GST_ELEMENT (self));
  gst_base_sink_set_sync (GST_BASE_SINK (self), FALSE);
  gst_base_sink_set_drop_out_of_segment (GST_BASE_SINK (self), FALSE);
  gst_base_sink_set_last_sample_enabled (GST_BASE_SINK (self), FALSE);
}

static void
gst_p2p_sink_finalize (GObject *object) {
  delete GST_P2P_SINK (object)->priv;
  G_OBJECT_CLASS (gst_p2p_sink_parent_class)->finalize (object);
}

static void
gst_p2p_sink_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  priv_of (object).core.set_property (id, value, pspec);
}

static void
gst_p2p_sink_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  priv_of (object).core.get_property (id, value, pspec);
}

static gboolean
gst_p2p_sink_add_turn_server (GstP2pSink *self, const char *uri) {
  return self->priv->core.add_turn_server (uri);
}

static gboolean
gst_p2p_sink_start (GstBaseSink *base) {
  Private &priv = priv_of (base);
  priv.told_peer_left = false;
  priv.encoder = std::make_unique<p2p::BufferEncoder> (!priv.core.settings ().lossless ());
  priv.resume = priv.core.settings ().resume ? std::make_shared<p2p::SinkResume> (base) : nullptr;
  return priv.core.start (priv.resume);
}

static gboolean
gst_p2p_sink_stop (GstBaseSink *base) {
  priv_of (base).core.stop ();
  priv_of (base).resume.reset ();
  return TRUE;
}

static gboolean
gst_p2p_sink_unlock (GstBaseSink *base) {
  priv_of (base).core.interrupt ();
  return TRUE;
}

static gboolean
gst_p2p_sink_unlock_stop (GstBaseSink *base) {
  priv_of (base).core.resume ();
  return TRUE;
}

static gboolean
gst_p2p_sink_set_caps (GstBaseSink *base, GstCaps *caps) {
  GstCapsFeatures *features = gst_caps_get_features (caps, 0);
  if (features && !gst_caps_features_is_equal (features, GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY)) {
    GST_ELEMENT_ERROR (base, STREAM, FORMAT,
                       ("Only buffers in system memory can be sent; put an element before p2psink "
                        "that downloads them."),
                       ("caps %" GST_PTR_FORMAT, static_cast<void *> (caps)));
    return FALSE;
  }
  if (const p2p::Status error = priv_of (base).encoder->set_caps (caps)) {
    GST_ELEMENT_ERROR (base, STREAM, FORMAT, ("%s", error->message.c_str ()),
                       ("caps %" GST_PTR_FORMAT, static_cast<void *> (caps)));
    return FALSE;
  }
  return TRUE;
}

// Something made the streaming thread stop waiting. OK: it may go on with what it was doing.
static GstFlowReturn
after_interrupt (GstBaseSink *base) {
  GST_DEBUG_OBJECT (base, "interrupted");
  return gst_base_sink_wait_preroll (base);
}

static GstFlowReturn
peer_left (GstBaseSink *base) {
  // The EOS that comes of it finds the same.
  if (!std::exchange (priv_of (base).told_peer_left, true))
    GST_ELEMENT_WARNING (base, RESOURCE, WRITE,
                         ("The peer closed the connection before it had everything."), (nullptr));
  return GST_FLOW_EOS;
}

// Waits until buffers can be sent.
static GstFlowReturn
wait_ready (GstBaseSink *base, p2p::Link &link) {
  for (;;) {
    switch (link.wait_ready (true, priv_of (base).core.cancellable ())) {
      case p2p::Link::Wait::ready:
        return GST_FLOW_OK;
      case p2p::Link::Wait::ended:
        return peer_left (base);
      case p2p::Link::Wait::failed:
      case p2p::Link::Wait::stalled:
        return kFailed;
      case p2p::Link::Wait::interrupted: {
        const GstFlowReturn flow = after_interrupt (base);
        if (flow != GST_FLOW_OK) return flow;
      }
    }
  }
}

// Waits until the receiver wants what comes next.
static GstFlowReturn
wait_turn (GstBaseSink *base, p2p::Link &link) {
  Private &priv = priv_of (base);
  for (;;) {
    bool repeat_caps = false;
    switch (priv.resume->wait_turn (link, priv.core.cancellable (), repeat_caps)) {
      case p2p::Link::Wait::ready:
        if (repeat_caps) priv.encoder->repeat_caps ();
        return GST_FLOW_OK;
      case p2p::Link::Wait::ended:
        return GST_FLOW_FLUSHING;
      case p2p::Link::Wait::failed:
      case p2p::Link::Wait::stalled:
        return kFailed;
      case p2p::Link::Wait::interrupted: {
        const GstFlowReturn flow = after_interrupt (base);
        if (flow != GST_FLOW_OK) return flow;
      }
    }
  }
}

static GstFlowReturn
send (GstBaseSink *base, p2p::Link &link, P2pMessage *message) {
  const auto channel = link.channel ();
  // Not flushing where another one comes: upstream would stop for good.
  if (!channel) return priv_of (base).resume ? kAnotherSession : GST_FLOW_FLUSHING;
  for (;;) {
    GError *raw = nullptr;
    if (p2p_channel_send_message (channel.get (), message, priv_of (base).core.cancellable (),
                                  &raw))
      return GST_FLOW_OK;
    const p2p::UniqueError error (raw);
    if (g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
      const GstFlowReturn flow = after_interrupt (base);
      if (flow != GST_FLOW_OK) return flow;
      continue;
    }
    if (priv_of (base).resume) {
      // The receiver tells where to go on once there is another channel.
      link.listen_again (channel.get ());
      return kAnotherSession;
    }
    // Also what ended the connection by an error may be called closed.
    const p2p::Status removal = link.removal_error ();
    if (g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_CLOSED) && !removal)
      return peer_left (base);
    link.fail (removal ? *removal : p2p::to_error (error.get ()));
    return kFailed;
  }
}

// Sends a buffer to one who knows its place in the stream.
static GstFlowReturn
render_resumable (GstBaseSink *base, p2p::Link &link, GstBuffer *buffer) {
  Private &priv = priv_of (base);
  const gsize size = gst_buffer_get_size (buffer);
  for (gsize at = 0; at < size;) {
    GstFlowReturn flow = wait_turn (base, link);
    if (flow != GST_FLOW_OK) return flow;
    // The receiver had the end from before it was restarted, and has left.
    if (priv.resume->taken ()) return GST_FLOW_OK;
    const gsize count = MIN (size - at, kMaxSliceBytes);
    const auto slice = p2p::Ref<GstBuffer>::adopt (
        gst_buffer_copy_region (buffer, GST_BUFFER_COPY_ALL, at, count));
    const auto messages = priv.encoder->encode (
        slice.get (), static_cast<GstClockTime> (g_get_monotonic_time ()) * GST_USECOND,
        priv.resume->place ());
    if (!messages) {
      link.fail (messages.error ());
      return kFailed;
    }
    for (const auto &message : messages.value ()) {
      flow = send (base, link, message.get ());
      if (flow != GST_FLOW_OK) break;
    }
    if (flow == kAnotherSession) continue;
    if (flow != GST_FLOW_OK) return flow;
    priv.resume->sent (count);
    priv.core.count (count);
    at += count;
  }
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_p2p_sink_render (GstBaseSink *base, GstBuffer *buffer) {
  Private &priv = priv_of (base);
  const auto link = priv.core.link ();
  if (!link) return GST_FLOW_FLUSHING;
  if (priv.resume) return render_resumable (base, *link, buffer);
  if (!priv.core.waits_for_connection () && !link->connected ()) {
    // Failures are met by wait_ready(), which does not wait once there is one.
    if (!link->hopeless ()) {
      priv.core.count_dropped ();
      return GST_FLOW_OK;
    }
  }
  GstFlowReturn flow = wait_ready (base, *link);
  if (flow != GST_FLOW_OK) return flow;
  const auto messages = priv.encoder->encode (
      buffer, static_cast<GstClockTime> (g_get_monotonic_time ()) * GST_USECOND);
  if (!messages) {
    link->fail (messages.error ());
    return kFailed;
  }
  for (const auto &message : messages.value ()) {
    flow = send (base, *link, message.get ());
    if (flow != GST_FLOW_OK) return flow;
  }
  priv.core.count (gst_buffer_get_size (buffer));
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_p2p_sink_render_list (GstBaseSink *base, GstBufferList *list) {
  for (guint i = 0; i < gst_buffer_list_length (list); i++) {
    const GstFlowReturn flow = gst_p2p_sink_render (base, gst_buffer_list_get (list, i));
    if (flow != GST_FLOW_OK) return flow;
  }
  return GST_FLOW_OK;
}

// At EOS: waits until the peer's output has everything, for as long as it takes.
static bool
drain_resumable (GstBaseSink *base, p2p::Link &link) {
  Private &priv = priv_of (base);
  priv.resume->end_stream ();
  for (;;) {
    const GstFlowReturn flow = wait_turn (base, link);
    if (flow != GST_FLOW_OK) return false;
    const auto wait = priv.resume->taken ()
                          ? p2p::Link::Wait::ready
                          : priv.resume->wait_taken (link, priv.core.cancellable ());
    switch (wait) {
      case p2p::Link::Wait::ready:
        link.complete ();
        if (const auto channel = link.channel ()) p2p_channel_end (channel.get ());
        return true;
      case p2p::Link::Wait::stalled:
        break;
      case p2p::Link::Wait::ended:
      case p2p::Link::Wait::failed:
        return false;
      case p2p::Link::Wait::interrupted:
        if (after_interrupt (base) != GST_FLOW_OK) return false;
    }
  }
}

// At EOS: waits until the peer has everything. False: the element is being stopped, or has failed,
// and there is no end to tell of.
static bool
drain (GstBaseSink *base) {
  Private &priv = priv_of (base);
  const auto link = priv.core.link ();
  if (!link) return false;
  if (priv.resume) return drain_resumable (base, *link);
  if (priv.core.settings ().wait_for_connection || link->connected ()) {
    const GstFlowReturn flow = wait_ready (base, *link);
    if (flow != GST_FLOW_OK) return flow == GST_FLOW_EOS && !link->failed ();
  } else {
    return true;
  }
  const auto channel = link->channel ();
  if (!channel) return false;
  p2p_channel_end (channel.get ());
  for (;;) {
    switch (link->wait_flushed (priv.core.cancellable (), priv.core.settings ().drain_timeout_ms)) {
      case p2p::Link::Wait::ready:
        return true;
      case p2p::Link::Wait::failed:
        return false;
      case p2p::Link::Wait::ended:
        peer_left (base);
        return true;
      case p2p::Link::Wait::stalled:
        GST_ELEMENT_WARNING (
            base, RESOURCE, WRITE,
            ("The peer has taken nothing for %u ms; the end of the stream may not arrive.",
             priv.core.settings ().drain_timeout_ms),
            (nullptr));
        return true;
      case p2p::Link::Wait::interrupted:
        if (after_interrupt (base) != GST_FLOW_OK) return false;
    }
  }
}

static gboolean
gst_p2p_sink_event (GstBaseSink *base, GstEvent *event) {
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_SEGMENT:
      priv_of (base).encoder->new_segment ();
      if (const auto &resume = priv_of (base).resume) {
        const GstSegment *segment = nullptr;
        gst_event_parse_segment (event, &segment);
        resume->begin_segment (*segment);
      }
      break;
    case GST_EVENT_FLUSH_STOP:
      if (const auto &resume = priv_of (base).resume) resume->flushed ();
      break;
    case GST_EVENT_EOS:
      // The state change to PAUSED must not wait for the peer: so EOS prerolls first.
      if (gst_base_sink_do_preroll (base, GST_MINI_OBJECT_CAST (event)) != GST_FLOW_OK ||
          !drain (base)) {
        gst_event_unref (event);
        return FALSE;
      }
      break;
    default:
      break;
  }
  return GST_BASE_SINK_CLASS (gst_p2p_sink_parent_class)->event (base, event);
}

static void
gst_p2p_sink_class_init (GstP2pSinkClass *klass) {
  auto *object_class = G_OBJECT_CLASS (klass);
  auto *element_class = GST_ELEMENT_CLASS (klass);
  auto *base_class = GST_BASE_SINK_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (p2psink_debug, "p2psink", 0, "buffers to a peer");

  object_class->finalize = gst_p2p_sink_finalize;
  object_class->set_property = gst_p2p_sink_set_property;
  object_class->get_property = gst_p2p_sink_get_property;
  p2p::ElementCore::install (object_class, true);
  /**
   * GstP2pSink::add-turn-server:
   * @self: the element
   * @uri: turn://user:password@host:port?transport=udp
   *
   * Adds one more TURN server, for the next start.
   *
   * Returns: whether it is the URI of a TURN server
   *
   * Since: 1.0
   */
  g_signal_new_class_handler ("add-turn-server", G_TYPE_FROM_CLASS (klass),
                              static_cast<GSignalFlags> (G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION),
                              G_CALLBACK (gst_p2p_sink_add_turn_server), nullptr, nullptr, nullptr,
                              G_TYPE_BOOLEAN, 1, G_TYPE_STRING);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_set_static_metadata (element_class, "P2P sink", "Sink/Network",
                                         "Sends buffers to a peer, through NATs (ICE and QUIC)",
                                         "The gst-p2p authors");

  base_class->start = gst_p2p_sink_start;
  base_class->stop = gst_p2p_sink_stop;
  base_class->unlock = gst_p2p_sink_unlock;
  base_class->unlock_stop = gst_p2p_sink_unlock_stop;
  base_class->set_caps = gst_p2p_sink_set_caps;
  base_class->render = gst_p2p_sink_render;
  base_class->render_list = gst_p2p_sink_render_list;
  base_class->event = gst_p2p_sink_event;
}

static GstURIType
gst_p2p_sink_uri_get_type (GType) {
  return GST_URI_SINK;
}

static const char *const *
gst_p2p_sink_uri_get_protocols (GType) {
  static const char *const protocols[] = {"p2p", "p2ps", nullptr};
  return protocols;
}

static char *
gst_p2p_sink_uri_get_uri (GstURIHandler *handler) {
  const std::string uri = priv_of (handler).core.uri ();
  return uri.empty () ? nullptr : g_strdup (uri.c_str ());
}

static gboolean
gst_p2p_sink_uri_set_uri (GstURIHandler *handler, const char *uri, GError **error) {
  return priv_of (handler).core.set_uri (uri, error);
}

static void
gst_p2p_sink_uri_handler_init (gpointer iface, gpointer) {
  auto *handler = static_cast<GstURIHandlerInterface *> (iface);
  handler->get_type = gst_p2p_sink_uri_get_type;
  handler->get_protocols = gst_p2p_sink_uri_get_protocols;
  handler->get_uri = gst_p2p_sink_uri_get_uri;
  handler->set_uri = gst_p2p_sink_uri_set_uri;
}
