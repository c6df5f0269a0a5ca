// The receiving direction of a channel: what arrived, what the application has taken of it, and
// when that is to be confirmed. It decides what is delivered; the session calls the application.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "base/fifo.hpp"
#include "base/packed_memory.hpp"
#include "session/assembler.hpp"
#include "session/wire.hpp"

namespace p2p {

class ChannelImpl;
struct Stream;

// Delivered and not yet taken: above this a channel's streams get no more credit, so that their
// windows close; they get it at half of it.
constexpr std::uint64_t kThrottleUntakenBytes = 1024 * 1024;
// Above this, which only very small messages or very large windows reach, what the windows still
// let in is not read any further, but kept as it came.
constexpr std::uint64_t kMaxUntakenBytes = 16 * 1024 * 1024;
// The same for datagrams, which have no window: above it they are lost.
constexpr std::uint64_t kMaxUntakenDatagramBytes = 16 * 1024 * 1024;
// Confirmed in batches while more is on its way to the application.
constexpr std::uint64_t kConfirmBytes = 256 * 1024;
constexpr std::uint64_t kConfirmMessages = 64;
constexpr TimeUs kMaxConfirmDelay = 5 * kMillisecond;  // of one that could serve for more
// Gaps in the sequence at once. A sender has less than this many messages on their way.
constexpr std::size_t kMaxGaps = 1024;
// How long the end of an unreliable channel waits for what may still come.
constexpr TimeUs kMinEndGraceUs = kSecond;

class Receiver : public Packed {
 public:
  explicit Receiver (wire::Open open);

  std::uint64_t id () const { return open_.id; }
  const wire::Open &open () const { return open_; }
  bool reliable () const { return open_.options.reliable (); }
  bool ordered () const { return open_.options.ordered; }

  enum class Verdict { deliver, ignore, too_many_gaps };
  // A whole message came; sets seq and gap_before.
  Verdict arrived (std::uint64_t seq, Message &message);
  bool is_duplicate (std::uint64_t seq) const;
  // The peer has ended the direction after `count` messages; false when that contradicts.
  bool end_at (std::uint64_t count);
  bool end_known () const { return end_.has_value (); }
  // The end is due: everything before it was delivered, or the grace is over.
  bool end_due (bool grace_over) const;
  void end_delivered () { end_delivered_ = true; }
  TimeUs end_grace_us () const;

  void taken (const Message &message);
  bool throttled () const { return throttled_; }  // no credit
  bool full () const { return full_; }            // not even read
  bool datagram_room () const { return untaken_bytes_ < kMaxUntakenDatagramBytes; }
  std::uint64_t lost () const;

  // The application has the effect of everything up to `seq` (ordered), or of that one.
  void taken_ahead (std::uint64_t seq);

  // What must be told now, and what may wait for a moment while a message is on its way in, whose
  // confirmation can serve for both.
  bool confirm_due () const;
  bool confirm_soon () const;
  RangeSet confirmation () const;  // the end counts as one more
  void confirmed () {
    unconfirmed_bytes_ = unconfirmed_messages_ = 0;
    end_confirmed_ = finished ();
  }
  // The end was delivered and all before it taken.
  bool finished () const;

  // Of a kept session: what was taken is confirmed once it is durable.
  void keep ();
  bool is_kept () const { return kept_.has_value (); }
  void note_captured ();      // what is taken now is on its way to the store
  void note_kept ();          // and what was captured last is durable
  bool confirm_owed = false;  // durable, and not told yet
  bool keeping () const { return is_kept () && finished () && (!kept_->finished || confirm_owed); }
  std::uint64_t next_seq () const { return next_seq_; }
  const RangeSet &taken_set () const { return taken_; }
  std::uint64_t confirmation_end () const { return end_.value_or (0); }
  // From its item, before anything comes.
  void restore (RangeSet taken, std::uint64_t next_seq, std::optional<std::uint64_t> end);
  // Then what had arrived and was not taken went with the process before.
  bool restored () const { return restored_; }
  const RangeSet &received () const { return received_; }

  wire::HelloIncoming hello () const;
  wire::DirectionState state = wire::DirectionState::open;
  bool forgettable = false;  // the peer has given the direction up or knows that it is over

  ChannelImpl *channel = nullptr;              // null when only the memory of it is left
  std::shared_ptr<Stream> stream;              // of OPEN and END; null while detached
  std::uint64_t next_implied_seq = 0;          // of the next record of the stream
  Fifo<std::shared_ptr<Stream>> held_streams;  // not read while it is full
  std::vector<std::shared_ptr<Stream>> uncredited_streams;  // without credit while it is throttled
  std::unique_ptr<Scheduler::Timer> end_timer, confirm_timer;
  bool confirm_waits = false;  // confirm_timer is armed

 private:
  wire::Open open_;
  RangeSet received_, taken_;
  struct Kept {
    RangeSet taken, captured;
    bool finished = false, captured_finished = false;
  };
  std::optional<Kept> kept_;
  std::uint64_t next_seq_ = 0;  // above the highest that was delivered
  std::uint64_t delivered_messages_ = 0, taken_messages_ = 0;
  std::uint64_t untaken_bytes_ = 0;  // with overhead
  std::uint64_t unconfirmed_bytes_ = 0, unconfirmed_messages_ = 0;
  std::optional<std::uint64_t> end_;
  bool end_delivered_ = false, end_confirmed_ = false, throttled_ = false, full_ = false;
  bool restored_ = false;
};

}  // namespace p2p
