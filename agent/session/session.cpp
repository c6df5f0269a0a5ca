#include "session/session.hpp"

#include <algorithm>

#include "session/session_impl.hpp"

namespace p2p {

namespace {

// A peer that does not read must not make the replies to it pile up.
constexpr std::size_t kMaxUnsentReplyBytes = 4096;
constexpr std::size_t kMaxUnsentSignalBytes = 256 * 1024;

Error
closed_by_peer (const std::string &name) {
  return {P2P_ERROR_CLOSED, "The peer closed the channel \"" + name + "\"."};
}

Error
refused_by_peer (const std::string &name) {
  return {P2P_ERROR_LIMIT, "The peer does not accept the channel \"" + name +
                               "\", because it has as many channels as it allows. Close others "
                               "first."};
}

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

// The hello.

void
SessionImpl::start_hello () {
  // A server answers.
  if (!transport_ || control_stream_ || !transport_->is_client ()) return;
  Result<StreamId> id = transport_->open_stream ({});
  if (!id) return;  // not ready yet; transport_ready() comes
  transport_->write (*id, wire::Writer ().type (wire::StreamType::control).to_bytes (), false);
  send_hello (*id);
  control_stream_ = *id;
  auto stream = make_packed<Stream> ();
  stream->id = *id;
  stream->kind = Stream::Kind::control;
  streams_[*id] = stream;
}

void
SessionImpl::send_hello (StreamId stream) {
  wire::Hello hello;
  hello.session = config_.id;
  hello.epoch = config_.epoch;
  hello.peer_epoch = peer_epoch_;
  hello.memory_epoch = config_.memory_epoch > 0 ? config_.memory_epoch : config_.epoch;
  hello.max_message_bytes = config_.max_message_bytes;
  for (const auto &[id, receiver] : receivers_) hello.incoming.push_back (receiver->hello ());
  for (const auto &channel : channels_)
    if (channel->sender_ && !channel->closing_ && !channel->sender_->ended ())
      hello.outgoing.push_back (channel->sender_->id ());
  transport_->write (stream, wire::encode (hello).to_bytes (), false);
}

Status
SessionImpl::check_hello (const wire::Hello &hello) {
  if (hello.version != wire::kVersion)
    return Error{P2P_ERROR_PROTOCOL,
                 "The peer speaks protocol version " + std::to_string (hello.version) +
                     ", and this side version " + std::to_string (wire::kVersion) +
                     ". Both sides need the same version."};
  if (hello.session != config_.id)
    return Error{P2P_ERROR_PROTOCOL,
                 "The peer's HELLO names another session id than the one that was agreed on. "
                 "Connect again."};
  if (hello.epoch < peer_epoch_)
    return Error{P2P_ERROR_PROTOCOL,
                 "The peer's HELLO has epoch " + std::to_string (hello.epoch) + ", but epoch " +
                     std::to_string (peer_epoch_) +
                     " of this session was seen: an older instance of it is still running. Stop "
                     "the older one."};
  if (hello.peer_epoch > config_.epoch)
    return Error{P2P_ERROR_PROTOCOL,
                 "The peer knows epoch " + std::to_string (hello.peer_epoch) +
                     " of this side, which has epoch " + std::to_string (config_.epoch) +
                     ": a newer instance has taken the session over. Stop this one."};
  if (established_)
    return Error{
        P2P_ERROR_PROTOCOL,
        "The peer sent a second HELLO. The connection was closed; both sides need the same "
        "version."};
  return {};
}

void
SessionImpl::hello_arrived (const wire::Hello &hello) {
  if (Status bad = check_hello (hello)) {
    const bool stale = hello.version == wire::kVersion && hello.session == config_.id &&
                       (hello.epoch < peer_epoch_ || hello.peer_epoch > config_.epoch);
    fail (stale ? wire::Code::stale_epoch : wire::Code::protocol, *bad);
    return;
  }
  if (peer_epoch_ != 0 && hello.memory_epoch > peer_epoch_) peer_restarted ();
  if (peer_epoch_ != hello.epoch || peer_max_message_bytes_ != hello.max_message_bytes)
    progress_changed ();
  peer_epoch_ = hello.epoch;
  peer_max_message_bytes_ = hello.max_message_bytes;
  resume_receivers (hello);
  if (!transport_->is_client ()) send_hello (*control_stream_);
  if (Status bad = resume_senders (hello)) {
    fail (bad->code == P2P_ERROR_STORE ? wire::Code::state_lost : wire::Code::protocol, *bad);
    return;
  }
  established_ = true;
  early_due_ = true;
  for (const auto &channel : channels_) mark_dirty (*channel);
  observer_.session_established ();
}

// It remembers nothing of the channels that it had.
void
SessionImpl::peer_restarted () {
  for (const auto &channel : channels_) {
    if (!channel->receiver_ && !(channel->sender_ && channel->sender_->announced ())) continue;
    if (channel->receiver_) receiver_changed (channel->receiver_->id ());
    channel->receiver_ = nullptr;
    close_channel (*channel, Error{P2P_ERROR_CLOSED,
                                   "The peer was restarted and does not know the "
                                   "channel \"" +
                                       channel->name_ + "\" any longer. Open it again."});
  }
  for (const auto &[id, receiver] : receivers_) receiver_changed (id);
  receivers_.clear ();
  seen_ids_ = RangeSet ();
}

Status
SessionImpl::resume_senders (const wire::Hello &hello) {
  replay_ = {};
  std::unordered_map<std::uint64_t, const wire::HelloIncoming *> known;
  // What the peer remembers of an earlier epoch of ours means nothing now, unless we remember it
  // too.
  const std::uint64_t memory = config_.memory_epoch > 0 ? config_.memory_epoch : config_.epoch;
  if (hello.peer_epoch >= memory)
    for (const wire::HelloIncoming &in : hello.incoming) {
      if (in.id >= next_channel_id_)
        return Error{P2P_ERROR_PROTOCOL,
                     "The peer's HELLO names an incoming channel id that was never opened. Both "
                     "sides need the same version."};
      known[in.id] = &in;
    }
  for (const auto &channel : channels_) {
    if (!channel->sender_ || channel->closing_) continue;
    Sender &sender = *channel->sender_;
    const auto found = known.find (sender.id ());
    const wire::HelloIncoming *in = found == known.end () ? nullptr : found->second;
    if (in && in->state == wire::DirectionState::refused) {
      close_channel (*channel, refused_by_peer (channel->name_));
    } else if ((in && in->state == wire::DirectionState::closed) ||
               (!in && sender.known_by_peer () && !sender.ended ())) {
      close_channel (*channel, closed_by_peer (channel->name_));
    } else if (!sender.ended ()) {
      if (Status bad = sender.attach (in)) return bad;
      sender.count_replay (replay_);
      if (sender.longest_waiting_bytes () > peer_max_message_bytes_)
        close_channel (*channel, Error{P2P_ERROR_MESSAGE_TOO_LARGE,
                                       "A message that waits in channel \"" + channel->name_ +
                                           "\" is longer than the peer's limit of " +
                                           std::to_string (peer_max_message_bytes_) +
                                           " bytes. Send shorter messages."});
    }
  }
  return {};
}

void
SessionImpl::resume_receivers (const wire::Hello &hello) {
  std::vector<Receiver *> gone;
  for (const auto &[id, receiver] : receivers_) {
    // Our hello says so.
    if (receiver->is_kept ())
      receiver->confirm_owed = false;
    else if (receiver->finished ())
      receiver->confirmed ();
    if (std::find (hello.outgoing.begin (), hello.outgoing.end (), id) == hello.outgoing.end ())
      gone.push_back (receiver.get ());
  }
  for (Receiver *receiver : gone) {
    if (receiver->channel && !receiver->finished ())
      close_channel (*receiver->channel, closed_by_peer (receiver->channel->name_));
    forget_receiver (*receiver);
  }
}

// As soon as no channel needs it.
void
SessionImpl::forget_receiver (Receiver &receiver) {
  receiver.forgettable = true;
  receiver_changed (receiver.id ());
  if (!receiver.channel) receivers_.erase (receiver.id ());
}

void
SessionImpl::direction_stopped (std::uint64_t channel_id, wire::Code code) {
  ChannelImpl *channel = channel_of_sender (channel_id);
  if (!channel || channel->sender_->ended ()) return;
  close_channel (*channel, code == wire::Code::limit ? refused_by_peer (channel->name_)
                                                     : closed_by_peer (channel->name_));
}

}  // namespace p2p
