#include "session/ping_log.hpp"

#include <algorithm>
#include <cstdlib>

namespace p2p {

namespace {

constexpr TimeUs kMinLostAfter = kSecond;

}  // namespace

void
PingLog::follow (int way) {
  if (way == way_) return;
  way_ = way;
  stats_.rtt_us = stats_.smoothed_rtt_us = stats_.min_rtt_us = 0;
  jitter_16_ = 0;
}

void
PingLog::sent (TimeUs now, std::uint64_t number, int way) {
  Entry &entry = entries_[next_];
  next_ = (next_ + 1) % kRemembered;
  if (entry.fate == Fate::waiting) ++stats_.pings_lost;  // an answer could not be told any longer
  entry = {number, now, way, way == way_, Fate::waiting};
  ++stats_.pings_sent;
}

std::optional<PingLog::Answer>
PingLog::answered (TimeUs now, std::uint64_t number) {
  const auto entry = std::find_if (entries_.begin (), entries_.end (), [number] (const Entry &e) {
    return e.number == number && (e.fate == Fate::waiting || e.fate == Fate::lost);
  });
  if (entry == entries_.end ()) return {};
  if (entry->fate == Fate::lost) --stats_.pings_lost;
  entry->fate = Fate::answered;
  ++stats_.pongs_received;
  const Answer answer{now - entry->sent_at, entry->way, entry->followed};
  // Never 0, which means that nothing was measured.
  if (answer.way == way_) take_rtt (std::max<TimeUs> (answer.rtt, 1));
  return answer;
}

void
PingLog::take_rtt (TimeUs rtt) {
  if (stats_.min_rtt_us == 0) {
    stats_.smoothed_rtt_us = stats_.min_rtt_us = rtt;
  } else {
    jitter_16_ += std::abs (rtt - stats_.rtt_us) - (jitter_16_ + 8) / 16;
    stats_.smoothed_rtt_us += (rtt - stats_.smoothed_rtt_us) / 8;  // RFC 6298 section 2
    stats_.min_rtt_us = std::min (stats_.min_rtt_us, rtt);
  }
  stats_.rtt_us = rtt;
}

void
PingLog::forget_unanswered () {
  for (Entry &entry : entries_)
    if (entry.fate == Fate::waiting) entry.fate = Fate::empty;
}

PingStats
PingLog::stats (TimeUs now) {
  const TimeUs lost_after = std::max (kMinLostAfter, 4 * stats_.smoothed_rtt_us);
  std::size_t answered = 0, lost = 0;
  for (Entry &entry : entries_) {
    if (entry.fate == Fate::waiting && now - entry.sent_at > lost_after) {
      entry.fate = Fate::lost;
      ++stats_.pings_lost;
    }
    answered += entry.fate == Fate::answered;
    lost += entry.fate == Fate::lost;
  }
  stats_.loss = lost == 0 ? 0 : static_cast<double> (lost) / static_cast<double> (answered + lost);
  stats_.jitter_us = jitter_16_ / 16;
  return stats_;
}

}  // namespace p2p
