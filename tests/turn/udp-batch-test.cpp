// Datagrams that leave together arrive as they were, also where the kernel has no trains, and what
// had no room is told.
#include "turn/udp_batch.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "../support/loopback.hpp"

using namespace p2p;
using namespace p2p::turn;

namespace {

class UdpBatchTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp () override {
    receiver_ = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sender_ = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address = test::loopback (0);
    socklen_t size = sizeof address;
    auto *const raw = reinterpret_cast<sockaddr *> (&address);
    ASSERT_EQ (bind (receiver_, raw, size), 0);
    ASSERT_EQ (getsockname (receiver_, raw, &size), 0);
    ASSERT_EQ (connect (sender_, raw, size), 0);
  }
  void TearDown () override {
    close (sender_);
    close (receiver_);
  }
  static std::string datagram (std::size_t number, std::size_t size) {
    std::string bytes (size, static_cast<char> ('a' + number % 26));
    return bytes;
  }
  std::string receive () const {
    std::string bytes (65536, '\0');
    const ssize_t count = recv (receiver_, bytes.data (), bytes.size (), 0);
    bytes.resize (count > 0 ? static_cast<std::size_t> (count) : 0);
    return bytes;
  }

  int sender_ = -1, receiver_ = -1;
};

}  // namespace

TEST_P (UdpBatchTest, WhateverIsAddedArrivesOneByOneAndInOrder) {
  UdpBatch batch (sender_);
  batch.set_segmented (GetParam ());
  const std::vector<std::vector<std::size_t>> cases = {
      {100},
      {100, 100, 100},
      {100, 100, 40},                      // a train and its end
      {40, 100, 100, 30, 30, 100},         // trains of several sizes
      std::vector<std::size_t> (150, 20),  // more than one train has
      std::vector<std::size_t> (70, 1204),
  };
  for (const auto &sizes : cases) {
    for (std::size_t i = 0; i < sizes.size (); ++i)
      batch.add (ByteView (std::string_view (datagram (i, sizes[i]))));
    const UdpBatch::Outcome outcome = batch.flush ();
    EXPECT_EQ (outcome.unsent, 0U);
    EXPECT_FALSE (outcome.refused);
    for (std::size_t i = 0; i < sizes.size (); ++i) ASSERT_EQ (receive (), datagram (i, sizes[i]));
    EXPECT_EQ (receive (), "");
  }
  EXPECT_EQ (batch.segmented (), GetParam ()) << "what works is not given up";
}

TEST_P (UdpBatchTest, WhereNobodyListensThatIsToldAndTheRestStillTried) {
  close (receiver_);
  UdpBatch batch (sender_);
  batch.set_segmented (GetParam ());
  batch.add (ByteView (std::string_view ("x")));
  EXPECT_FALSE (batch.flush ().refused);
  for (int i = 0; i < 3; ++i) batch.add (ByteView (std::string_view ("x")));
  const UdpBatch::Outcome outcome = batch.flush ();
  EXPECT_TRUE (outcome.refused);
  EXPECT_EQ (outcome.unsent, 0U);
}

INSTANTIATE_TEST_SUITE_P (Abilities, UdpBatchTest, testing::Bool (),
                          [] (const auto &one) { return one.param ? "Trains" : "OneByOne"; });

TEST (UdpBatch, OneThatIsTooLongIsLostAndTheOthersAreNot) {
  int ends[2];
  ASSERT_EQ (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const int room = 8192;
  setsockopt (ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  UdpBatch batch (ends[0]);
  batch.set_segmented (false);
  batch.add (ByteView (std::string_view ("first")));
  batch.add (ByteView (std::string_view (std::string (100000, 'x'))));
  batch.add (ByteView (std::string_view ("last")));
  EXPECT_EQ (batch.flush ().unsent, 0U);
  char bytes[16];
  EXPECT_EQ (recv (ends[1], bytes, sizeof bytes, 0), 5);
  EXPECT_EQ (recv (ends[1], bytes, sizeof bytes, 0), 4);
  close (ends[0]);
  close (ends[1]);
}

TEST (UdpBatch, WhatHadNoRoomIsToldAndMayBeSentLater) {
  int ends[2];
  ASSERT_EQ (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  UdpBatch batch (ends[0]);
  batch.set_segmented (false);
  constexpr std::size_t kMany = 5000;
  for (std::size_t i = 0; i < kMany; ++i) batch.add (ByteView (std::string_view ("datagram")));
  const std::size_t unsent = batch.flush ().unsent;
  EXPECT_GT (unsent, 0U);
  EXPECT_LT (unsent, kMany);
  char bytes[16];
  std::size_t arrived = 0;
  while (recv (ends[1], bytes, sizeof bytes, 0) == 8) ++arrived;
  EXPECT_EQ (arrived, kMany - unsent);
  batch.add (ByteView (std::string_view ("datagram")));
  EXPECT_EQ (batch.flush ().unsent, 0U);
  close (ends[0]);
  close (ends[1]);
}
