/**
 * SECTION:element-p2psrc
 * @title: p2psrc
 * @short_description: receives buffers from a peer, through NATs
 *
 * Receives what a #GstP2pSink (element p2psink) of another process or machine sends: each buffer
 * with its timestamps and flags, the caps, and the end of the stream. The connection is made by
 * ICE, encrypted, and shared with the other elements of this process that have the same id and the
 * same peer, so that a source and a sink run both ways over one connection.
 *
 * With `peer` the element connects to that peer; without, it takes the first one that comes.
 *
 * The source is live. The first buffer plays when it arrives, and the following ones keep their
 * distance to it; buffers without timestamps get their time of arrival. With `do-timestamp` all get
 * their time of arrival. An orderly end of the peer is EOS; a connection that is lost for good is
 * an error. While the connection is broken the source waits: that is neither.
 *
 * With `keep-listening` neither of them ends the stream: the source waits for another session, of
 * `peer` or without one of the next that comes, and goes on with a buffer that is a discontinuity,
 * after new caps where these have changed. Why the last session ended is a warning then, and so is
 * somebody who could not prove who they are.
 *
 * ## Resuming a stream of bytes
 *
 * With `resume`, set on both elements together with `id` and `peer`, either side or both may be
 * killed and started again any number of times, and what is downstream in the end is what the
 * sender had, byte by byte. At its start the source asks downstream how many bytes are there: the
 * size of the file of a filesink behind it (with queues, identities and the like between them), or
 * the position in bytes that another sink tells. The sender seeks to there. What is pushed has its
 * place in a segment in bytes, and no timestamps; nothing is flushed, and a buffer that begins
 * where the last one ended is no discontinuity, whatever happened between the two.
 *
 * The filesink must append. Its file is looked at, so that nobody else may write to it. A file that
 * is not the beginning of what the sender has cannot be told from one that is, unless it is longer.
 *
 * When the peer is gone, the source waits for `peer-comeback-timeout` (0: for ever, as it does with
 * `keep-listening`) until it is an error. The stream ends when what is downstream has all of it;
 * whoever is started again after that ends at once when the other side is started again, too.
 *
 * With a `session-store` also the session outlives the process, and the peer sees it restored
 * instead of another one; the bytes are right without, too.
 *
 * Where what is downstream cannot tell, a warning says so. The stream goes on then with what comes
 * next: after a restart of this side, what the peer has not been confirmed of. For live streams and
 * others that need timestamps, leave `resume` alone; a break of the connection costs them nothing.
 *
 * `ping-interval`, `ping-timeout`, `peer-comeback-timeout` and `idle-timeout` belong to the agent,
 * as in #P2pAgent. Elements with the same id share one: what any of them is told counts, and what
 * none is told stays as it is by default; of several, the one that was told last, be it when it
 * started or while it played. With `agent`, they are the application's to set there.
 *
 * Messages on the bus: an element message `p2p-connection-state` at each change, with the fields
 * `state`, `reason`, `break-reason`, `peer`, `authentication`, and once connected `path-kind`,
 * `local-candidate` and `remote-candidate` (the pair in use), `relayed`, `connect-took-ms`, and all
 * that both sides offered, as lists of SDP lines in `local-candidates` and `remote-candidates`.
 * When a break has ended also `outage-ms`, `new-transport` (whether another QUIC connection had to
 * be made) and `replayed-messages`, `replayed-bytes` (what was sent again over that). A warning
 * when nothing but the rendezvous server vouches for the peer (an info, when the peers meet on a
 * socket of this machine), when the connection is broken and being restored, when it takes a relay
 * that nobody asked for, and when the meeting point cannot be reached, which is tried again.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 p2psrc id=bob ! filesink location=out
 * gst-launch-1.0 p2psrc id=bob secret=S rendezvous=ws://HOST ! decodebin ! autovideosink
 * gst-launch-1.0 p2psrc id=bob peer=alice resume=true ! filesink location=out append=true
 * gst-launch-1.0 p2psrc uri="p2p:///alice?id=bob" ! fakesink dump=true
 * ]|
 *
 * Since: 1.0
 */
#include "gstp2psrc.h"

#include <utility>

#include "buffer-codec.hpp"
#include "gstp2pelement.hpp"
#include "src-resume.hpp"
#include "timestamps.hpp"

GST_DEBUG_CATEGORY (p2psrc_debug);
#define GST_CAT_DEFAULT p2psrc_debug

namespace {

// What a buffer may come late and still be shown in time.
constexpr GstClockTime kLatency = 100 * GST_MSECOND;

// The link has posted the error, and GstBaseSrc would post another one for GST_FLOW_ERROR; this
// ends the stream for what is downstream just the same.
constexpr GstFlowReturn kFailed = GST_FLOW_EOS;
// The session has ended, and another one is waited for.
constexpr GstFlowReturn kNextSession = GST_FLOW_CUSTOM_SUCCESS;

struct Private {
  explicit Private (GstElement *element) : core (element, false) {}

  p2p::ElementCore core;
  // Streaming thread only; made anew at each start.
  p2p::BufferDecoder decoder;
  p2p::TimestampMapper timestamps;
  bool another_session = false;            // begins with the next buffer
  std::unique_ptr<p2p::SrcResume> resume;  // null: not wanted
};

GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

}  // namespace

struct _GstP2pSrc {
  GstPushSrc parent_instance;
  Private *priv;
};

static void gst_p2p_src_uri_handler_init (gpointer iface, gpointer data);

G_DEFINE_TYPE_WITH_CODE (GstP2pSrc, gst_p2p_src, GST_TYPE_PUSH_SRC,
                         G_IMPLEMENT_INTERFACE (GST_TYPE_URI_HANDLER, gst_p2p_src_uri_handler_init))
GST_ELEMENT_REGISTER_DEFINE (p2psrc, "p2psrc", GST_RANK_PRIMARY, GST_TYPE_P2P_SRC)

static Private &
priv_of (gpointer instance) {
  return *static_cast<GstP2pSrc *> (instance)->priv;
}

static void
gst_p2p_src_init (GstP2pSrc *self) {
  self->priv = new Private (GST_ELEMENT (self));
  gst_base_src_set_live (GST_BASE_SRC (self), TRUE);
  gst_base_src_set_format (GST_BASE_SRC (self), GST_FORMAT_TIME);
}

static void
gst_p2p_src_finalize (GObject *object) {
  delete GST_P2P_SRC (object)->priv;
  G_OBJECT_CLASS (gst_p2p_src_parent_class)->finalize (object);
}

static void
gst_p2p_src_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  priv_of (object).core.set_property (id, value, pspec);
}

static void
gst_p2p_src_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  priv_of (object).core.get_property (id, value, pspec);
}

static gboolean
gst_p2p_src_add_turn_server (GstP2pSrc *self, const char *uri) {
  return self->priv->core.add_turn_server (uri);
}

static gboolean
gst_p2p_src_start (GstBaseSrc *base) {
  Private &priv = priv_of (base);
  priv.decoder = p2p::BufferDecoder ();
  priv.timestamps = p2p::TimestampMapper ();
  priv.another_session = false;
  const bool resumes = priv.core.settings ().resume;
  priv.resume = resumes ? std::make_unique<p2p::SrcResume> (base, priv.core) : nullptr;
  gst_base_src_set_format (base, resumes ? GST_FORMAT_BYTES : GST_FORMAT_TIME);
  return priv.core.start ();
}

static gboolean
gst_p2p_src_stop (GstBaseSrc *base) {
  Private &priv = priv_of (base);
  if (const auto link = priv.core.link (); link && priv.resume) priv.resume->finish (*link);
  priv.core.stop ();
  priv.resume.reset ();
  return TRUE;
}

static gboolean
gst_p2p_src_unlock (GstBaseSrc *base) {
  priv_of (base).core.interrupt ();
  return TRUE;
}

static gboolean
gst_p2p_src_unlock_stop (GstBaseSrc *base) {
  priv_of (base).core.resume ();
  return TRUE;
}

static gboolean
gst_p2p_src_is_seekable (GstBaseSrc *) {
  return FALSE;
}

static GstCaps *
gst_p2p_src_get_caps (GstBaseSrc *base, GstCaps *filter) {
  const auto caps = priv_of (base).core.caps ();
  if (!caps) return filter ? gst_caps_ref (filter) : gst_caps_new_any ();
  return filter ? gst_caps_intersect_full (filter, caps.get (), GST_CAPS_INTERSECT_FIRST)
                : gst_caps_ref (caps.get ());
}

static gboolean
gst_p2p_src_query (GstBaseSrc *base, GstQuery *query) {
  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return GST_BASE_SRC_CLASS (gst_p2p_src_parent_class)->query (base, query);
  // No upper bound: what waits here is bounded in bytes, not in time.
  gst_query_set_latency (query, TRUE, kLatency, GST_CLOCK_TIME_NONE);
  return TRUE;
}

// The next buffer of the channel, or what its end means.
static GstFlowReturn
receive (GstP2pSrc *self, p2p::Link &link, p2p::DecodedBuffer &decoded) {
  Private &priv = *self->priv;
  const auto channel = link.channel ();
  if (!channel) return GST_FLOW_EOS;
  for (;;) {
    GError *raw = nullptr;
    const auto message = p2p::Ref<P2pMessage>::adopt (
        p2p_channel_receive (channel.get (), priv.core.cancellable (), &raw));
    if (!message) {
      const p2p::UniqueError error (raw);
      if (g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return GST_FLOW_FLUSHING;
      GST_INFO_OBJECT (self, "no more buffers: %s", error->message);
      if (priv.core.settings ().keep_listening) return kNextSession;
      if (g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_END_OF_STREAM)) return GST_FLOW_EOS;
      // Also what ended the connection by an error may be called closed.
      const p2p::Status removal = link.removal_error ();
      if (g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_CLOSED) && !removal)
        return GST_FLOW_EOS;
      link.fail (removal ? *removal : p2p::to_error (error.get ()));
      return kFailed;
    }
    auto result = priv.decoder.decode (message.get ());
    if (!result) {
      link.fail (result.error ());
      return kFailed;
    }
    if (!*result) continue;
    decoded = std::move (**result);
    if (decoded.place) {
      link.fail ({P2P_ERROR_PROTOCOL,
                  "The peer sends a stream that can be resumed: set resume=true on this p2psrc, "
                  "too, or resume=false on its p2psink."});
      return kFailed;
    }
    return GST_FLOW_OK;
  }
}

static GstClockTime
running_time (GstElement *element) {
  const auto clock = p2p::Ref<GstClock>::adopt (gst_element_get_clock (element));
  if (!clock) return GST_CLOCK_TIME_NONE;
  const GstClockTime now = gst_clock_get_time (clock.get ());
  const GstClockTime base = gst_element_get_base_time (element);
  return now > base ? now - base : 0;
}

// The next buffer of this session or of the next one.
static GstFlowReturn
receive_next (GstP2pSrc *self, p2p::Link &link, p2p::DecodedBuffer &decoded) {
  Private &priv = *self->priv;
  for (;;) {
    switch (link.wait_ready (false, priv.core.cancellable ())) {
      case p2p::Link::Wait::ready:
        break;
      case p2p::Link::Wait::interrupted:
        return GST_FLOW_FLUSHING;
      case p2p::Link::Wait::ended:
        return GST_FLOW_EOS;
      case p2p::Link::Wait::failed:
      case p2p::Link::Wait::stalled:
        return kFailed;
    }
    const GstFlowReturn flow = receive (self, link, decoded);
    if (flow != kNextSession) return flow;
    // What came of a buffer in parts stays unfinished, and the next session tells its caps anew.
    priv.decoder = p2p::BufferDecoder ();
    priv.another_session = true;
    if (const auto channel = link.channel ()) link.listen_again (channel.get ());
  }
}

// What was resumed is counted in bytes; all else plays when it comes.
static void
place_in_time (GstP2pSrc *self, p2p::DecodedBuffer &decoded) {
  Private &priv = *self->priv;
  auto *base = GST_BASE_SRC (self);
  GstBuffer *received = decoded.buffer.get ();
  if (std::exchange (priv.another_session, false)) {
    GST_BUFFER_FLAG_SET (received, GST_BUFFER_FLAG_DISCONT);
    decoded.new_segment = true;
  }
  if (gst_base_src_get_do_timestamp (base)) {
    GST_BUFFER_PTS (received) = GST_BUFFER_DTS (received) = GST_CLOCK_TIME_NONE;
  } else if (priv.timestamps.map (received, running_time (GST_ELEMENT (self)),
                                  decoded.new_segment)) {
    const GstSegment segment = priv.timestamps.segment ();
    GST_INFO_OBJECT (self, "%" GST_TIME_FORMAT " of the sender plays at %" GST_TIME_FORMAT,
                     GST_TIME_ARGS (segment.start), GST_TIME_ARGS (segment.base));
    gst_base_src_new_segment (base, &segment);
  }
}

static GstFlowReturn
gst_p2p_src_create (GstPushSrc *push, GstBuffer **buffer) {
  auto *self = GST_P2P_SRC (push);
  auto *base = GST_BASE_SRC (push);
  Private &priv = *self->priv;
  const auto link = priv.core.link ();
  if (!link) return GST_FLOW_FLUSHING;
  p2p::DecodedBuffer decoded;
  const GstFlowReturn flow =
      priv.resume ? priv.resume->next (*link, decoded) : receive_next (self, *link, decoded);
  if (flow != GST_FLOW_OK) return flow;

  if (decoded.caps && !priv.core.caps ()) {
    GST_INFO_OBJECT (self, "caps of the sender: %" GST_PTR_FORMAT,
                     static_cast<void *> (decoded.caps.get ()));
    if (!gst_base_src_set_caps (base, decoded.caps.get ())) return GST_FLOW_NOT_NEGOTIATED;
  }
  GstBuffer *received = decoded.buffer.get ();
  if (!priv.resume) place_in_time (self, decoded);
  priv.core.count (gst_buffer_get_size (received));
  *buffer = decoded.buffer.leak ();
  return GST_FLOW_OK;
}

static void
gst_p2p_src_class_init (GstP2pSrcClass *klass) {
  auto *object_class = G_OBJECT_CLASS (klass);
  auto *element_class = GST_ELEMENT_CLASS (klass);
  auto *base_class = GST_BASE_SRC_CLASS (klass);
  auto *push_class = GST_PUSH_SRC_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (p2psrc_debug, "p2psrc", 0, "buffers from a peer");

  object_class->finalize = gst_p2p_src_finalize;
  object_class->set_property = gst_p2p_src_set_property;
  object_class->get_property = gst_p2p_src_get_property;
  p2p::ElementCore::install (object_class, false);
  /**
   * GstP2pSrc::add-turn-server:
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
                              G_CALLBACK (gst_p2p_src_add_turn_server), nullptr, nullptr, nullptr,
                              G_TYPE_BOOLEAN, 1, G_TYPE_STRING);

  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (
      element_class, "P2P source", "Source/Network",
      "Receives buffers from a peer, through NATs (ICE and QUIC)", "The gst-p2p authors");

  base_class->start = gst_p2p_src_start;
  base_class->stop = gst_p2p_src_stop;
  base_class->unlock = gst_p2p_src_unlock;
  base_class->unlock_stop = gst_p2p_src_unlock_stop;
  base_class->is_seekable = gst_p2p_src_is_seekable;
  base_class->get_caps = gst_p2p_src_get_caps;
  base_class->query = gst_p2p_src_query;
  push_class->create = gst_p2p_src_create;
}

static GstURIType
gst_p2p_src_uri_get_type (GType) {
  return GST_URI_SRC;
}

static const char *const *
gst_p2p_src_uri_get_protocols (GType) {
  static const char *const protocols[] = {"p2p", "p2ps", nullptr};
  return protocols;
}

static char *
gst_p2p_src_uri_get_uri (GstURIHandler *handler) {
  const std::string uri = priv_of (handler).core.uri ();
  return uri.empty () ? nullptr : g_strdup (uri.c_str ());
}

static gboolean
gst_p2p_src_uri_set_uri (GstURIHandler *handler, const char *uri, GError **error) {
  return priv_of (handler).core.set_uri (uri, error);
}

static void
gst_p2p_src_uri_handler_init (gpointer iface, gpointer) {
  auto *handler = static_cast<GstURIHandlerInterface *> (iface);
  handler->get_type = gst_p2p_src_uri_get_type;
  handler->get_protocols = gst_p2p_src_uri_get_protocols;
  handler->get_uri = gst_p2p_src_uri_get_uri;
  handler->set_uri = gst_p2p_src_uri_set_uri;
}
