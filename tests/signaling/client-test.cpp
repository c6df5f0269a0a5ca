// The client of a meeting point on a virtual clock: registration, back-off, heartbeat, refusal.
#include "signaling/client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

using namespace p2p;

namespace {

using Lines = std::vector<std::string>;

// A wire whose far end is the test.
struct Wire {
  SignalingCarrier::Observer *observer = nullptr;
  int opened = 0;
  bool open = false;
  bool address_gone = false;
  std::vector<Frame> sent;

  void receive (const Frame &frame) {
    const std::string text = to_json (frame);
    observer->carrier_frame (ByteView (std::string_view (text)));
  }
  Frame take (FrameType type) {
    for (auto it = sent.begin (); it != sent.end (); ++it) {
      if (it->type != type) continue;
      const Frame frame = *it;
      sent.erase (it);
      return frame;
    }
    ADD_FAILURE () << "the client did not send the frame";
    return {};
  }
};

class WireCarrier final : public SignalingCarrier {
 public:
  explicit WireCarrier (Wire &wire) : wire_ (wire) {}
  void set_observer (SignalingCarrier::Observer *observer) override { wire_.observer = observer; }
  void open () override {
    ++wire_.opened;
    wire_.open = true;
  }
  void send (const std::string &frame) override {
    wire_.sent.push_back (std::get<Frame> (parse_frame (ByteView (std::string_view (frame)))));
  }
  void close () override { wire_.open = false; }
  bool address_gone () const override { return wire_.address_gone; }
  std::string describe () const override { return "the server"; }
  std::string stun_host () const override { return "2001:db8::1"; }

 private:
  Wire &wire_;
};

class ClientTest : public testing::Test, public Signaling::Observer {
 protected:
  void SetUp () override { make (*make_ephemeral_signing_key ()); }
  void make (std::shared_ptr<const SigningKey> key) {
    client = std::make_unique<SignalingClient> (std::make_unique<WireCarrier> (wire), scheduler,
                                                std::move (key), ClientTiming{});
    client->set_observer (this);
  }
  void signaling_state (Signaling::State state, const Error *reason) override {
    const char *const names[] = {"idle", "connecting", "registered", "refused"};
    news.push_back (names[static_cast<int> (state)]);
    if (reason) reasons.push_back (*reason);
    if (destroy_at == news.back ()) client.reset ();
  }
  void signaling_peer (const std::string &peer, bool present) override {
    news.push_back ((present ? "+" : "-") + peer);
    if (destroy_at == news.back ()) client.reset ();
  }
  void signaling_message (const std::string &from, const std::string &message) override {
    news.push_back (from + ": " + message);
    if (destroy_at == news.back ()) client.reset ();
  }

  static Frame frame_of (FrameType type, const std::string &peer = {}) {
    Frame frame;
    frame.type = type;
    frame.id = "alice";
    frame.peer = peer;
    return frame;
  }
  void welcome () {
    Frame frame = frame_of (FrameType::welcome);
    frame.version = kSignalVersion;
    frame.challenge = std::string (kChallengeBytes, 'c');
    frame.stun_port = 7480;
    frame.heartbeat_s = 20;
    wire.receive (frame);
  }
  void come_up () {
    client->start ("alice");
    scheduler.run_for (0);
    welcome ();
    wire.receive (frame_of (FrameType::registered));
  }
  void appear (const std::string &peer, bool present = true) {
    Frame frame = frame_of (FrameType::peer, peer);
    frame.present = present;
    wire.receive (frame);
  }
  void fail (const std::string &code, const std::string &peer = {}) {
    Frame frame = frame_of (FrameType::error, peer);
    frame.code = code;
    frame.text = "Because.";
    wire.receive (frame);
  }
  void answer_ping () {
    Frame pong = frame_of (FrameType::pong);
    pong.seq = wire.take (FrameType::ping).seq;
    wire.receive (pong);
  }

  VirtualScheduler scheduler;
  Wire wire;
  std::unique_ptr<SignalingClient> client;
  Lines news;
  std::vector<Error> reasons;
  std::string destroy_at;
};

}  // namespace

TEST_F (ClientTest, RegistersWithAProofThenAsks) {
  client->ask ("bob");
  client->ask ("*");
  client->start ("alice");
  EXPECT_EQ (news, Lines{}) << "the observer is not called from inside start()";
  scheduler.run_for (0);
  welcome ();
  const Frame registration = wire.take (FrameType::enroll);
  EXPECT_TRUE (verify_registration (std::string (kChallengeBytes, 'c'), "alice", registration.key,
                                    registration.signature)
                   .ok ());
  wire.receive (frame_of (FrameType::registered));
  EXPECT_EQ (news, (Lines{"connecting", "registered"}));
  EXPECT_EQ (wire.take (FrameType::ask).peer, "*");
  EXPECT_EQ (wire.take (FrameType::ask).peer, "bob");
  EXPECT_EQ (client->stun_server (), "[2001:db8::1]:7480");
  client->unask ("bob");
  EXPECT_EQ (wire.take (FrameType::unask).peer, "bob");
}

TEST_F (ClientTest, SendsOnlyToPresentPeersAndWithinTheLimit) {
  come_up ();
  EXPECT_EQ (client->send ("bob", "x")->code, P2P_ERROR_NOT_CONNECTED);
  appear ("bob");
  EXPECT_EQ (client->send ("bob", std::string (kMaxSignalBytes + 1, 'x'))->code,
             P2P_ERROR_MESSAGE_TOO_LARGE);
  EXPECT_FALSE (client->send ("bob", std::string (kMaxSignalBytes, '\0')).has_value ());
  EXPECT_EQ (wire.take (FrameType::message).data.size (), kMaxSignalBytes);
  appear ("bob", false);
  EXPECT_EQ (client->send ("bob", "x")->code, P2P_ERROR_NOT_CONNECTED);
}

TEST_F (ClientTest, WhatTheServerDoesNotConfirmIsBounded) {
  come_up ();
  appear ("bob");
  int taken = 0;
  Status status;
  while (!(status = client->send ("bob", std::string (kMaxSignalBytes, 'x'))) && taken < 100)
    ++taken;
  EXPECT_EQ (status->code, P2P_ERROR_WOULD_BLOCK);
  EXPECT_GE (taken, 10);
  // The first ping covers the first message, the next one all that followed.
  answer_ping ();
  answer_ping ();
  EXPECT_FALSE (client->send ("bob", "x").has_value ());
}

TEST_F (ClientTest, ComesBackWithBackOffThatDoublesUpToTheLimit) {
  client->start ("alice");
  scheduler.run_for (0);
  TimeUs last = 0;
  for (int attempt = 1; attempt <= 60; ++attempt) {
    ASSERT_EQ (wire.opened, attempt);
    wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "gone"});
    const TimeUs start = scheduler.now ();
    ASSERT_TRUE (scheduler.run_until_true ([&] { return wire.opened > attempt; }));
    last = scheduler.now () - start;
    const TimeUs longest = start < 10 * kSecond   ? kSecond
                           : start < 60 * kSecond ? 5 * kSecond
                                                  : 30 * kSecond;
    const TimeUs span = std::min (kSecond / 2 << std::min (attempt - 1, 16), longest);
    EXPECT_GE (last, span / 2);
    EXPECT_LE (last, span);
  }
  EXPECT_GE (last, 15 * kSecond);
  EXPECT_EQ (news, Lines (61, "connecting"));
  EXPECT_EQ (reasons.size (), 60u);
  // Success starts again from the shortest wait.
  welcome ();
  wire.receive (frame_of (FrameType::registered));
  wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "gone"});
  const int before = wire.opened;
  scheduler.run_for (kSecond / 2 + 1);
  EXPECT_EQ (wire.opened, before + 1);
}

TEST_F (ClientTest, LossTakesPeersAwayAndReconnectingAsksAgain) {
  client->ask ("bob");
  come_up ();
  appear ("bob");
  news.clear (), wire.sent.clear ();
  wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "gone"});
  EXPECT_EQ (news, (Lines{"-bob", "connecting"}));
  EXPECT_EQ (client->state (), Signaling::State::connecting);
  scheduler.run_for (kSecond);
  welcome ();
  wire.receive (frame_of (FrameType::registered));
  EXPECT_EQ (wire.take (FrameType::ask).peer, "bob");
}

TEST_F (ClientTest, SilentServerIsLeftAfterTheDeadline) {
  client->start ("alice");
  scheduler.run_for (15 * kSecond);
  EXPECT_FALSE (wire.open);
  EXPECT_EQ (reasons.back ().code, P2P_ERROR_SIGNALING);
  scheduler.run_for (kSecond);
  welcome ();
  wire.receive (frame_of (FrameType::registered));
  for (int i = 0; i < 5; ++i) {
    scheduler.run_for (20 * kSecond);
    answer_ping ();
  }
  EXPECT_TRUE (wire.open);
  scheduler.run_for (20 * kSecond);
  wire.take (FrameType::ping);
  scheduler.run_for (15 * kSecond - 1);
  EXPECT_EQ (wire.opened, 2);
  scheduler.run_for (1);
  EXPECT_EQ (wire.opened, 3) << "at once";
  EXPECT_EQ (news.back (), "connecting");
}

TEST_F (ClientTest, ALostServerShowsWithin15SecondsOfAMessage) {
  come_up ();
  appear ("bob");
  EXPECT_FALSE (client->send ("bob", "x").has_value ());
  scheduler.run_for (15 * kSecond);
  EXPECT_EQ (wire.opened, 2);
}

TEST_F (ClientTest, TakenOrReplacedIdIsForGood) {
  for (const char *code : {"id-taken", "replaced"}) {
    make (*make_ephemeral_signing_key ());
    come_up ();
    appear ("bob");
    news.clear ();
    fail (code);
    EXPECT_EQ (news, (Lines{"-bob", "refused"}));
    EXPECT_EQ (reasons.back ().code, P2P_ERROR_ID_TAKEN);
    const int opened = wire.opened;
    scheduler.run_for (600 * kSecond);
    EXPECT_EQ (wire.opened, opened);
    EXPECT_FALSE (wire.open);
  }
}

TEST_F (ClientTest, InvalidIdIsRefusedWithoutAConnection) {
  client->start ("a b");
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, Lines{"refused"});
  EXPECT_EQ (reasons.back ().code, P2P_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ (wire.opened, 0);
}

TEST_F (ClientTest, FullServerIsTriedAgain) {
  client->start ("alice");
  scheduler.run_for (0);
  fail ("full");
  EXPECT_EQ (news.back (), "connecting");
  EXPECT_EQ (reasons.back ().code, P2P_ERROR_LIMIT);
  scheduler.run_for (kSecond);
  EXPECT_EQ (wire.opened, 2);
}

TEST_F (ClientTest, OtherVersionIsRefusedAndShortChallengeIsNotSigned) {
  client->start ("alice");
  scheduler.run_for (0);
  Frame frame = frame_of (FrameType::welcome);
  frame.version = kSignalVersion;
  frame.challenge = "short";
  wire.receive (frame);
  EXPECT_TRUE (wire.sent.empty ());
  EXPECT_EQ (reasons.back ().code, P2P_ERROR_PROTOCOL);
  scheduler.run_for (kSecond);
  frame.version = 99;
  wire.receive (frame);
  EXPECT_EQ (news.back (), "refused");
}

TEST_F (ClientTest, MalformedOrMisplacedFramesFromTheServerEndTheConnection) {
  for (const char *text : {"nonsense", "{\"type\":\"ask\",\"id\":\"alice\",\"peer\":\"x\"}"}) {
    make (*make_ephemeral_signing_key ());
    come_up ();
    wire.observer->carrier_frame (ByteView (std::string_view (text)));
    EXPECT_EQ (client->state (), Signaling::State::connecting);
    EXPECT_EQ (reasons.back ().code, P2P_ERROR_PROTOCOL);
  }
}

TEST_F (ClientTest, MessagesOnlyFromPresentPeers) {
  come_up ();
  appear ("bob");
  news.clear ();
  Frame frame = frame_of (FrameType::message, "mallory");
  frame.data = "x";
  wire.receive (frame);
  frame.peer = "bob";
  wire.receive (frame);
  frame.id = "someone-else";
  wire.receive (frame);
  EXPECT_EQ (news, Lines{"bob: x"});
}

TEST_F (ClientTest, ALostMessageShowsAsThePeerGoingAndComing) {
  come_up ();
  appear ("bob");
  news.clear ();
  fail ("peer-busy", "bob");
  EXPECT_EQ (news, Lines{"-bob"});
  EXPECT_EQ (client->send ("bob", "x")->code, P2P_ERROR_NOT_CONNECTED);
  scheduler.run_for (2 * kSecond);
  EXPECT_EQ (news, (Lines{"-bob", "+bob"}));
  // A message of the peer brings it back at once; its going takes it away for good.
  fail ("rate", "bob");
  Frame frame = frame_of (FrameType::message, "bob");
  frame.data = "x";
  wire.receive (frame);
  fail ("rate", "bob");
  appear ("bob", false);
  scheduler.run_for (10 * kSecond);
  EXPECT_EQ (news, (Lines{"-bob", "+bob", "-bob", "+bob", "bob: x", "-bob"}));
}

TEST_F (ClientTest, ObserverMayDestroyItAnywhere) {
  for (const char *moment : {"connecting", "registered", "+bob", "bob: x", "-bob", "refused"}) {
    make (*make_ephemeral_signing_key ());
    news.clear ();
    destroy_at = moment;
    const auto step = [&] (const std::function<void ()> &work) {
      if (client) work ();
    };
    client->start ("alice");
    scheduler.run_for (0);
    step ([&] { welcome (); });
    step ([&] { wire.receive (frame_of (FrameType::registered)); });
    step ([&] { appear ("bob"); });
    step ([&] {
      Frame frame = frame_of (FrameType::message, "bob");
      frame.data = "x";
      wire.receive (frame);
    });
    step ([&] { fail ("id-taken"); });
    EXPECT_EQ (client, nullptr) << moment;
    scheduler.run_for (60 * kSecond);
    EXPECT_EQ (news.back (), moment);
  }
}

TEST_F (ClientTest, ABrokenConnectionComesBackWithinHalfASecondAndNotAllAtOnce) {
  std::set<TimeUs> waits;
  for (int i = 0; i < 50; ++i) {
    make (*make_ephemeral_signing_key ());
    come_up ();
    const int opened = wire.opened;
    const TimeUs start = scheduler.now ();
    wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "reset"});
    ASSERT_TRUE (scheduler.run_until_true ([&] { return wire.opened > opened; }));
    EXPECT_LE (scheduler.now () - start, kSecond / 2);
    waits.insert ((scheduler.now () - start) / (50 * kMillisecond));
  }
  EXPECT_GE (waits.size (), 5u) << "of ten";
}

TEST_F (ClientTest, AServerThatIsBackIsFoundWithinASecondWhileTheTroubleIsYoung) {
  come_up ();
  wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "reset"});
  const TimeUs lost = scheduler.now ();
  TimeUs tried = lost;
  while (scheduler.now () < lost + 10 * kSecond) {
    const int opened = wire.opened;
    ASSERT_TRUE (scheduler.run_until_true ([&] { return wire.opened > opened; }));
    EXPECT_LE (scheduler.now () - tried, kSecond);
    tried = scheduler.now ();
    wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "refused"});
  }
}

TEST_F (ClientTest, AChangedNetworkPutsTheConnectionToTheProof) {
  come_up ();
  client->network_changed (true);
  answer_ping ();
  scheduler.run_for (10 * kSecond);
  EXPECT_TRUE (wire.open);
  EXPECT_EQ (wire.opened, 1);
  // Once more, without an answer: neither asking again nor another frame makes it longer than that.
  client->network_changed (true);
  scheduler.run_for (kSecond);
  client->network_changed (true);
  EXPECT_EQ (wire.sent.back ().type, FrameType::ping);
  scheduler.run_for (kSecond - 1);
  EXPECT_TRUE (wire.open);
  scheduler.run_for (1);
  EXPECT_EQ (wire.opened, 2) << "at once";
  EXPECT_EQ (news.back (), "connecting");
  EXPECT_EQ (reasons.back ().message, "No answer within 2 s from the server; it is tried again.");
}

TEST_F (ClientTest, AChangedNetworkShortensAWaitThatWasBegunBefore) {
  come_up ();
  appear ("bob");
  EXPECT_FALSE (client->send ("bob", "x").has_value ());
  scheduler.run_for (kSecond);
  client->network_changed (true);
  // The answer to the older question is not the answer to this one, though a sign of life.
  answer_ping ();
  EXPECT_TRUE (wire.open);
  scheduler.run_for (2 * kSecond);
  EXPECT_EQ (wire.opened, 2);
}

TEST_F (ClientTest, AConnectionFromAnAddressThatIsGoneIsMadeAnewAtOnce) {
  come_up ();
  appear ("bob");
  news.clear ();
  wire.address_gone = true;
  client->network_changed (true);
  EXPECT_EQ (news, Lines{}) << "the observer is not called from inside";
  scheduler.run_for (0);
  EXPECT_EQ (news, (Lines{"-bob", "connecting"}));
  EXPECT_EQ (wire.opened, 2);
  EXPECT_TRUE (reasons.back ().message.rfind ("This machine no longer has", 0) == 0);
  wire.address_gone = false;
  welcome ();
  wire.receive (frame_of (FrameType::registered));
  EXPECT_EQ (news.back (), "registered");
}

// What is sent into a dead network makes the kernel, here and at the server, wait longer and
// longer.
TEST_F (ClientTest, WithoutANetworkNothingIsSentAndAfterItTheConnectionIsMadeAnewAtOnce) {
  come_up ();
  const std::size_t sent = wire.sent.size ();
  client->network_changed (false);
  scheduler.run_for (60 * kSecond);
  EXPECT_EQ (wire.sent.size (), sent);
  EXPECT_EQ (wire.opened, 1);
  client->network_changed (true);
  scheduler.run_for (0);
  EXPECT_EQ (wire.opened, 2);
  welcome ();
  wire.receive (frame_of (FrameType::registered));
  client->network_changed (true);
  scheduler.run_for (kSecond);
  EXPECT_EQ (wire.opened, 2) << "that was one outage";
}

TEST_F (ClientTest, WhatIsSentMeanwhileDoesNotHoldItUp) {
  come_up ();
  appear ("bob");
  wire.address_gone = true;
  client->network_changed (true);
  (void)client->send ("bob", "of new ways");
  scheduler.run_for (0);
  EXPECT_EQ (wire.opened, 2);
}

TEST_F (ClientTest, AChangedNetworkEndsTheWaitAndTheBackOff) {
  client->start ("alice");
  scheduler.run_for (0);
  for (int i = 0; i < 40; ++i) {
    wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "unreachable"});
    if (i < 39) scheduler.run_next ();
  }
  const int opened = wire.opened;
  const std::size_t told = news.size ();
  client->network_changed (true);
  scheduler.run_for (0);
  EXPECT_EQ (wire.opened, opened + 1);
  EXPECT_EQ (news.size (), told) << "it is connecting as it was";
  wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, "unreachable"});
  scheduler.run_for (kSecond / 2);
  EXPECT_EQ (wire.opened, opened + 2);
}

TEST_F (ClientTest, AnAttemptOfAnotherNetworkIsBegunAnewButGetsItsTime) {
  client->start ("alice");
  scheduler.run_for (100 * kMillisecond);
  client->network_changed (true);
  scheduler.run_for (0);
  EXPECT_EQ (wire.opened, 2);
  for (int i = 0; i < 4; ++i) {
    scheduler.run_for (400 * kMillisecond);
    client->network_changed (true);
  }
  EXPECT_EQ (wire.opened, 2);
  scheduler.run_for (400 * kMillisecond);
  EXPECT_EQ (wire.opened, 3);
  // One that has reached the server has two seconds left to register.
  scheduler.run_for (kSecond);
  welcome ();
  client->network_changed (true);
  client->network_changed (true);
  scheduler.run_for (2 * kSecond - 1);
  EXPECT_TRUE (wire.open);
  EXPECT_EQ (wire.opened, 3);
  scheduler.run_for (1);
  EXPECT_FALSE (wire.open);
}

TEST_F (ClientTest, AChangedNetworkIsNothingToOneThatIsIdleOrRefused) {
  client->network_changed (true);
  scheduler.run_for (kSecond);
  EXPECT_EQ (wire.opened, 0);
  come_up ();
  fail ("id-taken");
  client->network_changed (true);
  scheduler.run_for (60 * kSecond);
  EXPECT_EQ (wire.opened, 1);
  EXPECT_EQ (client->state (), Signaling::State::refused);
}
