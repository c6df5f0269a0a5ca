// Two agents meet, prove who they are, connect and end, in every order and with every credential.
#include <thread>

#include "agent_fixture.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

class Agents : public AgentTest {
 protected:
  AgentSettings with_secret (const std::string &id, const std::string &secret) const {
    AgentSettings settings = settings_of (id);
    settings.credentials.secret = *SecretKey::derive (secret);
    return settings;
  }
  static AgentSettings listening (AgentSettings settings,
                                  P2pAcceptPolicy policy = P2P_ACCEPT_POLICY_ALL) {
    settings.accept_policy = policy;
    return settings;
  }
  std::shared_ptr<ConnectionCore> open (TestAgent &agent, const std::string &peer,
                                        const std::optional<NetworkConfig> &remote = std::nullopt) {
    auto connection = agent.core->open_connection (peer, remote);
    EXPECT_TRUE (connection.ok ()) << connection.error ().message;
    agent.watcher->watch (*connection);
    return *connection;
  }
  static NetworkConfig config_of (TestAgent &agent, const std::string &peer) {
    std::optional<NetworkConfig> config;
    std::mutex mutex;
    std::condition_variable done;
    agent.core->create_network_config (peer, [&] (const Result<NetworkConfig> &made) {
      const std::lock_guard lock (mutex);
      if (made) config = made.value ();
      done.notify_all ();
    });
    std::unique_lock lock (mutex);
    done.wait_for (lock, std::chrono::seconds (10), [&] { return config.has_value (); });
    return config.value_or (NetworkConfig ());
  }
};

std::string
last_error (const TestAgent &agent) {
  const Status &error = agent.watcher->history.back ().error;
  return error ? error->message : std::string ("no error");
}

}  // namespace

TEST_F (Agents, BothAskForEachOtherAndExchangeMessages) {
  TestAgent alice = make_agent (with_secret ("alice", "s")),
            bob = make_agent (with_secret ("bob", "s"));
  const auto a = open (alice, "bob");
  const auto b = open (bob, "alice");
  auto from_a = a->open_channel ("default", {});
  auto from_b = b->open_channel ("default", {});
  ASSERT_TRUE (from_a.ok () && from_b.ok ());
  EXPECT_FALSE ((*from_a)->try_send (message_of ("to bob")));
  EXPECT_FALSE ((*from_b)->try_send (message_of ("to alice")));
  EXPECT_EQ (receive_text (**from_a), "to alice");
  EXPECT_EQ (receive_text (**from_b), "to bob");
  EXPECT_EQ (a->snapshot ().state, P2P_CONNECTION_STATE_CONNECTED);
  EXPECT_EQ (a->snapshot ().authentication, P2P_AUTHENTICATION_SECRET);
  EXPECT_EQ (a->snapshot ().peer_fingerprint, *bob.core->fingerprint ());
  EXPECT_EQ (a->stats ().snapshot.path->kind, "memory");
}

TEST_F (Agents, ListenerTakesWhoeverComesAndItsChannelsOpenByThemselves) {
  TestAgent bob = make_agent (listening (settings_of ("bob")));
  TestAgent alice = make_agent (settings_of ("alice"));
  const auto a = open (alice, "bob");
  auto channel = a->open_channel ("data", {});
  EXPECT_FALSE ((*channel)->try_send (message_of ("hello")));
  ASSERT_TRUE (bob.watcher->wait ([&] { return !bob.watcher->channels.empty (); }));
  EXPECT_EQ (bob.watcher->channels[0]->name (), "data");
  EXPECT_EQ (receive_text (*bob.watcher->channels[0]), "hello");
  EXPECT_EQ (bob.watcher->incoming[0]->peer (), "alice");
  EXPECT_EQ (a->snapshot ().authentication, P2P_AUTHENTICATION_SIGNALING);
}

// Who opens a channel after its peer sends with its own options all the same.
TEST_F (Agents, EachSideSendsWithTheOptionsThatItOpenedTheChannelWith) {
  TestAgent bob = make_agent (listening (settings_of ("bob")));
  TestAgent alice = make_agent (settings_of ("alice"));
  const auto a = open (alice, "bob");
  const auto of_alice = *a->open_channel ("data", {});
  EXPECT_FALSE (of_alice->try_send (message_of ("reliable")));
  ASSERT_TRUE (bob.watcher->wait ([&] { return !bob.watcher->channels.empty (); }));
  EXPECT_TRUE (bob.watcher->channels[0]->options ().reliable ());
  ChannelOptions lossy;
  lossy.max_retransmits = 0;
  const auto of_bob = *bob.watcher->incoming[0]->open_channel ("data", lossy);
  EXPECT_EQ (of_bob, bob.watcher->channels[0]);
  EXPECT_EQ (of_bob->options ().max_retransmits, 0U);
  EXPECT_EQ (*bob.watcher->incoming[0]->open_channel ("data", {}), of_bob);
  EXPECT_EQ (of_bob->options ().max_retransmits, 0U) << "it is open on this side";
  EXPECT_EQ (receive_text (*of_bob), "reliable");
  LinkOptions half;
  half.loss = 0.5;
  core_loop ().run_sync ([&] { source->set_all (half); });
  constexpr int kMessages = 200;
  for (int i = 0; i < kMessages; ++i)
    EXPECT_FALSE (of_bob->try_send (message_of (std::to_string (i))));
  of_bob->end ();
  int arrived = 0;
  bool cancelled = false;
  while (of_alice->receive (nullptr, &cancelled)) ++arrived;
  EXPECT_GT (arrived, 0);
  EXPECT_LT (arrived, kMessages);
}

TEST_F (Agents, WhatWasSentOnAChannelOfThePeerKeepsItsOptions) {
  TestAgent bob = make_agent (listening (settings_of ("bob")));
  TestAgent alice = make_agent (settings_of ("alice"));
  const auto a = open (alice, "bob");
  EXPECT_TRUE (a->open_channel ("data", {}).ok ());
  ASSERT_TRUE (bob.watcher->wait ([&] { return !bob.watcher->channels.empty (); }));
  EXPECT_FALSE (bob.watcher->channels[0]->try_send (message_of ("first")));
  ChannelOptions lossy;
  lossy.max_retransmits = 0;
  const auto of_bob = *bob.watcher->incoming[0]->open_channel ("data", lossy);
  EXPECT_EQ (of_bob, bob.watcher->channels[0]);
  EXPECT_TRUE (of_bob->options ().reliable ());
}

TEST_F (Agents, WaitsForAPeerThatComesLater) {
  TestAgent alice = make_agent (settings_of ("alice"));
  const auto a = open (alice, "bob");
  ASSERT_TRUE (alice.watcher->wait ([&] {
    return !alice.watcher->history.empty () &&
           alice.watcher->history.back ().reason.find ("waiting") != std::string::npos;
  }));
  TestAgent bob = make_agent (listening (settings_of ("bob")));
  EXPECT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED)) << last_error (alice);
}

TEST_F (Agents, AsksBeforeItTakesAndMayRefuse) {
  TestAgent bob = make_agent (listening (settings_of ("bob"), P2P_ACCEPT_POLICY_ASK));
  TestAgent alice = make_agent (settings_of ("alice")), carol = make_agent (settings_of ("carol"));
  open (alice, "bob");
  ASSERT_TRUE (bob.watcher->wait ([&] { return bob.watcher->incoming.size () == 1; }));
  EXPECT_EQ (bob.watcher->incoming[0]->snapshot ().state, P2P_CONNECTION_STATE_INCOMING);
  bob.watcher->incoming[0]->refuse ("not today");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_EQ (alice.watcher->history.back ().error->code, P2P_ERROR_REFUSED);
  EXPECT_NE (last_error (alice).find ("not today"), std::string::npos);

  open (carol, "bob");
  ASSERT_TRUE (bob.watcher->wait ([&] { return bob.watcher->incoming.size () == 2; }));
  bob.watcher->incoming[1]->accept ();
  EXPECT_TRUE (carol.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED)) << last_error (carol);
}

TEST_F (Agents, WrongSecretIsAnErrorOnBothSides) {
  TestAgent alice = make_agent (with_secret ("alice", "one")),
            bob = make_agent (with_secret ("bob", "two"));
  open (alice, "bob");
  open (bob, "alice");
  for (TestAgent *agent : {&alice, &bob}) {
    ASSERT_TRUE (agent->watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
    EXPECT_EQ (agent->watcher->history.back ().error->code, P2P_ERROR_NOT_AUTHORIZED)
        << last_error (*agent);
  }
}

TEST_F (Agents, WrongSecretIsToldToAListenerAndToItsCaller) {
  TestAgent bob = make_agent (listening (with_secret ("bob", "two")));
  TestAgent alice = make_agent (with_secret ("alice", "one"));
  open (alice, "bob");
  ASSERT_TRUE (bob.watcher->wait ([&] { return !bob.watcher->rejected.empty (); }));
  EXPECT_EQ (bob.watcher->rejected[0].code, P2P_ERROR_NOT_AUTHORIZED);
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_EQ (alice.watcher->history.back ().error->code, P2P_ERROR_NOT_AUTHORIZED);
}

TEST_F (Agents, SecretOnOneSideOnlyIsNotAuthorized) {
  TestAgent alice = make_agent (with_secret ("alice", "one")),
            bob = make_agent (settings_of ("bob"));
  open (alice, "bob");
  open (bob, "alice");
  for (TestAgent *agent : {&alice, &bob}) {
    ASSERT_TRUE (agent->watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
    EXPECT_EQ (agent->watcher->history.back ().error->code, P2P_ERROR_NOT_AUTHORIZED);
  }
}

TEST_F (Agents, PinnedFingerprintIsProof) {
  AgentSettings pinned = settings_of ("alice");
  TestAgent bob = make_agent (listening (settings_of ("bob")));
  pinned.peers["bob"].fingerprint = *bob.core->fingerprint ();
  TestAgent alice = make_agent (pinned);
  const auto a = open (alice, "bob");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED)) << last_error (alice);
  EXPECT_EQ (a->snapshot ().authentication, P2P_AUTHENTICATION_FINGERPRINT);
}

TEST_F (Agents, WrongFingerprintIsAnErrorOnBothSides) {
  AgentSettings pinned = settings_of ("alice");
  TestAgent bob = make_agent (settings_of ("bob"));
  pinned.peers["bob"].fingerprint = *normalize_fingerprint (std::string (64, 'A'));
  TestAgent alice = make_agent (pinned);
  open (alice, "bob");
  open (bob, "alice");
  for (TestAgent *agent : {&alice, &bob}) {
    ASSERT_TRUE (agent->watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
    EXPECT_EQ (agent->watcher->history.back ().error->code, P2P_ERROR_NOT_AUTHORIZED)
        << last_error (*agent);
  }
}

TEST_F (Agents, AServerThatSwapsTheConfigurationGetsNothing) {
  // Without a secret the server can put its own certificate there; the handshake then fails.
  TestAgent alice = make_agent (settings_of ("alice")), bob = make_agent (settings_of ("bob"));
  const std::string other = *normalize_fingerprint (std::string (64, 'B'));
  const std::string bobs = *bob.core->fingerprint ();
  core_loop ().run_sync ([&] {
    place->filter = [&] (const std::string &from, const std::string &, std::string &text) {
      const auto at = text.find (bobs);
      if (from == "bob" && at != std::string::npos) text.replace (at, bobs.size (), other);
      return true;
    };
  });
  open (alice, "bob");
  open (bob, "alice");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_EQ (alice.watcher->history.back ().error->code, P2P_ERROR_NOT_AUTHORIZED);
  ASSERT_TRUE (bob.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
}

TEST_F (Agents, ConfigurationsInHandNeedNoSignaling) {
  AgentSettings one = settings_of ("alice"), two = settings_of ("bob");
  one.path_order = two.path_order = {"ice"};
  one.local_addresses = two.local_addresses = {"127.0.0.1"};
  TestAgent alice = make_agent (one, false), bob = make_agent (two, false);
  const NetworkConfig alices = config_of (alice, "bob"), bobs = config_of (bob, "");
  ASSERT_EQ (alices.id, "alice");
  ASSERT_TRUE (alices.complete);
  open (alice, "bob", bobs);
  open (bob, "alice", alices);
  EXPECT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED)) << last_error (alice);
  EXPECT_TRUE (bob.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED)) << last_error (bob);
}

TEST_F (Agents, NoSignalingAndNoConfigurationIsAnErrorThatSaysSo) {
  TestAgent alice = make_agent (settings_of ("alice"), false);
  open (alice, "bob");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_EQ (alice.watcher->history.back ().error->code, P2P_ERROR_NOT_CONNECTED);
}

TEST_F (Agents, TheFirstUsablePathInTheGivenOrderWins) {
  auto broken = std::make_shared<MemorySource> ("broken");
  broken->broken = true;
  AgentSettings one = settings_of ("alice"), two = settings_of ("bob");
  one.path_order = two.path_order = {"broken", "memory"};
  TestAgent alice = make_agent (one), bob = make_agent (listening (two));
  alice.core->add_path_source (broken);
  bob.core->add_path_source (broken);
  const auto a = open (alice, "bob");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED)) << last_error (alice);
  ASSERT_EQ (a->snapshot ().path_attempts.size (), 2u);
  EXPECT_NE (a->snapshot ().path_attempts[0].find ("on purpose"), std::string::npos);
}

TEST_F (Agents, NoPathAtAllIsUnreachable) {
  source->broken = true;
  TestAgent alice = make_agent (settings_of ("alice")),
            bob = make_agent (listening (settings_of ("bob")));
  open (alice, "bob");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_EQ (alice.watcher->history.back ().error->code, P2P_ERROR_UNREACHABLE);
  EXPECT_NE (last_error (alice).find ("on purpose"), std::string::npos);
}

TEST_F (Agents, OrderlyCloseIsNoErrorOnEitherSide) {
  TestAgent alice = make_agent (settings_of ("alice")),
            bob = make_agent (listening (settings_of ("bob")));
  const auto a = open (alice, "bob");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED));
  ASSERT_TRUE (bob.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED));
  a->close ();
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  ASSERT_TRUE (bob.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_FALSE (alice.watcher->history.back ().error);
  EXPECT_FALSE (bob.watcher->history.back ().error) << last_error (bob);
  EXPECT_TRUE (bob.watcher->history.back ().removed_by_peer);
  EXPECT_TRUE (alice.core->connections ().empty ());
}

TEST_F (Agents, ARestartedPeerTakesThePlaceOfItsOldSession) {
  TestAgent bob = make_agent (listening (settings_of ("bob")));
  {
    TestAgent alice = make_agent (settings_of ("alice"));
    open (alice, "bob");
    ASSERT_TRUE (bob.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED));
    // It vanishes without a word: neither a close nor a good-bye arrives.
    core_loop ().run_sync ([&] {
      LinkOptions down;
      down.down = true;
      source->set_all (down);
    });
    alice.core->close (nullptr);
    agents.pop_back ();
  }
  TestAgent again = make_agent (settings_of ("alice"));
  open (again, "bob");
  EXPECT_TRUE (again.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED)) << last_error (again);
}

TEST_F (Agents, AnIdThatIsTakenEndsWhatWaitsForIt) {
  TestAgent first = make_agent (settings_of ("alice"));
  core_loop ().run_sync ([] {});
  TestAgent second = make_agent (settings_of ("alice"));
  open (second, "bob");
  ASSERT_TRUE (second.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_EQ (second.watcher->history.back ().error->code, P2P_ERROR_ID_TAKEN);
}

TEST_F (Agents, AnIdThatIsTakenEndsWhatIsAskedForLater) {
  TestAgent first = make_agent (settings_of ("alice"));
  core_loop ().run_sync ([] {});
  TestAgent second = make_agent (settings_of ("alice"));
  const auto &heard = second.watcher->signaling;
  ASSERT_TRUE (second.watcher->wait (
      [&] { return !heard.empty () && heard.back ().first == Signaling::State::refused; }));
  open (second, "bob");
  ASSERT_TRUE (second.watcher->wait_state (P2P_CONNECTION_STATE_REMOVED));
  EXPECT_EQ (second.watcher->history.back ().error->code, P2P_ERROR_ID_TAKEN);
}

TEST_F (Agents, MessagesOfStrangersAndNonsenseLeaveALivingSessionAlone) {
  TestAgent alice = make_agent (with_secret ("alice", "s")),
            bob = make_agent (with_secret ("bob", "s"));
  const auto a = open (alice, "bob");
  const auto b = open (bob, "alice");
  ASSERT_TRUE (alice.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED));
  ASSERT_TRUE (bob.watcher->wait_state (P2P_CONNECTION_STATE_CONNECTED));
  core_loop ().run_sync ([&] {
    auto stranger = place->make_client ();
    stranger->start ("mallory");
    stranger->ask ("alice");
    for (const char *text : {"", "{", "[]", "{\"sealed\":\"AAAA\"}", "{\"plain\":{}}"})
      (void)stranger->send ("alice", text);
  });
  auto channel = a->open_channel ("after", {});
  EXPECT_FALSE ((*channel)->try_send (message_of ("still here")));
  ASSERT_TRUE (bob.watcher->wait ([&] { return !bob.watcher->channels.empty (); }));
  EXPECT_EQ (receive_text (*bob.watcher->channels[0]), "still here");
}

TEST_F (Agents, MalformedIdsAreRefused) {
  TestAgent alice = make_agent (settings_of ("alice"));
  for (const std::string &id : {std::string (), std::string ("a b"), std::string ("*"),
                                std::string (200, 'x'), std::string ("alice")}) {
    auto connection = alice.core->open_connection (id, std::nullopt);
    ASSERT_FALSE (connection.ok ()) << id;
    EXPECT_EQ (connection.error ().code, P2P_ERROR_INVALID_ARGUMENT);
  }
}

// Flushed after the end, then closed at once: the peer gets everything and the end, nothing else.
// The peer closes as soon as it has the end; that must not fail the flush.
class FlushedEnds : public Agents, public testing::WithParamInterface<double> {};

TEST_P (FlushedEnds, AreSeenByThePeerBeforeTheClose) {
  source->options.loss = GetParam ();
  TestAgent bob = make_agent (listening (settings_of ("bob")));
  TestAgent alice = make_agent (settings_of ("alice"));
  for (std::size_t round = 0; round < 30; ++round) {
    const auto a = open (alice, "bob");
    auto channel = a->open_channel ("data", {});
    ASSERT_TRUE (channel.ok ());
    const bool reader_closes = round % 2 == 1 && GetParam () == 0;
    std::thread reader ([&] {
      ASSERT_TRUE (bob.watcher->wait ([&] { return bob.watcher->channels.size () == round + 1; }));
      const auto port = bob.watcher->channels[round];
      for (std::size_t i = 0; i < round; ++i)
        EXPECT_EQ (receive_text (*port), std::to_string (i)) << "round " << round;
      bool cancelled = false;
      const auto end = port->receive (nullptr, &cancelled);
      ASSERT_FALSE (end.ok ());
      EXPECT_EQ (end.error ().code, P2P_ERROR_END_OF_STREAM) << end.error ().message;
      if (reader_closes) bob.watcher->incoming.back ()->close ();
    });
    bool cancelled = false;
    for (std::size_t i = 0; i < round; ++i)
      EXPECT_FALSE ((*channel)->send (message_of (std::to_string (i)), nullptr, &cancelled));
    (*channel)->end ();
    const Status flushed = (*channel)->flush (nullptr, &cancelled);
    EXPECT_FALSE (flushed) << flushed->message << " in round " << round;
    a->close ();
    reader.join ();
    if (HasFailure ()) return;
    ASSERT_TRUE (alice.watcher->wait ([&] { return alice.core->connections ().empty (); }));
  }
}

INSTANTIATE_TEST_SUITE_P (Loss, FlushedEnds, testing::Values (0.0, 0.05));
