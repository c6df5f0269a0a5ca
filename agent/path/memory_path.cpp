#include "path/memory_path.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <utility>
#include <vector>

namespace p2p {

namespace {

// What a path claims when its link carries no more: an Ethernet frame less IPv6 and UDP headers.
constexpr std::size_t kClaimedDatagramBytes = 1452;
// Largest UDP payload over IPv4, which is also what one UDP_SEGMENT send can carry.
constexpr std::size_t kMaxBurstBytes = 65507;
// Bound of what a link without a rate limit may hold; far above any congestion window.
constexpr std::size_t kMaxInFlightBytes = 64 * 1024 * 1024;
// Kept for an end that has had no receiver yet; a client's first flight is one or two.
constexpr std::size_t kMaxEarlyDatagrams = 16;

class Link;

class End final : public Path {
 public:
  End (Link &link, std::size_t index) : link_ (link), index_ (index) {}

  void set_receiver (Receiver *receiver) override;
  Receiver *receiver () const { return receiver_; }
  bool had_receiver () const { return had_receiver_; }
  Sent send (ByteView burst, std::size_t segment_bytes) override;
  std::size_t max_datagram_bytes () const override;
  std::size_t max_burst_bytes () const override { return kMaxBurstBytes; }
  PathInfo info () const override {
    PathInfo info;
    info.kind = "memory";
    info.local = index_ == 0 ? "memory a" : "memory b";
    info.remote = index_ == 0 ? "memory b" : "memory a";
    return info;
  }
  Scheduler &scheduler () override;

 private:
  Link &link_;
  const std::size_t index_;
  Receiver *receiver_ = nullptr;
  bool had_receiver_ = false;
};

// One way: from the sender's send() to the receiver of `to`.
class Direction {
 public:
  Direction (Scheduler &scheduler, std::mt19937_64 &random, LinkStats &stats, End &to)
      : scheduler_ (scheduler),
        random_ (random),
        stats_ (stats),
        to_ (to),
        timer_ (scheduler.make_timer ([this] { deliver (); })) {}

  void set_options (const LinkOptions &options) { options_ = options; }
  const LinkOptions &options () const { return options_; }

  // The far end has its first receiver: what waited for it arrives now.
  void release_early () {
    for (Flying &datagram : std::exchange (early_, {})) {
      flying_.push_back (std::move (datagram));
      std::push_heap (flying_.begin (), flying_.end ());
    }
    if (!flying_.empty ()) timer_->arm (flying_.front ().arrival);
  }

  void send (ByteView datagram) {
    ++stats_.sent;
    if (options_.down || datagram.size > options_.max_datagram_bytes || chance (options_.loss)) {
      ++stats_.lost;
      return;
    }
    const TimeUs now = scheduler_.now ();
    TimeUs departure = now;
    if (options_.rate_bits_per_s > 0) {
      const double us_per_byte = 8e6 / static_cast<double> (options_.rate_bits_per_s);
      const double start = std::max (static_cast<double> (now), free_at_);
      const double queued_bytes = (start - static_cast<double> (now)) / us_per_byte;
      const double size = static_cast<double> (datagram.size);
      if (queued_bytes + size > static_cast<double> (options_.queue_bytes)) {
        ++stats_.overflowed;
        return;
      }
      free_at_ = start + size * us_per_byte;
      departure = static_cast<TimeUs> (free_at_);
    } else if (in_flight_bytes_ + datagram.size > kMaxInFlightBytes) {
      ++stats_.overflowed;
      return;
    }
    enqueue (departure, datagram);
    if (chance (options_.duplicate)) {
      ++stats_.duplicated;
      enqueue (departure, datagram);
    }
  }

 private:
  struct Flying {
    TimeUs arrival;
    std::uint64_t order;
    std::vector<std::uint8_t> bytes;
    // For a heap with the earliest on top.
    bool operator<(const Flying &other) const {
      return arrival != other.arrival ? arrival > other.arrival : order > other.order;
    }
  };

  // Own arithmetic: the standard's distributions differ between libraries, a seed must not.
  double uniform () { return static_cast<double> (random_ () >> 11) * 0x1.0p-53; }
  bool chance (double probability) { return probability > 0 && uniform () < probability; }

  void enqueue (TimeUs departure, ByteView datagram) {
    TimeUs arrival = departure + options_.delay;
    if (options_.jitter > 0) {
      arrival += static_cast<TimeUs> (uniform () * static_cast<double> (options_.jitter));
    }
    if (chance (options_.reorder)) {
      ++stats_.reordered;
      arrival += options_.reorder_delay;
    } else {
      arrival = std::max (arrival, last_arrival_);
      last_arrival_ = arrival;
    }
    in_flight_bytes_ += datagram.size;
    flying_.push_back ({arrival, ++order_, {datagram.begin (), datagram.end ()}});
    std::push_heap (flying_.begin (), flying_.end ());
    timer_->arm (flying_.front ().arrival);
  }

  void deliver () {
    // What is sent from inside of the callbacks waits for the next turn, so that this ends.
    const std::uint64_t last_order = order_;
    const TimeUs now = scheduler_.now ();
    Path::Receiver *served = nullptr;
    while (!flying_.empty () && flying_.front ().arrival <= now &&
           flying_.front ().order <= last_order) {
      std::pop_heap (flying_.begin (), flying_.end ());
      Flying datagram = std::move (flying_.back ());
      flying_.pop_back ();
      served = to_.receiver ();
      if (!served && !to_.had_receiver () && early_.size () < kMaxEarlyDatagrams) {
        early_.push_back (std::move (datagram));
        continue;
      }
      in_flight_bytes_ -= datagram.bytes.size ();
      if (!served) {
        ++stats_.lost;
        continue;
      }
      ++stats_.delivered;
      served->path_received (to_, datagram.bytes);
    }
    if (!flying_.empty ()) timer_->arm (flying_.front ().arrival);
    if (served && served == to_.receiver ()) served->path_batch_done (to_);
  }

  Scheduler &scheduler_;
  std::mt19937_64 &random_;
  LinkStats &stats_;
  End &to_;
  LinkOptions options_;
  double free_at_ = 0;  // when the bottleneck has sent all that it holds
  TimeUs last_arrival_ = 0;
  std::uint64_t order_ = 0;
  std::size_t in_flight_bytes_ = 0;
  std::vector<Flying> flying_, early_;
  std::unique_ptr<Scheduler::Timer> timer_;
};

class Link final : public MemoryLink {
 public:
  Link (Scheduler &scheduler, std::uint64_t seed)
      : scheduler_ (scheduler),
        random_ (seed),
        ends_{End (*this, 0), End (*this, 1)},
        from_{Direction (scheduler, random_, stats_, ends_[1]),
              Direction (scheduler, random_, stats_, ends_[0])} {}

  Path &a () override { return ends_[0]; }
  Path &b () override { return ends_[1]; }
  void set_options (const LinkOptions &both) override { set_options (both, both); }
  void set_options (const LinkOptions &a_to_b, const LinkOptions &b_to_a) override {
    from_[0].set_options (a_to_b);
    from_[1].set_options (b_to_a);
  }
  LinkStats stats () const override { return stats_; }

  Scheduler &scheduler () { return scheduler_; }
  Direction &from (std::size_t index) { return from_[index]; }

 private:
  Scheduler &scheduler_;
  std::mt19937_64 random_;
  LinkStats stats_;
  std::array<End, 2> ends_;
  std::array<Direction, 2> from_;
};

void
End::set_receiver (Receiver *receiver) {
  receiver_ = receiver;
  if (!receiver || std::exchange (had_receiver_, true)) return;
  link_.from (1 - index_).release_early ();
}

Path::Sent
End::send (ByteView burst, std::size_t segment_bytes) {
  if (segment_bytes == 0) return Sent::failed;
  for (std::size_t at = 0; at < burst.size; at += segment_bytes) {
    link_.from (index_).send (burst.sub (at, segment_bytes));
  }
  return Sent::all;
}

std::size_t
End::max_datagram_bytes () const {
  return std::max (kClaimedDatagramBytes, link_.from (index_).options ().max_datagram_bytes);
}

Scheduler &
End::scheduler () {
  return link_.scheduler ();
}

}  // namespace

std::unique_ptr<MemoryLink>
MemoryLink::create (Scheduler &scheduler, std::uint64_t seed) {
  return std::make_unique<Link> (scheduler, seed);
}

}  // namespace p2p
