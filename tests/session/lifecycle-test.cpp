// How channels begin and end, in all orders, and what the observer may do from inside a callback.
#include "support/session_pair.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {
class Lifecycle : public SessionPair {};
}  // namespace

TEST_F (Lifecycle, TheSameNameOpenedOnBothSidesAtOnceIsOneChannel) {
  start ();
  Channel &a = open (*alice, "both");
  Channel &b = open (*bob, "both");
  ASSERT_TRUE (*a.send (message_of ("to bob")));
  ASSERT_TRUE (*b.send (message_of ("to alice")));
  settle ();
  EXPECT_EQ (alice->channels ().size (), 1u);
  EXPECT_EQ (bob->channels ().size (), 1u);
  EXPECT_EQ (alice_app.texts ("both"), (std::vector<std::string>{"to alice"}));
  EXPECT_EQ (bob_app.texts ("both"), (std::vector<std::string>{"to bob"}));
  EXPECT_FALSE (alice_app.seen["both"].opened_by_peer);
  EXPECT_EQ (&open (*alice, "both"), &a);
}

TEST_F (Lifecycle, EndComesAfterTheLastMessageAndTheChannelIsGoneWhenBothEnded) {
  start ();
  Channel &a = open (*alice, "data");
  ASSERT_TRUE (*a.send (message_of ("last")));
  a.finish ();
  EXPECT_FALSE (a.send (message_of ("too late")).ok ());
  ASSERT_TRUE (run ([&] { return bob_app.seen["data"].ended; }));
  EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{"last"}));
  settle ();
  EXPECT_FALSE (bob_app.seen["data"].closed);
  Channel *b = find (*bob, "data");
  ASSERT_NE (b, nullptr);
  ASSERT_TRUE (*b->send (message_of ("answer")));
  b->finish ();
  settle ();
  EXPECT_EQ (alice_app.texts ("data"), (std::vector<std::string>{"answer"}));
  EXPECT_TRUE (alice_app.seen["data"].ended);
  for (Application *app : {&alice_app, &bob_app}) {
    EXPECT_TRUE (app->seen["data"].closed);
    EXPECT_FALSE (app->seen["data"].close_reason);
  }
  EXPECT_TRUE (alice->channels ().empty ());
  EXPECT_TRUE (bob->channels ().empty ());
  EXPECT_EQ (link ().client->open_streams (), 1u) << "only the control stream stays";
  EXPECT_EQ (link ().server->open_streams (), 1u);
}

TEST_F (Lifecycle, EndIsConfirmedOnlyWhenEverythingWasTaken) {
  bob_app.takes = false;
  start ();
  Channel &a = open (*alice, "data");
  ASSERT_TRUE (*a.send (message_of ("last")));
  a.finish ();
  settle ();
  find (*bob, "data")->finish ();
  settle ();
  EXPECT_TRUE (bob_app.seen["data"].ended);
  EXPECT_FALSE (alice_app.seen["data"].closed);
  EXPECT_FALSE (bob_app.seen["data"].closed);
  bob_app.take_all (*find (*bob, "data"));
  settle ();
  EXPECT_TRUE (alice_app.seen["data"].closed);
  EXPECT_TRUE (bob_app.seen["data"].closed);
}

TEST_F (Lifecycle, ANewChannelOfTheSameNameFollowsTheEndedOne) {
  start ();
  for (int round = 0; round < 3; ++round) {
    alice_app.seen.clear ();
    bob_app.seen.clear ();
    bob_app.on_end = [] (Channel &channel) { channel.finish (); };
    Channel &a = open (*alice, "data");
    ASSERT_TRUE (*a.send (message_of (std::to_string (round))));
    a.finish ();
    ASSERT_TRUE (run ([&] { return alice_app.seen["data"].closed; })) << round;
    EXPECT_TRUE (bob_app.seen["data"].opened_by_peer);
    EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{std::to_string (round)}));
    EXPECT_EQ (bob_app.seen["data"].messages[0].seq, 0u);
  }
}

TEST_F (Lifecycle, ClosingEndsTheChannelOnBothSides) {
  start ();
  Channel &a = open (*alice, "data");
  ASSERT_TRUE (*a.send (message_of ("x")));
  settle ();
  a.close ();
  EXPECT_TRUE (alice_app.seen["data"].closed);
  EXPECT_FALSE (alice_app.seen["data"].close_reason);
  EXPECT_TRUE (alice->channels ().empty ());
  settle ();
  ASSERT_TRUE (bob_app.seen["data"].closed);
  ASSERT_TRUE (bob_app.seen["data"].close_reason);
  EXPECT_EQ (bob_app.seen["data"].close_reason->code, P2P_ERROR_CLOSED);
  EXPECT_FALSE (bob_app.seen["data"].ended);
  EXPECT_EQ (link ().client->open_streams (), 1u);
}

TEST_F (Lifecycle, TheReceiverMayCloseWhileDataIsOnItsWay) {
  start ();
  Channel &a = open (*alice, "data");
  ASSERT_TRUE (*a.send (message_of (std::string (4 * 1024 * 1024, 'x'))));
  scheduler.run_for (50 * kMillisecond);
  find (*bob, "data")->close ();
  settle ();
  EXPECT_TRUE (alice_app.seen["data"].closed);
  EXPECT_EQ (link ().client->open_streams (), 1u);
  EXPECT_EQ (link ().server->unconsumed_bytes (), 0u);
  EXPECT_EQ (alice_app.detached, 0);
}

TEST_F (Lifecycle, ReopeningAtOnceAfterCloseGivesANewChannel) {
  start ();
  for (int round = 0; round < 20; ++round) {
    Channel &a = open (*alice, "data");
    ASSERT_TRUE (*a.send (message_of ("gone")));
    scheduler.run_for (round * 3 * kMillisecond);
    if (Channel *b = find (*bob, "data")) {
      ASSERT_TRUE (b->send (message_of ("back")).ok ());
    }
    a.close ();
  }
  Channel &last = open (*alice, "data");
  ASSERT_TRUE (*last.send (message_of ("stays")));
  settle ();
  EXPECT_EQ (bob_app.texts ("data").back (), "stays");
  EXPECT_EQ (alice->channels ().size (), 1u);
  EXPECT_EQ (bob->channels ().size (), 1u);
  EXPECT_EQ (alice_app.detached, 0);
  ASSERT_TRUE (run ([&] { return last.flushed (); }));
}

TEST_F (Lifecycle, CloseAndFinishWhileDetachedReachThePeer) {
  start ();
  Channel &closed = open (*alice, "closed");
  Channel &finished = open (*alice, "finished");
  ASSERT_TRUE (*closed.send (message_of ("x")));
  ASSERT_TRUE (*finished.send (message_of ("y")));
  settle ();
  cut ();
  closed.close ();
  finished.finish ();
  find (*bob, "finished")->finish ();
  attach ();
  settle ();
  ASSERT_TRUE (bob_app.seen["closed"].close_reason);
  EXPECT_EQ (bob_app.seen["closed"].close_reason->code, P2P_ERROR_CLOSED);
  EXPECT_TRUE (bob_app.seen["finished"].ended);
  EXPECT_TRUE (bob_app.seen["finished"].closed);
  EXPECT_FALSE (bob_app.seen["finished"].close_reason);
  EXPECT_TRUE (alice_app.seen["finished"].closed);
}

TEST_F (Lifecycle, ACutAtAnyMomentOfTheEndLosesNeitherSideOfIt) {
  for (int ms = 0; ms < 120; ms += 3) {
    alice.reset ();
    bob.reset ();
    alice_app.seen.clear ();
    bob_app.seen.clear ();
    start ();
    Channel &a = open (*alice, "data");
    ASSERT_TRUE (*a.send (message_of ("only")));
    a.finish ();
    open (*bob, "data").finish ();
    scheduler.run_for (ms * kMillisecond);
    cut_and_attach ();
    settle ();
    for (Application *app : {&alice_app, &bob_app}) {
      EXPECT_TRUE (app->seen["data"].ended) << ms;
      EXPECT_TRUE (app->seen["data"].closed) << ms;
      EXPECT_FALSE (app->seen["data"].close_reason) << ms;
    }
    EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{"only"})) << ms;
    // Nothing is remembered for ever: a channel of that name works again.
    bob_app.seen.clear ();
    ASSERT_TRUE (*open (*alice, "data").send (message_of ("next")));
    settle ();
    EXPECT_EQ (bob_app.texts ("data"), (std::vector<std::string>{"next"})) << ms;
  }
}

TEST_F (Lifecycle, APeerThatFloodsChannelsIsLimited) {
  bob_config.max_channels = 10;
  start ();
  for (int i = 0; i < 50; ++i) open (*alice, "channel " + std::to_string (i));
  settle ();
  EXPECT_EQ (bob->channels ().size (), 10u);
  EXPECT_EQ (alice->channels ().size (), 10u);
  int refused = 0;
  for (const auto &[name, seen] : alice_app.seen)
    if (seen.closed && seen.close_reason && seen.close_reason->code == P2P_ERROR_LIMIT) ++refused;
  EXPECT_EQ (refused, 40);
  EXPECT_EQ (alice_app.detached, 0);
  const auto beyond = bob->open_channel ("eleventh", {});
  ASSERT_FALSE (beyond.ok ());
  EXPECT_EQ (beyond.error ().code, P2P_ERROR_LIMIT);
}

TEST_F (Lifecycle, BadNamesAndOptionsAreRefused) {
  start ();
  EXPECT_FALSE (alice->open_channel ("", {}).ok ());
  EXPECT_FALSE (alice->open_channel (std::string (256, 'n'), {}).ok ());
  EXPECT_FALSE (alice->open_channel ("\xff", {}).ok ());
  EXPECT_TRUE (alice->open_channel (std::string (255, 'n'), {}).ok ());
  ChannelOptions both;
  both.max_packet_lifetime_ms = 1;
  both.max_retransmits = 1;
  EXPECT_FALSE (alice->open_channel ("both", both).ok ());
}

TEST_F (Lifecycle, ManyChannelsWaitForStreamsOfThePeer) {
  network.max_streams = 4;
  start ();
  std::vector<Channel *> list;
  for (int i = 0; i < 30; ++i) {
    Channel &channel = open (*alice, "channel " + std::to_string (i));
    ASSERT_TRUE (*channel.send (message_of ("x")));
    channel.finish ();
  }
  bob_app.on_end = [] (Channel &channel) { channel.finish (); };
  ASSERT_TRUE (run ([&] { return alice->channels ().empty (); }));
  EXPECT_EQ (bob_app.seen.size (), 30u);
}

TEST_F (Lifecycle, TheObserverMayCallAnythingFromInsideACallback) {
  start ();
  int replies = 0;
  bob_app.on_opened = [&] (Channel &channel) {
    EXPECT_TRUE (*channel.send (message_of ("welcome")));
  };
  bob_app.on_message = [&] (Channel &channel, const Message &message) {
    if (text_of (message.payload) == "reopen") {
      channel.close ();
      EXPECT_FALSE (channel.send (message_of ("x")).ok ());
      open (*bob, "data");
    } else if (text_of (message.payload) == "detach") {
      bob->detach ();
    }
  };
  alice_app.on_message = [&] (Channel &channel, const Message &) {
    if (++replies == 1) must_send (channel, message_of ("reopen"));
  };
  alice_app.on_closed = [&] (Channel &) {
    if (replies == 1) must_send (open (*alice, "other"), message_of ("detach"));
  };
  open (*alice, "data");
  settle ();
  EXPECT_TRUE (alice_app.seen["data"].closed);
  EXPECT_FALSE (bob->established ());
  bob_app.on_message = nullptr;
  cut ();
  alice_app.on_detached = nullptr;
  attach ();
  settle ();
  EXPECT_TRUE (bob->established ());
  EXPECT_EQ (bob_app.texts ("other"), (std::vector<std::string>{"detach"}));
}

TEST_F (Lifecycle, AttachingFromInsideDetachedWorks) {
  start ();
  bool again = true;
  alice_app.on_detached = [&] {
    if (!std::exchange (again, false)) return;
    links.push_back (std::make_unique<FakeLink> (scheduler, network));
    alice->attach (*link ().client);
    link ().connect ();
  };
  Channel &channel = open (*alice, "data");
  ASSERT_TRUE (*channel.send (message_of ("x")));
  cut ();
  bob->attach (*link ().server);
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
}
