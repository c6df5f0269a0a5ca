// How much comes back through a relay that sends to itself, without drowning the way: a window of
// datagrams that grows as TCP's does, for a bounded time and number of bytes. Pure, of numbers.
#pragma once
#include <cstdint>
#include <optional>
#include <set>

#include "base/scheduler.hpp"

namespace p2p::doctor {

struct BurstResult {
  std::uint64_t bytes = 0;           // that came back
  std::uint64_t sent = 0, lost = 0;  // datagrams
  TimeUs took_us = 0;

  double megabits_per_s () const {
    return took_us > 0 ? static_cast<double> (bytes) * 8 / static_cast<double> (took_us) : 0;
  }
};

class EchoBurst {
 public:
  static constexpr TimeUs kLongest = 2 * kSecond;
  static constexpr std::uint64_t kMostBytes = 16 * 1024 * 1024;
  static constexpr std::size_t kFirstWindow = 16, kLargestWindow = 2048;
  // Of datagrams that overtake each other.
  static constexpr std::uint32_t kReordering = 64;
  // Nothing came for so long: all that is under way is lost.
  static constexpr TimeUs kSilence = 300 * kMillisecond;

  EchoBurst (std::size_t datagram_bytes, TimeUs now) : bytes_ (datagram_bytes), begun_ (now) {
    heard_ = last_back_ = now;
  }

  // The number of the next datagram, when one may go now; sent() when it went.
  std::optional<std::uint32_t> next (TimeUs now) const;
  void sent ();
  void received (std::uint32_t number, TimeUs now);
  void tick (TimeUs now);
  // All is sent, and all has come back or is lost.
  bool done (TimeUs now) const;
  BurstResult result () const;

 private:
  bool may_send (TimeUs now) const {
    return now < begun_ + kLongest && result_.sent * bytes_ < kMostBytes;
  }
  void shrink (std::size_t to);

  const std::size_t bytes_;
  const TimeUs begun_;
  TimeUs heard_, last_back_;
  std::set<std::uint32_t> under_way_;
  std::uint32_t next_ = 0, shrunk_at_ = 0;
  std::size_t window_ = kFirstWindow, grown_ = 0;
  bool slow_start_ = true;
  BurstResult result_;
};

}  // namespace p2p::doctor
