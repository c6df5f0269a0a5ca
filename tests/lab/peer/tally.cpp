#include "tally.hpp"

#include <algorithm>
#include <string>

namespace lab {

namespace {
// How far back a message of an unreliable channel can be told from its double.
constexpr std::size_t kWindow = 1 << 16;
// A broken run must not fill the disk.
constexpr unsigned kMaxGapsTold = 1000;
}  // namespace

Tally::Tally (bool reliable, double tell_gap_ms)
    : reliable_ (reliable), tell_gap_ms_ (tell_gap_ms), seen_ (reliable ? 0 : kWindow) {}

bool
Tally::is_new (std::uint64_t number) {
  if (reliable_) return number >= expected_;
  for (std::uint64_t next = std::max (expected_, number < kWindow ? 0 : number - kWindow + 1);
       next <= number; next++)
    seen_[next % kWindow] = false;
  return !seen_[number % kWindow];
}

void
Tally::measure_gap (bool open) {
  const double now = now_ms ();
  const double gap_ms = received_ ? now - last_ms_ : 0;
  if (gap_ms > max_gap_ms_) {
    max_gap_ms_ = gap_ms;
    max_gap_from_ms_ = last_ms_;
  }
  if (gap_ms >= tell_gap_ms_ && received_ && gaps_told_++ < kMaxGapsTold)
    Line ("gap").ms ("from", last_ms_).ms ("ms", gap_ms).flag ("open", open);
  last_ms_ = now;
}

void
Tally::take (std::uint64_t number, double sent_ms) {
  // So late that it cannot be told whether it came before.
  if (!reliable_ && number + kWindow < expected_) {
    late_++;
    return;
  }
  if (!is_new (number)) {
    doubled_++;
    return;
  }
  measure_gap (false);
  max_delay_ms_ = std::max (max_delay_ms_, now_ms () - sent_ms);
  received_++;
  if (!reliable_) seen_[number % kWindow] = true;
  if (number < expected_)
    late_++;
  else
    expected_ = number + 1;
  lost_ = expected_ - received_;
}

void
Tally::finish (std::uint64_t sent) {
  expected_ = std::max (expected_, sent);
  lost_ = expected_ - received_;
}

void
Tally::break_off () {
  measure_gap (true);
}

void
Tally::tell (Line &line, const char *prefix) const {
  const auto key = [prefix] (const char *name) { return prefix + std::string (name); };
  line.count (key ("received").c_str (), received_)
      .count (key ("lost").c_str (), lost_)
      .count (key ("doubled").c_str (), doubled_)
      .count (key ("corrupt").c_str (), corrupt_)
      .ms (key ("max_gap_ms").c_str (), max_gap_ms_)
      .ms (key ("max_gap_from").c_str (), max_gap_from_ms_)
      .ms (key ("max_delay_ms").c_str (), max_delay_ms_);
  if (!reliable_) line.count (key ("late").c_str (), late_);
}

}  // namespace lab
