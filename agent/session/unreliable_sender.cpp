#include <algorithm>

#include "session/sender.hpp"

namespace p2p {

namespace {
// When the transport's datagram queue was full. Its packets leave at least at this pace.
constexpr TimeUs kDatagramRetryUs = 5 * kMillisecond;
// A probe timeout is about three round trips (RFC 9002 section 6.2.1: smoothed RTT + 4 x variance
// + the peer's ack delay; only the first is known here).
constexpr TimeUs kMinProbePeriodUs = 100 * kMillisecond;

TimeUs
probe_period_us (const Transport &transport) {
  return std::max (kMinProbePeriodUs, 3 * transport.stats ().smoothed_rtt_us);
}
}  // namespace

UnreliableSender::UnreliableSender (SenderHost &host, wire::Open open, ChannelStats &stats)
    : Sender (host, std::move (open), stats) {}

UnreliableSender::~UnreliableSender () {
  for (const auto &[tag, item] : flying_) host_.unregister_datagram (tag);
}

void
UnreliableSender::enqueue (Item item) {
  const ChannelOptions &options = open_.options;
  if (options.max_packet_lifetime_ms && host_.scheduler ())
    item.deadline = now () + *options.max_packet_lifetime_ms * kMillisecond;
  item.tries_left = options.max_retransmits ? *options.max_retransmits : UINT64_MAX;
  held_bytes_ += bytes_of (item.message) + kMessageOverheadBytes;
  waiting_.push_back (std::move (item));
}

void
UnreliableSender::resume (const wire::HelloIncoming *) {
  // What was accepted before there was a clock begins to age now.
  if (!open_.options.max_packet_lifetime_ms) return;
  for (Item &item : waiting_)
    if (item.deadline == kNever)
      item.deadline = now () + *open_.options.max_packet_lifetime_ms * kMillisecond;
}

Status
UnreliableSender::confirm (const RangeSet &confirmed) {
  known_by_peer_ = true;
  if (end_ever_written_ && confirmed.next () == next_seq_ + 1) set_ended ();
  return {};
}

// Nobody knows what arrived: everything in flight counts as lost.
void
UnreliableSender::detach () {
  Sender::detach ();
  retry_at_ = kNever;
  auto flying = std::move (flying_);
  auto streams = std::move (message_streams_);
  flying_.clear ();
  message_streams_.clear ();
  for (auto &[tag, item] : flying) {
    host_.unregister_datagram (tag);
    send_again (std::move (item));
  }
  for (auto &[stream, entry] : streams) send_again (std::move (entry.item));
}

void
UnreliableSender::unhold (const Item &item) {
  held_bytes_ -= bytes_of (item.message) + kMessageOverheadBytes;
}

void
UnreliableSender::drop (const Item &item, bool was_waiting) {
  ++stats_.messages_dropped;
  unhold (item);
  release (was_waiting ? bytes_of (item.message) : 0);
}

bool
UnreliableSender::send_again (Item item) {
  if (item.tries_left == 0 || item.deadline <= now ()) {
    drop (item, false);
    return false;
  }
  --item.tries_left;
  ++stats_.messages_retransmitted;
  buffered_bytes_ += bytes_of (item.message);
  const auto at = std::lower_bound (
      waiting_.begin (), waiting_.end (), item,
      [] (const Item &a, const Item &b) { return a.message.seq < b.message.seq; });
  waiting_.insert (static_cast<std::size_t> (at - waiting_.begin ()), std::move (item));
  return true;
}

void
UnreliableSender::pump_messages () {
  expire ();
  retry_at_ = kNever;
  while (!waiting_.empty () && send_first () == Sent::yes) {
  }
  if (waiting_.empty ()) write_end_once ();
  arm_timer ();
}

UnreliableSender::Sent
UnreliableSender::send_first () {
  Transport &transport = *host_.transport ();
  Item &item = waiting_.front ();
  const ByteView payload = view_of (item.message.payload);
  const wire::Writer head = wire::encode_datagram_head (open_.id, item.message);
  if (head.view ().size () + payload.size > transport.max_datagram_payload_bytes ())
    return send_on_stream (item);
  const std::uint64_t tag = host_.register_datagram (open_.id);
  if (!transport.send_datagram (flow (), head.view (), payload, tag)) {
    host_.unregister_datagram (tag);
    retry_at_ = now () + kDatagramRetryUs;
    return Sent::not_now;
  }
  const std::uint64_t bytes = bytes_of (item.message);
  flying_.emplace (tag, std::move (item));
  waiting_.pop_front ();
  release (bytes);
  return Sent::yes;
}

UnreliableSender::Sent
UnreliableSender::send_on_stream (Item &item) {
  if (message_streams_.size () >= kMaxMessageStreams) return Sent::not_now;
  std::size_t unsent = 0;
  for (const auto &[id, entry] : message_streams_) unsent += entry.unsent_bytes;
  if (unsent >= kMaxUnsentBytes) return Sent::not_now;
  const std::optional<StreamId> stream = host_.open_sender_stream (open_.id, true);
  if (!stream) return Sent::not_now;
  const wire::Writer head = wire::encode_message_head (open_.id, item.message);
  StreamItem entry;
  entry.unsent_bytes = head.view ().size () + view_of (item.message.payload).size;
  entry.expires = item.deadline;
  write_message (*stream, head, item.message, true);
  const std::uint64_t bytes = bytes_of (item.message);
  entry.item = std::move (item);
  message_streams_.emplace (*stream, std::move (entry));
  waiting_.pop_front ();
  release (bytes);
  return Sent::yes;
}

void
UnreliableSender::message_stream_sent (StreamId stream, std::size_t bytes) {
  auto found = message_streams_.find (stream);
  if (found == message_streams_.end ()) return;
  StreamItem &entry = found->second;
  entry.unsent_bytes -= std::min (bytes, entry.unsent_bytes);
  // The transport resends by itself; it gets as long as the retransmits would have taken.
  if (entry.unsent_bytes == 0 && open_.options.max_retransmits && entry.expires == kNever) {
    const std::int64_t periods = std::min<std::int64_t> (*open_.options.max_retransmits, 1000) + 1;
    entry.expires = now () + periods * probe_period_us (*host_.transport ());
    arm_timer ();
  }
}

void
UnreliableSender::message_stream_done (StreamId stream) {
  auto found = message_streams_.find (stream);
  if (found == message_streams_.end ()) return;
  unhold (found->second.item);
  message_streams_.erase (found);
  release (0);
}

void
UnreliableSender::datagram_done (std::uint64_t tag, bool lost) {
  auto found = flying_.find (tag);
  if (found == flying_.end ()) return;
  Item item = std::move (found->second);
  flying_.erase (found);
  host_.unregister_datagram (tag);
  if (lost) {
    send_again (std::move (item));
  } else {
    unhold (item);
    release (0);
  }
}

void
UnreliableSender::expire () {
  const TimeUs time = now ();
  while (!waiting_.empty () && waiting_.front ().deadline <= time) {
    drop (waiting_.front (), true);
    waiting_.pop_front ();
  }
  for (auto at = message_streams_.begin (); at != message_streams_.end ();) {
    if (at->second.expires > time) {
      ++at;
      continue;
    }
    if (host_.transport ())
      host_.transport ()->reset (at->first, static_cast<std::uint64_t> (wire::Code::expired));
    drop (at->second.item, false);
    at = message_streams_.erase (at);
  }
}

void
UnreliableSender::arm_timer () {
  TimeUs next = retry_at_;
  if (!waiting_.empty ()) next = std::min (next, waiting_.front ().deadline);
  for (const auto &[stream, entry] : message_streams_) next = std::min (next, entry.expires);
  if (!timer_) {
    if (next == kNever || !host_.scheduler ()) return;
    timer_ = host_.scheduler ()->make_timer ([this] {
      retry_at_ = kNever;
      expire ();
      arm_timer ();
      host_.sender_wants_pump (open_.id);
    });
  }
  if (next == kNever)
    timer_->disarm ();
  else
    timer_->arm (next);
}

void
UnreliableSender::abandon () {
  if (!host_.transport ()) return;
  for (const auto &[stream, entry] : message_streams_)
    host_.transport ()->reset (stream, static_cast<std::uint64_t> (wire::Code::closed));
}

}  // namespace p2p
