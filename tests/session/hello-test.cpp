// The handshake of the session: what it refuses, and what it says about it.
#include "session/wire.hpp"
#include "support/session_pair.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

class Hello : public SessionPair {
 protected:
  void attach_without_hello () {
    links.push_back (std::make_unique<FakeLink> (scheduler, network));
    bob->attach (*link ().server);
    link ().connect ();
    scheduler.run_for (kSecond);
  }
  // Bob, a server, gets this on the control stream.
  void inject (const wire::Writer &frame) {
    const std::uint8_t control = 1;
    link ().server->inject_stream_data (0, {&control, 1}, false);
    link ().server->inject_stream_data (0, frame.view (), false);
  }
  wire::Hello hello () const {
    wire::Hello hello;
    hello.session = bob_config.id;
    hello.epoch = 1;
    hello.max_message_bytes = 1000;
    return hello;
  }
  void expect_protocol_error (const std::string &word) {
    EXPECT_EQ (bob_app.detached, 1);
    EXPECT_FALSE (bob_app.detached_by_peer);
    EXPECT_EQ (bob_app.detach_error.code, P2P_ERROR_PROTOCOL);
    EXPECT_NE (bob_app.detach_error.message.find (word), std::string::npos)
        << bob_app.detach_error.message;
    EXPECT_NE (link ().server->close_code (), 0u);
    EXPECT_FALSE (bob->established ());
  }
  void SetUp () override { bob = Session::create (bob_config, bob_app); }
};

}  // namespace

TEST_F (Hello, AGoodOneEstablishes) {
  attach_without_hello ();
  inject (wire::encode (hello ()));
  EXPECT_TRUE (bob->established ());
}

TEST_F (Hello, AnotherSessionIdIsRefusedOnBothSides) {
  alice_config.id[0] = 99;
  alice = Session::create (alice_config, alice_app);
  attach ();
  settle ();
  expect_protocol_error ("session id");
  EXPECT_EQ (alice_app.detached, 1);
  EXPECT_TRUE (alice_app.detached_by_peer);
  EXPECT_NE (alice_app.detach_code, 0u);
}

TEST_F (Hello, AnotherVersionIsRefused) {
  attach_without_hello ();
  wire::Hello other = hello ();
  other.version = 2;
  inject (wire::encode (other));
  expect_protocol_error ("version 2");
}

TEST_F (Hello, ALowerEpochThanKnownIsRefused) {
  attach_without_hello ();
  wire::Hello first = hello ();
  first.epoch = 5;
  inject (wire::encode (first));
  ASSERT_TRUE (bob->established ());
  bob->detach ();
  attach_without_hello ();
  first.epoch = 4;
  inject (wire::encode (first));
  expect_protocol_error ("epoch 4");
}

TEST_F (Hello, ASideThatWasSupersededIsRefused) {
  attach_without_hello ();
  wire::Hello first = hello ();
  first.peer_epoch = bob_config.epoch + 1;
  inject (wire::encode (first));
  expect_protocol_error ("newer instance");
}

TEST_F (Hello, AHigherEpochClosesTheChannelsOfTheLowerOne) {
  start ();
  ASSERT_TRUE (*open (*alice, "data").send (message_of ("before")));
  open (*bob, "data");
  settle ();
  alice.reset ();
  alice_config.epoch = 2;
  start ();
  settle ();
  ASSERT_TRUE (bob_app.seen["data"].close_reason);
  EXPECT_NE (bob_app.seen["data"].close_reason->message.find ("restarted"), std::string::npos);
  bob_app.seen.clear ();
  ASSERT_TRUE (*open (*alice, "data").send (message_of ("after")));
  settle ();
  EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{"after"}));
  ASSERT_TRUE (run ([&] { return find (*alice, "data")->flushed (); }));
}

TEST_F (Hello, OneThatCameWithTheHandshakeIsTheServersOnly) {
  alice = Session::create (alice_config, alice_app);
  bob = Session::create (bob_config, bob_app);
  Channel &channel = open (*alice, "data");
  must_send (channel, message_of ("at once"));
  bob_app.on_established = [&] { EXPECT_TRUE (bob->send_signal ("a frame")); };
  links.push_back (std::make_unique<FakeLink> (scheduler, network));
  link ().client->greeting = link ().server->greeting = Session::greeting (bob_config);
  alice->attach (*link ().client);
  bob->attach (*link ().server);
  link ().client->become_ready ();
  ASSERT_TRUE (run ([this] { return alice->established (); }));
  EXPECT_FALSE (bob->established ());
  link ().server->become_ready ();
  ASSERT_TRUE (run ([this] { return !alice_app.signals.empty (); }));
  settle ();
  EXPECT_EQ (bob_app.texts ("data"), std::vector<std::string>{"at once"});
  EXPECT_EQ (alice_app.established, 1);
  EXPECT_EQ (bob_app.established, 1);
  EXPECT_EQ (alice_app.detached, 0);
}

TEST_F (Hello, OneThatCameWithTheHandshakeIsCheckedLikeAnyOther) {
  bob_config.id[0] ^= 1;
  const std::string other = Session::greeting (bob_config);
  for (const std::string &greeting : {std::string ("x"), other.substr (0, 10), other}) {
    alice_app = {};
    alice = Session::create (alice_config, alice_app);
    links.push_back (std::make_unique<FakeLink> (scheduler, network));
    link ().client->greeting = greeting;
    alice->attach (*link ().client);
    link ().client->become_ready ();
    ASSERT_TRUE (run ([this] { return alice_app.detached > 0; }));
    EXPECT_EQ (alice_app.detach_error.code, P2P_ERROR_PROTOCOL);
    EXPECT_FALSE (alice->established ());
    EXPECT_TRUE (link ().client->closed ());
    alice.reset ();
  }
}

TEST_F (Hello, UnknownExtensionsAreSkipped) {
  attach_without_hello ();
  const wire::Writer plain = wire::encode (hello ());
  wire::Reader reader (plain.view ());
  const auto frame = wire::decode_control (reader);
  wire::Writer body;
  body.bytes (frame.value.body).varint (77).varint (3).bytes (ByteView (std::string_view ("new")));
  wire::Writer unknown;
  unknown.varint (1000).varint (2).bytes (ByteView (std::string_view ("xx")));
  unknown.type (wire::ControlType::hello).varint (body.view ().size ()).bytes (body.view ());
  inject (unknown);
  EXPECT_TRUE (bob->established ());
}

TEST_F (Hello, EveryTruncationIsRefused) {
  wire::Hello full = hello ();
  wire::HelloIncoming in;
  in.received.insert (5);
  full.incoming.push_back (in);
  full.outgoing.push_back (3);
  const wire::Writer plain = wire::encode (full);
  wire::Reader reader (plain.view ());
  const ByteView body = wire::decode_control (reader).value.body;
  ASSERT_TRUE (wire::decode_hello (body).ok ());
  for (std::size_t cut = 0; cut < body.size; ++cut) {
    const auto refused = wire::decode_hello (body.sub (0, cut));
    ASSERT_FALSE (refused.ok ()) << cut;
    EXPECT_EQ (refused.error ().code, P2P_ERROR_PROTOCOL);
    EXPECT_NE (refused.error ().message.find ("field"), std::string::npos);
  }
}

TEST_F (Hello, ItMayComeByteByByte) {
  attach_without_hello ();
  const wire::Writer plain = wire::encode (hello ());
  const std::uint8_t control = 1;
  link ().server->inject_stream_data (0, {&control, 1}, false);
  for (const std::uint8_t &byte : plain.view ())
    link ().server->inject_stream_data (0, {&byte, 1}, false);
  EXPECT_TRUE (bob->established ());
}

TEST_F (Hello, NothingIsReadBeforeIt) {
  network.stream_jitter_us = 0;
  attach_without_hello ();
  wire::Open early;
  early.id = 0;
  early.name = "early";
  link ().server->inject_stream_data (4, wire::encode (early).view (), false);
  EXPECT_FALSE (bob_app.seen["early"].opened_by_peer);
  wire::Hello announced = hello ();
  announced.outgoing.push_back (0);
  inject (wire::encode (announced));
  EXPECT_TRUE (bob_app.seen["early"].opened_by_peer);
}

TEST_F (Hello, AClaimOfMessagesThatWereNeverSentIsRefused) {
  bob->open_channel ("data", {}).ok ();
  attach_without_hello ();
  wire::Hello claim = hello ();
  claim.peer_epoch = bob_config.epoch;
  wire::HelloIncoming in;
  in.received.insert_range (0, 10);
  claim.incoming.push_back (in);
  inject (wire::encode (claim));
  expect_protocol_error ("received sequence numbers");
}
