// The front that shows an allocation of ours to an ICE agent as a TURN server: by its packets.
#include <gtest/gtest.h>

#include <deque>

#include "turn/channel_data.hpp"
#include "turn/front_server.hpp"
#include "turn/integrity.hpp"

namespace p2p::test {
namespace {

using namespace turn;

const Address kAgent = *Address::parse ("192.0.2.10", 5000);
const Address kRelayed = *Address::parse ("203.0.113.9", 50000);
const Address kPeer = *Address::parse ("198.51.100.7", 4000);
constexpr std::uint16_t kChannel = 0x4001;

class Front : public testing::Test, protected FrontServer::Host {
 protected:
  struct Packet {
    Address to;
    std::vector<std::uint8_t> bytes;
  };

  void front_send (const Address &client, ByteView packet) override {
    sent.push_back ({client, {packet.begin (), packet.end ()}});
  }
  Status front_peer (const Address &peer, bool channel) override {
    if (forbidden.count (peer.without_port ()) > 0)
      return Error{P2P_ERROR_REFUSED, "This peer is not for us."};
    asked.emplace_back (peer, channel);
    return {};
  }
  void front_relay (const Address &peer, ByteView data) override {
    relayed.push_back (peer.text () + " " + data.to_string ());
  }
  void front_granted () override { ++grants; }

  using Fill = std::function<void (MessageWriter *)>;
  // Signed as the last challenge says.
  TransactionId ask (Method method, const Fill &fill = {}, const Address &from = kAgent) {
    MessageWriter request (MessageClass::request, method, random_transaction_id ());
    if (fill) fill (&request);
    if (!nonce.empty ()) {
      request.add_text (turn::kUsername, user);
      request.add_text (turn::kRealm, realm);
      request.add_text (turn::kNonce, nonce);
      request.add_integrity (kMessageIntegrity,
                             long_term_key (PasswordAlgorithm::md5, user, realm, password));
    }
    const TransactionId id = request.id ();
    last = request.take ();
    front.receive (from, last);
    return id;
  }
  // What came last, which must be an answer; its challenge is taken over.
  int code () {
    if (sent.empty ()) return -1;
    const Packet packet = std::move (sent.back ());
    sent.clear ();
    answer = packet.bytes;
    const auto message = Message::parse (answer);
    if (!message) return -2;
    if (message->has (turn::kNonce)) {
      nonce = *message->find_text (turn::kNonce);
      realm = *message->find_text (turn::kRealm);
    } else {
      EXPECT_TRUE (message->check_integrity (
          kMessageIntegrity, long_term_key (PasswordAlgorithm::md5, user, realm, password)));
    }
    return message->message_class () == MessageClass::success ? 0 : *message->error_code ();
  }
  static void udp (MessageWriter *request) { request->add_u32 (kRequestedTransport, 17U << 24); }
  static Fill to (const Address &peer) {
    return [peer] (MessageWriter *request) { request->add_xor_address (kXorPeerAddress, peer); };
  }
  static Fill bind (std::uint16_t channel, const Address &peer) {
    return [=] (MessageWriter *request) {
      request->add_u32 (kChannelNumber, std::uint32_t{channel} << 16);
      request->add_xor_address (kXorPeerAddress, peer);
    };
  }
  void challenged () {
    ask (Method::allocate, udp);
    ASSERT_EQ (code (), 401);
  }
  void granted () {
    challenged ();
    ask (Method::allocate, udp);
    ASSERT_EQ (code (), 0);
  }
  void send_indication (const Address &peer, const std::string &text,
                        const Address &from = kAgent) {
    MessageWriter indication (MessageClass::indication, Method::send, random_transaction_id ());
    indication.add_xor_address (kXorPeerAddress, peer);
    indication.add_text (kData, text);
    front.receive (from, indication.take ());
  }

  FrontServer front{*this, kAgent, kRelayed};
  std::string user = front.credentials ().user, password = front.credentials ().password;
  std::string nonce, realm;
  std::vector<std::uint8_t> last, answer;
  std::deque<Packet> sent;
  std::set<Address> forbidden;
  std::vector<std::pair<Address, bool>> asked;
  std::vector<std::string> relayed;
  int grants = 0;
};

TEST_F (Front, ChallengesAndThenGrantsTheAllocationThatThereIs) {
  granted ();
  const auto message = Message::parse (answer);
  EXPECT_EQ (message->find_xor_address (kXorRelayedAddress), kRelayed);
  EXPECT_EQ (message->find_u32 (kLifetime), 3600U);
  EXPECT_EQ (grants, 1);
  EXPECT_FALSE (message->has (kXorMappedAddress));
}

TEST_F (Front, CredentialsAreItsOwnAndOthersAreRefused) {
  const FrontServer other (*this, kAgent, kRelayed);
  EXPECT_NE (other.credentials ().user, user);
  EXPECT_NE (other.credentials ().password, password);
  challenged ();
  password = other.credentials ().password;
  ask (Method::allocate, udp);
  EXPECT_EQ (code (), 401);
  EXPECT_FALSE (front.granted ());
  EXPECT_EQ (front.stats ().unauthorized, 2U);
}

TEST_F (Front, GrantsNothingTwiceAndNobodyElse) {
  granted ();
  ask (Method::allocate, udp);
  EXPECT_EQ (code (), 437);
  Address other = kAgent;
  ++other.port;
  ask (Method::allocate, udp, other);
  EXPECT_EQ (code (), 437);
  ask (Method::refresh, {}, other);
  EXPECT_EQ (code (), 437);
  ask (Method::allocate, udp, *Address::parse ("192.0.2.11", 5000));
  EXPECT_EQ (code (), 437);
}

TEST_F (Front, RepeatsTheGrantForTheSameRequest) {
  challenged ();
  ask (Method::allocate, udp);
  ASSERT_EQ (code (), 0);
  front.receive (kAgent, last);
  EXPECT_EQ (code (), 0);
  EXPECT_EQ (grants, 1);
}

TEST_F (Front, AnotherAddressOfThisMachineGetsNoAllocation) {
  challenged ();
  ask (Method::allocate, udp, *Address::parse ("192.0.2.11", 5000));
  EXPECT_EQ (code (), 403);
  EXPECT_FALSE (front.granted ());
}

TEST_F (Front, AsksForUdpAlone) {
  challenged ();
  ask (Method::allocate);
  EXPECT_EQ (code (), 400);
  ask (Method::allocate,
       [] (MessageWriter *request) { request->add_u32 (kRequestedTransport, 6U << 24); });
  EXPECT_EQ (code (), 442);
}

TEST_F (Front, PermissionsAndChannelsAreAskedOfTheRelay) {
  granted ();
  ask (Method::create_permission, to (kPeer));
  EXPECT_EQ (code (), 0);
  ask (Method::channel_bind, bind (kChannel, kPeer));
  EXPECT_EQ (code (), 0);
  ask (Method::channel_bind, bind (kChannel, kPeer));  // refreshed
  EXPECT_EQ (code (), 0);
  ASSERT_EQ (asked.size (), 3U);
  EXPECT_EQ (asked[0], std::make_pair (kPeer, false));
  EXPECT_EQ (asked[1], std::make_pair (kPeer, true));
}

TEST_F (Front, AForbiddenPeerIsRefusedAndGetsNothing) {
  granted ();
  forbidden.insert (kPeer.without_port ());
  ask (Method::create_permission, to (kPeer));
  EXPECT_EQ (code (), 403);
  ask (Method::channel_bind, bind (kChannel, kPeer));
  EXPECT_EQ (code (), 403);
  ask (Method::create_permission, to (*Address::parse ("2001:db8::1", 4000)));
  EXPECT_EQ (code (), 440);
  send_indication (kPeer, "check");
  front.deliver (kPeer, ByteView (std::string_view ("back")));
  EXPECT_TRUE (relayed.empty ());
  EXPECT_TRUE (sent.empty ());
  EXPECT_EQ (front.stats ().refused_peers, 2U);
  EXPECT_EQ (front.stats ().dropped, 2U);
}

TEST_F (Front, DataGoesByIndicationAndThenByChannel) {
  granted ();
  ask (Method::create_permission, to (kPeer));
  sent.clear ();
  send_indication (kPeer, "out");
  front.deliver (kPeer, ByteView (std::string_view ("in")));
  ASSERT_EQ (sent.size (), 1U);
  EXPECT_EQ (sent[0].to, kAgent);
  const auto indication = Message::parse (sent[0].bytes);
  ASSERT_TRUE (indication);
  EXPECT_EQ (indication->method (), Method::data);
  EXPECT_EQ (indication->find_xor_address (kXorPeerAddress), kPeer);
  EXPECT_EQ (indication->find_text (kData), "in");

  ask (Method::channel_bind, bind (kChannel, kPeer));
  sent.clear ();
  std::vector<std::uint8_t> packet;
  append_channel_data (&packet, kChannel, ByteView (std::string_view ("out")), false);
  front.receive (kAgent, packet);
  front.deliver (kPeer, ByteView (std::string_view ("in")));
  ASSERT_EQ (sent.size (), 1U);
  const auto data = parse_channel_data (sent[0].bytes);
  ASSERT_TRUE (data);
  EXPECT_EQ (data->channel, kChannel);
  EXPECT_EQ (data->data.to_string (), "in");
  EXPECT_EQ (relayed, (std::vector<std::string>{"198.51.100.7:4000 out", "198.51.100.7:4000 out"}));
}

// A peer behind a NAT that gives each destination a port of its own comes from one unknown.
TEST_F (Front, AnotherPortOfAPermittedPeerPassesBothWays) {
  granted ();
  ask (Method::create_permission, to (kPeer));
  sent.clear ();
  Address other = kPeer;
  other.port = 9;
  front.deliver (other, ByteView (std::string_view ("check")));
  EXPECT_EQ (sent.size (), 1U);
  send_indication (other, "answer");
  EXPECT_EQ (relayed, (std::vector<std::string>{"198.51.100.7:9 answer"}));
}

TEST_F (Front, ChannelNumbersAndTheirPeersBelongTogether) {
  granted ();
  Address other = kPeer;
  other.port = 4001;
  ask (Method::channel_bind, bind (kChannel, kPeer));
  ASSERT_EQ (code (), 0);
  ask (Method::channel_bind, bind (kChannel, other));
  EXPECT_EQ (code (), 400);
  ask (Method::channel_bind, bind (kChannel + 1, kPeer));
  EXPECT_EQ (code (), 400);
  for (const std::uint16_t outside : {0x3fff, 0x5000}) {
    ask (Method::channel_bind, bind (outside, other));
    EXPECT_EQ (code (), 400);
  }
  ask (Method::channel_bind, to (other));
  EXPECT_EQ (code (), 400);
  ask (Method::create_permission);
  EXPECT_EQ (code (), 400);
}

TEST_F (Front, WhatItKeepsIsBounded) {
  granted ();
  for (std::uint16_t i = 0; i < FrontServer::kMaxPermissions; ++i) {
    ask (Method::create_permission, to (*Address::parse ("198.51.100." + std::to_string (i), 1)));
    ASSERT_EQ (code (), 0);
  }
  ask (Method::create_permission, to (*Address::parse ("198.51.101.1", 1)));
  EXPECT_EQ (code (), 508);
  for (std::uint16_t i = 0; i < FrontServer::kMaxChannels; ++i) {
    const auto channel = static_cast<std::uint16_t> (kFirstChannel + i);
    ask (Method::channel_bind, bind (channel, *Address::parse ("198.51.100.1", channel)));
    ASSERT_EQ (code (), 0);
  }
  ask (Method::channel_bind, bind (kLastChannel, kPeer));
  EXPECT_EQ (code (), 508);
}

TEST_F (Front, TheReleaseIsAnsweredAlsoWhenItIsRepeated) {
  granted ();
  ask (Method::refresh);
  EXPECT_EQ (code (), 0);
  EXPECT_EQ (Message::parse (answer)->find_u32 (kLifetime), 3600U);
  ask (Method::create_permission, to (kPeer));
  for (int i = 0; i < 2; ++i) {
    ask (Method::refresh, [] (MessageWriter *request) { request->add_u32 (kLifetime, 0); });
    EXPECT_EQ (code (), 0);
    EXPECT_EQ (Message::parse (answer)->find_u32 (kLifetime), 0U);
  }
  send_indication (kPeer, "late");
  EXPECT_TRUE (relayed.empty ());
}

TEST_F (Front, NonsenseIsCountedAndNotAnswered) {
  granted ();
  sent.clear ();
  const auto before = front.stats ().malformed;
  front.receive (kAgent, ByteView (std::string_view ("hello")));
  front.receive (kAgent, ByteView (std::string_view ("\x40\x01\x00\xff", 4)));
  front.receive (kAgent, answer);  // an answer, to us
  MessageWriter binding (MessageClass::request, Method::binding, random_transaction_id ());
  front.receive (kAgent, binding.take ());
  MessageWriter unknown (MessageClass::request, static_cast<Method> (0x0ff), {});
  front.receive (kAgent, unknown.take ());
  MessageWriter empty (MessageClass::indication, Method::send, random_transaction_id ());
  front.receive (kAgent, empty.take ());
  EXPECT_TRUE (sent.empty ());
  EXPECT_EQ (front.stats ().malformed, before + 6);
  send_indication (kPeer, "without a permission");
  EXPECT_EQ (front.stats ().dropped, 1U);
}

}  // namespace
}  // namespace p2p::test
