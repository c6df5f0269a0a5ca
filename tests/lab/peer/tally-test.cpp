// What lab-peer says of the messages that it gets: it must be able to find fault.
#include <gtest/gtest.h>

#include "pattern.hpp"
#include "tally.hpp"

namespace lab {

namespace {

constexpr double kNever = G_MAXDOUBLE;
constexpr std::size_t kSizeBytes = 50;

Tally
taken (bool reliable, std::initializer_list<std::uint64_t> numbers) {
  Tally tally (reliable, kNever);
  for (const std::uint64_t number : numbers) tally.take (number, now_ms ());
  return tally;
}

}  // namespace

TEST (Tally, EachMessageOnceInOrderIsGood) {
  Tally tally = taken (true, {0, 1, 2});
  tally.finish (3);
  EXPECT_TRUE (tally.good ());
  EXPECT_EQ (tally.received (), 3u);
}

TEST (Tally, ALostMessageIsNotGood) {
  EXPECT_FALSE (taken (true, {0, 2}).good ());
  EXPECT_FALSE (taken (true, {1, 2}).good ());
}

TEST (Tally, ALostEndIsNotGood) {
  Tally tally = taken (true, {0, 1});
  tally.finish (3);
  EXPECT_FALSE (tally.good ());
}

TEST (Tally, ADoubledMessageIsNotGood) {
  EXPECT_FALSE (taken (true, {0, 1, 1}).good ());
  EXPECT_FALSE (taken (true, {0, 1, 2, 0}).good ());
  EXPECT_FALSE (taken (false, {0, 5, 5}).good ());
  EXPECT_FALSE (taken (false, {0, 5, 2, 2}).good ());
}

TEST (Tally, ADamagedMessageIsNotGood) {
  Tally tally = taken (false, {0, 1});
  EXPECT_TRUE (tally.good ());
  tally.take_corrupt ();
  EXPECT_FALSE (tally.good ());
}

TEST (Tally, AnUnreliableChannelMayLoseAndReorder) {
  Tally tally = taken (false, {3, 1, 100000, 99999, 0});
  tally.finish (200000);
  EXPECT_TRUE (tally.good ());
}

TEST (Pattern, AMessageIsReadAsItWasMade) {
  const std::uint64_t seed = pattern_seed ("alice", "data");
  const UniqueBytes message = make_message (seed, {7, 12345}, kSizeBytes);
  Header header;
  ASSERT_TRUE (read_message (seed, message.get (), kSizeBytes, header));
  EXPECT_EQ (header.number, 7u);
  EXPECT_EQ (header.sent_us, 12345);
}

TEST (Pattern, EachByteIsChecked) {
  const std::uint64_t seed = pattern_seed ("alice", "data");
  const UniqueBytes message = make_message (seed, {7, 12345}, kSizeBytes);
  Header header;
  for (std::size_t at = 0; at < kSizeBytes; at++) {
    gsize size = 0;
    auto *data =
        static_cast<guint8 *> (g_memdup2 (g_bytes_get_data (message.get (), &size), kSizeBytes));
    data[at] ^= 1;
    const UniqueBytes damaged (g_bytes_new_take (data, kSizeBytes));
    EXPECT_FALSE (read_message (seed, damaged.get (), kSizeBytes, header)) << at;
  }
}

TEST (Pattern, AnotherSizeSenderOrChannelIsNoticed) {
  const UniqueBytes message = make_message (pattern_seed ("alice", "data"), {7, 1}, kSizeBytes);
  Header header;
  EXPECT_FALSE (
      read_message (pattern_seed ("alice", "data"), message.get (), kSizeBytes + 1, header));
  EXPECT_FALSE (read_message (pattern_seed ("bob", "data"), message.get (), kSizeBytes, header));
  EXPECT_FALSE (
      read_message (pattern_seed ("alice", "datagrams"), message.get (), kSizeBytes, header));
}

}  // namespace lab
