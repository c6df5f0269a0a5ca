// The wire: the sample messages of RFC 5769 and RFC 8489, and ChannelData.
#include <gtest/gtest.h>

#include "turn/channel_data.hpp"
#include "turn/integrity.hpp"
#include "turn/message.hpp"

namespace p2p::test {
namespace {

using namespace turn;
using Bytes = std::vector<std::uint8_t>;

Bytes
from_hex (const std::string &text) {
  Bytes out;
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits.push_back (c);
  for (std::size_t i = 0; i + 1 < digits.size (); i += 2)
    out.push_back (static_cast<std::uint8_t> (std::stoi (digits.substr (i, 2), nullptr, 16)));
  return out;
}

Key
short_term_key () {
  const std::string password = "VOkJxbRl1RmTxUk/WvJxBt";
  return {password.begin (), password.end ()};
}

// RFC 5769 section 2.1
const Bytes kRequest = from_hex (
    "00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74"
    "00240004 6e0001ff 80290008 932ff9b151263b36 00060009 6576746a3a68367659202020"
    "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf");
// Section 2.2
const Bytes kResponseV4 = from_hex (
    "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220"
    "00200008 0001a147e112a643 00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004 c07d4c96");
// Section 2.3
const Bytes kResponseV6 = from_hex (
    "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220"
    "00200014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c");
// Section 2.4
const Bytes kLongTerm = from_hex (
    "00010060 2112a442 78ad3433c6ad72c029da412e"
    "00060012 e3839ee38388e383aae38383e382afe382b90000"
    "0015001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41"
    "0014000b 6578616d706c652e6f726700"
    "00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666");
// RFC 8489 appendix B.1 with erratum 6268
const Bytes kLongTermSha256 = from_hex (
    "00010090 2112a442 78ad3433c6ad72c029da412e"
    "001e0020 4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
    "00150029 6f624d61744a6f73324141414366 2f2f3439396b39353464364f4c33346f4c3946535476793634"
    "7341000000 0014000b 6578616d706c652e6f726700 001d0004 00020000"
    "001c0020 b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65");

const std::string kMatrix = "\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9";

TEST (TurnMessage, ReadsTheSampleRequestOfRfc5769) {
  const auto message = Message::parse (kRequest);
  ASSERT_TRUE (message);
  EXPECT_EQ (message->message_class (), MessageClass::request);
  EXPECT_EQ (message->method (), Method::binding);
  EXPECT_EQ (message->find_text (kUsername), "evtj:h6vY");
  EXPECT_EQ (message->find_text (kSoftware), "STUN test client");
  EXPECT_TRUE (message->check_integrity (kMessageIntegrity, short_term_key ()));
  EXPECT_FALSE (message->check_integrity (kMessageIntegrity, {1, 2, 3}));
}

TEST (TurnMessage, ReadsTheSampleResponsesOfRfc5769) {
  for (const auto &[bytes, where] :
       {std::pair{kResponseV4, "192.0.2.1:32853"},
        std::pair{kResponseV6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"}}) {
    const auto message = Message::parse (bytes);
    ASSERT_TRUE (message);
    EXPECT_EQ (message->message_class (), MessageClass::success);
    EXPECT_EQ (message->find_xor_address (kXorMappedAddress)->text (), where);
    EXPECT_TRUE (message->check_integrity (kMessageIntegrity, short_term_key ()));
  }
}

TEST (TurnMessage, ReadsTheLongTermSampleOfRfc5769) {
  const auto message = Message::parse (kLongTerm);
  ASSERT_TRUE (message);
  const Key key = long_term_key (PasswordAlgorithm::md5, kMatrix, "example.org", "TheMatrIX");
  EXPECT_TRUE (message->check_integrity (kMessageIntegrity, key));
}

TEST (TurnMessage, WritesTheLongTermSampleOfRfc5769) {
  const auto sample = Message::parse (kLongTerm);
  MessageWriter writer (MessageClass::request, Method::binding, sample->id ());
  writer.add_text (kUsername, kMatrix);
  writer.add_text (kNonce, "f//499k954d6OL34oL9FSTvy64sA");
  writer.add_text (kRealm, "example.org");
  const Key key = long_term_key (PasswordAlgorithm::md5, kMatrix, "example.org", "TheMatrIX");
  writer.add_integrity (kMessageIntegrity, key);
  const Bytes bytes = writer.take ();
  // The padding, whose bytes are free, is signed as well: the same but for that.
  ASSERT_EQ (bytes.size (), kLongTerm.size ());
  const auto message = Message::parse (bytes);
  ASSERT_TRUE (message);
  EXPECT_TRUE (message->check_integrity (kMessageIntegrity, key));
  EXPECT_EQ (message->find_text (kUsername), kMatrix);
}

TEST (TurnMessage, ReadsTheSha256SampleOfRfc8489) {
  const auto message = Message::parse (kLongTermSha256);
  ASSERT_TRUE (message);
  const auto hash = user_hash (kMatrix, "example.org");
  EXPECT_EQ (message->find_text (kUserhash), std::string (hash.begin (), hash.end ()));
  EXPECT_EQ (message->find_u32 (kPasswordAlgorithm), 2U << 16);
  EXPECT_TRUE (message->check_integrity (
      kMessageIntegritySha256,
      long_term_key (PasswordAlgorithm::sha256, kMatrix, "example.org", "TheMatrIX")));
}

TEST (TurnMessage, RejectsEachChangedByte) {
  for (std::size_t i = 0; i < kResponseV4.size (); ++i) {
    if (i == 72 || i == 73) continue;  // that there is a fingerprint
    Bytes changed = kResponseV4;
    changed[i] ^= 1;
    EXPECT_FALSE (Message::parse (changed)) << i;
  }
}

TEST (TurnMessage, ReadsBothRelayedAddressesAndHidesWhatStandsBehindTheIntegrity) {
  MessageWriter writer (MessageClass::success, Method::allocate, random_transaction_id ());
  writer.add_xor_address (kXorRelayedAddress, *Address::parse ("203.0.113.1", 1));
  writer.add_xor_address (kXorRelayedAddress, *Address::parse ("2001:db8::1", 2));
  writer.add_integrity (kMessageIntegrity, {1});
  writer.add_u32 (kLifetime, 600);
  writer.add_fingerprint ();
  const Bytes bytes = writer.take ();
  const auto message = Message::parse (bytes);
  ASSERT_TRUE (message);
  const auto relayed = message->find_xor_addresses (kXorRelayedAddress);
  ASSERT_EQ (relayed.size (), 2U);
  EXPECT_EQ (relayed[1].text (), "[2001:db8::1]:2");
  EXPECT_FALSE (message->has (kLifetime));
}

TEST (TurnMessage, SaysWhenSomethingDoesNotFit) {
  MessageWriter writer (MessageClass::indication, Method::send, random_transaction_id (), 100000);
  writer.add (kData, ByteView (std::string (70000, 'x')));
  EXPECT_FALSE (writer.complete ());
}

TEST (TurnChannelData, IsCutOutOfAStreamHoweverItArrives) {
  Bytes stream;
  append_channel_data (&stream, 0x4001, ByteView (std::string_view ("five.")), true);
  stream.insert (stream.end (), kRequest.begin (), kRequest.end ());
  append_channel_data (&stream, 0x4fff, ByteView (std::string_view ("")), true);
  append_channel_data (&stream, 0x4002, ByteView (std::string_view ("four")), true);
  for (std::size_t piece = 1; piece <= stream.size (); ++piece) {
    StreamFramer framer;
    std::vector<Bytes> packets;
    for (std::size_t at = 0; at < stream.size (); at += piece) {
      framer.add (ByteView (stream).sub (at, piece));
      while (const auto packet = framer.next ())
        packets.emplace_back (packet->begin (), packet->end ());
    }
    ASSERT_EQ (packets.size (), 4U) << piece;
    EXPECT_EQ (parse_channel_data (packets[0])->data.to_string (), "five.");
    EXPECT_EQ (packets[1], kRequest);
    EXPECT_EQ (parse_channel_data (packets[2])->channel, 0x4fff);
    EXPECT_EQ (parse_channel_data (packets[3])->data.to_string (), "four");
    EXPECT_EQ (framer.waiting_bytes (), 0U);
  }
}

TEST (TurnChannelData, EndsAStreamThatIsSomethingElse) {
  for (const char *text : {"SSH-2.0", "\x80\x01\x00\x00", "\x00\x01\x00\x03"}) {
    StreamFramer framer;
    framer.add (ByteView (text, 4));
    EXPECT_FALSE (framer.next ());
    EXPECT_TRUE (framer.broken ());
  }
}

}  // namespace
}  // namespace p2p::test
