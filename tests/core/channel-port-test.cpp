// The hand-off between application threads and the core: bounds, waits that can be cancelled, ends
// and closes, and nothing lost on the way.
#include "core/channel_port.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <future>
#include <thread>

#include "base/loop_thread.hpp"
#include "core/channel_pump.hpp"

using namespace p2p;

namespace {

Message
message_of (const std::string &text) {
  return {Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ())), {}, 0, false};
}

std::string
text_of (const Message &message) {
  gsize size = 0;
  const auto *data = static_cast<const char *> (g_bytes_get_data (message.payload.get (), &size));
  return {data, size};
}

// A session's channel that keeps what it is given until the test confirms it.
class FakeChannel final : public Channel {
 public:
  const std::string &name () const override { return name_; }
  const ChannelOptions &options () const override { return options_; }
  Result<bool> send (const Message &message) override {
    if (kept.size () >= room) return false;
    kept.push_back (message);
    return true;
  }
  void finish () override { finished = true; }
  void push_out () override {}
  void consumed (const Message &message) override {
    confirmed.push_back (text_of (message));
    if (on_consumed) on_consumed ();
  }
  bool flushed () const override { return kept.empty (); }
  void close () override { closed = true; }
  std::optional<std::uint64_t> resume_seq () const override { return resume; }
  bool confirm (std::uint64_t seq) override {
    ahead.push_back (seq);
    return true;
  }
  std::uint64_t unkept_messages () const override { return unkept; }
  bool by_peer () const override { return false; }
  ChannelPositions positions () const override { return {}; }
  ChannelStats stats () const override {
    ChannelStats stats;
    for (const Message &message : kept) stats.buffered_bytes += message_cost (message);
    return stats;
  }

  std::size_t room = SIZE_MAX;
  std::optional<std::uint64_t> resume;
  std::uint64_t unkept = 0;
  std::vector<std::uint64_t> ahead;
  std::deque<Message> kept;
  std::vector<std::string> confirmed;
  std::function<void ()> on_consumed;
  bool finished = false, closed = false;

 private:
  std::string name_ = "test";
  ChannelOptions options_;
};

class ChannelPortTest : public testing::Test {
 protected:
  void SetUp () override { make ({}); }
  void make (ChannelOptions options) {
    options.max_buffered_bytes = 1200;
    port = std::make_shared<ChannelPort> ("test", options, 500);
    on_core ([&] {
      pump = std::make_shared<ChannelPump> (port);
      pump->start ();
    });
  }
  void TearDown () override {
    on_core ([&] { pump.reset (); });
  }
  static void on_core (const std::function<void ()> &work) { core_loop ().run_sync (work); }
  void attach () {
    on_core ([&] { pump->attach (channel, 500); });
  }
  void confirm_all () {
    on_core ([&] {
      channel.kept.clear ();
      pump->released ();
    });
  }

  FakeChannel channel;
  std::shared_ptr<ChannelPort> port;
  std::shared_ptr<ChannelPump> pump;
};

}  // namespace

TEST_F (ChannelPortTest, SendsInOrderWhatWasQueuedBeforeTheChannelWasThere) {
  EXPECT_FALSE (port->try_send (message_of ("one")));
  EXPECT_FALSE (port->try_send (message_of ("two")));
  attach ();
  on_core ([&] {
    ASSERT_EQ (channel.kept.size (), 2u);
    EXPECT_EQ (text_of (channel.kept[0]), "one");
    EXPECT_EQ (text_of (channel.kept[1]), "two");
  });
}

TEST_F (ChannelPortTest, HoldsTheSenderBackAtTheBoundAndLetsItGoOn) {
  attach ();
  const std::string block (400, 'x');
  EXPECT_FALSE (port->try_send (message_of (block)));
  EXPECT_FALSE (port->try_send (message_of (block)));
  const Status full = port->try_send (message_of (block));
  ASSERT_TRUE (full);
  EXPECT_EQ (full->code, P2P_ERROR_WOULD_BLOCK);

  Status sent = Error{};
  std::thread sender ([&] {
    bool cancelled = false;
    sent = port->send (message_of (block), nullptr, &cancelled);
  });
  confirm_all ();
  sender.join ();
  EXPECT_FALSE (sent);
}

TEST_F (ChannelPortTest, TakesAMessageAboveTheBoundWhenNothingWaits) {
  ChannelOptions options;
  options.max_buffered_bytes = 10;
  ChannelPort narrow ("narrow", options, 500);
  EXPECT_FALSE (narrow.try_send (message_of (std::string (100, 'x'))));
  EXPECT_TRUE (narrow.try_send (message_of ("")));
}

TEST_F (ChannelPortTest, RefusesAMessageAboveTheLimitAndNamesIt) {
  const Status refused = port->try_send (message_of (std::string (501, 'x')));
  ASSERT_TRUE (refused);
  EXPECT_EQ (refused->code, P2P_ERROR_MESSAGE_TOO_LARGE);
  EXPECT_NE (refused->message.find ("500"), std::string::npos);
}

TEST_F (ChannelPortTest, CancellingEndsEveryWait) {
  attach ();
  const auto cancellable = Ref<GCancellable>::adopt (g_cancellable_new ());
  bool cancelled = false;
  std::thread receiver ([&] { (void)port->receive (cancellable.get (), &cancelled); });
  g_cancellable_cancel (cancellable.get ());
  receiver.join ();
  EXPECT_TRUE (cancelled);
  // Cancelled before the wait began.
  cancelled = false;
  (void)port->receive (cancellable.get (), &cancelled);
  EXPECT_TRUE (cancelled);
}

TEST_F (ChannelPortTest, ConfirmsOnlyWhatTheApplicationTook) {
  attach ();
  std::promise<void> confirmed;
  channel.on_consumed = [&] { confirmed.set_value (); };
  on_core ([&] {
    pump->received (message_of ("a"));
    pump->received (message_of ("b"));
  });
  auto first = port->try_receive ();
  ASSERT_TRUE (first.ok ());
  EXPECT_EQ (text_of (*first), "a");
  confirmed.get_future ().wait ();
  on_core ([&] { EXPECT_EQ (channel.confirmed, std::vector<std::string>{"a"}); });
}

TEST_F (ChannelPortTest, ASendOnADurableChannelReturnsOnceItsMessageIsDurable) {
  ChannelOptions options;
  options.durable = true;
  make (options);
  attach ();
  on_core ([&] { channel.unkept = 1; });
  std::uint64_t ticket = 0;
  EXPECT_FALSE (port->try_send (message_of ("a"), &ticket));
  on_core ([&] { pump->released (); });
  const Status waits = port->try_kept (ticket);
  ASSERT_TRUE (waits);
  EXPECT_EQ (waits->code, P2P_ERROR_WOULD_BLOCK);

  Status sent = Error{};
  std::thread sender ([&] {
    bool cancelled = false;
    sent = port->send (message_of ("b"), nullptr, &cancelled);
  });
  // Whether it waits by now or not.
  on_core ([&] {
    channel.unkept = 0;
    pump->released ();
  });
  sender.join ();
  EXPECT_FALSE (sent);
  EXPECT_FALSE (port->try_kept (ticket));
}

TEST_F (ChannelPortTest, WithManualConfirmOnlyTheApplicationConfirms) {
  ChannelOptions options;
  options.manual_confirm = true;
  make (options);
  attach ();
  on_core ([&] {
    for (std::uint64_t seq = 0; seq < 3; ++seq) {
      Message message = message_of (std::to_string (seq));
      message.seq = seq;
      pump->received (message);
    }
  });
  for (int i = 0; i < 3; ++i) ASSERT_TRUE (port->try_receive ().ok ());
  on_core ([&] {
    pump->confirm_taken ();
    EXPECT_TRUE (channel.confirmed.empty ());
  });
  port->confirm (1);
  on_core ([&] {
    pump->confirm_taken ();
    EXPECT_EQ (channel.confirmed, (std::vector<std::string>{"0", "1"}));
    EXPECT_TRUE (channel.ahead.empty ());
  });
  // One that another process has received.
  port->confirm (7);
  on_core ([&] {
    pump->confirm_taken ();
    EXPECT_EQ (channel.confirmed.size (), 3u);
    EXPECT_EQ (channel.ahead, std::vector<std::uint64_t>{7});
  });
}

TEST_F (ChannelPortTest, TellsWhereARestoredChannelGoesOnOnceThatIsKnown) {
  EXPECT_EQ (port->resume_seq ().error ().code, P2P_ERROR_WOULD_BLOCK);
  on_core ([&] { pump->restored (); });
  attach ();
  EXPECT_EQ (port->resume_seq ().error ().code, P2P_ERROR_WOULD_BLOCK);
  on_core ([&] {
    channel.resume = 4;
    pump->released ();
  });
  auto at = port->resume_seq ();
  ASSERT_TRUE (at.ok ());
  EXPECT_EQ (*at, 4u);
}

TEST_F (ChannelPortTest, ANewChannelBeginsAtItsBeginning) {
  attach ();
  EXPECT_EQ (port->resume_seq ().error ().code, P2P_ERROR_NOT_FOUND);
}

TEST_F (ChannelPortTest, EndOfStreamComesAfterTheLastMessage) {
  attach ();
  on_core ([&] {
    pump->received (message_of ("last"));
    pump->ended_by_peer ();
  });
  EXPECT_TRUE (port->try_receive ().ok ());
  EXPECT_EQ (port->try_receive ().error ().code, P2P_ERROR_END_OF_STREAM);
}

TEST_F (ChannelPortTest, WhatWasReceivedCanBeTakenAfterTheConnectionWent) {
  attach ();
  on_core ([&] {
    pump->received (message_of ("kept"));
    pump->closed (Error{P2P_ERROR_TIMED_OUT, "gone"});
  });
  EXPECT_TRUE (port->try_receive ().ok ());
  EXPECT_EQ (port->try_receive ().error ().code, P2P_ERROR_TIMED_OUT);
  EXPECT_EQ (port->try_send (message_of ("x"))->code, P2P_ERROR_TIMED_OUT);
}

TEST_F (ChannelPortTest, EndIsSentAfterEverythingAndFlushWaitsForIt) {
  channel.room = 1;
  EXPECT_FALSE (port->try_send (message_of ("a")));
  EXPECT_FALSE (port->try_send (message_of ("b")));
  port->end ();
  attach ();
  on_core ([&] { EXPECT_FALSE (channel.finished); });
  EXPECT_EQ (port->try_flush ()->code, P2P_ERROR_WOULD_BLOCK);
  confirm_all ();
  on_core ([&] { EXPECT_TRUE (channel.finished); });
  EXPECT_TRUE (port->try_flush ());
  confirm_all ();
  EXPECT_FALSE (port->try_flush ());
  EXPECT_EQ (port->try_send (message_of ("late"))->code, P2P_ERROR_CLOSED);
}

TEST_F (ChannelPortTest, CloseWakesWaitersAndReachesTheSession) {
  attach ();
  Result<Message> received = Error{};
  std::thread receiver ([&] {
    bool cancelled = false;
    received = port->receive (nullptr, &cancelled);
  });
  port->close ();
  receiver.join ();
  EXPECT_EQ (received.error ().code, P2P_ERROR_CLOSED);
  on_core ([&] { EXPECT_TRUE (channel.closed); });
  EXPECT_FALSE (port->is_open ());
}

TEST_F (ChannelPortTest, ActivityTellsEveryChange) {
  attach ();
  std::atomic<int> calls = 0;
  port->set_activity ([&] { ++calls; });
  on_core ([&] { pump->received (message_of ("a")); });
  EXPECT_GT (calls, 0);
  ASSERT_FALSE (port->try_send (message_of ("b")));
  on_core ([] {});
  calls = 0;
  confirm_all ();
  EXPECT_GT (calls, 0);
  port->set_activity (nullptr);
}
