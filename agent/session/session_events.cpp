#include "session/session_impl.hpp"

namespace p2p {

namespace {

// Datagrams that came before the OPEN of their channel; a burst in the first round trip.
constexpr std::size_t kMaxEarlyDatagrams = 64;
constexpr std::size_t kMaxEarlyDatagramBytes = 64 * 1024;

}  // namespace

// The life of streams.

void
SessionImpl::transport_stream_reset (StreamId id, std::uint64_t) {
  Entry entry (*this);
  const std::shared_ptr<Stream> stream = find_stream (id);
  if (!stream) return;
  stream->was_reset = true;
  switch (stream->kind) {
    case Stream::Kind::control:
      fail_field ("control stream: it was reset");
      return;
    case Stream::Kind::channel:
      if (Receiver *receiver = stream->opened ? find_receiver (stream->channel_id) : nullptr) {
        receiver->forgettable = true;
        if (receiver->channel) {
          close_channel (*receiver->channel,
                         Error{P2P_ERROR_CLOSED, "The peer closed the channel \"" +
                                                     receiver->channel->name_ + "\"."});
          return;
        }
      }
      end_own_half (id);
      ignore (*stream);
      return;
    case Stream::Kind::message:
    case Stream::Kind::unknown:
      if (stream->kind == Stream::Kind::unknown) end_own_half (id);
      ignore (*stream);
      return;
    case Stream::Kind::own_channel:
      direction_stopped (stream->channel_id, wire::Code::closed);
      return;
    case Stream::Kind::own_message:
    case Stream::Kind::ignored:
      return;
  }
}

void
SessionImpl::transport_stream_stopped (StreamId id, std::uint64_t code) {
  Entry entry (*this);
  const std::shared_ptr<Stream> stream = find_stream (id);
  if (!stream) return;
  if (stream->kind == Stream::Kind::own_channel)
    direction_stopped (stream->channel_id, static_cast<wire::Code> (code));
  else if (stream->kind == Stream::Kind::own_message)
    transport_->reset (id, code);
  else if (stream->kind == Stream::Kind::control)
    fail_field ("control stream: it was stopped");
}

void
SessionImpl::transport_stream_sent (StreamId id, std::size_t bytes) {
  Entry entry (*this);
  const std::shared_ptr<Stream> stream = find_stream (id);
  if (!stream) return;
  if (stream->kind == Stream::Kind::own_channel || stream->kind == Stream::Kind::own_message) {
    ChannelImpl *channel = channel_of_sender (stream->channel_id);
    if (!channel) return;
    if (stream->kind == Stream::Kind::own_message)
      channel->sender_->message_stream_sent (id, bytes);
    mark_dirty (*channel);
  } else if (stream->kind == Stream::Kind::channel && stream->opened) {
    const Receiver *receiver = find_receiver (stream->channel_id);
    if (receiver && receiver->channel) mark_dirty (*receiver->channel);
  }
}

void
SessionImpl::transport_stream_closed (StreamId id) {
  Entry entry (*this);
  const std::shared_ptr<Stream> stream = find_stream (id);
  if (!stream) return;
  forget_stream (*stream);
  stream->dead = true;
  streams_.erase (id);
  if (stream->kind == Stream::Kind::own_message) {
    if (ChannelImpl *channel = channel_of_sender (stream->channel_id)) {
      channel->sender_->message_stream_done (id);
      mark_dirty (*channel);
    }
    return;
  }
  Receiver *receiver = stream->opened ? find_receiver (stream->channel_id) : nullptr;
  if (!receiver || receiver->stream != stream) return;
  receiver->stream.reset ();
  // The peer has read that the direction is over.
  if (receiver->finished () || receiver->state != wire::DirectionState::open)
    forget_receiver (*receiver);
}

void
SessionImpl::transport_streams_available () {
  Entry entry (*this);
  start_hello ();
  for (const auto &channel : channels_)
    if (channel->sender_) mark_dirty (*channel);
}

// Datagrams.

void
SessionImpl::transport_datagram (ByteView bytes) {
  Entry entry (*this);
  handle_datagram (bytes, true);
}

void
SessionImpl::handle_datagram (ByteView bytes, bool may_keep) {
  Result<wire::Datagram> datagram = wire::decode_datagram (bytes);
  if (!datagram) {
    fail (wire::Code::protocol, datagram.error ());
    return;
  }
  Receiver *receiver = established_ ? find_receiver (datagram->id) : nullptr;
  if (!receiver) {
    if (!may_keep || (established_ && seen_ids_.contains (datagram->id))) return;
    early_datagrams_.push_back ({bytes.begin (), bytes.end ()});
    early_datagram_bytes_ += bytes.size;
    while (early_datagrams_.size () > kMaxEarlyDatagrams ||
           early_datagram_bytes_ > kMaxEarlyDatagramBytes) {
      early_datagram_bytes_ -= early_datagrams_.front ().size ();
      early_datagrams_.pop_front ();
      ++early_datagrams_dropped_;
    }
    return;
  }
  if (receiver->reliable ()) {
    fail_field ("datagram: its channel is reliable");
    return;
  }
  if (!receiver->channel || !receiver->datagram_room () || receiver->is_duplicate (datagram->seq))
    return;
  Message message;
  message.payload =
      Ref<GBytes>::adopt (g_bytes_new (datagram->payload.data, datagram->payload.size));
  if (datagram->has_attributes)
    message.attributes =
        Ref<GBytes>::adopt (g_bytes_new (datagram->attributes.data, datagram->attributes.size));
  deliver (*receiver, datagram->seq, std::move (message));
}

void
SessionImpl::transport_datagram_acked (std::uint64_t tag) {
  Entry entry (*this);
  auto found = datagram_tags_.find (tag);
  if (found == datagram_tags_.end ()) return;
  if (ChannelImpl *channel = channel_of_sender (found->second)) {
    channel->sender_->datagram_done (tag, false);
    mark_dirty (*channel);
  }
}

void
SessionImpl::transport_datagram_lost (std::uint64_t tag) {
  Entry entry (*this);
  auto found = datagram_tags_.find (tag);
  if (found == datagram_tags_.end ()) return;
  if (ChannelImpl *channel = channel_of_sender (found->second)) {
    channel->sender_->datagram_done (tag, true);
    mark_dirty (*channel);
  }
}

}  // namespace p2p
