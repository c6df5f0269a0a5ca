// Two agents and a session between them in a virtual world, and what each side is told.
#pragma once
#include "session/sender.hpp"
#include "virtual_world.hpp"

namespace p2p::test {

// Sanitizers make it ten times slower, and need fewer.
inline const int kSeeds =
    g_getenv ("P2P_SEEDS") ? std::atoi (g_getenv ("P2P_SEEDS")) : P2P_LINE_SEEDS;

// Counts what one side is told.
class Told final : public ConnectionCore::Observer {
 public:
  void connection_changed (const ConnectionSnapshot &now) override {
    if (now.state == state) return;
    if (now.state == P2P_CONNECTION_STATE_BROKEN) {
      EXPECT_EQ (state, P2P_CONNECTION_STATE_CONNECTED);
      ++broken;
      reason = now.break_reason;
    } else if (now.state == P2P_CONNECTION_STATE_CONNECTED) {
      if (state == P2P_CONNECTION_STATE_BROKEN) ++restored;
    } else if (now.state == P2P_CONNECTION_STATE_REMOVED) {
      removed = now.reason;
    }
    state = now.state;
    at = clock ? clock->now () : 0;
  }
  void connection_channel_opened (std::shared_ptr<ChannelPort>) override {}
  void connection_channel_closed (const std::string &) override {}
  void connection_warning (const Error &) override {}

  VirtualScheduler *clock = nullptr;
  P2pConnectionState state = P2P_CONNECTION_STATE_CONNECTING;
  P2pBreakReason reason = P2P_BREAK_REASON_NONE;
  int broken = 0, restored = 0;
  TimeUs at = 0;  // of the last change
  std::string removed;
};

// One side: its agent, its end of the channel, and what it has sent and received.
struct Side {
  std::shared_ptr<Agent> agent;
  std::shared_ptr<Connection> connection;
  std::shared_ptr<ChannelPort> port;
  std::shared_ptr<Told> told = std::make_shared<Told> ();
  std::uint64_t sent = 0, received = 0;
  TimeUs last_received = 0, longest_gap = 0;

  void send () {
    Message message;
    const std::string text = std::to_string (sent);
    message.payload = Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
    if (!port->try_send (message)) ++sent;
  }
  void receive (TimeUs now) {
    for (;;) {
      auto message = port->try_receive ();
      if (!message) return;
      const ByteView bytes = view_of (message->payload);
      EXPECT_EQ (bytes.to_string (), std::to_string (received));
      ++received;
      longest_gap = std::max (longest_gap, now - last_received);
      last_received = now;
    }
  }
};

class Lines : public WorldTest {
 protected:
  // Alice is the server: the id that is the lesser.
  Side make_side (World &world, const char *id, const char *peer,
                  const std::function<void (AgentSettings &)> &adjust = {}) {
    Side side;
    AgentSettings settings = settings_of (id, false);
    if (adjust) adjust (settings);
    side.agent = world.make_agent (settings);
    auto opened = side.agent->open_connection (peer, std::nullopt);
    EXPECT_TRUE (opened.ok ());
    side.connection = std::static_pointer_cast<Connection> (*opened);
    side.told->clock = &world.clock;
    side.connection->set_observer (side.told);
    auto port = side.connection->open_channel ("c", {});
    EXPECT_TRUE (port.ok ());
    side.port = *port;
    return side;
  }
  void connect (World &world, const std::function<void (AgentSettings &)> &adjust = {}) {
    alice = make_side (world, "alice", "bob", adjust);
    bob = make_side (world, "bob", "alice", adjust);
    // An offer that is lost is repeated after a while.
    for (int i = 0; i < 40 && !(connected (alice.connection->snapshot ()) &&
                                connected (bob.connection->snapshot ()));
         ++i)
      run (world, 3 * kSecond);
    ASSERT_EQ (alice.told->state, P2P_CONNECTION_STATE_CONNECTED);
    ASSERT_EQ (bob.told->state, P2P_CONNECTION_STATE_CONNECTED);
    for (Side *side : {&alice, &bob}) side->longest_gap = 0;
  }
  // Both send a message each 50 ms.
  void run (World &world, TimeUs span) {
    const TimeUs end = world.clock.now () + span;
    while (world.clock.now () < end) {
      for (Side *side : {&alice, &bob}) side->send ();
      world.run_for (std::min (end - world.clock.now (), 50 * kMillisecond));
      for (Side *side : {&alice, &bob}) side->receive (world.clock.now ());
    }
  }
  void finish (World &world) {
    world.run_for (20 * kSecond);
    for (Side *side : {&alice, &bob}) side->receive (world.clock.now ());
    EXPECT_EQ (alice.received, bob.sent) << "of bob's messages";
    EXPECT_EQ (bob.received, alice.sent) << "of alice's messages";
    end (world);
  }
  void end (World &world) {
    for (Side *side : {&alice, &bob}) side->agent->close (nullptr);
    world.post_pending ();
    const std::weak_ptr<Agent> a = alice.agent, b = bob.agent;
    alice = {};
    bob = {};
    world.post_pending ();
    EXPECT_TRUE (a.expired () && b.expired ());
  }
  static void change_network (Side &side) {
    NetworkChange change;
    change.added.emplace_back ();
    const auto now = std::make_shared<NetworkSnapshot> ();
    NetworkAddress address;
    address.address = "192.0.2.7";
    now->addresses.push_back (address);
    side.connection->network_changed (now, change);
  }
  static LinkOptions down () {
    LinkOptions options;
    options.down = true;
    return options;
  }
  template <class Body>
  void each_seed (int seeds, const Faults &faults, Body body) {
    // P2P_SEED=29 runs that one alone.
    const char *only = g_getenv ("P2P_SEED");
    core_loop ().run_sync ([&] {
      for (int seed = 1; seed <= seeds && !HasFailure (); ++seed) {
        if (only && std::to_string (seed) != only) continue;
        SCOPED_TRACE ("seed " + std::to_string (seed));
        World world (static_cast<std::uint64_t> (seed), faults);
        body (world);
      }
    });
  }

  Side alice, bob;
};

inline LinkOptions
link_with (TimeUs delay, double loss = 0) {
  LinkOptions options;
  options.delay = delay;
  options.loss = loss;
  return options;
}

}  // namespace p2p::test
