// What a packet's STREAM frames say, and how many holes that leaves in a stream.
#include "transport/stream_holes.hpp"

#include <gtest/gtest.h>

#include <random>

#include "transport/stream_frames.hpp"

namespace p2p {
namespace {

std::vector<StreamFrame>
read (const std::vector<std::uint8_t> &packet) {
  std::vector<StreamFrame> all;
  StreamFrames frames{ByteView (packet)};
  while (const auto frame = frames.next ()) all.push_back (*frame);
  return all;
}

TEST (StreamFrames, AreFoundAmongAllOthers) {
  const std::vector<std::uint8_t> packet = {
      0x00, 0x00, 0x01, 0x1e,                                      // PADDING, PING, HANDSHAKE_DONE
      0x02, 0x09, 0x01, 0x01, 0x02, 0x00, 0x01,                    // ACK of two ranges
      0x03, 0x09, 0x01, 0x00, 0x02, 0x01, 0x02, 0x03,              // ACK with ECN counts
      0x04, 0x04, 0x05, 0x06,                                      // RESET_STREAM
      0x05, 0x04, 0x05,                                            // STOP_SENDING
      0x06, 0x00, 0x02, 0x08, 0x08,                                // CRYPTO
      0x0a, 0x04, 0x01, 0xff,                                      // STREAM 4 with a length
      0x10, 0x40, 0x41, 0x11, 0x04, 0x05, 0x12, 0x01, 0x13, 0x01,  // MAX_*
      0x14, 0x01, 0x15, 0x04, 0x05, 0x16, 0x01, 0x17, 0x01,        // *_BLOCKED
      0x18, 0x01, 0x00, 0x01, 0x77,                                // NEW_CONNECTION_ID
      0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10, 11, 12, 13, 14, 15,  //
      0x19, 0x00,  // RETIRE_CONNECTION_ID
      0x1a, 0,    1,    2,    3,    4,    5,    6,    7,    0x1b, 0,  1,  2,  3,  4,  5,
      6,    7,                                      // PATH_*
      0x31, 0x02, 0x08, 0x08,                       // DATAGRAM with a length
      0x0f, 0x08, 0x44, 0x00, 0x03, 1,    2,    3,  // STREAM 8 with offset, length, end
      0x0c, 0x04, 0x02, 1,    2,    3,    4,        // STREAM 4 with offset, to the end
  };
  const auto frames = read (packet);
  ASSERT_EQ (frames.size (), 3u);
  EXPECT_EQ (frames[0].id, 4);
  EXPECT_EQ (frames[0].begin, 0u);
  EXPECT_EQ (frames[0].end, 1u);
  EXPECT_EQ (frames[1].id, 8);
  EXPECT_EQ (frames[1].begin, 1024u);
  EXPECT_EQ (frames[1].end, 1027u);
  EXPECT_EQ (frames[2].begin, 2u);
  EXPECT_EQ (frames[2].end, 6u);
}

TEST (StreamFrames, EndWithWhatIsNotWellFormedOrNotKnown) {
  EXPECT_TRUE (read ({}).empty ());
  EXPECT_TRUE (read ({0x0a, 0x04, 0x05, 1, 2}).empty ());  // longer than the packet
  EXPECT_TRUE (read ({0x0a, 0x04}).empty ());              // no length
  EXPECT_TRUE (read ({0x02, 0x09, 0x01, 0xff, 0xff, 0xff, 0xff}).empty ());  // ranges without end
  EXPECT_TRUE (read ({0x40, 0x0a, 0x04, 0x01, 1}).empty ());                 // no frame's type
  EXPECT_TRUE (read ({0x30, 0x0a, 0x04, 0x01, 1}).empty ());  // DATAGRAM, to the packet's end
  EXPECT_TRUE (read ({0x1c, 0x00, 0x00, 0x00, 0x0a, 0x04, 0x01, 1}).empty ());
}

TEST (StreamFrames, AnyBytesAreRead) {
  std::mt19937 random (1);
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::uint8_t> packet (random () % 64);
    for (std::uint8_t &byte : packet) byte = static_cast<std::uint8_t> (random () % 0x34);
    for (const StreamFrame &frame : read (packet)) EXPECT_LE (frame.begin, frame.end);
  }
}

TEST (StreamHoles, AreNoneInOrder) {
  StreamHoles holes;
  holes.add (0, 100);
  EXPECT_FALSE (holes.would_add_one (100, 200));
  holes.add (100, 200);
  holes.add (50, 150);
  holes.add (200, 200);
  holes.add (300, 300);  // nothing is no far end
  EXPECT_EQ (holes.count (), 0u);
}

TEST (StreamHoles, AreTornAndFilled) {
  StreamHoles holes;
  EXPECT_TRUE (holes.would_add_one (10, 20));
  holes.add (10, 20);
  holes.add (40, 50);
  EXPECT_EQ (holes.count (), 2u);
  EXPECT_TRUE (holes.would_add_one (25, 30)) << "in the middle of one";
  EXPECT_FALSE (holes.would_add_one (20, 30)) << "at its beginning";
  EXPECT_FALSE (holes.would_add_one (30, 40)) << "at its end";
  EXPECT_FALSE (holes.would_add_one (45, 60)) << "at the far end";
  holes.add (5, 45);
  EXPECT_EQ (holes.count (), 1u);
  holes.add (0, 5);
  EXPECT_EQ (holes.count (), 0u);
  EXPECT_FALSE (holes.would_add_one (50, 60));
}

// Against a list of which bytes are there.
TEST (StreamHoles, AreCountedForAnyOrder) {
  constexpr std::size_t kBytes = 60;
  std::mt19937 random (7);
  for (int round = 0; round < 2000; ++round) {
    StreamHoles holes;
    std::vector<bool> there (kBytes);
    const auto count = [&] {
      std::size_t found = 0, last = kBytes;
      while (last > 0 && !there[last - 1]) --last;
      for (std::size_t i = 0; i < last; ++i)
        if (!there[i] && (i == 0 || there[i - 1])) ++found;
      return found;
    };
    for (int i = 0; i < 30; ++i) {
      const std::size_t begin = random () % kBytes;
      const std::size_t end = std::min<std::size_t> (kBytes, begin + random () % 8);
      const std::size_t before = count ();
      const bool more = holes.would_add_one (begin, end);
      holes.add (begin, end);
      for (std::size_t at = begin; at < end; ++at) there[at] = true;
      ASSERT_EQ (holes.count (), count ());
      ASSERT_EQ (more, count () > before);
    }
  }
}

}  // namespace
}  // namespace p2p
