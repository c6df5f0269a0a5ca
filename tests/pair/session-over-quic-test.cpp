// Two sessions over QUIC over a faulty link, on a virtual clock: every byte arrives, once, in
// order.
#include <random>

#include "path/memory_path.hpp"
#include "support/session_pair.hpp"
#include "transport/quic_transport.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

struct Wire {
  Wire (Scheduler &scheduler, std::uint64_t seed, const LinkOptions &options,
        const std::string &greeting)
      : link (MemoryLink::create (scheduler, seed)) {
    static const std::shared_ptr<Identity> kAlice = *Identity::create_ephemeral ();
    static const std::shared_ptr<Identity> kBob = *Identity::create_ephemeral ();
    link->set_options (options);
    QuicConfig config;
    config.identity = kBob;
    config.peer_fingerprint = kAlice->fingerprint ();
    config.greeting = greeting;
    server = make_quic_transport (config, link->b ());
    config.client = true;
    config.identity = kAlice;
    config.peer_fingerprint = kBob->fingerprint ();
    client = make_quic_transport (config, link->a ());
  }
  std::unique_ptr<MemoryLink> link;
  std::unique_ptr<Transport> client, server;
};

std::string
payload_of (std::size_t number, std::size_t bytes) {
  std::mt19937 random (static_cast<std::uint32_t> (number));
  std::string text (bytes, '\0');
  for (char &c : text) c = static_cast<char> (random ());
  return text;
}

class SessionOverQuic : public ::testing::Test {
 protected:
  void start (std::uint64_t seed, const LinkOptions &options) {
    alice = Session::create ({}, alice_app);
    bob = Session::create ({}, bob_app);
    attach (seed, options);
    ASSERT_TRUE (run ([&] { return alice->established () && bob->established (); }));
  }
  void attach (std::uint64_t seed, const LinkOptions &options, const std::string &greeting = {}) {
    alice->detach ();
    bob->detach ();
    wire = std::make_unique<Wire> (scheduler, seed, options, greeting);
    alice->attach (*wire->client);
    bob->attach (*wire->server);
  }
  bool run (const std::function<bool ()> &done, TimeUs limit = 300 * kSecond) {
    return scheduler.run_until_true (done, limit);
  }

  VirtualScheduler scheduler;
  std::unique_ptr<Wire> wire;  // outlives the sessions
  Application alice_app, bob_app;
  std::unique_ptr<Session> alice, bob;
};

LinkOptions
faulty (double loss) {
  LinkOptions options;
  options.loss = loss;
  options.reorder = options.duplicate = loss / 2;
  options.delay = 10 * kMillisecond;
  options.jitter = 5 * kMillisecond;
  return options;
}

class Faulty : public SessionOverQuic, public ::testing::WithParamInterface<double> {};

}  // namespace

// The server's hello comes with its handshake.
TEST_F (SessionOverQuic, TheClientsFirstMessageArrivesAfterOneAndAHalfRoundTrips) {
  LinkOptions options;
  options.delay = 25 * kMillisecond;
  alice = Session::create ({}, alice_app);
  bob = Session::create ({}, bob_app);
  Channel &channel = **alice->open_channel ("data", {});
  ASSERT_TRUE (*channel.send (message_of ("first")));
  attach (1, options, Session::greeting ({}));
  ASSERT_TRUE (run ([&] { return alice->established (); }));
  EXPECT_EQ (scheduler.now (), 50 * kMillisecond);
  EXPECT_FALSE (bob->established ()) << "a server waits until the client has proved itself";
  ASSERT_TRUE (run ([&] { return !bob_app.seen["data"].messages.empty (); }));
  EXPECT_EQ (scheduler.now (), 75 * kMillisecond);
  EXPECT_TRUE (bob->established ());
}

// Whenever the first transport ends, before the server has heard of the session or after.
TEST_F (SessionOverQuic, WhatWasSentOnTheGreetingComesOnceWhateverBecomesOfTheTransport) {
  LinkOptions options;
  options.delay = 25 * kMillisecond;
  for (TimeUs end = 45 * kMillisecond; end < 130 * kMillisecond; end += 5 * kMillisecond) {
    alice_app = bob_app = {};
    alice = Session::create ({}, alice_app);
    bob = Session::create ({}, bob_app);
    Channel &channel = **alice->open_channel ("data", {});
    std::vector<std::string> wanted;
    for (int i = 0; i < 20; ++i) {
      wanted.push_back (std::to_string (i));
      ASSERT_TRUE (*channel.send (message_of (wanted.back ())));
    }
    attach (1, options, Session::greeting ({}));
    scheduler.run_for (end);
    attach (2, options);
    ASSERT_TRUE (run ([&] { return channel.flushed (); })) << end;
    EXPECT_EQ (bob_app.texts ("data"), wanted) << end;
  }
}

TEST_P (Faulty, ReliableMessagesArriveWholeOnceAndInOrder) {
  start (7, faulty (GetParam ()));
  for (const bool ordered : {true, false}) {
    ChannelOptions options;
    options.ordered = ordered;
    const std::string name = ordered ? "ordered" : "unordered";
    Channel &channel = **alice->open_channel (name, options);
    for (std::size_t i = 0; i < 200; ++i)
      ASSERT_TRUE (*channel.send (message_of (payload_of (i, i % 7 == 0 ? 0 : i * 37))));
    channel.finish ();
    ASSERT_TRUE (run ([&] { return channel.flushed (); })) << name;
    auto &seen = bob_app.seen[name];
    EXPECT_TRUE (seen.ended) << "flushed before the peer saw the end";
    ASSERT_EQ (seen.messages.size (), 200u);
    std::set<std::uint64_t> numbers;
    for (std::size_t i = 0; i < 200; ++i) {
      const auto seq = static_cast<std::size_t> (seen.messages[i].seq);
      numbers.insert (seq);
      if (ordered) {
        EXPECT_EQ (seq, i);
      }
      EXPECT_EQ (text_of (seen.messages[i].payload), payload_of (seq, seq % 7 == 0 ? 0 : seq * 37));
    }
    EXPECT_EQ (numbers.size (), 200u);
  }
}

TEST_P (Faulty, UnreliableCountersAddUp) {
  start (11, faulty (GetParam ()));
  for (const bool lifetime : {true, false}) {
    ChannelOptions options;
    options.ordered = lifetime;
    if (lifetime)
      options.max_packet_lifetime_ms = 50;
    else
      options.max_retransmits = 1;
    const std::string name = lifetime ? "lifetime" : "retransmits";
    Channel &channel = **alice->open_channel (name, options);
    for (std::size_t i = 0; i < 500; ++i) {
      ASSERT_TRUE (*channel.send (message_of (payload_of (i, 600))));
      scheduler.run_for (kMillisecond);
    }
    Channel *far = nullptr;
    for (Channel *one : bob->channels ())
      if (one->name () == name) far = one;
    ASSERT_NE (far, nullptr);
    channel.finish ();
    ASSERT_TRUE (run ([&] { return bob_app.seen[name].ended && channel.flushed (); })) << name;
    const ChannelStats sent = channel.stats (), got = far->stats ();
    EXPECT_EQ (sent.messages_sent, 500u);
    EXPECT_EQ (got.messages_received + got.messages_lost, 500u);
    EXPECT_EQ (got.messages_received, bob_app.seen[name].messages.size ());
    if (GetParam () == 0) {
      EXPECT_EQ (got.messages_lost, 0u);
    }
    for (const Message &message : bob_app.seen[name].messages)
      EXPECT_EQ (text_of (message.payload), payload_of (message.seq, 600));
  }
}

TEST_F (SessionOverQuic, AnUnreliableBurstComesToItsEndUnderHeavyLoss) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    alice.reset ();
    bob.reset ();
    bob_app.seen.clear ();
    LinkOptions options;
    options.loss = 0.3;
    options.delay = kMillisecond;  // without any, no rate of delivery can be measured
    start (seed, options);
    ChannelOptions unreliable;
    unreliable.max_retransmits = 0;
    Channel &channel = **alice->open_channel ("burst", unreliable);
    for (std::size_t i = 0; i < 400; ++i)
      ASSERT_TRUE (*channel.send (message_of (payload_of (i, 1000))));
    channel.finish ();
    const TimeUs began = scheduler.now ();
    ASSERT_TRUE (
        run ([&] { return bob_app.seen["burst"].ended && channel.flushed (); }, 60 * kSecond))
        << "seed " << seed << ": " << bob_app.seen["burst"].messages.size () << " came";
    EXPECT_LT (scheduler.now () - began, 15 * kSecond) << "seed " << seed;
    EXPECT_GT (bob_app.seen["burst"].messages.size (), 100u) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P (Loss, Faulty, ::testing::Values (0.0, 0.02, 0.1, 0.3));

TEST_F (SessionOverQuic, NewTransportsAtAnyMomentLoseAndDoubleNothing) {
  for (std::uint64_t seed = 1; seed <= 12 && !HasFailure (); ++seed) {
    SCOPED_TRACE (seed);
    std::mt19937 random (static_cast<std::uint32_t> (seed));
    alice_app = Application ();
    bob_app = Application ();
    start (seed, faulty (0.02));
    Channel &channel = **alice->open_channel ("data", {});
    for (std::size_t i = 0; i < 300; ++i) {
      ASSERT_TRUE (*channel.send (message_of (payload_of (i, random () % 5000))));
      if (random () % 4 == 0) scheduler.run_for (random () % 30000);
      if (random () % 40 == 0) attach (seed * 1000 + i, faulty (0.02));
    }
    channel.finish ();
    ASSERT_TRUE (run ([&] { return channel.flushed (); }));
    std::mt19937 again (static_cast<std::uint32_t> (seed));
    const auto &got = bob_app.seen["data"].messages;
    ASSERT_EQ (got.size (), 300u);
    for (std::size_t i = 0; i < 300; ++i) {
      EXPECT_EQ (text_of (got[i].payload), payload_of (i, again () % 5000)) << i;
      if (again () % 4 == 0) again ();
      again ();
    }
    alice.reset ();
    bob.reset ();
    wire.reset ();
  }
}

TEST_F (SessionOverQuic, AReceiverThatDoesNotTakeStopsTheSenderAndLaterGoesOn) {
  start (3, faulty (0));
  bob_app.takes = false;
  Channel &channel = **alice->open_channel ("data", {});
  std::size_t sent = 0;
  auto fill = [&] {
    while (*channel.send (message_of (std::string (64 * 1024, 'x')))) ++sent;
  };
  for (int i = 0; i < 200; ++i) {
    fill ();
    scheduler.run_for (50 * kMillisecond);
  }
  EXPECT_LE (sent, 17u * 16) << "the sender holds what is not confirmed, 16 MiB at most";
  EXPECT_LE (bob_app.seen["data"].messages.size (), 33u)
      << "1 MiB waits for the application, and what the window of 1 MiB still let in";
  bob_app.takes = true;
  for (Channel *far : bob->channels ()) bob_app.take_all (*far);
  channel.finish ();
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
  EXPECT_EQ (bob_app.seen["data"].messages.size (), sent);
}

// What came of each of these channels in a time in which all of them always had more to send.
std::map<std::string, double>
shares (VirtualScheduler &scheduler, Session &from, Application &to,
        const std::vector<std::pair<std::string, ChannelOptions>> &channels,
        std::size_t message_bytes) {
  std::vector<Channel *> open;
  for (const auto &[name, options] : channels) open.push_back (*from.open_channel (name, options));
  const std::string payload (message_bytes, 'x');
  std::map<std::string, std::uint64_t> came;
  to.on_message = [&] (Channel &channel, const Message &message) {
    came[channel.name ()] += g_bytes_get_size (message.payload.get ());
  };
  const auto run = [&] (TimeUs span) {
    for (const TimeUs end = scheduler.now () + span; scheduler.now () < end;) {
      for (Channel *channel : open)
        while (*channel->send (message_of (payload))) {
        }
      scheduler.run_for (5 * kMillisecond);
    }
  };
  run (2 * kSecond);  // until nobody has a head start
  came.clear ();
  run (8 * kSecond);
  to.on_message = nullptr;
  std::map<std::string, double> parts;
  double total = 0;
  for (const auto &[name, bytes] : came) total += static_cast<double> (bytes);
  for (const auto &[name, bytes] : came) parts[name] = static_cast<double> (bytes) / total;
  return parts;
}

LinkOptions
narrow () {
  LinkOptions options;
  options.rate_bits_per_s = 20'000'000;
  options.delay = 5 * kMillisecond;
  return options;
}

TEST_F (SessionOverQuic, ChannelsShareByPriority) {
  bob_app.keeps = false;
  start (21, narrow ());
  ChannelOptions low, normal, high;
  low.priority = 128;
  high.priority = 512;
  auto parts =
      shares (scheduler, *alice, bob_app, {{"low", low}, {"normal", normal}, {"high", high}}, 5000);
  EXPECT_NEAR (parts["low"], 1. / 7, 0.02);
  EXPECT_NEAR (parts["normal"], 2. / 7, 0.03);
  EXPECT_NEAR (parts["high"], 4. / 7, 0.03);
}

TEST_F (SessionOverQuic, AChannelHasOneShareWhateverItsStreamsAndDatagrams) {
  bob_app.keeps = false;
  start (22, narrow ());
  ChannelOptions ordered, unordered, lossy;
  unordered.ordered = false;
  lossy.max_retransmits = 0;
  auto parts =
      shares (scheduler, *alice, bob_app,
              {{"one stream", ordered}, {"many streams", unordered}, {"datagrams", lossy}}, 1000);
  for (const auto &[name, part] : parts) EXPECT_NEAR (part, 1. / 3, 0.06) << name;
}

// One packet of another channel may be on its way, a bufferful may not.
TEST_F (SessionOverQuic, ASmallChannelDoesNotWaitForABulkOne) {
  bob_app.keeps = false;
  start (23, narrow ());
  Channel &bulk = **alice->open_channel ("bulk", {});
  Channel &small = **alice->open_channel ("small", {});
  const std::string payload (64 * 1024, 'x');
  std::map<std::uint64_t, TimeUs> sent_at;
  std::vector<TimeUs> took;
  bob_app.on_message = [&] (Channel &channel, const Message &message) {
    if (channel.name () == "small") took.push_back (scheduler.now () - sent_at[message.seq]);
  };
  for (std::uint64_t i = 0; i < 500; ++i) {
    while (*bulk.send (message_of (payload))) {
    }
    sent_at[i] = scheduler.now ();
    ASSERT_TRUE (*small.send (message_of (std::string (64, 's'))));
    scheduler.run_for (10 * kMillisecond);
  }
  bob_app.on_message = nullptr;
  ASSERT_GT (took.size (), 480u);
  std::sort (took.begin (), took.end ());
  const TimeUs median = took[took.size () / 2];
  // The way itself takes 5 ms, and what BBR keeps in the queue of the link about a round trip.
  EXPECT_LT (median, 40 * kMillisecond);
}

TEST_F (SessionOverQuic, TheLongestMessageArrivesAndALongerOneIsRefused) {
  start (5, faulty (0.01));
  Channel &channel = **alice->open_channel ("data", {});
  const std::string longest = payload_of (1, 16 * 1024 * 1024);
  EXPECT_EQ (channel.send (message_of (longest + "x")).error ().code, P2P_ERROR_MESSAGE_TOO_LARGE);
  ASSERT_TRUE (*channel.send (message_of (longest)));
  ASSERT_TRUE (run ([&] { return channel.flushed (); }));
  EXPECT_EQ (text_of (bob_app.seen["data"].messages.at (0).payload), longest);
}
