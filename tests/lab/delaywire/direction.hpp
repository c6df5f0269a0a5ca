// One direction of the wire: what is done to a frame between entering and leaving.
#pragma once
#include <cstddef>
#include <cstdint>
#include <queue>
#include <random>
#include <vector>

namespace delaywire {

int64_t now_ns ();

struct Settings {
  double delay_ms = 0;
  double jitter_ms = 0;
  double loss_percent = 0;
  double duplicate_percent = 0;
  double corrupt_percent = 0;
  double rate_mbit = 0;  // 0: no limit
  double queue_ms = 200;
  bool reorder = false;
  bool down = false;
};

struct Counters {
  uint64_t received = 0;
  uint64_t sent = 0;
  uint64_t lost = 0;
  uint64_t overflowed = 0;
};

// First the rate limit, a FIFO that drops once it holds more than `queue_ms`; then a fixed delay
// plus jitter. Order is kept unless `reorder` is set.
class Direction {
 public:
  // `header_bytes` in front of a frame are never corrupted.
  Direction (std::mt19937_64 &random, size_t header_bytes);

  void open (int in, int out);
  int in () const { return in_; }
  void accept (const uint8_t *data, size_t size);
  void release_due ();
  // When the next frame leaves; INT64_MAX when none waits.
  int64_t next_ns () const;

  Settings settings;
  const Counters &counters () const { return counters_; }
  size_t queued () const { return queue_.size (); }

 private:
  struct Frame {
    int64_t when_ns;
    uint64_t sequence;
    std::vector<uint8_t> data;
  };
  struct Later {
    bool operator() (const Frame &x, const Frame &y) const {
      return x.when_ns != y.when_ns ? x.when_ns > y.when_ns : x.sequence > y.sequence;
    }
  };
  bool chance (double percent);
  double uniform (double limit);

  std::mt19937_64 &random_;
  const size_t header_bytes_;
  int in_ = -1;
  int out_ = -1;
  int64_t free_at_ns_ = 0;
  int64_t last_ns_ = 0;
  uint64_t sequence_ = 0;
  Counters counters_;
  std::priority_queue<Frame, std::vector<Frame>, Later> queue_;
};

}  // namespace delaywire
