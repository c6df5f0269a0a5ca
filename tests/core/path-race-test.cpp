// Which way wins, and what becomes of a handshake on one that nothing has proved yet.
#include "core/path_race.hpp"

#include <gtest/gtest.h>

#include "base/loop_thread.hpp"
#include "path/memory_path.hpp"

namespace p2p {
namespace {

constexpr TimeUs kOneWay = 25 * kMillisecond;

struct Racer final : PathRace::Observer {
  Racer (const QuicConfig &config, VirtualScheduler &clock)
      : scheduler (clock), race (std::make_unique<PathRace> (config, clock, *this)) {
    way = race->add_way ("ice");
  }
  void race_won (Carrier carrier) override {
    won_at = scheduler.now ();
    won = std::move (carrier);
  }
  void race_lost (const Error &error) override { lost = error; }

  VirtualScheduler &scheduler;
  std::unique_ptr<PathRace> race;
  std::size_t way = 0;
  Carrier won;
  TimeUs won_at = 0;
  std::optional<Error> lost;
};

class Race : public testing::Test {
 protected:
  Race () {
    QuicConfig config;
    config.identity = identity;
    config.client = true;
    client = std::make_unique<Racer> (config, scheduler);
    config.client = false;
    server = std::make_unique<Racer> (config, scheduler);
    set (false);
  }
  void set (bool down) {
    LinkOptions options;
    options.delay = kOneWay;
    options.down = down;
    link->set_options (options);
  }
  void start () {
    server->race->way_opened (server->way, link->b ());
    server->race->start (identity->fingerprint (), false, true);
    client->race->start (identity->fingerprint (), true, true);
  }
  bool run_until_won () {
    return scheduler.run_until_true (
        [this] { return client->won.transport && server->won.transport; }, 5 * kSecond);
  }

  VirtualScheduler scheduler;
  const std::shared_ptr<Identity> identity = *Identity::create_ephemeral ();
  std::unique_ptr<MemoryLink> link = MemoryLink::create (scheduler, 1);
  std::unique_ptr<Racer> client, server;
};

TEST_F (Race, AnUnprovenWayIsTriedAtOnce) {
  start ();
  client->race->way_unproven (client->way, link->a ());
  scheduler.run_for (2 * kOneWay - 1);
  EXPECT_FALSE (client->won.transport);
  client->race->way_opened (client->way, link->a ());
  ASSERT_TRUE (run_until_won ());
  EXPECT_EQ (client->won_at, 2 * kOneWay);
  EXPECT_EQ (server->won_at, 3 * kOneWay);
}

// The proof may take as long as ICE does, and costs neither the handshake's time nor a timeout that
// has doubled meanwhile.
TEST_F (Race, AHandshakeWithoutAnAnswerWaitsForTheProof) {
  set (true);
  start ();
  client->race->way_unproven (client->way, link->a ());
  scheduler.run_for (20 * kSecond);
  EXPECT_FALSE (client->lost);
  EXPECT_LE (link->stats ().sent, 1U);
  set (false);
  client->race->way_opened (client->way, link->a ());
  const TimeUs proved_at = scheduler.now ();
  ASSERT_TRUE (run_until_won ());
  EXPECT_EQ (client->won_at - proved_at, 2 * kOneWay);
  scheduler.run_for (kSecond);
  EXPECT_EQ (client->won.transport->stats ().min_rtt_us, 2 * kOneWay);
}

TEST_F (Race, AnUnprovenWayThatFailsIsLost) {
  set (true);
  start ();
  client->race->way_unproven (client->way, link->a ());
  scheduler.run_for (7 * kSecond);
  client->race->way_failed (client->way, {P2P_ERROR_UNREACHABLE, "No pair."});
  ASSERT_TRUE (client->lost);
  EXPECT_EQ (client->lost->code, P2P_ERROR_UNREACHABLE);
  client->race->way_opened (client->way, link->a ());
  set (false);
  scheduler.run_for (kSecond);
  EXPECT_FALSE (client->won.transport);
}

TEST_F (Race, TheRoleMayBeKnownAfterTheWay) {
  client->race->way_unproven (client->way, link->a ());
  scheduler.run_for (kSecond);
  client->race->way_opened (client->way, link->a ());
  start ();
  EXPECT_TRUE (run_until_won ());
}

}  // namespace
}  // namespace p2p
