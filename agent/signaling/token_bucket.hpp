// A rate limit with bursts, in whole microseconds.
#pragma once
#include <algorithm>
#include <cstdint>

#include "base/scheduler.hpp"

namespace p2p {

struct Rate {
  std::uint64_t per_second = 0;
  std::uint64_t burst = 0;
};

class TokenBucket {
 public:
  TokenBucket (const Rate &rate, TimeUs now)
      : rate_ (rate), filled_at_ (now), tokens_ (rate.burst) {}

  // Takes `cost` tokens, or none and answers false.
  bool take (std::uint64_t cost, TimeUs now) {
    refill (now);
    if (cost > tokens_) return false;
    tokens_ -= cost;
    return true;
  }

 private:
  void refill (TimeUs now) {
    const auto elapsed = static_cast<std::uint64_t> (now - filled_at_);
    const std::uint64_t to_full_us =
        rate_.per_second ? (rate_.burst - tokens_) * kSecond / rate_.per_second : UINT64_MAX;
    if (elapsed >= to_full_us) {
      tokens_ = rate_.burst;
      filled_at_ = now;
      return;
    }
    const std::uint64_t gained = elapsed * rate_.per_second / kSecond;
    if (gained == 0) return;
    tokens_ = std::min (rate_.burst, tokens_ + gained);
    // Only the time that became whole tokens is spent.
    filled_at_ += static_cast<TimeUs> (gained * kSecond / rate_.per_second);
  }

  Rate rate_;
  TimeUs filled_at_;
  std::uint64_t tokens_;
};

}  // namespace p2p
