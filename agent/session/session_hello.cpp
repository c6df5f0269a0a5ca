// The hello: what both sides remember of a session, said when a transport carries it, and what
// follows.
#include <algorithm>

#include "session/session_impl.hpp"

namespace p2p {

namespace {

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

wire::Hello
hello_of (const SessionConfig &config) {
  wire::Hello hello;
  hello.session = config.id;
  hello.epoch = config.epoch;
  hello.memory_epoch = config.memory_epoch > 0 ? config.memory_epoch : config.epoch;
  hello.max_message_bytes = config.max_message_bytes;
  return hello;
}

}  // namespace

std::string
Session::greeting (const SessionConfig &config) {
  const wire::Writer frame = wire::encode (hello_of (config));
  return ByteView (frame.view ()).to_string ();
}

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
  if (const std::string greeting = transport_->take_greeting (); !greeting.empty ())
    greeted (ByteView (greeting));
}

// The server's hello has come already.
void
SessionImpl::greeted (ByteView greeting) {
  wire::Reader reader (greeting);
  const auto frame = wire::decode_control (reader);
  if (frame.progress == wire::Progress::done &&
      frame.value.type == static_cast<std::uint64_t> (wire::ControlType::hello))
    hello_frame (frame.value.body);
  else
    fail_field ("HELLO");
}

void
SessionImpl::hello_frame (ByteView body) {
  Result<wire::Hello> hello = wire::decode_hello (body);
  if (hello)
    hello_arrived (*hello);
  else
    fail (wire::Code::protocol, hello.error ());
}

void
SessionImpl::send_hello (StreamId stream) {
  wire::Hello hello = hello_of (config_);
  hello.peer_epoch = peer_epoch_;
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
  // What was told with the handshake was told when there was no session yet, and is still true.
  if (!transport_->is_client () && transport_->take_greeting ().empty ())
    send_hello (*control_stream_);
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
