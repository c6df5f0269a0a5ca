// The send queue hands out every byte once, in order, and lets go of what is acknowledged.
#include "transport/send_queue.hpp"

#include <gtest/gtest.h>

#include <string>

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

TEST (SendQueue, GivesSlicesAndForgetsWhatIsAcknowledged) {
  Block a ("abc"), b ("defg"), empty ("");
  SendQueue queue;
  queue.push (a.ref);
  queue.push (empty.ref);
  queue.push (Ref<GBytes> ());
  queue.push (b.ref);
  a.ref.reset ();
  b.ref.reset ();
  bool all = false;
  EXPECT_EQ (next (queue, 8, 100, &all), "abcdefg");
  EXPECT_TRUE (all);
  EXPECT_EQ (next (queue, 1, 100, &all), "abc");
  EXPECT_FALSE (all);
  EXPECT_EQ (next (queue, 8, 2, &all), "abc");
  EXPECT_FALSE (all);
  queue.mark_sent (5);
  EXPECT_EQ (queue.unsent_bytes (), 2u);
  EXPECT_EQ (next (queue, 8, 100), "fg");
  queue.mark_acked (2);
  EXPECT_FALSE (a.freed);
  queue.mark_acked (3);
  EXPECT_TRUE (a.freed);
  queue.mark_acked (5);
  EXPECT_FALSE (b.freed);
  queue.mark_sent (2);
  EXPECT_EQ (next (queue, 8, 100, &all), "");
  EXPECT_TRUE (all);
  queue.mark_acked (7);
  EXPECT_TRUE (b.freed);
}

TEST (SendQueue, DropKeepsOnlyWhatHasLeft) {
  Block a ("abc"), b ("def"), c ("ghi");
  SendQueue queue;
  for (Block *block : {&a, &b, &c}) {
    queue.push (block->ref);
    block->ref.reset ();
  }
  queue.mark_sent (4);
  queue.drop_unsent ();
  EXPECT_EQ (queue.unsent_bytes (), 0u);
  EXPECT_EQ (next (queue, 8, 100), "");
  EXPECT_FALSE (a.freed);
  EXPECT_FALSE (b.freed);
  EXPECT_TRUE (c.freed);
  queue.mark_acked (3);
  EXPECT_TRUE (a.freed);
  queue.drop_unsent ();
  EXPECT_FALSE (b.freed);
}

TEST (SendQueue, DropBeforeAnythingLeftFreesAll) {
  Block a ("abc");
  SendQueue queue;
  queue.push (a.ref);
  a.ref.reset ();
  queue.drop_unsent ();
  EXPECT_TRUE (a.freed);
}
