// Probes on the wire: nobody but the peer can make one, and each counts once.
#include "session/probe.hpp"
#include "path/path_group.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace p2p;

namespace {

ProbeSecret
counting_secret () {
  ProbeSecret secret{};
  for (std::size_t i = 0; i < secret.size (); ++i) secret[i] = static_cast<std::uint8_t> (i);
  return secret;
}

ByteView
view (const ProbeBytes &bytes) {
  return {bytes.data (), bytes.size ()};
}

std::string
hex (const ProbeBytes &bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

struct ProbeTest : testing::Test {
  ProbeCodec client{counting_secret (), true};
  ProbeCodec server{counting_secret (), false};
};

}  // namespace

TEST_F (ProbeTest, PingAndPongArriveAsTheyWereSent) {
  const ProbeCodec::Ping ping = client.ping ({true});
  const auto seen = server.decode (view (ping.bytes));
  ASSERT_TRUE (seen);
  EXPECT_EQ (seen->kind, Probe::Kind::ping);
  EXPECT_TRUE (seen->unheard);
  EXPECT_EQ (seen->number, ping.number);
  const auto answer = client.decode (view (server.pong (seen->number)));
  ASSERT_TRUE (answer);
  EXPECT_EQ (answer->kind, Probe::Kind::pong);
  EXPECT_EQ (answer->ping_number, ping.number);
  EXPECT_FALSE (server.decode (view (client.ping ({}).bytes))->unheard);
}

// Computed with another implementation of HMAC, from docs/wire-format.md.
TEST_F (ProbeTest, BytesAreThoseOfTheDescription) {
  ProbeCodec later (counting_secret (), true, 0x0102030405060708);
  EXPECT_EQ (hex (later.ping ({true}).bytes),
             "80010102030405060708000000000000"
             "0000ff286a139a51cb71169f6c1f433cdb80");
  ProbeCodec seventh (counting_secret (), false, 7);
  EXPECT_EQ (hex (seventh.pong (0x0102030405060708)),
             "81000000000000000007010203040506"
             "070878004d5f41b46a182fe07f11038d2381");
}

TEST_F (ProbeTest, ProbesAreToldFromQuicStunAndChannelData) {
  EXPECT_TRUE (is_probe (view (client.ping ({}).bytes)));
  EXPECT_TRUE (is_probe (view (client.pong (1))));
  for (int first = 0; first < 256; ++first) {
    const auto byte = static_cast<std::uint8_t> (first);
    EXPECT_EQ (is_probe ({&byte, 1}), first >= 0x80 && first < 0xC0) << first;
  }
  EXPECT_FALSE (is_probe ({}));
}

TEST_F (ProbeTest, EveryChangedBitIsRejected) {
  const ProbeBytes ping = client.ping ({}).bytes;
  const ProbeBytes pong = client.pong (5);
  for (const ProbeBytes &probe : {ping, pong})
    for (std::size_t bit = 0; bit < 8 * probe.size (); ++bit) {
      ProbeBytes changed = probe;
      changed[bit / 8] ^= static_cast<std::uint8_t> (1 << bit % 8);
      EXPECT_FALSE (server.decode (view (changed))) << "bit " << bit;
    }
  const ProbeRejections &rejections = server.rejections ();
  EXPECT_EQ (rejections.malformed + rejections.not_authentic, 2 * 8 * kProbeBytes);
  EXPECT_EQ (rejections.repeated, 0u);
  EXPECT_TRUE (server.decode (view (ping))) << "what was rejected must not count as seen";
}

TEST_F (ProbeTest, EveryOtherLengthIsRejected) {
  const ProbeBytes ping = client.ping ({}).bytes;
  std::vector<std::uint8_t> bytes (ping.begin (), ping.end ());
  bytes.resize (2 * kProbeBytes);
  for (std::size_t size = 0; size <= bytes.size (); ++size)
    if (size != kProbeBytes) {
      // A buffer of just that size, so that a sanitizer sees a byte read beyond.
      const std::vector<std::uint8_t> cut (bytes.begin (),
                                           bytes.begin () + static_cast<std::ptrdiff_t> (size));
      EXPECT_FALSE (server.decode (cut)) << size;
    }
  EXPECT_EQ (server.rejections ().malformed, 2 * kProbeBytes);
}

TEST_F (ProbeTest, NeitherReflectedNorOfAnotherSession) {
  EXPECT_FALSE (client.decode (view (client.ping ({}).bytes)));
  ProbeSecret other = counting_secret ();
  other[31] ^= 1;
  ProbeCodec stranger (other, true);
  EXPECT_FALSE (server.decode (view (stranger.ping ({}).bytes)));
  EXPECT_EQ (client.rejections ().not_authentic, 1u);
  EXPECT_EQ (server.rejections ().not_authentic, 1u);
}

TEST_F (ProbeTest, NumbersGrowOverPingsAndPongsTogether) {
  std::uint64_t last = 0;
  ProbeCodec counting (counting_secret (), true, 41);
  for (int i = 0; i < 10; ++i) {
    const auto probe =
        server.decode (view (i % 3 == 0 ? counting.pong (1) : counting.ping ({}).bytes));
    ASSERT_TRUE (probe);
    EXPECT_GT (probe->number, last);
    last = probe->number;
  }
  EXPECT_EQ (last, 50u);
}

TEST_F (ProbeTest, AReplayedProbeCountsForNothing) {
  std::vector<ProbeBytes> sent;
  for (int i = 0; i < 200; ++i) {
    sent.push_back (client.ping ({}).bytes);
    EXPECT_TRUE (server.decode (view (sent.back ())));
  }
  for (const ProbeBytes &probe : sent) EXPECT_FALSE (server.decode (view (probe)));
  EXPECT_EQ (server.rejections ().repeated, 200u);
}

TEST_F (ProbeTest, LateOnesAreTakenOnceWithinAWindowOf64) {
  std::vector<ProbeBytes> sent;
  for (int i = 0; i < 70; ++i) sent.push_back (client.ping ({}).bytes);
  EXPECT_TRUE (server.decode (view (sent[69])));
  for (int i = 69; i-- > 0;) {
    EXPECT_EQ (server.decode (view (sent[static_cast<std::size_t> (i)])).has_value (), i > 69 - 64)
        << i;
    EXPECT_FALSE (server.decode (view (sent[static_cast<std::size_t> (i)]))) << i;
  }
}

TEST_F (ProbeTest, AJumpOfAnySizeLeavesTheWindowRight) {
  for (const std::uint64_t jump : {1u, 63u, 64u, 65u, 1000u}) {
    ProbeCodec receiver (counting_secret (), false);
    const ProbeBytes first = ProbeCodec (counting_secret (), true, 5).ping ({}).bytes;
    const ProbeBytes far = ProbeCodec (counting_secret (), true, 5 + jump).ping ({}).bytes;
    const ProbeBytes before = ProbeCodec (counting_secret (), true, 4 + jump).ping ({}).bytes;
    EXPECT_TRUE (receiver.decode (view (first)));
    EXPECT_TRUE (receiver.decode (view (far)));
    EXPECT_FALSE (receiver.decode (view (far))) << jump;
    EXPECT_FALSE (receiver.decode (view (first))) << jump;
    EXPECT_EQ (receiver.decode (view (before)).has_value (), jump != 1) << jump;
  }
}
