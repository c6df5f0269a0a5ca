#include "session/session_impl.hpp"

namespace p2p {

ChannelImpl::ChannelImpl (SessionImpl &session, std::string name, ChannelOptions options)
    : session_ (session), name_ (std::move (name)), options_ (std::move (options)) {}

Result<bool>
ChannelImpl::send (const Message &message) {
  SessionImpl::Entry entry (session_);
  if (closing_)
    return Error{P2P_ERROR_CLOSED, "The channel \"" + name_ +
                                       "\" is closed, so that the message was not sent. Open the "
                                       "channel again."};
  if (sender_ && sender_->finished ())
    return Error{P2P_ERROR_CLOSED, "The sending direction of channel \"" + name_ +
                                       "\" was ended, so that the message was not sent."};
  const std::size_t payload_bytes = view_of (message.payload).size;
  if (payload_bytes > session_.peer_max_message_bytes_)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE,
                 "A message of " + std::to_string (payload_bytes) +
                     " bytes is longer than the peer's limit of " +
                     std::to_string (session_.peer_max_message_bytes_) +
                     " bytes. Use the channel's stream for it."};
  const std::size_t attributes_bytes = view_of (message.attributes).size;
  if (attributes_bytes > kMaxAttributesBytes)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE,
                 "The attributes of a message are " + std::to_string (attributes_bytes) +
                     " bytes long, above the limit of " + std::to_string (kMaxAttributesBytes) +
                     " bytes. Put them into the payload."};
  session_.open_sender (*this);
  if (!sender_->room ()) return false;
  sender_->push (message);
  if (sender_->durable ()) session_.sender_changed (sender_->id ());
  session_.mark_dirty (*this);
  return true;
}

void
ChannelImpl::push_out () {
  // Inside of a callback it follows by itself.
  if (session_.depth_ == 0 && session_.transport_) session_.transport_->flush ();
}

void
ChannelImpl::finish () {
  SessionImpl::Entry entry (session_);
  if (closing_) return;
  session_.open_sender (*this);
  sender_->finish ();
  session_.sender_changed (sender_->id ());
  session_.mark_dirty (*this);
}

std::optional<std::uint64_t>
ChannelImpl::resume_seq () const {
  return sender_ ? sender_->resume_seq () : std::nullopt;
}

std::uint64_t
ChannelImpl::unkept_messages () const {
  return sender_ && sender_->durable () ? sender_->next_seq () - sender_->kept_seq () : 0;
}

bool
ChannelImpl::by_peer () const {
  return receiver_ && (!sender_ || sender_->open ().answers);
}

bool
ChannelImpl::confirm (std::uint64_t seq) {
  SessionImpl::Entry entry (session_);
  if (!receiver_ || !receiver_->reliable ()) return false;
  receiver_->taken_ahead (seq);
  session_.mark_dirty (*this);
  return true;
}

void
ChannelImpl::consumed (const Message &message) {
  SessionImpl::Entry entry (session_);
  if (!receiver_) return;
  receiver_->taken (message);
  session_.mark_dirty (*this);
}

bool
ChannelImpl::flushed () const {
  return !sender_ || sender_->flushed ();
}

void
ChannelImpl::close () {
  SessionImpl::Entry entry (session_);
  session_.close_channel (*this, {});
}

ChannelStats
ChannelImpl::stats () const {
  ChannelStats stats = stats_;
  if (sender_) stats.buffered_bytes = sender_->buffered_bytes ();
  if (receiver_) stats.messages_lost = receiver_->lost ();
  return stats;
}

ChannelPositions
ChannelImpl::positions () const {
  ChannelPositions at;
  if (sender_) {
    at.sent = sender_->next_seq ();
    at.sent_confirmed = sender_->base_seq ();
  }
  if (receiver_) {
    at.received = receiver_->next_seq ();
    at.received_confirmed = receiver_->confirmation ().next ();
    at.received_all = receiver_->finished ();
  }
  return at;
}

}  // namespace p2p
