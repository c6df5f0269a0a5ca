#include "turn/transaction.hpp"

#include <algorithm>

namespace p2p::turn {

Transactions::Transactions (Scheduler &scheduler, const TransactionTimes &times, Send send)
    : scheduler_ (scheduler), times_ (times), send_ (std::move (send)), rto_ (times.first_rto) {}

void
Transactions::reset (bool reliable) {
  pending_.clear ();
  reliable_ = reliable;
  rto_ = times_.first_rto;
  smoothed_ = variation_ = 0;
}

void
Transactions::start (const TransactionId &id, std::vector<std::uint8_t> bytes, Done done) {
  Pending &pending = pending_[id];
  pending.bytes = std::move (bytes);
  pending.done = std::move (done);
  pending.begun = scheduler_.now ();
  pending.rto = rto_;
  pending.timer = scheduler_.make_timer ([this, id] { timed_out (id); });
  send (pending);
}

void
Transactions::send (Pending &pending) {
  ++pending.sent;
  const TimeUs now = scheduler_.now ();
  if (reliable_) {
    pending.sent = times_.sends;
    pending.timer->arm (now + times_.stream_timeout);
  } else if (pending.sent >= times_.sends) {
    // The RTO that the request began with, not the doubled one.
    pending.timer->arm (now + times_.last_wait_rtos * (pending.rto >> (times_.sends - 1)));
  } else {
    pending.timer->arm (now + pending.rto);
    pending.rto *= 2;
  }
  send_ (pending.bytes);
}

void
Transactions::timed_out (const TransactionId &id) {
  const auto found = pending_.find (id);
  if (found == pending_.end ()) return;
  if (found->second.sent < times_.sends) {
    ++repeated_;
    send (found->second);
    return;
  }
  // Out of the map first: what is called may begin anew, or end all.
  const Pending pending = std::move (found->second);
  pending_.erase (found);
  pending.done (nullptr);
}

bool
Transactions::receive (const Message &message) {
  const auto found = pending_.find (message.id ());
  if (found == pending_.end ()) return false;
  const Pending pending = std::move (found->second);
  pending_.erase (found);
  // Karn's rule: only what was sent once tells a round trip.
  if (!reliable_ && pending.sent == 1) measured (scheduler_.now () - pending.begun);
  pending.done (&message);
  return true;
}

// RFC 6298, with the lower bound of the times.
void
Transactions::measured (TimeUs round_trip) {
  if (smoothed_ == 0) {
    smoothed_ = round_trip;
    variation_ = round_trip / 2;
  } else {
    variation_ = (3 * variation_ + std::abs (smoothed_ - round_trip)) / 4;
    smoothed_ = (7 * smoothed_ + round_trip) / 8;
  }
  rto_ = std::max (times_.least_rto, smoothed_ + 4 * variation_);
}

}  // namespace p2p::turn
