#include "session/sender.hpp"

#include <algorithm>

namespace p2p {

Sender::Sender (SenderHost &host, wire::Open open, ChannelStats &stats)
    : host_ (host), open_ (std::move (open)), stats_ (stats) {}

bool
Sender::room () const {
  const std::uint64_t held = held_bytes ();
  return held == 0 || held < open_.options.max_buffered_bytes;
}

void
Sender::push (const Message &message) {
  Item item;
  item.message = message;
  item.message.seq = next_seq_++;
  item.message.gap_before = false;
  buffered_bytes_ += bytes_of (message);
  ++stats_.messages_sent;
  stats_.bytes_sent += view_of (message.payload).size;
  enqueue (std::move (item));
}

std::uint64_t
Sender::longest_waiting_bytes () const {
  std::uint64_t longest = 0;
  for (const Item &item : waiting ())
    longest = std::max<std::uint64_t> (longest, view_of (item.message.payload).size);
  return longest;
}

Status
Sender::attach (const wire::HelloIncoming *known) {
  if (known) {
    known_by_peer_ = true;
    if (Status bad = confirm (known->confirmed)) return bad;
    if (known->state == wire::DirectionState::ended) {
      if (!end_ever_written_)
        return Error{P2P_ERROR_PROTOCOL,
                     "The peer's HELLO has a malformed field \"state of an incoming channel\": it "
                     "claims an end that was never sent. Both sides need the same version."};
      set_ended ();
    }
    if (known->received.next () > next_seq_ || known->received.end () > next_seq_)
      return Error{P2P_ERROR_PROTOCOL,
                   "The peer's HELLO has a malformed field \"received sequence numbers\": it names "
                   "messages that were never sent. Both sides need the same version."};
  }
  resume (known);
  return {};
}

void
Sender::count_replay (Session::Replay &replay) const {
  for (const Item &item : waiting ()) {
    if (!item.written || item.received || item.confirmed) continue;
    ++replay.messages;
    replay.bytes += bytes_of (item.message);
  }
}

void
Sender::detach () {
  stream_.reset ();
  end_written_ = false;
}

void
Sender::pump () {
  if (!host_.transport () || ended_) return;
  if (!stream_) {
    stream_ = host_.open_sender_stream (open_.id, false);
    if (!stream_) return;
    announced_ = true;
    open_.first_seq = first_seq ();
    host_.transport ()->write (*stream_, wire::encode (open_).to_bytes (), false);
  }
  pump_messages ();
}

void
Sender::write_end_once () {
  if (!finished_ || end_written_) return;
  end_written_ = end_ever_written_ = true;
  host_.transport ()->write (*stream_, wire::encode_end (next_seq_).to_bytes (), true);
}

void
Sender::write_message (StreamId stream, const wire::Writer &head, const Message &message,
                       bool fin) {
  const bool empty = view_of (message.payload).empty ();
  host_.transport ()->write (stream, head.to_bytes (), fin && empty);
  if (!empty) host_.transport ()->write (stream, message.payload, fin);
}

void
Sender::release (std::uint64_t bytes) {
  buffered_bytes_ -= std::min (buffered_bytes_, bytes);
  host_.sender_released (open_.id);
}

// Whoever waits for the flush learns of it as of room.
void
Sender::set_ended () {
  if (std::exchange (ended_, true)) return;
  release (0);
}

std::unique_ptr<Sender>
make_sender (SenderHost &host, wire::Open open, ChannelStats &stats) {
  if (open.options.reliable ())
    return std::make_unique<ReliableSender> (host, std::move (open), stats);
  return std::make_unique<UnreliableSender> (host, std::move (open), stats);
}

}  // namespace p2p
