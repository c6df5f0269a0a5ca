// Agents whose process dies and comes back with its store, on a virtual clock: the same session
// goes on, and every message has its effect once.
#include "core/session_record.hpp"
#include "session/sender.hpp"
#include "store/memory_store.hpp"
#include "virtual_world.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

const int kSeeds = g_getenv ("P2P_SEEDS") ? std::atoi (g_getenv ("P2P_SEEDS")) : P2P_RESTART_SEEDS;

class Told final : public ConnectionCore::Observer {
 public:
  void connection_changed (const ConnectionSnapshot &now) override {
    if (now.state != state) states += "cCbR?"[std::min<int> (letter (now.state), 4)];
    state = now.state;
    last = now;
  }
  void connection_channel_opened (std::shared_ptr<ChannelPort> port) override {
    opened.push_back (port->name ());
  }
  void connection_channel_closed (const std::string &name) override { closed.push_back (name); }
  void connection_warning (const Error &warning) override { warnings.push_back (warning.message); }

  static int letter (P2pConnectionState state) {
    switch (state) {
      case P2P_CONNECTION_STATE_CONNECTING:
        return 0;
      case P2P_CONNECTION_STATE_CONNECTED:
        return 1;
      case P2P_CONNECTION_STATE_BROKEN:
        return 2;
      case P2P_CONNECTION_STATE_REMOVED:
        return 3;
      default:
        return 4;
    }
  }
  P2pConnectionState state = P2P_CONNECTION_STATE_INCOMING;
  ConnectionSnapshot last;
  std::string states;
  std::vector<std::string> opened, closed, warnings;
};

// One side, through all of its processes.
struct Side {
  const char *id, *peer, *in, *out;
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk> ();
  std::vector<std::string> effects;  // durable, as the application's own store is
  std::uint64_t sent = 0;            // durable in the journal

  // Of the living process.
  std::shared_ptr<Agent> agent;
  std::shared_ptr<Connection> connection;
  std::shared_ptr<Told> told;
  std::shared_ptr<ChannelPort> sending, receiving;
  std::uint64_t next = 0;

  void send () {
    auto resumed = sending->resume_seq ();
    if (!resumed && resumed.error ().code == P2P_ERROR_WOULD_BLOCK) return;
    if (resumed) next = std::max (next, *resumed);
    Message message;
    const std::string text = std::to_string (next);
    message.payload = Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
    if (!sending->try_send (message)) ++next;
    sent = std::max (sent, next);
  }
  void receive () {
    for (;;) {
      auto message = receiving->try_receive ();
      if (!message) return;
      if (message->seq >= effects.size ()) {
        ASSERT_EQ (message->seq, effects.size ());
        effects.push_back (view_of (message->payload).to_string ());
        ASSERT_EQ (effects.back (), std::to_string (message->seq));
      }
      receiving->confirm (message->seq);
    }
  }
};

class Restart : public WorldTest {
 protected:
  void begin (World &world, Side &side, bool kept = true, const char *identity = nullptr) {
    AgentSettings settings = settings_of (side.id, false);
    if (identity) settings.identity_path = directory_ + "/" + identity + ".pem";
    if (kept)
      settings.make_store = [&world, &side] () -> Result<std::unique_ptr<SessionStore>> {
        MemoryStore::Options options;
        options.delay_us = 2 * kMillisecond;
        return std::unique_ptr<SessionStore> (
            std::make_unique<MemoryStore> (world.clock, side.disk, options));
      };
    side.agent = world.make_agent (settings);
    auto opened = side.agent->open_connection (side.peer, std::nullopt);
    ASSERT_TRUE (opened.ok ());
    side.connection = std::static_pointer_cast<Connection> (*opened);
    side.told = std::make_shared<Told> ();
    side.connection->set_observer (side.told);
    ChannelOptions options;
    options.durable = options.manual_confirm = true;
    for (auto [name, port] : {std::pair (side.in, &side.receiving), {side.out, &side.sending}}) {
      auto made = side.connection->open_channel (name, options);
      ASSERT_TRUE (made.ok ());
      *port = *made;
    }
    side.next = 0;
    if (!side.effects.empty ()) side.receiving->confirm (side.effects.size () - 1);
  }
  // As kill -9: nothing is said, and of the store is left what was written.
  void kill (World &world, Side &side) {
    const LinkOptions usual;
    LinkOptions down;
    down.down = true;
    world.set_links (down);
    world.silence (side.id);
    const auto written = side.disk->owners[side.id];
    const std::weak_ptr<Agent> gone = side.agent;
    side.agent.reset ();
    side.connection.reset ();
    side.sending.reset ();
    side.receiving.reset ();
    world.post_pending ();
    ASSERT_TRUE (gone.expired ());
    world.run_for (10 * kMillisecond);  // what it still wrote never got there
    side.disk->owners[side.id] = written;
    side.disk->owners[side.id].held = false;
    world.set_links (usual);
  }
  void run (World &world, TimeUs span) {
    const TimeUs end = world.clock.now () + span;
    while (world.clock.now () < end) {
      for (Side *side : {&alice, &bob})
        if (side->agent) side->send ();
      world.run_for (std::min (end - world.clock.now (), 20 * kMillisecond));
      for (Side *side : {&alice, &bob})
        if (side->agent) side->receive ();
    }
  }
  void connect (World &world) {
    begin (world, alice);
    begin (world, bob);
    for (int i = 0; i < 20 && !both (P2P_CONNECTION_STATE_CONNECTED); ++i) run (world, kSecond);
    ASSERT_TRUE (both (P2P_CONNECTION_STATE_CONNECTED));
  }
  bool both (P2pConnectionState state) const {
    return alice.told->state == state && bob.told->state == state;
  }
  void finish (World &world) {
    for (int i = 0; i < 60 && !both (P2P_CONNECTION_STATE_CONNECTED); ++i) run (world, kSecond);
    EXPECT_TRUE (both (P2P_CONNECTION_STATE_CONNECTED))
        << alice.told->states << " " << bob.told->states << " " << alice.told->last.reason << " / "
        << bob.told->last.reason;
    world.run_for (10 * kSecond);
    for (Side *side : {&alice, &bob}) side->receive ();
    EXPECT_EQ (alice.effects.size (), bob.sent);
    EXPECT_EQ (bob.effects.size (), alice.sent);
    end (world);
  }
  void end (World &world) {
    for (Side *side : {&alice, &bob}) {
      if (side->agent) side->agent->close (nullptr);
      world.run_for (kSecond);
      side->agent.reset ();
      side->connection.reset ();
    }
    world.post_pending ();
    // An orderly end leaves nothing behind.
    for (Side *side : {&alice, &bob}) EXPECT_TRUE (side->disk->owners[side->id].items.empty ());
  }
  template <class Body>
  void each_seed (int seeds, Body body) {
    const char *only = g_getenv ("P2P_SEED");
    core_loop ().run_sync ([&] {
      for (int seed = 1; seed <= seeds && !HasFailure (); ++seed) {
        if (only && std::to_string (seed) != only) continue;
        SCOPED_TRACE ("seed " + std::to_string (seed));
        alice = Side{"alice", "bob", "b", "a"};
        bob = Side{"bob", "alice", "a", "b"};
        World world (static_cast<std::uint64_t> (seed), {});
        body (world);
      }
    });
  }

  Side alice{"alice", "bob", "b", "a"}, bob{"bob", "alice", "a", "b"};
};

TEST_F (Restart, OfOneSideIsABreakAndARestoreForTheOther) {
  each_seed (4, [&] (World &world) {
    connect (world);
    run (world, 2 * kSecond);
    Side &dying = world.roll (2) == 0 ? alice : bob;
    const Side &living = &dying == &alice ? bob : alice;
    kill (world, dying);
    run (world, static_cast<TimeUs> (world.roll (5000)) * kMillisecond);
    begin (world, dying);
    run (world, 10 * kSecond);
    EXPECT_EQ (living.told->states.substr (0, 2), "cC");
    EXPECT_EQ (living.told->states.substr (living.told->states.size () - 2), "bC");
    EXPECT_EQ (living.told->states.find ('R'), std::string::npos) << living.told->states;
    EXPECT_TRUE (living.told->closed.empty ());
    EXPECT_TRUE (living.told->last.restored.new_transport);
    finish (world);
  });
}

TEST_F (Restart, OfWhomeverAndWheneverLosesAndDoublesNothing) {
  each_seed (kSeeds, [&] (World &world) {
    connect (world);
    for (int i = 0; i < 4; ++i) {
      run (world, static_cast<TimeUs> (world.roll (3000)) * kMillisecond);
      const std::uint64_t who = 1 + world.roll (3);
      if (who & 1) kill (world, alice);
      if (who & 2) kill (world, bob);
      run (world, static_cast<TimeUs> (world.roll (3000)) * kMillisecond);
      if (who & 1) begin (world, alice);
      if (who & 2) begin (world, bob);
    }
    finish (world);
  });
}

TEST_F (Restart, TheEndOfADirectionIsToldToTheNewProcessToo) {
  each_seed (2, [&] (World &world) {
    const auto ended = [&] {
      const auto message = bob.receiving->try_receive ();
      return !message && message.error ().code == P2P_ERROR_END_OF_STREAM;
    };
    connect (world);
    run (world, kSecond);
    alice.sending->end ();
    for (int i = 0; i < 10 && !ended (); ++i) run (world, kSecond);
    ASSERT_TRUE (ended ());
    run (world, kSecond);
    kill (world, bob);
    begin (world, bob);
    EXPECT_FALSE (ended ());
    run (world, 5 * kSecond);
    EXPECT_TRUE (ended ());
    finish (world);
  });
}

TEST_F (Restart, WithoutTheStoreIsAnotherSession) {
  each_seed (2, [&] (World &world) {
    connect (world);
    run (world, kSecond);
    kill (world, bob);
    bob.disk = std::make_shared<MemoryDisk> ();
    bob.effects.clear ();
    const auto old = alice.told;
    begin (world, bob);
    run (world, 10 * kSecond);
    EXPECT_EQ (old->state, P2P_CONNECTION_STATE_REMOVED);
    EXPECT_FALSE (old->last.reason.empty ());
    end (world);
  });
}

TEST_F (Restart, ThePeerNeedsNoStoreToGoOn) {
  each_seed (4, [&] (World &world) {
    begin (world, alice, false);
    begin (world, bob);
    for (int i = 0; i < 20 && !both (P2P_CONNECTION_STATE_CONNECTED); ++i) run (world, kSecond);
    ASSERT_TRUE (both (P2P_CONNECTION_STATE_CONNECTED));
    for (int i = 0; i < 3; ++i) {
      kill (world, bob);
      run (world, kSecond);
      begin (world, bob);
      run (world, 5 * kSecond);
    }
    finish (world);
  });
}

TEST_F (Restart, AnOlderCopyOfTheStoreIsRefusedWithTheReason) {
  each_seed (2, [&] (World &world) {
    connect (world);
    run (world, kSecond);
    auto copy = bob.disk->owners["bob"];
    run (world, 2 * kSecond);
    kill (world, bob);
    copy.held = false;
    bob.disk->owners["bob"] = copy;
    begin (world, bob);
    run (world, 10 * kSecond);
    EXPECT_EQ (alice.told->state, P2P_CONNECTION_STATE_REMOVED);
    EXPECT_NE ((alice.told->last.reason + bob.told->last.reason).find ("older copy"),
               std::string::npos)
        << alice.told->last.reason << " / " << bob.told->last.reason;
    alice.told.reset ();
    for (Side *side : {&alice, &bob}) {
      side->agent->close (nullptr);
      world.run_for (kSecond);
      side->agent.reset ();
      side->connection.reset ();
    }
    world.post_pending ();
  });
}

TEST_F (Restart, UnderAnotherIdentityNothingIsRestoredAndNothingIsLost) {
  each_seed (2, [&] (World &world) {
    connect (world);
    run (world, kSecond);
    kill (world, alice);
    kill (world, bob);
    const std::size_t kept = bob.disk->owners["bob"].items.size ();
    begin (world, bob, true, "alice");
    run (world, kSecond);
    EXPECT_EQ (bob.told->state, P2P_CONNECTION_STATE_CONNECTING);
    EXPECT_EQ (bob.disk->owners["bob"].items.size (), kept);
    kill (world, bob);
    begin (world, bob);
    begin (world, alice);
    finish (world);
  });
}

TEST_F (Restart, TheStateThatIsKeptCanBeReadWithoutItsSecrets) {
  each_seed (1, [&] (World &world) {
    connect (world);
    run (world, kSecond);
    const std::string state = bob.connection->session_state ();
    for (const char *field : {"\"peer\":\"alice\"", "peer-fingerprint", "\"epoch\":\"1\"",
                              "\"name\":\"a\"", "\"durable\":true", "\"sent\":", "\"relays\":[]",
                              "\"received-confirmed\":", "candidates"})
      EXPECT_NE (state.find (field), std::string::npos) << field << " in " << state;
    EXPECT_EQ (state.find ("secret"), std::string::npos);
    end (world);
  });
}

}  // namespace
