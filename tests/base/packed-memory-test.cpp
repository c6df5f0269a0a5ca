// Packed memory is its taker's own, whole, zero where that is asked for, and given out again.
#include "base/packed_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

using namespace p2p;

namespace {

// Around the limits between small objects, the heap, and blocks with pages of their own.
constexpr std::size_t kSizes[] = {1,    48,   63,   64,   65,   500,   2095,  3311,  3312,  3313,
                                  4079, 4080, 4081, 7192, 8216, 12184, 16367, 16368, 16369, 70000};

struct Piece {
  std::uint8_t *bytes;
  std::size_t size;
  std::uint8_t filled_with;
};

Piece
take (std::size_t size, std::uint8_t fill) {
  auto *bytes = static_cast<std::uint8_t *> (packed_take (size));
  EXPECT_NE (bytes, nullptr);
  EXPECT_EQ (reinterpret_cast<std::uintptr_t> (bytes) % alignof (std::max_align_t), 0U);
  std::memset (bytes, fill, size);
  return {bytes, size, fill};
}

bool
is_whole (const Piece &piece) {
  return std::all_of (piece.bytes, piece.bytes + piece.size,
                      [&] (std::uint8_t byte) { return byte == piece.filled_with; });
}

void
give_back (const Piece &piece) {
  packed_give_back (piece.bytes);
}

}  // namespace

TEST (PackedMemory, PiecesDoNotTouchEachOther) {
  std::vector<Piece> pieces;
  std::uint8_t fill = 0;
  for (int round = 0; round < 50; ++round) {
    for (const std::size_t size : kSizes) pieces.push_back (take (size, ++fill));
    // Every third goes, and its place is taken again in the next round.
    for (std::size_t i = 0; i < pieces.size (); i += 3) {
      EXPECT_TRUE (is_whole (pieces[i]));
      give_back (pieces[i]);
      pieces.erase (pieces.begin () + static_cast<std::ptrdiff_t> (i));
    }
  }
  for (const Piece &piece : pieces) {
    EXPECT_TRUE (is_whole (piece)) << piece.size;
    give_back (piece);
  }
}

TEST (PackedMemory, ZeroedMemoryIsZeroAlsoWhereSomebodyHasBeen) {
  for (int round = 0; round < 3; ++round)
    for (const std::size_t size : kSizes) {
      give_back (take (size, 0xff));
      auto *bytes = static_cast<std::uint8_t *> (packed_take_zeroes (1, size));
      EXPECT_TRUE (is_whole ({bytes, size, 0})) << size;
      packed_give_back (bytes);
    }
  EXPECT_EQ (packed_take_zeroes (SIZE_MAX / 2, 3), nullptr);
}

TEST (PackedMemory, GrowingAndShrinkingKeepsTheBeginning) {
  for (const std::size_t from : kSizes)
    for (const std::size_t to : kSizes) {
      Piece piece = take (from, 0x5a);
      piece.bytes = static_cast<std::uint8_t *> (packed_resize (piece.bytes, to));
      piece.size = std::min (from, to);
      EXPECT_TRUE (is_whole (piece)) << from << " to " << to;
      give_back (piece);
    }
  packed_give_back (nullptr);
}

#ifndef P2P_PLAIN_MEMORY
TEST (PackedMemory, SmallObjectsFillThePagesThatBlocksBeginOn) {
  // Of what earlier cases have left there is room as well; these are enough to use that up.
  constexpr std::size_t kBlocks = 200, kObjects = 2000;
  const auto page_of = [] (const void *memory) {
    return reinterpret_cast<std::uintptr_t> (memory) / 4096;
  };
  std::vector<void *> blocks, objects;
  std::set<std::uintptr_t> pages;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    blocks.push_back (packed_take (15000));
    pages.insert (page_of (blocks.back ()));
  }
  EXPECT_EQ (pages.size (), kBlocks);
  std::size_t beside = 0;
  for (std::size_t i = 0; i < kObjects; ++i) {
    objects.push_back (packed_take (1000));
    beside += pages.count (page_of (objects.back ()));
  }
  EXPECT_GE (beside, kBlocks);
  for (void *object : objects) packed_give_back (object);
  for (void *block : blocks) packed_give_back (block);
}
#endif

namespace {

struct Counted : Packed {
  explicit Counted (int &count) : count_ (count) { ++count_; }
  virtual ~Counted () { --count_; }
  int &count_;
};
struct Larger final : Counted {
  using Counted::Counted;
  std::uint8_t bytes[2000]{};
};

}  // namespace

TEST (PackedMemory, AnObjectIsDeletedThroughItsBase) {
  int count = 0;
  std::vector<std::unique_ptr<Counted>> objects;
  for (int i = 0; i < 100; ++i) objects.push_back (std::make_unique<Larger> (count));
  EXPECT_EQ (count, 100);
  objects.clear ();
  EXPECT_EQ (count, 0);
}
