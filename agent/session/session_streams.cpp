#include <algorithm>

#include "session/session_impl.hpp"

namespace p2p {

namespace {

// Of messages that are being put together at the same time; above it they finish one by one.
constexpr std::uint64_t kAssemblyBudgetBytes = 64 * 1024 * 1024;

}  // namespace

std::shared_ptr<Stream>
SessionImpl::find_stream (StreamId id) const {
  auto found = streams_.find (id);
  return found == streams_.end () ? nullptr : found->second;
}

// Bytes in, in order.

void
SessionImpl::transport_stream_opened (StreamId id) {
  Entry entry (*this);
  auto stream = make_packed<Stream> ();
  stream->id = id;
  streams_[id] = stream;
}

void
SessionImpl::transport_stream_data (StreamId id, ByteView bytes, bool fin) {
  Entry entry (*this);
  if (!find_stream (id)) transport_stream_opened (id);
  const std::shared_ptr<Stream> stream = find_stream (id);
  stream->fin |= fin;
  feed (stream, bytes);
}

void
SessionImpl::feed (const std::shared_ptr<Stream> &stream, ByteView bytes) {
  std::size_t used = 0;
  if (stream->held.empty ()) used = read (stream, bytes);
  if (stream->dead) return;
  credit (stream, used);
  const ByteView rest = bytes.sub (used);
  stream->held.insert (stream->held.end (), rest.begin (), rest.end ());
  if (!stream->held.empty () || paused (stream))
    list (stream);
  else if (stream->fin)
    stream_finished (stream);
}

void
SessionImpl::drain (const std::shared_ptr<Stream> &stream) {
  if (stream->dead) return;
  // An empty message may be complete before its channel is known.
  if (stream->assembler.complete () && !paused (stream)) message_complete (*stream);
  if (stream->dead) return;
  const std::size_t used = read (stream, ByteView (stream->held).sub (stream->held_read));
  if (stream->dead) return;
  credit (stream, used);
  stream->held_read += used;
  // Moves the rest down seldom, so that each byte moves a bounded number of times.
  if (stream->held_read > stream->held.size () / 2) {
    stream->held.erase (stream->held.begin (),
                        stream->held.begin () + static_cast<std::ptrdiff_t> (stream->held_read));
    stream->held_read = 0;
    if (stream->held.empty ()) stream->held.shrink_to_fit ();
  }
  if (!stream->held.empty () || paused (stream))
    list (stream);
  else if (stream->fin)
    stream_finished (stream);
}

// Opens the window for what was read, unless the application is behind: that holds the sender back,
// and bounds memory by the window.
void
SessionImpl::credit (const std::shared_ptr<Stream> &stream, std::size_t bytes) {
  if (bytes == 0) return;
  Receiver *receiver = stream->opened ? find_receiver (stream->channel_id) : nullptr;
  if (!receiver || !receiver->channel || !receiver->throttled ()) {
    transport_->consume (stream->id, bytes);
    return;
  }
  if (stream->uncredited_bytes == 0) receiver->uncredited_streams.push_back (stream);
  stream->uncredited_bytes += bytes;
}

std::size_t
SessionImpl::read (const std::shared_ptr<Stream> &stream, ByteView bytes) {
  std::size_t used = 0;
  stream->reading = true;
  while (used < bytes.size && !stream->dead && !paused (stream))
    used += step (stream, bytes.sub (used));
  stream->reading = false;
  return used;
}

// Whether the stream is not to be read now. What its window still lets in is kept unread.
bool
SessionImpl::paused (const std::shared_ptr<Stream> &stream) {
  if (stream->kind != Stream::Kind::channel && stream->kind != Stream::Kind::message) return false;
  if (!established_ || stream->waits_for_open) return true;
  if (stream->opened) {
    const Receiver *receiver = find_receiver (stream->channel_id);
    if (receiver && receiver->channel && receiver->full ()) {
      if (elected_.lock () == stream) elected_.reset ();
      return true;
    }
  }
  if (!stream->assembler.active () || assembling_bytes_ <= kAssemblyBudgetBytes) return false;
  if (elected_.expired ()) elected_ = stream;
  return elected_.lock () != stream;
}

void
SessionImpl::list (const std::shared_ptr<Stream> &stream) {
  if (stream->listed) return;
  stream->listed = true;
  Receiver *receiver = stream->opened ? find_receiver (stream->channel_id) : nullptr;
  if (!established_ || stream->waits_for_open)
    early_streams_.push_back (stream);
  else if (receiver && receiver->channel && receiver->full ())
    receiver->held_streams.push_back (stream);
  else
    budget_waiting_.push_back (stream);
}

void
SessionImpl::resume_held (Receiver &receiver) {
  if (!receiver.throttled ())
    for (const auto &stream : std::exchange (receiver.uncredited_streams, {})) {
      const std::size_t bytes = std::exchange (stream->uncredited_bytes, 0);
      if (!stream->dead) transport_->consume (stream->id, bytes);
    }
  while (receiver.channel && !receiver.channel->closing_ && !receiver.full () &&
         !receiver.held_streams.empty ()) {
    const std::shared_ptr<Stream> stream = receiver.held_streams.front ();
    receiver.held_streams.pop_front ();
    stream->listed = false;
    drain (stream);
    if (stream->dead) return;  // the transport is gone
  }
}

void
SessionImpl::resume_assembling () {
  if (budget_waiting_.empty ()) return;
  for (const auto &stream : std::exchange (budget_waiting_, {})) {
    stream->listed = false;
    drain (stream);
  }
}

void
SessionImpl::drain_early () {
  for (const auto &stream : std::exchange (early_streams_, {})) {
    stream->listed = false;
    if (!stream->dead) drain (stream);
  }
  early_datagram_bytes_ = 0;
  for (const auto &datagram : std::exchange (early_datagrams_, {})) {
    if (!established_) return;
    handle_datagram (datagram, true);
  }
}

template <class Decode, class Apply>
std::size_t
SessionImpl::read_frame (Stream &stream, ByteView bytes, std::size_t max_bytes, Decode decode,
                         Apply apply) {
  const std::size_t before = stream.head.size ();
  const ByteView fresh = bytes.sub (0, max_bytes - before);
  if (before > 0) stream.head.insert (stream.head.end (), fresh.begin (), fresh.end ());
  wire::Reader reader (before > 0 ? ByteView (stream.head) : fresh);
  auto decoded = decode (reader);
  if (decoded.progress == wire::Progress::bad) {
    fail_field (decoded.problem);
    return bytes.size;
  }
  if (decoded.progress == wire::Progress::more) {
    if (before == 0) stream.head.assign (fresh.begin (), fresh.end ());
    if (stream.head.size () >= max_bytes) fail_field ("length of a frame");
    return fresh.size;
  }
  const std::size_t used = reader.used () - before;
  // The decoded value may point into it.
  const std::vector<std::uint8_t> keep = std::exchange (stream.head, {});
  apply (decoded.value);
  return used;
}

std::size_t
SessionImpl::step (const std::shared_ptr<Stream> &stream, ByteView bytes) {
  switch (stream->kind) {
    case Stream::Kind::unknown:
      if (bytes[0] == static_cast<std::uint8_t> (wire::StreamType::control) && !control_stream_ &&
          !transport_->is_client ()) {
        stream->kind = Stream::Kind::control;
        control_stream_ = stream->id;
      } else if (bytes[0] == static_cast<std::uint8_t> (wire::StreamType::channel)) {
        stream->kind = Stream::Kind::channel;
      } else if (bytes[0] == static_cast<std::uint8_t> (wire::StreamType::message)) {
        stream->kind = Stream::Kind::message;
      } else {
        fail_field ("type of a stream");
      }
      return 1;
    case Stream::Kind::control:
      return read_frame (*stream, bytes, wire::kMaxControlFrameBytes + 16, wire::decode_control,
                         [&] (const wire::ControlFrame &frame) { control_frame (stream, frame); });
    case Stream::Kind::channel:
      if (!stream->opened)
        return read_frame (*stream, bytes, wire::kMaxOpenBytes + 16, wire::decode_open,
                           [&] (wire::Open &open) { open_arrived (stream, std::move (open)); });
      if (!stream->assembler.active ())
        return read_frame (*stream, bytes, wire::kMaxRecordHeadBytes, wire::decode_record,
                           [&] (const wire::Record &record) { record_arrived (*stream, record); });
      break;
    case Stream::Kind::message:
      if (!stream->assembler.active ())
        return read_frame (
            *stream, bytes, wire::kMaxRecordHeadBytes, wire::decode_message_head,
            [&] (const wire::MessageHead &head) { message_head_arrived (stream, head); });
      break;
    case Stream::Kind::own_channel:
      return read_frame (*stream, bytes, wire::kMaxReplyBytes, wire::decode_reply,
                         [&] (const wire::Reply &reply) { reply_arrived (*stream, reply); });
    case Stream::Kind::own_message:
    case Stream::Kind::ignored:
      return bytes.size;
  }
  const std::size_t used = stream->assembler.feed (bytes);
  assembling_bytes_ += used;
  if (stream->assembler.complete ()) message_complete (*stream);
  return used;
}

void
SessionImpl::stream_finished (const std::shared_ptr<Stream> &stream) {
  if (std::exchange (stream->fin_handled, true)) return;
  const bool cut_short = !stream->head.empty () || stream->assembler.active ();
  switch (stream->kind) {
    case Stream::Kind::control:
      fail_field ("control stream: it ended");
      return;
    case Stream::Kind::channel: {
      const Receiver *receiver = stream->opened ? find_receiver (stream->channel_id) : nullptr;
      if (cut_short || !receiver || !receiver->end_known ())
        fail_field ("stream of a channel: it ended without END");
      return;
    }
    case Stream::Kind::message:
      fail_field ("stream of a message: it was cut short");
      return;
    case Stream::Kind::own_channel: {
      ChannelImpl *channel = channel_of_sender (stream->channel_id);
      if (channel && !channel->closing_ && !channel->sender_->ended ())
        fail_field ("reply on a channel: it ended before the channel did");
      return;
    }
    case Stream::Kind::unknown:
      end_own_half (stream->id);
      return;
    case Stream::Kind::own_message:
    case Stream::Kind::ignored:
      return;
  }
}

// Frames.

void
SessionImpl::control_frame (const std::shared_ptr<Stream> &, const wire::ControlFrame &frame) {
  if (frame.type == static_cast<std::uint64_t> (wire::ControlType::signal)) {
    if (established_ && frame.body.size <= kMaxSessionSignalBytes)
      observer_.session_signal (frame.body.to_string ());
    return;
  }
  // Other types are for later versions.
  if (frame.type != static_cast<std::uint64_t> (wire::ControlType::hello)) return;
  hello_frame (frame.body);
}

void
SessionImpl::open_arrived (const std::shared_ptr<Stream> &stream, wire::Open open) {
  stream->opened = true;
  stream->channel_id = open.id;
  if (Receiver *receiver = find_receiver (open.id))
    resume_receiver (stream, *receiver, open.first_seq);
  else if (seen_ids_.contains (open.id))
    refuse (*stream, wire::Code::closed);
  else
    new_receiver (stream, std::move (open));
}

void
SessionImpl::resume_receiver (const std::shared_ptr<Stream> &stream, Receiver &receiver,
                              std::uint64_t first_seq) {
  if (receiver.stream) {
    fail_field ("OPEN: the field \"channel id\" names a channel that is open");
    return;
  }
  receiver.stream = stream;
  if (receiver.state != wire::DirectionState::open || !receiver.channel) {
    refuse (*stream, wire::Code::closed);
    return;
  }
  if (receiver.reliable () && receiver.restored () && first_seq > receiver.received ().next ()) {
    close_channel (
        *receiver.channel,
        Error{P2P_ERROR_CLOSED,
              "Messages of the channel \"" + receiver.open ().name +
                  "\" are lost: the peer was restarted and had no copy of them, and this "
                  "side was restarted before they were taken. Open the channel again."});
    return;
  }
  if (receiver.reliable () && receiver.ordered () && first_seq > receiver.received ().next ()) {
    fail_field ("OPEN: the field \"first sequence number\" leaves messages out");
    return;
  }
  receiver.next_implied_seq = first_seq;
  adopt_early (receiver);
}

void
SessionImpl::new_receiver (const std::shared_ptr<Stream> &stream, wire::Open open) {
  if (open.options.reliable () && open.options.ordered && open.first_seq != 0) {
    fail_field ("OPEN: the field \"first sequence number\" leaves messages out");
    return;
  }
  seen_ids_.insert (open.id);
  if (seen_ids_.beyond ().size () > kMaxGaps) seen_ids_.forget_lowest_gap ();
  ChannelImpl *channel = open.answers ? channel_of_sender (*open.answers) : nullptr;
  if (open.answers) {
    // The channel that it answers was closed meanwhile.
    if (!channel || channel->closing_ || channel->receiver_ || channel->name_ != open.name) {
      refuse (*stream, wire::Code::closed);
      return;
    }
  } else {
    channel = find_channel (open.name);
    if (channel && channel->receiver_) {
      // The peer is done with the earlier channel of that name, and this is the next one.
      Status reason;
      if (!channel->receiver_->finished ())
        reason = Error{P2P_ERROR_CLOSED,
                       "The peer closed the channel \"" + open.name + "\" and opened it again."};
      close_channel (*channel, std::move (reason));
      channel = nullptr;
    }
  }
  const bool fresh = channel == nullptr;
  if ((fresh && channels_.size () >= config_.max_channels) ||
      receivers_.size () >= 2 * config_.max_channels) {
    refuse (*stream, wire::Code::limit);
    return;
  }
  if (fresh) channel = &make_channel (open.name, open.options);
  auto owned = std::make_unique<Receiver> (std::move (open));
  Receiver &receiver = *owned;
  receivers_[receiver.id ()] = std::move (owned);
  if (config_.kept) receiver.keep ();
  receiver_changed (receiver.id ());
  progress_changed ();
  receiver.channel = channel;
  receiver.stream = stream;
  channel->receiver_ = &receiver;
  adopt_early (receiver);
  mark_dirty (*channel);
  if (fresh) observer_.session_channel_opened (*channel);
}

void
SessionImpl::adopt_early (Receiver &receiver) {
  if (receiver.ordered () && receiver.reliable ()) return;
  for (const auto &stream : early_streams_)
    if (stream->waits_for_open && stream->channel_id == receiver.id ())
      stream->waits_for_open = false;
  early_due_ = true;
}

// Tells the peer that this direction is not wanted, and reads past what comes.
void
SessionImpl::refuse (Stream &stream, wire::Code code) {
  if (stream.dead) return;
  if (stream.was_reset)
    end_own_half (stream.id);
  else if (stream.kind == Stream::Kind::channel)
    transport_->write (stream.id, wire::encode_stop (code).to_bytes (), true);
  ignore (stream);
}

void
SessionImpl::ignore (Stream &stream) {
  if (stream.dead) return;
  if (stream.kind == Stream::Kind::message) end_own_half (stream.id);
  forget_stream (stream);
  stream.kind = Stream::Kind::ignored;
  const std::size_t uncredited = std::exchange (stream.uncredited_bytes, 0);
  if (uncredited > 0) transport_->consume (stream.id, uncredited);
  if (stream.reading) return;  // goes on to the end by itself
  if (!stream.held.empty ())
    transport_->consume (stream.id, stream.held.size () - stream.held_read);
  stream.held.clear ();
  stream.held_read = 0;
}

void
SessionImpl::forget_stream (Stream &stream) {
  assembling_bytes_ -= stream.assembler.held_bytes ();
  stream.assembler = Assembler ();
  if (elected_.lock ().get () == &stream) elected_.reset ();
}

void
SessionImpl::end_own_half (StreamId id) {
  transport_->write (id, Ref<GBytes>::adopt (g_bytes_new_static ("", 0)), true);
}

bool
SessionImpl::begin_message (Stream &stream, const wire::Record &record) {
  if (record.payload_bytes > config_.max_message_bytes) {
    fail (wire::Code::message_too_large,
          {P2P_ERROR_MESSAGE_TOO_LARGE,
           "The peer sent a message of " + std::to_string (record.payload_bytes) +
               " bytes, above the limit of " + std::to_string (config_.max_message_bytes) +
               " bytes that it was told. The connection was closed."});
    return false;
  }
  stream.assembler.begin (record.type == wire::RecordType::data_with_attributes,
                          static_cast<std::size_t> (record.attributes_bytes),
                          static_cast<std::size_t> (record.payload_bytes));
  return true;
}

void
SessionImpl::record_arrived (Stream &stream, const wire::Record &record) {
  Receiver *receiver = find_receiver (stream.channel_id);
  if (!receiver) return;
  if (receiver->end_known ()) {
    fail_field ("record: it comes after END");
  } else if (record.type != wire::RecordType::end) {
    if (!receiver->reliable () || !receiver->ordered ()) {
      fail_field ("record: a message on the stream of an unordered or unreliable channel");
      return;
    }
    stream.seq = receiver->next_implied_seq++;
    if (begin_message (stream, record) && stream.assembler.complete ()) message_complete (stream);
  } else {
    const bool ordered = receiver->reliable () && receiver->ordered ();
    if (!receiver->end_at (record.count) ||
        (ordered && record.count != receiver->next_implied_seq)) {
      fail_field ("END: the field \"count\" contradicts the messages before it");
      return;
    }
    deliver_end_if_due (*receiver, false);
    if (stream.dead || receiver->reliable () || !receiver->end_due (true)) return;
    if (!receiver->channel || receiver->channel->closing_) return;
    receiver->end_timer = scheduler_->make_timer ([this, id = receiver->id ()] {
      Entry entry (*this);
      if (Receiver *late = find_receiver (id)) deliver_end_if_due (*late, true);
    });
    receiver->end_timer->arm (scheduler_->now () + receiver->end_grace_us ());
  }
}

void
SessionImpl::message_head_arrived (const std::shared_ptr<Stream> &stream,
                                   const wire::MessageHead &head) {
  stream->channel_id = head.id;
  stream->seq = head.seq;
  stream->opened = true;
  Receiver *receiver = find_receiver (head.id);
  if (receiver && receiver->reliable () && receiver->ordered ()) {
    fail_field ("message: its channel carries messages on its own stream");
    return;
  }
  if ((receiver && !receiver->channel) || (!receiver && seen_ids_.contains (head.id))) {
    ignore (*stream);
    return;
  }
  // Of a known channel, too: after a new transport the OPEN may come later, but is not needed.
  if (!receiver) stream->waits_for_open = true;
  if (begin_message (*stream, head.record) && receiver && stream->assembler.complete ())
    message_complete (*stream);
}

void
SessionImpl::message_complete (Stream &stream) {
  assembling_bytes_ -= stream.assembler.held_bytes ();
  if (elected_.lock ().get () == &stream) elected_.reset ();
  Message message = stream.assembler.take ();
  if (stream.kind == Stream::Kind::message) {
    end_own_half (stream.id);
    stream.kind = Stream::Kind::ignored;
  }
  if (Receiver *receiver = find_receiver (stream.channel_id))
    deliver (*receiver, stream.seq, std::move (message));
}

void
SessionImpl::deliver (Receiver &receiver, std::uint64_t seq, Message message) {
  ChannelImpl *channel = receiver.channel;
  if (!channel || channel->closing_) return;
  switch (receiver.arrived (seq, message)) {
    case Receiver::Verdict::ignore:
      return;
    case Receiver::Verdict::too_many_gaps:
      fail_field ("message: the field \"sequence number\" leaves too many gaps");
      return;
    case Receiver::Verdict::deliver:
      break;
  }
  ++channel->stats_.messages_received;
  channel->stats_.bytes_received += view_of (message.payload).size;
  observer_.session_message (*channel, std::move (message));
  deliver_end_if_due (receiver, false);
}

void
SessionImpl::reply_arrived (Stream &stream, const wire::Reply &reply) {
  if (reply.type == wire::ReplyType::stop) {
    direction_stopped (stream.channel_id, reply.code);
    return;
  }
  ChannelImpl *channel = channel_of_sender (stream.channel_id);
  if (!channel || channel->closing_) return;
  if (Status bad = channel->sender_->confirm (reply.confirmed)) {
    fail (wire::Code::protocol, *bad);
    return;
  }
  if (channel->sender_->durable () || channel->sender_->ended ())
    sender_confirmed (channel->sender_->id ());
  mark_dirty (*channel);
}

}  // namespace p2p
