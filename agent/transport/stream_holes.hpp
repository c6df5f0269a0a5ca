// The holes in what has come of one stream: what was sent before it is not here yet.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace p2p {

class StreamHoles {
 public:
  // Bytes from `begin` up to, and without, `end`; begin <= end.
  void add (std::uint64_t begin, std::uint64_t end);
  // Whether adding them would leave one hole more than there are.
  bool would_add_one (std::uint64_t begin, std::uint64_t end) const;
  std::size_t count () const { return holes_.size (); }

 private:
  struct Hole {
    std::uint64_t begin, end;
  };
  std::size_t first_that_ends_after (std::uint64_t offset) const;

  std::uint64_t end_ = 0;    // of the furthest byte that came
  std::vector<Hole> holes_;  // in order, not empty, all below end_
};

}  // namespace p2p
