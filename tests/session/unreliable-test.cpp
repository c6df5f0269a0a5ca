// Unreliable channels: lifetimes, retransmits, order and gaps, on the virtual clock.
#include "support/session_pair.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

class Unreliable : public SessionPair {
 protected:
  static ChannelOptions lifetime (std::uint32_t ms, bool ordered = true) {
    ChannelOptions options;
    options.max_packet_lifetime_ms = ms;
    options.ordered = ordered;
    return options;
  }
  static ChannelOptions retransmits (std::uint32_t count, bool ordered = true) {
    ChannelOptions options;
    options.max_retransmits = count;
    options.ordered = ordered;
    return options;
  }
  // Loses the next `count` datagrams of each end of links made from now on.
  void lose_next (int count) {
    auto left = std::make_shared<int> (count);
    network.lose_datagram = [left] (ByteView) { return (*left)-- > 0; };
  }
};

}  // namespace

TEST_F (Unreliable, SmallMessagesTravelAsDatagramsWithAttributes) {
  start ();
  Channel &channel = open (*alice, "live", retransmits (0));
  Message message = message_of ("frame");
  message.attributes = bytes_from ("pts");
  ASSERT_TRUE (*channel.send (message));
  ASSERT_TRUE (*channel.send (message_of ("")));
  ASSERT_TRUE (run ([&] { return bob_app.seen["live"].messages.size () == 2; }));
  EXPECT_EQ (text_of (bob_app.seen["live"].messages[0].attributes), "pts");
  EXPECT_FALSE (bob_app.seen["live"].messages[1].attributes);
  EXPECT_EQ (link ().client->datagrams_sent (), 2u);
  EXPECT_TRUE (channel.flushed ());
}

TEST_F (Unreliable, WithoutRetransmitsALostDatagramLeavesAGapThatIsCounted) {
  lose_next (1);
  start ();
  Channel &channel = open (*alice, "live", retransmits (0));
  ASSERT_TRUE (*channel.send (message_of ("lost")));
  ASSERT_TRUE (*channel.send (message_of ("first")));
  ASSERT_TRUE (*channel.send (message_of ("second")));
  settle ();
  EXPECT_EQ (bob_app.texts ("live"), (std::vector<std::string>{"first", "second"}));
  EXPECT_TRUE (bob_app.seen["live"].messages[0].gap_before);
  EXPECT_FALSE (bob_app.seen["live"].messages[1].gap_before);
  EXPECT_EQ (find (*bob, "live")->stats ().messages_lost, 1u);
  EXPECT_EQ (channel.stats ().messages_dropped, 1u);
  EXPECT_EQ (channel.stats ().messages_retransmitted, 0u);
}

TEST_F (Unreliable, ALostDatagramIsSentAgainAsOftenAsAllowed) {
  lose_next (2);
  start ();
  Channel &channel = open (*alice, "live", retransmits (2));
  ASSERT_TRUE (*channel.send (message_of ("stubborn")));
  settle ();
  EXPECT_EQ (bob_app.texts ("live"), (std::vector<std::string>{"stubborn"}));
  EXPECT_EQ (channel.stats ().messages_retransmitted, 2u);
  EXPECT_EQ (channel.stats ().messages_dropped, 0u);
}

TEST_F (Unreliable, AMessageOutOfRetransmitsIsDroppedAndCounted) {
  lose_next (3);
  start ();
  Channel &channel = open (*alice, "live", retransmits (2));
  ASSERT_TRUE (*channel.send (message_of ("unlucky")));
  settle ();
  EXPECT_TRUE (bob_app.texts ("live").empty ());
  EXPECT_EQ (channel.stats ().messages_dropped, 1u);
  EXPECT_EQ (link ().client->datagrams_sent (), 3u);
}

TEST_F (Unreliable, LostDatagramsAreSentAgainWhileTheLifetimeLasts) {
  network.lose_datagram = [] (ByteView) { return true; };
  start ();
  Channel &channel = open (*alice, "live", lifetime (100));
  settle ();
  ASSERT_TRUE (*channel.send (message_of ("old")));
  settle ();
  // A loss is known after 30 ms: sent at 0, 30, 60 and 90 ms, and dropped at 120 ms.
  EXPECT_EQ (link ().client->datagrams_sent (), 4u);
  EXPECT_EQ (channel.stats ().messages_dropped, 1u);
}

TEST_F (Unreliable, AMessageOlderThanItsLifetimeIsNeverSent) {
  network.max_datagrams_in_flight = 0;
  start ();
  Channel &channel = open (*alice, "live", lifetime (50));
  ASSERT_TRUE (*channel.send (message_of ("waits")));
  EXPECT_FALSE (channel.flushed ());
  scheduler.run_for (49 * kMillisecond);
  EXPECT_EQ (channel.stats ().messages_dropped, 0u);
  scheduler.run_for (2 * kMillisecond);
  EXPECT_EQ (channel.stats ().messages_dropped, 1u);
  EXPECT_TRUE (channel.flushed ());
  EXPECT_EQ (channel.stats ().buffered_bytes, 0u);
}

TEST_F (Unreliable, LifetimesEndWhileDetachedToo) {
  start ();
  Channel &channel = open (*alice, "live", lifetime (50));
  settle ();
  cut ();
  ASSERT_TRUE (*channel.send (message_of ("too late")));
  scheduler.run_for (kSecond);
  attach ();
  ASSERT_TRUE (run ([&] { return alice->established (); }));
  settle ();
  EXPECT_TRUE (bob_app.texts ("live").empty ());
  EXPECT_EQ (channel.stats ().messages_dropped, 1u);
}

TEST_F (Unreliable, AFullDatagramQueuePushesBackAndDropsNothing) {
  network.max_datagrams_in_flight = 2;
  start ();
  ChannelOptions options = retransmits (0, false);
  options.max_buffered_bytes = 2000;
  Channel &channel = open (*alice, "live", options);
  int sent = 0;
  bool pushed_back = false;
  while (sent < 100) {
    if (*channel.send (message_of (std::string (100, 'x')))) {
      ++sent;
    } else {
      pushed_back = true;
      ASSERT_TRUE (scheduler.run_next ());
    }
  }
  settle ();
  EXPECT_TRUE (pushed_back);
  EXPECT_EQ (bob_app.seen["live"].messages.size (), 100u);
}

TEST_F (Unreliable, MessagesThatDoNotFitADatagramTakeAStream) {
  start ();
  Channel &channel = open (*alice, "live", lifetime (1000));
  const std::string big (300000, 'b');
  ASSERT_TRUE (*channel.send (message_of (big)));
  ASSERT_TRUE (run ([&] { return bob_app.seen["live"].messages.size () == 1; }));
  EXPECT_TRUE (text_of (bob_app.seen["live"].messages[0].payload) == big);
  EXPECT_EQ (link ().client->datagrams_sent (), 0u);
}

TEST_F (Unreliable, TheStreamOfAMessageThatIsTooOldIsReset) {
  network.stream_window_bytes = 1000;  // 1000 bytes per round trip of 20 ms
  start ();
  Channel &channel = open (*alice, "live", lifetime (100));
  settle ();
  ASSERT_TRUE (*channel.send (message_of (std::string (100000, 'b'))));
  settle ();
  EXPECT_TRUE (bob_app.texts ("live").empty ());
  EXPECT_EQ (channel.stats ().messages_dropped, 1u);
  ASSERT_TRUE (*channel.send (message_of ("small")));
  settle ();
  EXPECT_EQ (bob_app.texts ("live"), (std::vector<std::string>{"small"}));
  EXPECT_TRUE (bob_app.seen["live"].messages[0].gap_before);
}

TEST_F (Unreliable, OrderedDropsWhatComesAfterANewerMessage) {
  start ();
  Channel &channel = open (*alice, "live", lifetime (1000));
  settle ();
  ASSERT_TRUE (*channel.send (message_of (std::string (300000, 'b'))));  // slow: many windows
  ASSERT_TRUE (*channel.send (message_of ("fast")));
  settle ();
  EXPECT_EQ (bob_app.texts ("live"), (std::vector<std::string>{"fast"}));
  EXPECT_TRUE (bob_app.seen["live"].messages[0].gap_before);
  EXPECT_EQ (find (*bob, "live")->stats ().messages_lost, 1u);
}

TEST_F (Unreliable, UnorderedDeliversLateMessages) {
  start ();
  Channel &channel = open (*alice, "live", lifetime (1000, false));
  settle ();
  ASSERT_TRUE (*channel.send (message_of (std::string (300000, 'b'))));
  ASSERT_TRUE (*channel.send (message_of ("fast")));
  settle ();
  ASSERT_EQ (bob_app.seen["live"].messages.size (), 2u);
  EXPECT_EQ (bob_app.seen["live"].messages[0].seq, 1u);
  EXPECT_EQ (find (*bob, "live")->stats ().messages_lost, 0u);
}

TEST_F (Unreliable, DatagramsBeforeTheirOpenAreKept) {
  network.stream_jitter_us = 200 * kMillisecond;
  network.seed = 3;
  start ();
  Channel &channel = open (*alice, "live", retransmits (0, false));
  for (int i = 0; i < 64; ++i) ASSERT_TRUE (*channel.send (message_of ("early")));
  scheduler.run_for (11 * kMillisecond);
  ASSERT_FALSE (bob_app.seen["live"].opened_by_peer);
  settle ();
  EXPECT_EQ (bob_app.seen["live"].messages.size (), 64u);
}

TEST_F (Unreliable, OnlySoManyEarlyDatagramsAreKeptAndTheOldestGo) {
  network.stream_jitter_us = 200 * kMillisecond;
  network.seed = 3;
  start ();
  Channel &channel = open (*alice, "live", retransmits (0));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE (*channel.send (message_of ("early")));
  scheduler.run_for (11 * kMillisecond);
  ASSERT_FALSE (bob_app.seen["live"].opened_by_peer);
  settle ();
  ASSERT_EQ (bob_app.seen["live"].messages.size (), 64u);
  EXPECT_EQ (bob_app.seen["live"].messages[0].seq, 36u);
  EXPECT_EQ (find (*bob, "live")->stats ().messages_lost, 36u);
}

TEST_F (Unreliable, EndComesAfterTheLastMessage) {
  start ();
  Channel &channel = open (*alice, "live", retransmits (0));
  ASSERT_TRUE (*channel.send (message_of ("last")));
  channel.finish ();
  const TimeUs before = scheduler.now ();
  ASSERT_TRUE (run ([&] { return bob_app.seen["live"].ended; }));
  EXPECT_EQ (bob_app.seen["live"].messages.size (), 1u);
  EXPECT_LT (scheduler.now () - before, 100 * kMillisecond);
}

TEST_F (Unreliable, EndWaitsAGraceForWhatIsMissing) {
  lose_next (1);
  start ();
  Channel &channel = open (*alice, "live", retransmits (0));
  ASSERT_TRUE (*channel.send (message_of ("lost")));
  channel.finish ();
  scheduler.run_for (900 * kMillisecond);
  EXPECT_FALSE (bob_app.seen["live"].ended);
  scheduler.run_for (200 * kMillisecond);
  EXPECT_TRUE (bob_app.seen["live"].ended);
  EXPECT_EQ (find (*bob, "live")->stats ().messages_lost, 1u);
}
