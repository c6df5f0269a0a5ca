// What became of our pings: round trips, their jitter, and loss. Pure arithmetic; time is an
// argument. One thread.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/scheduler.hpp"

namespace p2p {

struct PingStats {
  std::uint64_t pings_sent = 0, pongs_received = 0;
  std::uint64_t pings_lost = 0;  // unanswered for max (1 s, 4 RTT); a late answer takes it back
  double loss = 0;               // of the last 64, those whose fate is known; 0 to 1
  // Of the followed way; 0 before its first pong.
  TimeUs rtt_us = 0, smoothed_rtt_us = 0, min_rtt_us = 0;
  TimeUs jitter_us = 0;  // RFC 3550 section 6.4.1, of round trips
};

class PingLog {
 public:
  static constexpr std::size_t kRemembered = 64;

  // Times of different ways say nothing together: they begin anew with another way, and a pong of
  // any other than the followed way leaves them alone.
  void follow (int way);
  // `number` names the ping; each is used once.
  void sent (TimeUs now, std::uint64_t number, int way);

  struct Answer {
    TimeUs rtt = 0;
    int way = 0;            // on which the ping went out
    bool followed = false;  // that way, at the time
  };
  // Nothing when no remembered ping waits for it.
  std::optional<Answer> answered (TimeUs now, std::uint64_t number);
  // After a stall of the own process: how long an answer took would say nothing.
  void forget_unanswered ();

  PingStats stats (TimeUs now);

 private:
  enum class Fate { empty, waiting, answered, lost };
  struct Entry {
    std::uint64_t number = 0;
    TimeUs sent_at = 0;
    int way = 0;
    bool followed = false;
    Fate fate = Fate::empty;
  };
  void take_rtt (TimeUs rtt);

  std::array<Entry, kRemembered> entries_{};
  std::size_t next_ = 0;  // the oldest entry, the next to be overwritten
  int way_ = 0;
  PingStats stats_;
  // Kept in units of 1/16 us, as RFC 3550 appendix A.8 does, so that small ones are not rounded
  // off.
  TimeUs jitter_16_ = 0;
};

}  // namespace p2p
