// Requests under way: sent again until answered, given up after a while (RFC 8489 section 6.2).
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "base/scheduler.hpp"
#include "turn/message.hpp"

namespace p2p::turn {

// RFC 8489 section 6.2.1 has 7 sends and a last wait of 16 RTO, 39.5 s in all: too long to wait
// before another server is asked. This is 9.5 s with the first RTO.
struct TransactionTimes {
  TimeUs first_rto = 500 * kMillisecond;
  TimeUs least_rto = 100 * kMillisecond;  // what measured round trips may bring it down to
  int sends = 5;
  int last_wait_rtos = 4;
  TimeUs stream_timeout = 9500 * kMillisecond;  // where nothing is sent again
};

class Transactions {
 public:
  // The answer, or null where none came.
  using Done = std::function<void (const Message *)>;
  // False: refused for now, as by a full socket; to a request it is a lost packet.
  using Send = std::function<bool (ByteView)>;

  Transactions (Scheduler &scheduler, const TransactionTimes &times, Send send);

  // At another five-tuple; requests under way on the old one are forgotten.
  void reset (bool reliable);
  // `done` is called once, never from inside; not at all after forget() or reset().
  void start (const TransactionId &id, std::vector<std::uint8_t> bytes, Done done);
  // One look, no repetition: for what is sent at the end.
  bool waits_for (const TransactionId &id) const { return pending_.count (id) > 0; }
  // Hands an answer to whom it is for; false where nobody waits for it.
  bool receive (const Message &message);
  void forget (const TransactionId &id) { pending_.erase (id); }
  void forget_all () { pending_.clear (); }
  std::size_t count () const { return pending_.size (); }
  TimeUs rto () const { return rto_; }
  std::uint64_t repeated () const { return repeated_; }

 private:
  struct Pending {
    std::vector<std::uint8_t> bytes;
    Done done;
    std::unique_ptr<Scheduler::Timer> timer;
    TimeUs begun = 0, rto = 0;
    int sent = 0;
  };
  void send (Pending &pending);
  void timed_out (const TransactionId &id);
  void measured (TimeUs round_trip);

  Scheduler &scheduler_;
  const TransactionTimes times_;
  const Send send_;
  bool reliable_ = false;
  std::map<TransactionId, Pending> pending_;
  TimeUs rto_, smoothed_ = 0, variation_ = 0;
  std::uint64_t repeated_ = 0;
};

}  // namespace p2p::turn
