#include "sink-resume.hpp"

#include <utility>

#include "gstp2pelement.hpp"

GST_DEBUG_CATEGORY_EXTERN (p2psink_debug);
#define GST_CAT_DEFAULT p2psink_debug

namespace p2p {
namespace {

bool
upstream_seeks (GstPad *pad) {
  GstQuery *query = gst_query_new_seeking (GST_FORMAT_BYTES);
  gboolean seekable = FALSE;
  if (gst_pad_peer_query (pad, query))
    gst_query_parse_seeking (query, nullptr, &seekable, nullptr, nullptr);
  gst_query_unref (query);
  return seekable;
}

Ref<GstPad>
sink_pad (GstElement *element) {
  return Ref<GstPad>::adopt (gst_element_get_static_pad (element, "sink"));
}

}  // namespace

SinkResume::SinkResume (GstBaseSink *sink)
    : cancellable_ (Ref<GCancellable>::adopt (g_cancellable_new ())) {
  g_weak_ref_init (&sink_, sink);
}

SinkResume::~SinkResume () {
  g_cancellable_cancel (cancellable_.get ());
  g_weak_ref_clear (&sink_);
}

void
SinkResume::begin_segment (const GstSegment &segment) {
  const auto element = Ref<GstElement>::adopt (static_cast<GstElement *> (g_weak_ref_get (&sink_)));
  if (!element) return;
  const bool in_bytes = segment.format == GST_FORMAT_BYTES;
  bool ask;
  {
    const std::lock_guard lock (mutex_);
    ask = !std::exchange (asked_upstream_, true);
  }
  const bool seeks = !ask || (in_bytes && upstream_seeks (sink_pad (element.get ()).get ()));
  {
    const std::lock_guard lock (mutex_);
    if (!seeks) sender_.cannot_seek ();
    sender_.begin_stream (in_bytes ? std::optional<std::uint64_t> (segment.start) : std::nullopt);
  }
  warn_fixed (element.get ());
  seek_if_wanted ();
}

void
SinkResume::flushed () {
  const std::lock_guard lock (mutex_);
  sender_.flushed ();
}

void
SinkResume::end_stream () {
  const std::lock_guard lock (mutex_);
  sender_.end_stream ();
}

void
SinkResume::warn_fixed (GstElement *element) {
  {
    const std::lock_guard lock (mutex_);
    if (!sender_.fixed () || std::exchange (warned_, true)) return;
  }
  post_warning (element,
                {P2P_ERROR_INVALID_ARGUMENT,
                 "What is before this element cannot seek in bytes, so the stream cannot "
                 "be resumed: when either side is started again, it goes on from here, and "
                 "what was on its way is lost. Put a seekable source, as filesrc, before "
                 "it, or set resume=false."});
}

ResumeSender::Step
SinkResume::step () const {
  const std::lock_guard lock (mutex_);
  return sender_.step ();
}

bool
SinkResume::taken () const {
  const std::lock_guard lock (mutex_);
  return taken_;
}

StreamPlace
SinkResume::place () const {
  const std::lock_guard lock (mutex_);
  return sender_.place ();
}

void
SinkResume::sent (std::uint64_t bytes) {
  const std::lock_guard lock (mutex_);
  sender_.sent (bytes);
}

Link::Wait
SinkResume::wait_turn (Link &link, GCancellable *cancellable, bool &repeat_caps) {
  repeat_caps = false;
  const auto wait = link.wait_until (
      [this] { return taken () || step () == ResumeSender::Step::send; }, cancellable);
  if (wait != Link::Wait::ready) return wait;
  const std::lock_guard lock (mutex_);
  // Another request may have come since; then this message is dropped there, and the next one
  // waits.
  if (sender_.step () == ResumeSender::Step::send) repeat_caps = sender_.answer ();
  return Link::Wait::ready;
}

Link::Wait
SinkResume::wait_taken (Link &link, GCancellable *cancellable) {
  const auto channel = link.channel ();
  if (!channel) return Link::Wait::stalled;
  const auto end = make_control (ResumeControl::end, place ());
  GError *raw = nullptr;
  if (!p2p_channel_send_message (channel.get (), end.get (), cancellable, &raw)) {
    const UniqueError error (raw);
    if (g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_CANCELLED))
      return Link::Wait::interrupted;
    return Link::Wait::stalled;
  }
  bool taken = false;
  const auto wait = link.wait_until (
      [&] {
        const std::lock_guard lock (mutex_);
        taken = taken_;
        // Answered already, unless there is another request.
        return taken || sender_.step () != ResumeSender::Step::send || sender_.asked ();
      },
      cancellable);
  return wait == Link::Wait::ready && !taken ? Link::Wait::stalled : wait;
}

void
SinkResume::channel_opened (const std::shared_ptr<Link> &link, const Ref<P2pChannel> &channel) {
  StreamPlace begun;
  {
    const std::lock_guard lock (mutex_);
    link_ = link;
    sender_.begin_channel ();
    begun = sender_.place ();
  }
  channel_ = channel;
  // A new channel is empty. Its end, if it has one already, is met by listen().
  (void)p2p_channel_try_send_message (channel.get (),
                                      make_control (ResumeControl::begun, begun).get (), nullptr);
  listen ();
}

void
SinkResume::listen () {
  using Weak = std::weak_ptr<SinkResume>;
  p2p_channel_receive_async (
      channel_.get (), cancellable_.get (),
      [] (GObject *object, GAsyncResult *result, gpointer data) {
        const std::unique_ptr<Weak> weak (static_cast<Weak *> (data));
        auto *channel = P2P_CHANNEL (object);
        GError *raw = nullptr;
        const auto message =
            Ref<P2pMessage>::adopt (p2p_channel_receive_finish (channel, result, &raw));
        const UniqueError error (raw);
        const auto self = weak->lock ();
        if (!self || self->channel_.get () != channel) return;
        if (message) {
          self->heard (message.get ());
          self->listen ();
          return;
        }
        std::shared_ptr<Link> link;
        {
          const std::lock_guard lock (self->mutex_);
          self->sender_.begin_channel ();
          if (!self->taken_) link = self->link_.lock ();
        }
        self->channel_.reset ();
        if (link) link->listen_again (channel);
        self->wake ();
      },
      new Weak (weak_from_this ()));
}

void
SinkResume::heard (P2pMessage *message) {
  GBytes *encoded = p2p_message_get_attributes (message);
  gsize size = 0;
  const void *data = encoded ? g_bytes_get_data (encoded, &size) : nullptr;
  const auto attributes = decode_attributes ({data, size});
  const bool control = attributes && attributes.value ().control && attributes.value ().place;
  if (!control) {
    std::shared_ptr<Link> link;
    {
      const std::lock_guard lock (mutex_);
      link = link_.lock ();
    }
    if (link)
      link->fail (attributes ? Error{P2P_ERROR_PROTOCOL,
                                     "The peer sent a buffer where only requests to resume can "
                                     "come; a channel carries buffers one way."}
                             : attributes.error ());
    return;
  }
  {
    const std::lock_guard lock (mutex_);
    const StreamPlace &place = *attributes.value ().place;
    switch (*attributes.value ().control) {
      case ResumeControl::from:
        sender_.ask (place);
        break;
      case ResumeControl::taken:
        taken_ = taken_ || sender_.is_end (place);
        break;
      case ResumeControl::begun:
      case ResumeControl::end:
        break;
    }
  }
  seek_if_wanted ();
  wake ();
}

void
SinkResume::wake () {
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock (mutex_);
    link = link_.lock ();
  }
  if (link) link->wake ();
}

void
SinkResume::seek_if_wanted () {
  std::uint64_t offset = 0;
  {
    const std::lock_guard lock (mutex_);
    if (sender_.step () != ResumeSender::Step::seek) return;
    offset = sender_.target ();
    sender_.seeking ();
  }
  const auto element = Ref<GstElement>::adopt (static_cast<GstElement *> (g_weak_ref_get (&sink_)));
  if (!element) return;
  struct Task {
    std::weak_ptr<SinkResume> resume;
    std::uint64_t offset;
  };
  gst_element_call_async (
      element.get (),
      [] (GstElement *sink, gpointer data) {
        const auto *task = static_cast<Task *> (data);
        if (const auto self = task->resume.lock ()) self->seek (sink, task->offset);
      },
      new Task{weak_from_this (), offset},
      [] (gpointer data) { delete static_cast<Task *> (data); });
}

void
SinkResume::seek (GstElement *element, std::uint64_t offset) {
  const auto pad = sink_pad (element);
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock (mutex_);
    link = link_.lock ();
  }
  gint64 whole = -1;
  if (link && gst_pad_peer_query_duration (pad.get (), GST_FORMAT_BYTES, &whole) && whole >= 0 &&
      static_cast<guint64> (whole) < offset) {
    link->fail ({P2P_ERROR_INVALID_ARGUMENT,
                 "The peer has " + std::to_string (offset) +
                     " bytes already, but this stream has " + std::to_string (whole) +
                     ": it is another one. Have the peer begin with an empty file."});
    return;
  }
  GST_INFO_OBJECT (element, "goes on at byte %" G_GUINT64_FORMAT, offset);
  GstEvent *event =
      gst_event_new_seek (1.0, GST_FORMAT_BYTES, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                          static_cast<gint64> (offset), GST_SEEK_TYPE_NONE, -1);
  if (gst_pad_push_event (pad.get (), event)) return;
  // Where the element is being stopped there is nothing to tell.
  if (GST_PAD_IS_FLUSHING (pad.get ())) return;
  {
    const std::lock_guard lock (mutex_);
    sender_.seek_failed ();
  }
  warn_fixed (element);
  wake ();
}

}  // namespace p2p
