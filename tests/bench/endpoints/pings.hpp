// Round trips and their percentiles.
#pragma once
#include <algorithm>
#include <vector>

#include "event.hpp"

namespace bench {

class Pings {
 public:
  explicit Pings (int count) : count_ (count) {
    times_us_.reserve (static_cast<std::size_t> (count));
  }

  void begin () { started_ns_ = now_ns (); }
  // False after the last one.
  bool end () {
    const std::int64_t ns = now_ns () - started_ns_;
    if (seen_++ >= kWarmup) times_us_.push_back (static_cast<double> (ns) / 1000);
    if (times_us_.size () < static_cast<std::size_t> (count_)) return true;
    std::sort (times_us_.begin (), times_us_.end ());
    say ("pings", ",\"count\":%zu,\"p50_us\":%.2f,\"p99_us\":%.2f,\"min_us\":%.2f",
         times_us_.size (), at (0.5), at (0.99), times_us_.front ());
    return false;
  }

 private:
  // The first pings find cold caches and a congestion window that has just begun.
  static constexpr int kWarmup = 200;

  static std::int64_t now_ns () {
    timespec ts{};
    clock_gettime (CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
  }
  double at (double part) const {
    return times_us_[static_cast<std::size_t> (part * static_cast<double> (times_us_.size () - 1))];
  }

  const int count_;
  int seen_ = 0;
  std::int64_t started_ns_ = 0;
  std::vector<double> times_us_;
};

}  // namespace bench
