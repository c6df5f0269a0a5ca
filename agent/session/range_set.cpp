#include "session/range_set.hpp"

#include <algorithm>

namespace p2p {

bool
RangeSet::contains (std::uint64_t value) const {
  if (value < next_) return true;
  auto after = beyond_.upper_bound (value);
  return after != beyond_.begin () && value < std::prev (after)->second;
}

bool
RangeSet::insert (std::uint64_t value) {
  if (value == next_ && beyond_.empty ()) {
    ++next_;
    return true;
  }
  if (contains (value)) return false;
  insert_range (value, value + 1);
  return true;
}

void
RangeSet::insert_range (std::uint64_t begin, std::uint64_t end) {
  if (begin >= end || end <= next_) return;
  auto at = beyond_.upper_bound (begin);
  if (at != beyond_.begin () && std::prev (at)->second >= begin) --at;
  while (at != beyond_.end () && at->first <= end) {
    begin = std::min (begin, at->first);
    end = std::max (end, at->second);
    at = beyond_.erase (at);
  }
  if (begin <= next_)
    next_ = end;
  else
    beyond_.emplace (begin, end);
}

void
RangeSet::forget_lowest_gap () {
  if (beyond_.empty ()) return;
  next_ = beyond_.begin ()->second;
  beyond_.erase (beyond_.begin ());
}

}  // namespace p2p
