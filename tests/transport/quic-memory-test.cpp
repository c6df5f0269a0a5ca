// The memory that ngtcp2 gets: its own, whole, zero where that is asked for, and given out again.
#include "transport/quic_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

using namespace p2p;

namespace {

// Around the limits between small objects, the heap, and blocks with pages of their own.
constexpr std::size_t kSizes[] = {1,    48,   63,   64,   65,    500,   2095,  2096,  2097, 4079,
                                  4080, 4081, 7192, 8216, 12184, 16367, 16368, 16369, 70000};

struct Piece {
  std::uint8_t *bytes;
  std::size_t size;
  std::uint8_t filled_with;
};

Piece
take (std::size_t size, std::uint8_t fill) {
  auto *bytes = static_cast<std::uint8_t *> (quic_memory ()->malloc (size, nullptr));
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
  quic_memory ()->free (piece.bytes, nullptr);
}

}  // namespace

TEST (QuicMemory, PiecesDoNotTouchEachOther) {
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

TEST (QuicMemory, ZeroedMemoryIsZeroAlsoWhereSomebodyHasBeen) {
  for (int round = 0; round < 3; ++round)
    for (const std::size_t size : kSizes) {
      give_back (take (size, 0xff));
      auto *bytes = static_cast<std::uint8_t *> (quic_memory ()->calloc (1, size, nullptr));
      EXPECT_TRUE (is_whole ({bytes, size, 0})) << size;
      quic_memory ()->free (bytes, nullptr);
    }
  EXPECT_EQ (quic_memory ()->calloc (SIZE_MAX / 2, 3, nullptr), nullptr);
}

TEST (QuicMemory, GrowingAndShrinkingKeepsTheBeginning) {
  for (const std::size_t from : kSizes)
    for (const std::size_t to : kSizes) {
      Piece piece = take (from, 0x5a);
      piece.bytes =
          static_cast<std::uint8_t *> (quic_memory ()->realloc (piece.bytes, to, nullptr));
      piece.size = std::min (from, to);
      EXPECT_TRUE (is_whole (piece)) << from << " to " << to;
      give_back (piece);
    }
  quic_memory ()->free (nullptr, nullptr);
}
