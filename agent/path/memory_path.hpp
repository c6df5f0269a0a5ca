// Two paths joined inside one process by a link with settable faults, on any scheduler: the test
// bench of everything above. Deterministic on a VirtualScheduler with a given seed.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>

#include "path/path.hpp"

namespace p2p {

struct LinkOptions {
  double loss = 0;       // probability of losing a datagram, 0 to 1
  double duplicate = 0;  // probability of a second copy
  double reorder = 0;    // probability of being delayed by another `reorder_delay`
  TimeUs delay = 0;      // one way
  TimeUs jitter = 0;     // uniform, added; order is kept unless `reorder` picks the datagram
  TimeUs reorder_delay = 5 * kMillisecond;
  std::uint64_t rate_bits_per_s = 0;      // 0: no limit
  std::size_t queue_bytes = 1024 * 1024;  // a full bottleneck drops
  // Longer ones vanish, as behind a black hole; the paths claim this or 1452, whichever is more.
  std::size_t max_datagram_bytes = 1452;
  bool down = false;  // everything vanishes
};

struct LinkStats {
  std::uint64_t sent = 0, delivered = 0, lost = 0, duplicated = 0, reordered = 0, overflowed = 0;
};

class MemoryLink {
 public:
  static std::unique_ptr<MemoryLink> create (Scheduler &scheduler, std::uint64_t seed);
  virtual ~MemoryLink () = default;  // the paths must be gone, or never be used again
  virtual Path &a () = 0;
  virtual Path &b () = 0;
  virtual void set_options (const LinkOptions &both) = 0;
  virtual void set_options (const LinkOptions &a_to_b, const LinkOptions &b_to_a) = 0;
  virtual LinkStats stats () const = 0;
};

}  // namespace p2p
