// Counts what a receiver gets, for a window of time that opens with the first byte.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "event.hpp"

namespace bench {

// Says "first" at the first message, "tick" every 100 ms and "end" when the window closes, each
// with the bytes so far; a thread of its own does, so that a flow that has stalled is measured as
// well. What brought the first message did not arrive within the window, so it is not counted.
class Meter {
 public:
  explicit Meter (double seconds)
      : window_us_ (static_cast<std::int64_t> (seconds * 1e6)), thread_ ([this] { watch (); }) {}
  ~Meter () {
    {
      const std::lock_guard<std::mutex> guard (mutex_);
      stopped_ = true;
    }
    changed_.notify_all ();
    thread_.join ();
  }
  Meter (const Meter &) = delete;
  Meter &operator= (const Meter &) = delete;

  // Always from one thread.
  void add (std::size_t size) {
    if (started_us_ != 0) {
      bytes_.store (bytes_.load (std::memory_order_relaxed) + size, std::memory_order_relaxed);
      return;
    }
    const std::lock_guard<std::mutex> guard (mutex_);
    started_us_ = now_us ();
    changed_.notify_all ();
  }

 private:
  static constexpr std::int64_t kTickUs = 100000;

  void watch () {
    std::unique_lock<std::mutex> lock (mutex_);
    changed_.wait (lock, [this] { return stopped_ || started_us_ != 0; });
    say ("first", "%s", "");
    for (std::int64_t due_us = kTickUs; !stopped_; due_us += kTickUs) {
      const bool last = due_us >= window_us_;
      const std::int64_t until_us = started_us_ + (last ? window_us_ : due_us);
      changed_.wait_for (lock, std::chrono::microseconds (until_us - now_us ()),
                         [this] { return stopped_; });
      if (stopped_) return;
      const std::int64_t at_us = now_us ();
      say (last ? "end" : "tick", ",\"bytes\":%llu,\"seconds\":%.6f",
           static_cast<unsigned long long> (bytes_.load (std::memory_order_relaxed)),
           static_cast<double> (at_us - started_us_) / 1e6);
      if (last) return;
    }
  }

  const std::int64_t window_us_;
  std::atomic<std::uint64_t> bytes_{0};
  // Written once, under the lock, by the thread that adds.
  std::int64_t started_us_ = 0;
  bool stopped_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

// Lets bytes go at a steady rate; 0 is no limit.
class Pace {
 public:
  explicit Pace (double mbit) : bytes_per_us_ (mbit / 8) {}
  // How long to wait before `size` more bytes may go; 0: they may go, and were counted.
  std::int64_t wait_us (std::size_t size) {
    if (bytes_per_us_ <= 0) return 0;
    const std::int64_t now = now_us ();
    // Time in which nothing was sent is not made up for.
    if (next_us_ < now - kBurstUs) next_us_ = now - kBurstUs;
    if (next_us_ > now) return next_us_ - now;
    debt_us_ += static_cast<double> (size) / bytes_per_us_;
    const auto whole = static_cast<std::int64_t> (debt_us_);
    debt_us_ -= static_cast<double> (whole);
    next_us_ += whole;
    return 0;
  }

 private:
  static constexpr std::int64_t kBurstUs = 2000;
  const double bytes_per_us_;
  double debt_us_ = 0;
  std::int64_t next_us_ = 0;
};

}  // namespace bench
