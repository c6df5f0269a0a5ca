#include "direction.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace delaywire {

namespace {
// Preamble, checksum and gap that an Ethernet frame costs on the wire beside its bytes.
constexpr size_t kEthernetOverheadBytes = 24;
// A frame may leave this early: it saves a wake-up and nobody can tell.
constexpr int64_t kEarlyNs = 20000;
constexpr double kNsPerMs = 1e6;
}  // namespace

int64_t
now_ns () {
  timespec ts{};
  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

Direction::Direction (std::mt19937_64 &random, size_t header_bytes)
    : random_ (random), header_bytes_ (header_bytes) {}

void
Direction::open (int in, int out) {
  in_ = in;
  out_ = out;
}

double
Direction::uniform (double limit) {
  return std::uniform_real_distribution<> (0, limit) (random_);
}

bool
Direction::chance (double percent) {
  return percent > 0 && uniform (100) < percent;
}

void
Direction::accept (const uint8_t *data, size_t size) {
  counters_.received++;
  if (settings.down || chance (settings.loss_percent)) {
    counters_.lost++;
    return;
  }
  const int copies = chance (settings.duplicate_percent) ? 2 : 1;
  const int64_t now = now_ns ();
  int64_t leave_ns = now;
  if (settings.rate_mbit > 0) {
    const int64_t start_ns = std::max (free_at_ns_, now);
    if (static_cast<double> (start_ns - now) > settings.queue_ms * kNsPerMs) {
      counters_.overflowed++;
      return;
    }
    const double bits = static_cast<double> (size + kEthernetOverheadBytes) * 8;
    leave_ns = start_ns + static_cast<int64_t> (bits * 1000 / settings.rate_mbit);
    free_at_ns_ = leave_ns;
  }
  for (int i = 0; i < copies; i++) {
    double extra_ms = settings.delay_ms;
    if (settings.jitter_ms > 0) extra_ms += uniform (settings.jitter_ms);
    int64_t when_ns = leave_ns + static_cast<int64_t> (extra_ms * kNsPerMs);
    if (!settings.reorder) when_ns = std::max (when_ns, last_ns_);
    last_ns_ = std::max (when_ns, last_ns_);
    Frame frame{when_ns, sequence_++, std::vector<uint8_t> (data, data + size)};
    if (size > header_bytes_ && chance (settings.corrupt_percent)) {
      const size_t at = header_bytes_ + random_ () % (size - header_bytes_);
      frame.data[at] ^= static_cast<uint8_t> (1u << (random_ () % 8));
    }
    queue_.push (std::move (frame));
  }
}

void
Direction::release_due () {
  const int64_t now = now_ns ();
  while (!queue_.empty () && queue_.top ().when_ns <= now + kEarlyNs) {
    const Frame &frame = queue_.top ();
    // A far end that is down is a pulled plug: the frame is lost.
    if (write (out_, frame.data.data (), frame.data.size ()) > 0)
      counters_.sent++;
    else
      counters_.lost++;
    queue_.pop ();
  }
}

int64_t
Direction::next_ns () const {
  return queue_.empty () ? INT64_MAX : queue_.top ().when_ns;
}

}  // namespace delaywire
