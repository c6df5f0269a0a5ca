#include "src-resume.hpp"

#include <utility>

GST_DEBUG_CATEGORY_EXTERN (p2psrc_debug);
#define GST_CAT_DEFAULT p2psrc_debug

namespace p2p {
namespace {

constexpr GstFlowReturn kGoOn = GST_FLOW_CUSTOM_SUCCESS;
constexpr GstFlowReturn kFailed = GST_FLOW_EOS;  // as in gstp2psrc.cpp
constexpr guint kFlushMs = 500;                  // an element has to stop in less than a second
// A queue downstream hands the end on by itself, and nothing tells when it was written.
constexpr gint64 kWrittenLookUs = 20 * 1000;

}  // namespace

void
SrcResume::begin () {
  const DownstreamBytes bytes = downstream_bytes (GST_BASE_SRC_PAD (source_));
  in_file_ = bytes.in_file.has_value ();
  const std::uint64_t serial = static_cast<std::uint64_t> (g_random_int ()) << 32 | g_random_int ();
  receiver_.emplace (bytes.known (), serial);
  if (!bytes.known ())
    post_warning (
        GST_ELEMENT (source_),
        {P2P_ERROR_INVALID_ARGUMENT,
         "What is after this element does not tell how many bytes it has, so the stream "
         "cannot be resumed: when this side is started again, it goes on with what the "
         "peer sends next. Write to a file (filesink append=true), or set resume=false."});
  GST_INFO_OBJECT (source_, "%" G_GUINT64_FORMAT " bytes are downstream", receiver_->position ());
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = segment.position = receiver_->position ();
  gst_base_src_new_segment (source_, &segment);
}

bool
SrcResume::tell (P2pChannel *channel, ResumeControl control, const StreamPlace &place) {
  const auto message = make_control (control, place);
  // Nothing else is sent this way, so that there is room.
  return p2p_channel_try_send_message (channel, message.get (), nullptr);
}

GstFlowReturn
SrcResume::next (Link &link, DecodedBuffer &decoded) {
  if (!receiver_) begin ();
  for (;;) {
    switch (link.wait_ready (false, core_.cancellable ())) {
      case Link::Wait::ready:
        break;
      case Link::Wait::interrupted:
        return GST_FLOW_FLUSHING;
      case Link::Wait::ended:
        return GST_FLOW_EOS;
      case Link::Wait::failed:
      case Link::Wait::stalled:
        return kFailed;
    }
    const auto channel = link.channel ();
    if (!channel) continue;
    if (asked_on_.get () != channel.get ()) {
      asked_on_ = channel;
      decoder_ = BufferDecoder ();
      tell (channel.get (), ResumeControl::from, receiver_->ask ());
    }
    const GstFlowReturn flow = receive (link, channel.get (), decoded);
    if (flow != kGoOn) return flow;
  }
}

GstFlowReturn
SrcResume::receive (Link &link, P2pChannel *channel, DecodedBuffer &decoded) {
  GError *raw = nullptr;
  const auto message =
      Ref<P2pMessage>::adopt (p2p_channel_receive (channel, core_.cancellable (), &raw));
  if (!message) {
    const UniqueError error (raw);
    if (g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_CANCELLED)) return GST_FLOW_FLUSHING;
    GST_INFO_OBJECT (source_, "the channel has ended: %s", error->message);
    // The sender knows that all of it is here, and says good-bye.
    if (told_taken_ && g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_END_OF_STREAM))
      return GST_FLOW_EOS;
    link.listen_again (channel);
    return kGoOn;
  }
  auto result = decoder_.decode (message.get ());
  if (!result) {
    link.fail (result.error ());
    return kFailed;
  }
  if (!*result) return kGoOn;
  decoded = std::move (**result);
  if (!decoded.place) {
    link.fail ({P2P_ERROR_PROTOCOL,
                "The peer sends a stream that cannot be resumed: set resume=true on its p2psink, "
                "too, or resume=false here."});
    return kFailed;
  }
  return decoded.control ? hear (link, channel, decoded) : take (link, channel, decoded);
}

GstFlowReturn
SrcResume::hear (Link &link, P2pChannel *channel, const DecodedBuffer &control) {
  switch (*control.control) {
    case ResumeControl::begun:
      tell (channel, ResumeControl::from, receiver_->ask ());
      return kGoOn;
    case ResumeControl::end:
      return act (link, channel, receiver_->end (*control.place));
    case ResumeControl::from:
    case ResumeControl::taken:
      break;
  }
  link.fail ({P2P_ERROR_PROTOCOL, "The peer sent what only a receiver says."});
  return kFailed;
}

GstFlowReturn
SrcResume::take (Link &link, P2pChannel *channel, DecodedBuffer &decoded) {
  const gsize size = gst_buffer_get_size (decoded.buffer.get ());
  const auto verdict = receiver_->data (*decoded.place, size);
  if (verdict.kind != ResumeReceiver::Verdict::Kind::take) {
    // The caps hold for what follows.
    if (decoded.caps) caps_ = std::move (decoded.caps);
    return act (link, channel, verdict);
  }
  if (!decoded.caps) decoded.caps = std::exchange (caps_, {});
  caps_.reset ();
  GstBuffer *buffer = decoded.buffer.get ();
  if (verdict.skip > 0) gst_buffer_resize (buffer, static_cast<gssize> (verdict.skip), -1);
  // The segment counts bytes; when one was sent says nothing about a stream that was resumed.
  GST_BUFFER_PTS (buffer) = GST_BUFFER_DTS (buffer) = GST_BUFFER_DURATION (buffer) =
      GST_CLOCK_TIME_NONE;
  GST_BUFFER_OFFSET_END (buffer) = receiver_->position ();
  GST_BUFFER_OFFSET (buffer) = receiver_->position () - gst_buffer_get_size (buffer);
  GST_BUFFER_FLAG_UNSET (buffer, GST_BUFFER_FLAG_DISCONT);
  if (verdict.gap) GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  return GST_FLOW_OK;
}

GstFlowReturn
SrcResume::act (Link &link, P2pChannel *channel, const ResumeReceiver::Verdict &verdict) {
  using Kind = ResumeReceiver::Verdict::Kind;
  switch (verdict.kind) {
    case Kind::take:
    case Kind::drop:
      return kGoOn;
    case Kind::ask:
      GST_INFO_OBJECT (source_, "asks for what follows byte %" G_GUINT64_FORMAT,
                       receiver_->position ());
      tell (channel, ResumeControl::from, receiver_->ask ());
      return kGoOn;
    case Kind::finish:
      end_stream (link);
      return kGoOn;
    case Kind::fail:
      link.fail ({P2P_ERROR_PROTOCOL,
                  "The peer does not go on where it is asked to; its stream cannot be resumed."});
      return kFailed;
    case Kind::excess:
      link.fail ({P2P_ERROR_INVALID_ARGUMENT,
                  "There are more bytes here than the peer's stream has: it is another one. Begin "
                  "with an empty file."});
      return kFailed;
  }
  return kGoOn;
}

bool
SrcResume::written () const {
  if (!in_file_) return true;
  const auto bytes = downstream_bytes (GST_BASE_SRC_PAD (source_)).in_file;
  return bytes && *bytes >= receiver_->position ();
}

// The sender may end when what is downstream has written all: so it gets the end here and now, and
// the sender is told after that.
void
SrcResume::end_stream (Link &link) {
  if (!std::exchange (ended_, true)) {
    GST_INFO_OBJECT (source_, "the stream ends at byte %" G_GUINT64_FORMAT, receiver_->position ());
    link.complete ();
    gst_pad_push_event (GST_BASE_SRC_PAD (source_), gst_event_new_eos ());
  }
  while (!written ()) {
    if (g_cancellable_is_cancelled (core_.cancellable ())) return;
    g_usleep (kWrittenLookUs);
  }
  told_taken_ = tell (asked_on_.get (), ResumeControl::taken, receiver_->place ());
}

void
SrcResume::finish (Link &link) {
  if (!ended_ || !asked_on_) return;
  if (!told_taken_ && written ())
    told_taken_ = tell (asked_on_.get (), ResumeControl::taken, receiver_->place ());
  if (told_taken_) (void)link.wait_flushed (nullptr, kFlushMs, Link::Broken::counts);
}

}  // namespace p2p
