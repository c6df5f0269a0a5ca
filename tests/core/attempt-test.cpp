// Attempts over real ICE, with a NAT between the two that lets nothing in at first.
#include "core/attempt.hpp"

#include "../ice/ice_fixture.hpp"
#include "../ice/udp_forwarder.hpp"

namespace p2p::test {
namespace {

struct AttemptEnd final : Attempt::Observer {
  explicit AttemptEnd (const char *id, bool controlling) {
    AttemptConfig config;
    config.id = id;
    config.attempt = std::string ("attempt of ") + id;
    config.clock = &core_loop ().scheduler ();
    config.ice = loopback_config (controlling);
    config.ice.tcp = false;
    config.quic.identity = *Identity::create_ephemeral ();
    config.order = {kIceWay};
    attempt = std::make_unique<Attempt> (config, this);
  }
  void attempt_candidate (const std::string &) override {}
  void attempt_gathered () override {}
  void attempt_path_message (const std::string &, ByteView) override {}
  void attempt_warning (const Error &) override {}
  void attempt_won (Carrier carrier) override { won = std::move (carrier); }
  void attempt_path (Path &) override { ++paths; }
  void attempt_lost (const Error &error) override { lost = error; }
  void attempt_path_changed () override {}
  void attempt_relay_back () override {}

  // What the other end is told: only the forwarder's address.
  NetworkConfig config (const std::string &candidate) const {
    NetworkConfig config = attempt->local_config ();
    config.candidates = {candidate};
    return config;
  }
  void end () {
    attempt->set_observer (nullptr);
    retire (std::make_unique<Carrier> (std::move (won)));
    retire (std::move (attempt));
  }

  std::unique_ptr<Attempt> attempt;
  Carrier won;
  std::optional<Error> lost;
  unsigned paths = 0;
};

class AttemptBehindNat : public testing::Test {
 protected:
  void SetUp () override {
    on_core ([&] {
      nat = std::make_unique<UdpForwarder> ();
      nat->close_inward ();
      inner = std::make_unique<AttemptEnd> ("inner", true);
      outer = std::make_unique<AttemptEnd> ("outer", false);
    });
    ASSERT_TRUE (
        wait_until ([&] { return inner->attempt->gathered () && outer->attempt->gathered (); }));
    on_core ([&] {
      const std::string sdp = outer->attempt->local_config ().candidates.front ();
      const std::string address = "127.0.0.1 ";
      nat->set_outer_end (static_cast<std::uint16_t> (
          std::stoul (sdp.substr (sdp.find (address) + address.size ()))));
    });
  }
  void TearDown () override {
    on_core ([&] {
      inner->end ();
      outer->end ();
    });
    // What was retired is gone after a turn.
    on_core ([&] { nat.reset (); });
  }
  void start (bool inner_is_client, Attempt::Aim aim) {
    ASSERT_FALSE (
        outer->attempt->start (inner->config (nat->outer_candidate ()), {!inner_is_client, aim}));
    ASSERT_FALSE (
        inner->attempt->start (outer->config (nat->inner_candidate ()), {inner_is_client, aim}));
  }

  std::unique_ptr<UdpForwarder> nat;
  std::unique_ptr<AttemptEnd> inner, outer;
};

TEST_F (AttemptBehindNat, TheClientsHandshakeBeginsBeforeAPairIsProved) {
  on_core ([&] { start (true, Attempt::Aim::connection); });
  ASSERT_TRUE (wait_until ([&] { return nat->data_sent () > 0; }));
  on_core ([&] {
    EXPECT_FALSE (inner->attempt->ice ()->selected_pair ());
    nat->open_inward ();
  });
  ASSERT_TRUE (wait_until ([&] { return inner->won.transport && outer->won.transport; }));
  EXPECT_FALSE (inner->lost || outer->lost);
}

TEST_F (AttemptBehindNat, AFurtherWayIsNotUsedBeforeItIsProved) {
  on_core ([&] {
    start (true, Attempt::Aim::path);
    nat->open_inward ();
  });
  ASSERT_TRUE (wait_until ([&] { return inner->paths == 1 && outer->paths == 1; }));
  on_core ([&] { EXPECT_EQ (nat->data_sent (), 0U); });
}

}  // namespace
}  // namespace p2p::test
