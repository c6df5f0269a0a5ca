#include "transport/stream_holes.hpp"

#include <algorithm>

namespace p2p {

std::size_t
StreamHoles::first_that_ends_after (std::uint64_t offset) const {
  const auto found = std::partition_point (
      holes_.begin (), holes_.end (), [offset] (const Hole &hole) { return hole.end <= offset; });
  return static_cast<std::size_t> (found - holes_.begin ());
}

bool
StreamHoles::would_add_one (std::uint64_t begin, std::uint64_t end) const {
  if (begin >= end) return false;
  if (begin >= end_) return begin > end_;
  const std::size_t at = first_that_ends_after (begin);
  return at < holes_.size () && holes_[at].begin < begin && end < holes_[at].end;
}

void
StreamHoles::add (std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  if (begin >= end_) {
    if (begin > end_) holes_.push_back ({end_, begin});
    end_ = end;
    return;
  }
  end_ = std::max (end_, end);
  std::size_t at = first_that_ends_after (begin);
  if (at < holes_.size () && holes_[at].begin < begin) {
    const Hole whole = holes_[at];
    holes_[at].end = begin;
    ++at;
    if (end < whole.end) {
      holes_.insert (holes_.begin () + static_cast<std::ptrdiff_t> (at), {end, whole.end});
      return;
    }
  }
  const std::size_t first_left = first_that_ends_after (end);
  if (first_left < holes_.size () && holes_[first_left].begin < end) holes_[first_left].begin = end;
  if (first_left > at)
    holes_.erase (holes_.begin () + static_cast<std::ptrdiff_t> (at),
                  holes_.begin () + static_cast<std::ptrdiff_t> (first_left));
  // A burst of loss is rare, and its memory is for whoever comes next.
  if (holes_.empty ()) holes_.shrink_to_fit ();
}

}  // namespace p2p
