// A set of sequence numbers that fills up from 0: all below next(), and some ranges beyond.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>

namespace p2p {

class RangeSet {
 public:
  // False when it was in the set before.
  bool insert (std::uint64_t value);
  // Everything from `begin` up to, and without, `end`.
  void insert_range (std::uint64_t begin, std::uint64_t end);
  bool contains (std::uint64_t value) const;

  std::uint64_t next () const { return next_; }  // the lowest that is missing
  std::uint64_t end () const { return beyond_.empty () ? next_ : beyond_.rbegin ()->second; }
  const std::map<std::uint64_t, std::uint64_t> &beyond () const { return beyond_; }
  // Gives up on the lowest gap, so that the set stays small.
  void forget_lowest_gap ();

 private:
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, std::uint64_t> beyond_;  // begin to end; disjoint, above next_
};

}  // namespace p2p
