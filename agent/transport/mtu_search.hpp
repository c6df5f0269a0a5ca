// The size of the packets on a way: Datagram Packetization Layer PMTU Discovery (RFC 8899) as QUIC
// uses it (RFC 9000 section 14.3). It decides; the transport sends the probes and tells their fate.
// Core thread only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/scheduler.hpp"

namespace p2p {

class MtuSearch {
 public:
  // Sizes are UDP payloads. `base_bytes` is taken to pass; nothing above `max_bytes` is tried.
  MtuSearch (std::size_t base_bytes, std::size_t max_bytes);

  // The way has changed: nothing that was learned holds.
  void reset (std::size_t max_bytes);
  std::size_t packet_bytes () const {
    return confirmed_bytes_;
  }  // the largest that is known to pass
  std::size_t max_bytes () const { return max_bytes_; }

  // The size to probe now, when there is one. A packet of at most that size follows, and sent().
  std::optional<std::size_t> due (TimeUs now);
  void sent (std::uint64_t tag, std::size_t bytes, TimeUs lost_at);
  // Both ignore the tags of probes that no longer matter, and answer whether it was a probe's.
  bool acked (std::uint64_t tag, TimeUs now);
  bool lost (std::uint64_t tag, TimeUs now);
  // Full packets vanish, or the system refuses them: back to the base, and search anew below.
  void black_hole (TimeUs now);

 private:
  struct Probe {
    std::uint64_t tag;
    std::size_t bytes;
    TimeUs lost_at;
  };
  void start (std::size_t end);
  void failed_once (TimeUs now);
  void settle (TimeUs now);

  const std::size_t base_bytes_;
  std::size_t max_bytes_;
  std::size_t confirmed_bytes_;
  std::vector<std::size_t> sizes_;  // worth trying, ascending; max_bytes_ is the last
  // sizes_[i] passes for i < begin_ and fails for i >= end_.
  std::size_t begin_ = 0, end_ = 0, target_ = 0;
  unsigned failures_ = 0;  // in a row, at the target
  std::optional<Probe> probe_;
  TimeUs raise_at_ = kNever;  // when a finished search begins anew
};

}  // namespace p2p
