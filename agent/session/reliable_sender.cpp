#include <algorithm>

#include "session/sender.hpp"

namespace p2p {

void
ReliableSender::enqueue (Item item) {
  items_.push_back (std::move (item));
}

std::uint64_t
ReliableSender::held_bytes () const {
  return buffered_bytes_ + items_.size () * kMessageOverheadBytes;
}

std::uint64_t
ReliableSender::first_seq () const {
  for (const Item &item : items_)
    if (!item.received && !item.confirmed) return item.message.seq;
  return next_seq_;
}

void
ReliableSender::place (std::uint64_t seq, std::uint64_t peer_end) {
  Sender::place (seq, peer_end);
  base_seq_ = seq;
  sent_end_ = peer_end;
}

// It may have been sent before.
void
ReliableSender::push_restored (const Message &message) {
  push (message);
  sent_end_ = next_seq_;
}

void
ReliableSender::detach () {
  Sender::detach ();
  cursor_ = 0;
  message_streams_.clear ();
  unsent_bytes_ = 0;
}

void
ReliableSender::resume (const wire::HelloIncoming *known) {
  cursor_ = 0;
  for (Item &item : items_) item.received = known && known->received.contains (item.message.seq);
}

Status
ReliableSender::confirm (const RangeSet &confirmed) {
  known_by_peer_ = true;
  // The end counts as one more sequence number.
  const bool with_end = end_ever_written_ && confirmed.end () == next_seq_ + 1;
  if (confirmed.end () > sent_end_ && !(with_end && confirmed.beyond ().empty ()))
    return Error{P2P_ERROR_PROTOCOL,
                 "The peer sent a malformed CONFIRM: the field \"next expected\" names messages of "
                 "channel \"" +
                     open_.name + "\" that were never sent. Both sides need the same version."};
  std::uint64_t released = 0;
  bool any = false;
  while (!items_.empty () &&
         (items_.front ().confirmed || items_.front ().message.seq < confirmed.next ())) {
    if (!items_.front ().confirmed) released += bytes_of (items_.front ().message);
    items_.pop_front ();
    ++base_seq_;
    any = true;
    if (cursor_ > 0) --cursor_;
  }
  for (const auto &[begin, end] : confirmed.beyond ()) {
    const std::uint64_t last = std::min (end, base_seq_ + items_.size ());
    for (std::uint64_t seq = std::max (begin, base_seq_); seq < last; ++seq) {
      Item &item = items_[seq - base_seq_];
      if (item.confirmed) continue;
      released += bytes_of (item.message);
      item.confirmed = any = true;
      item.message = {};
      item.message.seq = seq;
    }
  }
  if (with_end) set_ended ();
  if (any) release (released);
  return {};
}

void
ReliableSender::pump_messages () {
  if (open_.options.ordered)
    pump_ordered ();
  else
    pump_unordered ();
  if (cursor_ == items_.size ()) write_end_once ();
}

void
ReliableSender::pump_ordered () {
  Transport &transport = *host_.transport ();
  while (cursor_ < items_.size () && transport.unsent_bytes (*stream_) < kMaxUnsentBytes) {
    Item &item = items_[cursor_];
    if (!may_leave (item)) return;
    ++cursor_;
    if (item.received || item.confirmed) continue;
    if (item.written) ++stats_.messages_retransmitted;
    item.written = true;
    sent_end_ = std::max (sent_end_, item.message.seq + 1);
    wire::Writer head;
    wire::encode_record (head, item.message);
    write_message (*stream_, head, item.message, false);
  }
}

void
ReliableSender::pump_unordered () {
  while (cursor_ < items_.size () && unsent_bytes_ < kMaxUnsentBytes &&
         message_streams_.size () < kMaxMessageStreams) {
    Item &item = items_[cursor_];
    if (!may_leave (item)) return;
    if (!item.received && !item.confirmed) {
      const std::optional<StreamId> stream = host_.open_sender_stream (open_.id, true);
      if (!stream) return;
      if (item.written) ++stats_.messages_retransmitted;
      item.written = true;
      sent_end_ = std::max (sent_end_, item.message.seq + 1);
      const wire::Writer head = wire::encode_message_head (open_.id, item.message);
      const std::size_t bytes = head.view ().size () + view_of (item.message.payload).size;
      message_streams_.emplace (*stream, bytes);
      unsent_bytes_ += bytes;
      write_message (*stream, head, item.message, true);
    }
    ++cursor_;
  }
}

void
ReliableSender::message_stream_sent (StreamId stream, std::size_t bytes) {
  auto found = message_streams_.find (stream);
  if (found == message_streams_.end ()) return;
  bytes = std::min (bytes, found->second);
  found->second -= bytes;
  unsent_bytes_ -= bytes;
}

void
ReliableSender::message_stream_done (StreamId stream) {
  message_stream_sent (stream, SIZE_MAX);
  message_streams_.erase (stream);
}

void
ReliableSender::abandon () {
  if (!host_.transport ()) return;
  for (const auto &[stream, unsent] : message_streams_)
    host_.transport ()->reset (stream, static_cast<std::uint64_t> (wire::Code::closed));
}

}  // namespace p2p
