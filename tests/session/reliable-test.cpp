// Reliable channels: every message once, in order, whole, over any number of transports.
#include <random>

#include "support/session_pair.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

std::string
random_payload (std::mt19937 &random, std::size_t bytes) {
  std::string text (bytes, '\0');
  for (std::size_t i = 0; i < bytes; i += 4) {
    const std::uint32_t word = random ();
    for (std::size_t j = 0; j < 4 && i + j < bytes; ++j)
      text[i + j] = static_cast<char> (word >> (8 * j));
  }
  return text;
}

class Reliable : public SessionPair {};

}  // namespace

TEST_F (Reliable, MessagesAndAttributesArriveInOrder) {
  start ();
  Channel &channel = open (*alice, "data");
  Message message = message_of ("one");
  message.attributes = bytes_from ("caps");
  ASSERT_TRUE (*channel.send (message));
  ASSERT_TRUE (*channel.send (message_of ("")));
  message.attributes = bytes_from ("");
  ASSERT_TRUE (*channel.send (message));
  ASSERT_TRUE (run ([&] { return bob_app.seen["data"].messages.size () == 3; }));
  const auto &got = bob_app.seen["data"].messages;
  EXPECT_TRUE (bob_app.seen["data"].opened_by_peer);
  EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{"one", "", "one"}));
  EXPECT_EQ (text_of (got[0].attributes), "caps");
  EXPECT_FALSE (got[1].attributes);
  EXPECT_TRUE (got[2].attributes);
  EXPECT_EQ (got[2].seq, 2u);
  EXPECT_FALSE (got[2].gap_before);
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
  EXPECT_EQ (channel.stats ().buffered_bytes, 0u);
}

TEST_F (Reliable, OpeningAnnouncesTheChannelWithoutAMessage) {
  start ();
  ChannelOptions options;
  options.protocol = "p2p-test";
  open (*alice, "quiet", options);
  ASSERT_TRUE (run ([&] { return bob_app.seen["quiet"].opened_by_peer; }));
  ASSERT_NE (find (*bob, "quiet"), nullptr);
  EXPECT_EQ (find (*bob, "quiet")->options ().protocol, "p2p-test");
}

TEST_F (Reliable, MessageAtTheLimitPassesAndOneByteMoreIsRefused) {
  bob_config.max_message_bytes = 100000;
  start ();
  Channel &channel = open (*alice, "data");
  ASSERT_TRUE (*channel.send (message_of (std::string (100000, 'x'))));
  const auto refused = channel.send (message_of (std::string (100001, 'x')));
  ASSERT_FALSE (refused.ok ());
  EXPECT_EQ (refused.error ().code, P2P_ERROR_MESSAGE_TOO_LARGE);
  EXPECT_NE (refused.error ().message.find ("100000"), std::string::npos);
  ASSERT_TRUE (run ([&] { return bob_app.seen["data"].messages.size () == 1; }));
}

TEST_F (Reliable, MessageThatTurnsOutTooLongForThePeerClosesItsChannel) {
  bob_config.max_message_bytes = 10;
  alice = Session::create (alice_config, alice_app);
  ASSERT_TRUE (*open (*alice, "data").send (message_of ("more than ten bytes")));
  start ();
  EXPECT_TRUE (run ([&] { return alice_app.seen["data"].closed; }));
  ASSERT_TRUE (alice_app.seen["data"].close_reason);
  EXPECT_EQ (alice_app.seen["data"].close_reason->code, P2P_ERROR_MESSAGE_TOO_LARGE);
}

TEST_F (Reliable, AttributesAboveTheLimitAreRefused) {
  start ();
  Message message = message_of ("x");
  message.attributes = bytes_from (std::string (kMaxAttributesBytes + 1, 'a'));
  const auto refused = open (*alice, "data").send (message);
  ASSERT_FALSE (refused.ok ());
  EXPECT_EQ (refused.error ().code, P2P_ERROR_MESSAGE_TOO_LARGE);
}

TEST_F (Reliable, SixteenMebibytesPassAWindowOf256Kibibytes) {
  start ();
  std::mt19937 random (7);
  const std::string big = random_payload (random, 16 * 1024 * 1024);
  ASSERT_TRUE (*open (*alice, "data").send (message_of (big)));
  ASSERT_TRUE (run ([&] { return bob_app.seen["data"].messages.size () == 1; }));
  EXPECT_TRUE (text_of (bob_app.seen["data"].messages[0].payload) == big);
}

TEST_F (Reliable, TwoChannelsInBothDirectionsDoNotMix) {
  start ();
  for (const char *name : {"x", "y"}) {
    Channel &there = open (*alice, name);
    Channel &back = open (*bob, name);
    for (int i = 0; i < 200; ++i) {
      must_send (there, message_of (std::string (name) + " to bob " + std::to_string (i)));
      must_send (back, message_of (std::string (name) + " to alice " + std::to_string (i)));
    }
  }
  settle ();
  for (const char *name : {"x", "y"}) {
    ASSERT_EQ (bob_app.seen[name].messages.size (), 200u);
    ASSERT_EQ (alice_app.seen[name].messages.size (), 200u);
    EXPECT_EQ (bob_app.texts (name)[199], std::string (name) + " to bob 199");
    EXPECT_EQ (alice_app.texts (name)[7], std::string (name) + " to alice 7");
  }
  EXPECT_EQ (alice->channels ().size (), 2u);
  EXPECT_EQ (bob->channels ().size (), 2u);
}

TEST_F (Reliable, TenThousandMessagesSurviveCutsAtRandomMoments) {
  start ();
  std::mt19937 random (42);
  const std::size_t total = 10000;
  // Both sides derive message i from i, so that nothing has to be kept.
  const auto payload = [] (std::size_t i) {
    std::mt19937 own (static_cast<std::uint32_t> (i));
    return random_payload (own, own () % 8 == 0 ? own () % (200 * 1024) : own () % 2000);
  };
  std::size_t received = 0, sent = 0, wrong = 0;
  bob_app.keeps = false;
  bob_app.on_message = [&] (Channel &, const Message &message) {
    if (message.seq != received || text_of (message.payload) != payload (received)) ++wrong;
    ++received;
  };
  Channel *channel = &open (*alice, "data");
  const auto fill = [&] {
    while (sent < total) {
      Result<bool> taken = channel->send (message_of (payload (sent)));
      if (!taken.ok () || !*taken) return;
      ++sent;
    }
  };
  alice_app.on_released = [&] (Channel &) { fill (); };
  fill ();
  for (int cuts = 0; cuts < 25 && received < total; ++cuts) {
    scheduler.run_for (std::uniform_int_distribution<TimeUs> (1, 400 * kMillisecond) (random));
    cut ();
    // What was received but not taken before the cut is confirmed by the next hello.
    attach ();
  }
  ASSERT_TRUE (run ([&] { return received == total; }, 600 * kSecond));
  EXPECT_EQ (wrong, 0u);
  ASSERT_TRUE (run ([&] { return channel->flushed (); }));
  settle ();
  EXPECT_EQ (received, total);
  EXPECT_GT (channel->stats ().messages_retransmitted, 0u);
}

TEST_F (Reliable, UnorderedMessagesArriveOnceOverReorderingAndCuts) {
  network.stream_jitter_us = 50 * kMillisecond;
  network.max_streams = 20;
  start ();
  ChannelOptions options;
  options.ordered = false;
  Channel &channel = open (*alice, "data", options);
  std::multiset<std::string> expected;
  for (int i = 0; i < 400; ++i) {
    const std::string text = "message " + std::to_string (i) + std::string (i * 50, '.');
    expected.insert (text);
    must_send (channel, message_of (text));
    if (i % 100 == 50) {
      scheduler.run_for (35 * kMillisecond);
      cut_and_attach ();
    }
  }
  channel.finish ();
  ASSERT_TRUE (run ([&] { return bob_app.seen["data"].ended; }));
  const auto texts = bob_app.texts ("data");
  EXPECT_EQ (std::multiset<std::string> (texts.begin (), texts.end ()), expected);
  bool reordered = false;
  for (std::size_t i = 1; i < texts.size (); ++i)
    reordered |= bob_app.seen["data"].messages[i].seq < bob_app.seen["data"].messages[i - 1].seq;
  EXPECT_TRUE (reordered);
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
}

TEST_F (Reliable, SlowApplicationPushesBackToTheSenderAndMemoryIsBounded) {
  bob_app.takes = false;
  start ();
  ChannelOptions options;
  options.max_buffered_bytes = 1024 * 1024;
  Channel &channel = open (*alice, "data", options);
  std::size_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    while (*channel.send (message_of (std::string (50000, 'x')))) ++sent;
    scheduler.run_for (50 * kMillisecond);
  }
  EXPECT_FALSE (*channel.send (message_of ("x")));
  std::size_t untaken = 0;
  for (const Message &m : bob_app.seen["data"].untaken)
    untaken += g_bytes_get_size (m.payload.get ());
  EXPECT_LE (untaken, 1024u * 1024 + 50000);
  EXPECT_LE (link ().server->unconsumed_bytes (), network.stream_window_bytes);
  EXPECT_LE (channel.stats ().buffered_bytes, options.max_buffered_bytes + 50000);

  bob_app.takes = true;
  bob_app.take_all (*find (*bob, "data"));
  ASSERT_TRUE (run ([&] { return bob_app.seen["data"].messages.size () == sent; }));
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
  EXPECT_GT (alice_app.seen["data"].released, 0);
  EXPECT_TRUE (*channel.send (message_of ("again")));
}

TEST_F (Reliable, EmptyMessagesAreBoundedAsWell) {
  bob_app.takes = false;
  start ();
  ChannelOptions options;
  options.max_buffered_bytes = 100000;
  Channel &channel = open (*alice, "data", options);
  std::size_t sent = 0;
  for (int i = 0; i < 100; ++i) {
    while (sent < 100000 && *channel.send (message_of (""))) ++sent;
    scheduler.run_for (50 * kMillisecond);
  }
  EXPECT_LT (sent, 1000u);
}

TEST_F (Reliable, AMessageIsAlwaysTakenWhenNothingWaits) {
  start ();
  ChannelOptions options;
  options.max_buffered_bytes = 0;
  Channel &channel = open (*alice, "data", options);
  EXPECT_TRUE (*channel.send (message_of ("first")));
  EXPECT_FALSE (*channel.send (message_of ("second")));
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
  EXPECT_TRUE (*channel.send (message_of ("second")));
}

TEST_F (Reliable, OnlyWhatTheApplicationTookIsConfirmed) {
  bob_app.takes = false;
  start ();
  Channel &channel = open (*alice, "data");
  ASSERT_TRUE (*channel.send (message_of ("kept")));
  settle ();
  EXPECT_FALSE (channel.flushed ());
  cut_and_attach ();
  settle ();
  EXPECT_FALSE (channel.flushed ());
  EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{"kept"}));
  bob_app.take_all (*find (*bob, "data"));
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
}

TEST_F (Reliable, MessagesSentWhileDetachedFollowLater) {
  start ();
  Channel &channel = open (*alice, "data");
  settle ();
  cut ();
  EXPECT_EQ (alice_app.detached, 1);
  ASSERT_TRUE (*channel.send (message_of ("later")));
  bob_app.seen.clear ();
  attach ();
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
  EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{"later"}));
  EXPECT_EQ (alice_app.established, 2);
}
