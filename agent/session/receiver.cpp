#include "session/receiver.hpp"

#include <algorithm>

#include "session/sender.hpp"

namespace p2p {

Receiver::Receiver (wire::Open open) : open_ (std::move (open)) {}

bool
Receiver::is_duplicate (std::uint64_t seq) const {
  if (end_delivered_) return true;
  if (!reliable () && ordered ()) return seq < next_seq_;
  return received_.contains (seq);
}

Receiver::Verdict
Receiver::arrived (std::uint64_t seq, Message &message) {
  if (is_duplicate (seq) || (end_ && seq >= *end_)) return Verdict::ignore;
  if (reliable () || !ordered ()) {
    received_.insert (seq);
    if (received_.beyond ().size () > kMaxGaps) {
      if (reliable ()) return Verdict::too_many_gaps;
      received_.forget_lowest_gap ();
    }
  }
  message.seq = seq;
  message.gap_before = !reliable () && seq > next_seq_;
  next_seq_ = std::max (next_seq_, seq + 1);
  ++delivered_messages_;
  untaken_bytes_ += bytes_of (message) + kMessageOverheadBytes;
  if (untaken_bytes_ > kThrottleUntakenBytes) throttled_ = true;
  if (untaken_bytes_ > kMaxUntakenBytes) full_ = true;
  return Verdict::deliver;
}

bool
Receiver::end_at (std::uint64_t count) {
  if (end_) return *end_ == count;
  if (count < next_seq_) return false;
  end_ = count;
  return true;
}

bool
Receiver::end_due (bool grace_over) const {
  if (!end_ || end_delivered_) return false;
  return grace_over || delivered_messages_ == *end_;
}

TimeUs
Receiver::end_grace_us () const {
  const TimeUs lifetime_us = open_.options.max_packet_lifetime_ms.value_or (0) * kMillisecond;
  return std::max (kMinEndGraceUs, lifetime_us);
}

void
Receiver::taken (const Message &message) {
  if (reliable ()) {
    if (!received_.contains (message.seq) || !taken_.insert (message.seq)) return;
    ++unconfirmed_messages_;
    unconfirmed_bytes_ += bytes_of (message);
  }
  if (taken_messages_ == delivered_messages_) return;
  ++taken_messages_;
  untaken_bytes_ -= std::min (untaken_bytes_, bytes_of (message) + kMessageOverheadBytes);
  if (untaken_bytes_ <= kThrottleUntakenBytes / 2) throttled_ = false;
  if (untaken_bytes_ <= kMaxUntakenBytes / 2) full_ = false;
}

std::uint64_t
Receiver::lost () const {
  if (reliable ()) return 0;
  const std::uint64_t expected = end_delivered_ ? *end_ : next_seq_;
  return expected - std::min (expected, delivered_messages_);
}

bool
Receiver::finished () const {
  return end_delivered_ && taken_messages_ == delivered_messages_;
}

bool
Receiver::confirm_due () const {
  if (finished () && !end_confirmed_) return true;
  return unconfirmed_messages_ > 0 &&
         (unconfirmed_bytes_ >= kConfirmBytes || unconfirmed_messages_ >= kConfirmMessages);
}

bool
Receiver::confirm_soon () const {
  return unconfirmed_messages_ > 0 && (kept_ || taken_messages_ == delivered_messages_);
}

void
Receiver::taken_ahead (std::uint64_t seq) {
  if (!reliable ()) return;
  for (std::uint64_t at = ordered () ? received_.next () : seq; at <= seq; ++at) {
    if (!received_.insert (at)) continue;
    taken_.insert (at);
    ++delivered_messages_;
    ++taken_messages_;
    ++unconfirmed_messages_;
  }
  next_seq_ = std::max (next_seq_, seq + 1);
}

void
Receiver::keep () {
  if (!kept_) kept_ = Kept ();
}

void
Receiver::note_captured () {
  kept_->captured = taken_;
  kept_->captured_finished = finished ();
}

void
Receiver::note_kept () {
  const bool more = kept_->captured.end () != kept_->taken.end () ||
                    kept_->captured.next () != kept_->taken.next () ||
                    kept_->captured.beyond () != kept_->taken.beyond ();
  if (more || kept_->captured_finished != kept_->finished) confirm_owed = true;
  kept_->taken = kept_->captured;
  kept_->finished = kept_->captured_finished;
}

void
Receiver::restore (RangeSet taken, std::uint64_t next_seq, std::optional<std::uint64_t> end) {
  keep ();
  restored_ = true;
  received_ = taken_ = kept_->taken = kept_->captured = std::move (taken);
  next_seq_ = std::max (next_seq, received_.end ());
  delivered_messages_ = reliable () ? received_.next () : next_seq;
  for (const auto &[begin, past] : received_.beyond ()) delivered_messages_ += past - begin;
  taken_messages_ = delivered_messages_;
  if (!end) return;
  end_ = end;
  end_delivered_ = end_confirmed_ = kept_->finished = kept_->captured_finished = true;
}

RangeSet
Receiver::confirmation () const {
  const bool finished = kept_ ? kept_->finished : this->finished ();
  if (!finished && !reliable ()) return {};
  if (!finished) return kept_ ? kept_->taken : taken_;
  RangeSet all;
  all.insert_range (0, *end_ + 1);
  return all;
}

wire::HelloIncoming
Receiver::hello () const {
  wire::HelloIncoming in;
  in.id = open_.id;
  in.state = state;
  if (kept_ ? kept_->finished : finished ()) in.state = wire::DirectionState::ended;
  if (reliable ())
    in.received = received_;
  else if (next_seq_ > 0)
    in.received.insert_range (0, next_seq_);
  in.confirmed = confirmation ();
  return in;
}

}  // namespace p2p
