#include "session/session.hpp"

#include <algorithm>

#include "session/session_impl.hpp"

namespace p2p {

namespace {

// A peer that does not read must not make the replies to it pile up.
constexpr std::size_t kMaxUnsentReplyBytes = 4096;
constexpr std::size_t kMaxUnsentSignalBytes = 256 * 1024;

}  // namespace

std::unique_ptr<Session>
Session::create (const SessionConfig &config, Observer &observer) {
  return std::make_unique<SessionImpl> (config, observer);
}

SessionImpl::SessionImpl (const SessionConfig &config, p2p::Session::Observer &observer)
    : config_ (config), observer_ (observer), peer_max_message_bytes_ (config.max_message_bytes) {}

SessionImpl::~SessionImpl () {
  if (transport_) transport_->set_observer (nullptr);
}

// Channels.

ChannelImpl *
SessionImpl::find_channel (const std::string &name) const {
  auto found = by_name_.find (name);
  return found == by_name_.end () ? nullptr : found->second;
}

ChannelImpl *
SessionImpl::channel_of_sender (std::uint64_t id) const {
  auto found = by_sender_.find (id);
  return found == by_sender_.end () ? nullptr : found->second;
}

Receiver *
SessionImpl::find_receiver (std::uint64_t id) const {
  auto found = receivers_.find (id);
  return found == receivers_.end () ? nullptr : found->second.get ();
}

ChannelImpl &
SessionImpl::make_channel (const std::string &name, const ChannelOptions &options) {
  channels_.push_back (std::make_unique<ChannelImpl> (*this, name, options));
  by_name_[name] = channels_.back ().get ();
  return *channels_.back ();
}

Result<Channel *>
SessionImpl::open_channel (const std::string &name, const ChannelOptions &options) {
  Entry entry (*this);
  if (name.empty () || name.size () > wire::kMaxNameBytes ||
      !g_utf8_validate_len (name.data (), name.size (), nullptr))
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The channel's name is not 1 to 255 bytes of UTF-8 text. Choose another name."};
  if (options.protocol.size () > wire::kMaxNameBytes ||
      !g_utf8_validate_len (options.protocol.data (), options.protocol.size (), nullptr))
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The protocol of channel \"" + name +
                                                 "\" is not UTF-8 text of at most 255 bytes. "
                                                 "Choose a shorter one."};
  if (options.max_packet_lifetime_ms && options.max_retransmits)
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The channel \"" + name +
                     "\" has both a packet lifetime and a number of retransmits. Set one of them."};
  if (options.priority == 0 || options.priority > kMaxPriority)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The channel \"" + name + "\" has a priority of " +
                                                 std::to_string (options.priority) +
                                                 ". Choose one from 1 to 65535."};
  ChannelImpl *channel = find_channel (name);
  if (!channel) {
    if (channels_.size () >= config_.max_channels)
      return Error{P2P_ERROR_LIMIT, "The connection has " + std::to_string (config_.max_channels) +
                                        " channels already. Close one of them before you open \"" +
                                        name + "\"."};
    channel = &make_channel (name, options);
  } else if (!channel->sender_) {
    channel->options_ = options;
  }
  open_sender (*channel);
  return channel;
}

void
SessionImpl::open_sender (ChannelImpl &channel) {
  if (channel.sender_) return;
  wire::Open open;
  open.id = next_channel_id_++;
  open.name = channel.name_;
  open.options = channel.options_;
  if (!config_.kept || !open.options.reliable ()) open.options.durable = false;
  if (channel.receiver_) open.answers = channel.receiver_->id ();
  by_sender_[open.id] = &channel;
  channel.sender_ = make_sender (*this, std::move (open), channel.stats_);
  if (config_.kept) {
    channel.sender_->hold ();
    sender_changed (channel.sender_->id ());
    progress_changed ();
  }
  mark_dirty (channel);
}

std::vector<Channel *>
SessionImpl::channels () const {
  std::vector<Channel *> list;
  for (const auto &channel : channels_)
    if (!channel->closing_) list.push_back (channel.get ());
  return list;
}

bool
SessionImpl::send_signal (const std::string &text) {
  Entry entry (*this);
  if (!established_ || text.size () > kMaxSessionSignalBytes ||
      transport_->unsent_bytes (*control_stream_) > kMaxUnsentSignalBytes)
    return false;
  transport_->write (*control_stream_, wire::encode_signal (ByteView (text)).to_bytes (), false);
  return true;
}

void
SessionImpl::mark_dirty (ChannelImpl &channel) {
  if (channel.dirty_) return;
  channel.dirty_ = true;
  dirty_.push_back (&channel);
}

void
SessionImpl::settle () {
  do {
    if (std::exchange (early_due_, false)) drain_early ();
    for (ChannelImpl *channel : std::exchange (dirty_, {})) {
      channel->dirty_ = false;
      service (*channel);
    }
    resume_assembling ();
  } while (!dirty_.empty () || early_due_);
  graveyard_.clear ();
  tell_keeper ();
}

void
SessionImpl::service (ChannelImpl &channel) {
  if (channel.closing_) {
    bury (channel);
    return;
  }
  if (established_) {
    if (channel.sender_) channel.sender_->pump ();
    if (channel.receiver_) resume_held (*channel.receiver_);
  }
  if ((established_ || config_.kept) && channel.receiver_) confirm_taken (*channel.receiver_);
  if (std::exchange (channel.released_, false) && !channel.closing_)
    observer_.session_released (channel);
  if (channel.sender_ && channel.sender_->ended () && channel.receiver_ &&
      channel.receiver_->finished () && !channel.receiver_->confirm_due () &&
      !channel.receiver_->keeping ())
    close_channel (channel, {});
}

void
SessionImpl::close_channel (ChannelImpl &channel, Status reason) {
  if (channel.closing_) return;
  channel.closing_ = true;
  channel.close_reason_ = std::move (reason);
  auto named = by_name_.find (channel.name_);
  if (named != by_name_.end () && named->second == &channel) by_name_.erase (named);
  mark_dirty (channel);
}

void
SessionImpl::bury (ChannelImpl &channel) {
  const auto owned = std::find_if (channels_.begin (), channels_.end (),
                                   [&] (const auto &c) { return c.get () == &channel; });
  if (owned == channels_.end ()) return;
  if (Sender *sender = channel.sender_.get ()) {
    if (established_ && !sender->ended ()) {
      sender->abandon ();
      if (sender->stream ())
        transport_->reset (*sender->stream (), static_cast<std::uint64_t> (wire::Code::closed));
    }
    by_sender_.erase (sender->id ());
    sender_changed (sender->id ());
  }
  if (Receiver *receiver = channel.receiver_) {
    receiver->channel = nullptr;
    receiver->end_timer.reset ();
    receiver->confirm_timer.reset ();
    if (!receiver->finished ()) {
      receiver->state = wire::DirectionState::closed;
      if (receiver->stream) refuse (*receiver->stream, wire::Code::closed);
      for (const auto &held : receiver->held_streams) ignore (*held);
      for (const auto &stream : receiver->uncredited_streams) ignore (*stream);
    }
    receiver->held_streams.clear ();
    receiver->uncredited_streams.clear ();
    if (established_ && receiver->confirm_due ()) note_taken (*receiver);
    receiver_changed (receiver->id ());
    if (receiver->forgettable) receivers_.erase (receiver->id ());
  }
  channel.receiver_ = nullptr;
  graveyard_.push_back (std::move (*owned));
  channels_.erase (owned);
  observer_.session_channel_closed (channel, channel.close_reason_);
}

void
SessionImpl::deliver_end_if_due (Receiver &receiver, bool grace_over) {
  if (!receiver.channel || receiver.channel->closing_ || !receiver.end_due (grace_over)) return;
  receiver.end_delivered ();
  if (receiver.end_timer) receiver.end_timer->disarm ();
  mark_dirty (*receiver.channel);
  observer_.session_end_of_stream (*receiver.channel);
}

void
SessionImpl::confirm_taken (Receiver &receiver) {
  if (receiver.confirm_owed && established_) confirm (receiver);
  const bool more_comes = receiver.stream && receiver.stream->assembler.active ();
  if (receiver.confirm_due () || (receiver.confirm_soon () && !more_comes)) {
    note_taken (receiver);
  } else if (receiver.confirm_soon ()) {
    if (!receiver.confirm_timer)
      receiver.confirm_timer = scheduler_->make_timer ([this, id = receiver.id ()] {
        Entry entry (*this);
        Receiver *late = find_receiver (id);
        if (!late) return;
        late->confirm_waits = false;
        if (late->channel && late->confirm_soon ()) note_taken (*late);
      });
    if (!std::exchange (receiver.confirm_waits, true))
      receiver.confirm_timer->arm (scheduler_->now () + kMaxConfirmDelay);
  }
}

// Tells the peer, where it must be durable before only the keeper.
void
SessionImpl::note_taken (Receiver &receiver) {
  if (receiver.is_kept ()) {
    receiver.confirmed ();
    receiver_changed (receiver.id ());
  } else if (established_) {
    confirm (receiver);
  }
}

void
SessionImpl::confirm (Receiver &receiver) {
  if (!receiver.stream || receiver.stream->kind != Stream::Kind::channel) return;
  const StreamId id = receiver.stream->id;
  if (transport_->unsent_bytes (id) > kMaxUnsentReplyBytes) return;
  const bool over =
      receiver.finished () &&
      !(receiver.is_kept () && receiver.hello ().state != wire::DirectionState::ended);
  transport_->write (id, wire::encode_confirm (receiver.confirmation ()).to_bytes (), over);
  receiver.confirm_owed = false;
  if (!receiver.is_kept ()) receiver.confirmed ();
}

// What senders ask for.

std::optional<StreamId>
SessionImpl::open_sender_stream (std::uint64_t channel_id, bool message) {
  const ChannelImpl *channel = channel_of_sender (channel_id);
  Result<StreamId> id = transport_->open_stream (channel ? channel->sender_->flow () : Flow{});
  if (!id) return {};
  auto stream = make_packed<Stream> ();
  stream->id = *id;
  stream->kind = message ? Stream::Kind::own_message : Stream::Kind::own_channel;
  stream->channel_id = channel_id;
  streams_[*id] = stream;
  return *id;
}

std::uint64_t
SessionImpl::register_datagram (std::uint64_t channel_id) {
  datagram_tags_[++next_tag_] = channel_id;
  return next_tag_;
}

void
SessionImpl::sender_wants_pump (std::uint64_t channel_id) {
  Entry entry (*this);
  if (ChannelImpl *channel = channel_of_sender (channel_id)) mark_dirty (*channel);
}

void
SessionImpl::sender_released (std::uint64_t channel_id) {
  ChannelImpl *channel = channel_of_sender (channel_id);
  if (!channel) return;
  channel->released_ = true;
  mark_dirty (*channel);
}

// The transport comes and goes.

void
SessionImpl::attach (Transport &transport) {
  Entry entry (*this);
  if (transport_) end_transport ();
  transport_ = &transport;
  scheduler_ = &transport.scheduler ();
  transport.set_observer (this);
  start_hello ();
}

void
SessionImpl::detach () {
  Entry entry (*this);
  if (transport_) end_transport ();
}

void
SessionImpl::end_transport () {
  transport_->set_observer (nullptr);
  transport_ = nullptr;
  established_ = false;
  control_stream_.reset ();
  for (const auto &[id, stream] : streams_) stream->dead = true;
  streams_.clear ();
  early_streams_.clear ();
  early_datagrams_.clear ();
  early_datagram_bytes_ = 0;
  budget_waiting_.clear ();
  elected_.reset ();
  assembling_bytes_ = 0;
  for (const auto &[id, receiver] : receivers_) {
    receiver->stream.reset ();
    receiver->held_streams.clear ();
    receiver->uncredited_streams.clear ();
  }
  for (const auto &channel : channels_)
    if (channel->sender_) channel->sender_->detach ();
  datagram_tags_.clear ();
}

void
SessionImpl::fail (wire::Code code, const Error &error) {
  if (!transport_) return;
  Transport &transport = *transport_;
  end_transport ();
  transport.close (static_cast<std::uint64_t> (code), error.message);
  observer_.session_detached (error, false, static_cast<std::uint64_t> (code));
}

void
SessionImpl::fail_field (const std::string &field) {
  fail (wire::Code::protocol,
        {P2P_ERROR_PROTOCOL, "The peer sent a malformed " + field +
                                 ". The connection was closed; both sides need the same version."});
}

void
SessionImpl::transport_ready () {
  Entry entry (*this);
  start_hello ();
}

void
SessionImpl::transport_closed (const Error &error, bool by_peer, std::uint64_t code) {
  Entry entry (*this);
  // It is the transport's, which the observer may destroy.
  const Error copy = error;  // NOLINT(performance-unnecessary-copy-initialization)
  end_transport ();
  observer_.session_detached (copy, by_peer, code);
}

}  // namespace p2p
