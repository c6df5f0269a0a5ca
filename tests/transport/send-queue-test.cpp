// The send queue hands out every byte once, in order, and lets go of what is acknowledged.
#include "transport/send_queue.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace p2p;

namespace {

struct Block {
  explicit Block (const std::string &t) : text (t) {
    ref = Ref<GBytes>::adopt (g_bytes_new_with_free_func (
        text.data (), text.size (), [] (gpointer data) { *static_cast<bool *> (data) = true; },
        &freed));
  }
  std::string text;
  bool freed = false;
  Ref<GBytes> ref;
};

std::string
next (const SendQueue &queue, std::size_t slices, std::size_t bytes, bool *all = nullptr) {
  std::vector<ByteView> views;
  const bool last = queue.peek (views, slices, bytes);
  if (all) *all = last;
  std::string text;
  for (const ByteView &view : views) text += view.to_string ();
  return text;
}

}  // namespace

constexpr std::size_t kLong = SendQueue::kMaxCopiedBytes + 1;

TEST (SendQueue, GivesSlicesAndForgetsWhatIsAcknowledged) {
  Block a (std::string (kLong, 'a')), b (std::string (kLong, 'b')), empty ("");
  SendQueue queue;
  queue.push (a.ref);
  queue.push (empty.ref);
  queue.push (Ref<GBytes> ());
  queue.push (b.ref);
  a.ref.reset ();
  b.ref.reset ();
  bool all = false;
  EXPECT_EQ (next (queue, 8, 10000, &all), a.text + b.text);
  EXPECT_TRUE (all);
  EXPECT_EQ (next (queue, 1, 10000, &all), a.text);
  EXPECT_FALSE (all);
  EXPECT_EQ (next (queue, 8, 2, &all), a.text);
  EXPECT_FALSE (all);
  queue.mark_sent (kLong + 2);
  EXPECT_EQ (queue.unsent_bytes (), kLong - 2);
  EXPECT_EQ (next (queue, 8, 10000), b.text.substr (2));
  queue.mark_acked (kLong - 1);
  EXPECT_FALSE (a.freed);
  queue.mark_acked (kLong);
  EXPECT_TRUE (a.freed);
  queue.mark_acked (kLong + 2);
  EXPECT_FALSE (b.freed);
  queue.mark_sent (kLong - 2);
  EXPECT_EQ (next (queue, 8, 10000, &all), "");
  EXPECT_TRUE (all);
  queue.mark_acked (2 * kLong);
  EXPECT_TRUE (b.freed);
}

TEST (SendQueue, DropKeepsOnlyWhatHasLeft) {
  Block a (std::string (kLong, 'a')), b (std::string (kLong, 'b')), c (std::string (kLong, 'c'));
  SendQueue queue;
  for (Block *block : {&a, &b, &c}) {
    queue.push (block->ref);
    block->ref.reset ();
  }
  queue.mark_sent (kLong + 1);
  queue.drop_unsent ();
  EXPECT_EQ (queue.unsent_bytes (), 0u);
  EXPECT_EQ (next (queue, 8, 10000), "");
  EXPECT_FALSE (a.freed);
  EXPECT_FALSE (b.freed);
  EXPECT_TRUE (c.freed);
  queue.mark_acked (kLong);
  EXPECT_TRUE (a.freed);
  queue.drop_unsent ();
  EXPECT_FALSE (b.freed);
}

TEST (SendQueue, DropBeforeAnythingLeftFreesAll) {
  Block a (std::string (kLong, 'a'));
  SendQueue queue;
  queue.push (a.ref);
  a.ref.reset ();
  queue.drop_unsent ();
  EXPECT_TRUE (a.freed);
}

TEST (SendQueue, CopiesShortPiecesTogether) {
  SendQueue queue;
  std::string all;
  for (int i = 0; i < 100; ++i) {
    Block piece (std::to_string (i) + " bottles");
    all += piece.text;
    queue.push (piece.ref);
    piece.ref.reset ();
    EXPECT_TRUE (piece.freed);
  }
  std::vector<ByteView> views;
  EXPECT_TRUE (queue.peek (views, 100, SIZE_MAX));
  EXPECT_LE (views.size (), 4u);
  EXPECT_EQ (next (queue, 100, SIZE_MAX), all);
}

// Whatever was sent, dropped and acknowledged in between, every byte comes once and stays as it
// was.
TEST (SendQueue, ShortAndLongPiecesKeepTheirOrder) {
  std::mt19937 random (1);
  SendQueue queue;
  std::string expected, sent;
  std::vector<std::pair<const std::uint8_t *, std::string>> under_way;
  std::uint64_t acked = 0;
  for (int step = 0; step < 4000; ++step) {
    const std::size_t size = random () % 3 == 0 ? 1000 + random () % 2000 : random () % 40;
    std::string piece (size, '\0');
    for (char &c : piece) c = static_cast<char> (random ());
    expected += piece;
    queue.push (Ref<GBytes>::adopt (g_bytes_new (piece.data (), piece.size ())));
    std::vector<ByteView> views;
    std::size_t left = random () % 3000;
    queue.peek (views, 8, left);
    std::size_t taken = 0;
    for (const ByteView &view : views) {
      const ByteView part = view.sub (0, left - taken);
      under_way.emplace_back (part.data, part.to_string ());
      taken += part.size;
      sent += part.to_string ();
    }
    queue.mark_sent (taken);
    // What is not acknowledged may be read again, for a retransmission.
    for (const auto &[data, text] : under_way)
      ASSERT_EQ (std::memcmp (data, text.data (), text.size ()), 0);
    if (random () % 8 == 0) {
      acked = sent.size ();
      under_way.clear ();
      queue.mark_acked (acked);
    }
  }
  queue.mark_sent (queue.unsent_bytes ());
  EXPECT_EQ (sent, expected.substr (0, sent.size ()));
  EXPECT_GT (sent.size (), expected.size () / 2);
}
