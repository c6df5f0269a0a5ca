#include <algorithm>
#include <ctime>

#include "../endpoints/event.hpp"
#include "end.hpp"

// Clients in pairs, each sends to the other's relayed address: as turnutils_uclient -y does, and as
// often. At every tick each client sends its burst.
namespace bench {

namespace {

// turnutils_uclient wants a millisecond, of libevent, which asks the coarse clock for the time.
TimeUs
tick_us () {
  timespec step{};
  clock_getres (CLOCK_MONOTONIC_COARSE, &step);
  return std::max<TimeUs> (p2p::kMillisecond, step.tv_nsec / 1000);
}

constexpr TimeUs kWarmUp = p2p::kSecond;

class Flood {
 public:
  Flood (const Ends &ends, std::size_t message_bytes, int burst)
      : ends_ (ends),
        message_ (message_bytes, 7),
        burst_ (burst),
        timer_ (scheduler ().make_timer ([this] { tick (); })) {
    due_ = scheduler ().now ();
    tick ();
  }
  std::uint64_t offered_bytes () const { return offered_bytes_; }

 private:
  void tick () {
    const ByteView view (message_.data (), message_.size ());
    for (std::size_t i = 0; i < ends_.size (); ++i) {
      const Address to = ends_[i ^ 1]->relayed ();
      ends_[i]->hold ();
      for (int n = 0; n < burst_; ++n) ends_[i]->client ().send (to, view);
      ends_[i]->release ();
    }
    offered_bytes_ += message_.size () * ends_.size () * static_cast<std::size_t> (burst_);
    // What a busy machine missed is not made up for.
    due_ = std::max (due_ + tick_, scheduler ().now ());
    timer_->arm (due_);
  }

  const Ends &ends_;
  const std::vector<std::uint8_t> message_;
  const int burst_;
  const TimeUs tick_ = tick_us ();
  TimeUs due_ = 0;
  std::uint64_t offered_bytes_ = 0;
  const std::unique_ptr<p2p::Scheduler::Timer> timer_;
};

}  // namespace

// CLIENTS MESSAGE-BYTES BURST SECONDS
void
run_goodput (const Through &through, char **arguments) {
  const auto clients = static_cast<std::size_t> (std::atoi (arguments[0]));
  const auto message_bytes = static_cast<std::size_t> (std::atoi (arguments[1]));
  const int burst = std::atoi (arguments[2]);
  const double seconds = std::atof (arguments[3]);
  if (clients < 2 || clients % 2 != 0) die ("the number of clients must be even");
  const Ends ends = make_ends (through, clients);
  await_allocations (ends);
  for (std::size_t i = 0; i < clients; ++i) ends[i]->add_peer (ends[i ^ 1]->relayed ());
  const auto received = [&] {
    std::uint64_t sum = 0;
    for (const auto &end : ends) sum += end->received_bytes ();
    return sum;
  };
  Flood flood (ends, message_bytes, burst);
  run_for (kWarmUp);
  const std::uint64_t received_before = received (), offered_before = flood.offered_bytes ();
  const std::int64_t began_us = now_us ();
  say ("begin", "%s", "");
  run_for (static_cast<TimeUs> (seconds * p2p::kSecond));
  const auto took_us = static_cast<double> (now_us () - began_us);
  say ("end", ",\"bytes\":%llu,\"offered_bytes\":%llu,\"seconds\":%.6f",
       static_cast<unsigned long long> (received () - received_before),
       static_cast<unsigned long long> (flood.offered_bytes () - offered_before), took_us / 1e6);
}

}  // namespace bench
