#include "transport/mtu_search.hpp"

#include <algorithm>
#include <array>

namespace p2p {

namespace {

constexpr unsigned kMaxProbes = 3;             // MAX_PROBES of RFC 8899 section 5.1.2
constexpr TimeUs kRaiseAfter = 600 * kSecond;  // PMTU_RAISE_TIMER of RFC 8899 section 5.1.1

// What common links leave for UDP's payload; between them there is little to gain. The MTUs are
// 1280 (least of IPv6), 1400 and 1420 (tunnels), 1480 (6in4), 1492 (PPPoE), 1500 (Ethernet) and
// 9000 (jumbo frames), less the headers of IPv6 and UDP (48) or of IPv4 and UDP (28).
constexpr std::array<std::size_t, 10> kCommonSizes = {1232, 1252, 1352, 1372, 1392,
                                                      1432, 1452, 1464, 1472, 8952};

// A probe may fall short of its size, by the room for frames that it turned out not to need.
constexpr std::size_t kProbeSlackBytes = 16;

}  // namespace

MtuSearch::MtuSearch (std::size_t base_bytes, std::size_t max_bytes)
    : base_bytes_ (base_bytes), max_bytes_ (max_bytes), confirmed_bytes_ (base_bytes) {
  reset (max_bytes);
}

void
MtuSearch::reset (std::size_t max_bytes) {
  max_bytes_ = std::max (max_bytes, base_bytes_);
  confirmed_bytes_ = base_bytes_;
  sizes_.clear ();
  for (const std::size_t size : kCommonSizes)
    if (size > base_bytes_ && size < max_bytes_) sizes_.push_back (size);
  if (max_bytes_ > base_bytes_) sizes_.push_back (max_bytes_);
  start (sizes_.size ());
}

// The largest first: on most ways it passes, and the search is over with one packet.
void
MtuSearch::start (std::size_t end) {
  begin_ = 0;
  end_ = end;
  target_ = end > 0 ? end - 1 : 0;
  failures_ = 0;
  probe_.reset ();
  raise_at_ = kNever;
}

std::optional<std::size_t>
MtuSearch::due (TimeUs now) {
  if (probe_ && now >= probe_->lost_at) lost (probe_->tag, now);
  if (probe_) return std::nullopt;
  if (begin_ == end_) {
    if (now < raise_at_) return std::nullopt;
    // What failed before may pass by now; what passes is not tried again.
    start (sizes_.size ());
    while (begin_ < end_ && sizes_[begin_] <= confirmed_bytes_ + kProbeSlackBytes) ++begin_;
    if (begin_ == end_) return std::nullopt;
  }
  return sizes_[target_];
}

void
MtuSearch::sent (std::uint64_t tag, std::size_t bytes, TimeUs lost_at) {
  probe_ = Probe{tag, bytes, lost_at};
}

bool
MtuSearch::acked (std::uint64_t tag, TimeUs now) {
  if (!probe_ || probe_->tag != tag) return false;
  confirmed_bytes_ = std::max (confirmed_bytes_, probe_->bytes);
  probe_.reset ();
  failures_ = 0;
  begin_ = target_ + 1;
  settle (now);
  return true;
}

bool
MtuSearch::lost (std::uint64_t tag, TimeUs now) {
  if (!probe_ || probe_->tag != tag) return false;
  probe_.reset ();
  failed_once (now);
  return true;
}

void
MtuSearch::failed_once (TimeUs now) {
  // Any packet may be lost once; so many in a row of one size are not chance.
  if (++failures_ < kMaxProbes) return;
  failures_ = 0;
  end_ = target_;
  settle (now);
}

void
MtuSearch::settle (TimeUs now) {
  if (begin_ < end_) {
    target_ = begin_ + (end_ - begin_) / 2;
    return;
  }
  raise_at_ = confirmed_bytes_ + kProbeSlackBytes < max_bytes_ ? now + kRaiseAfter : kNever;
}

void
MtuSearch::black_hole (TimeUs now) {
  if (confirmed_bytes_ == base_bytes_) return;
  const std::size_t gone = confirmed_bytes_;
  confirmed_bytes_ = base_bytes_;
  std::size_t end = 0;
  while (end < sizes_.size () && sizes_[end] < gone) ++end;
  start (end);
  settle (now);
}

}  // namespace p2p
