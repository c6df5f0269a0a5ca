#include "session/sender.hpp"

#include <algorithm>

namespace p2p {

Sender::Sender (SenderHost &host, wire::Open open, ChannelStats &stats)
    : host_ (host), open_ (std::move (open)), stats_ (stats) {}

bool
Sender::room () const {
  if (unplaced_) return false;
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

void
Sender::place (std::uint64_t seq, std::uint64_t peer_end) {
  next_seq_ = seq;
  peer_end_ = peer_end;
}

void
Sender::restore (std::uint64_t base_seq, std::uint64_t next_seq, bool finished, bool ended) {
  restored_ = true;
  unplaced_ = !durable () && !ended;
  // What was finished and is not durable may lack its last messages: whoever sends says so again.
  finished_ = finished && (durable () || ended);
  end_ever_written_ = finished_;
  ended_ = ended;
  if (durable ()) {
    place (base_seq, base_seq);
    kept_seq_ = captured_seq_ = next_seq;
    resume_seq_ = next_seq;
  }
}

void
Sender::each_uncaptured (const std::function<void (const Message &)> &take) const {
  const auto first =
      std::partition_point (waiting ().begin (), waiting ().end (),
                            [this] (const Item &item) { return item.message.seq < captured_seq_; });
  for (auto item = first; item != waiting ().end (); ++item) take (item->message);
}

void
Sender::note_kept () {
  held_ = false;
  kept_seq_ = std::max (kept_seq_, captured_seq_);
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
  if (std::exchange (unplaced_, false)) {
    resume_seq_ = placed_seq_ = known ? known->received.next () : 0;
    place (*resume_seq_, known ? known->received.end () : 0);
  }
  if (known) {
    known_by_peer_ = true;
    // Where it was placed the peer has all before, but need not have taken it.
    if (open_.options.reliable () && !ended_ && base_seq () > placed_seq_ &&
        known->confirmed.next () < base_seq ())
      return Error{P2P_ERROR_STORE,
                   "The peer has forgotten messages of channel \"" + open_.name +
                       "\" that it had confirmed: its session store was set back to an older copy. "
                       "Nothing was sent again; connect anew, without that store."};
    if (restored_ && durable () &&
        std::max (known->received.end (), known->confirmed.next ()) >
            next_seq_ + (finished_ ? 1 : 0))
      return Error{
          P2P_ERROR_STORE,
          "The peer has messages of channel \"" + open_.name +
              "\" that this side does not know of: the session store of this side was set "
              "back to an older copy. Nothing was sent; connect anew, without that store."};
    if (Status bad = confirm (known->confirmed)) return bad;
    if (known->state == wire::DirectionState::ended) {
      if (!end_ever_written_)
        return Error{P2P_ERROR_PROTOCOL,
                     "The peer's HELLO has a malformed field \"state of an incoming channel\": it "
                     "claims an end that was never sent. Both sides need the same version."};
      set_ended ();
    }
    if (known->received.end () > std::max (next_seq_, peer_end_))
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
  if (!host_.transport () || ended_ || held_) return;
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
