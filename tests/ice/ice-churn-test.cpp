// Whatever is called in whatever order, and whoever goes when: libnice must not abort. The same
// sequences every time.
#include <random>

#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

constexpr unsigned kRounds = 200;
constexpr unsigned kStepsPerRound = 12;
constexpr std::size_t kMostNewcomers = 4;

class Churn {
 public:
  explicit Churn (unsigned seed) : random_ (seed) {}

  void run () {
    // Some over TCP alone, some with both, most over UDP.
    IceConfig a = loopback_config (chance (2)), b = loopback_config (!a.controlling);
    a.tcp = b.tcp = chance (4);
    if (a.tcp && chance (2))
      couple_.a.let_through = couple_.b.let_through = [] (const std::string &sdp) {
        return sdp.find (" TCP ") != std::string::npos;
      };
    ASSERT_TRUE (couple_.connect (a, b));
    roles_differ_ = !chance (8);
    if (!chance (6)) {
      ASSERT_TRUE (couple_.wait_usable ());
    }
    on_core ([&] {
      old_ = couple_.b.transport->local_credentials ();
      b_controlling_ = b.controlling;
    });
    for (unsigned i = 0; i < kStepsPerRound; ++i) step ();
    followed_ += couple_.a.transport ? couple_.a.transport->moves ().followed : 0;
    if (couple_.a.transport) finish ();
  }

  static unsigned followed_;

 private:
  bool chance (unsigned one_in) { return random_ () % one_in == 0; }
  IceEnd &some_end () {
    const std::size_t which = random_ () % (2 + newcomers_.size ());
    return which == 0 ? couple_.a : which == 1 ? couple_.b : *newcomers_[which - 2];
  }

  void step () {
    IceEnd &end = some_end ();
    const unsigned what = random_ () % 12;
    on_core ([&] {
      if (what < 3) {
        arrive ();
        return;
      }
      if (!end.transport) return;
      switch (what) {
        case 3:
        case 4:
          end.transport->follow_peer (true);
          break;
        case 5:
          end.transport->follow_peer (false);
          break;
        case 6:
          end.transport->go_back ();
          break;
        case 7:
          end.transport->check_pair ();
          break;
        case 8:
          end.send ("data");
          break;
        case 9:
          end.transport->follow_peer (true);
          end.transport->go_back ();
          end.transport->check_pair ();
          break;
        case 10:
          // Late ones of the peer's, and a stranger's.
          end.transport->add_remote_candidate ("candidate:9 1 UDP 2130706431 127.0.0.1 9 typ host");
          break;
        default:
          // The one that is followed about lives longest.
          if (&end != &couple_.a || chance (6)) end.close ();
      }
    });
    // What this has set off goes on for some turns, or long enough to be answered.
    unsigned turns = chance (3) ? 8 : 1;
    wait_until ([&] { return --turns == 0; });
  }

  void arrive () {
    if (newcomers_.size () >= kMostNewcomers || !couple_.a.transport) return;
    auto newcomer = std::make_unique<IceEnd> ();
    IceConfig config = loopback_config (roles_differ_ ? b_controlling_ : !b_controlling_);
    config.tcp = chance (6);
    config.credentials = old_;
    ASSERT_FALSE (newcomer->open (config));
    ASSERT_FALSE (
        newcomer->transport->set_remote_credentials (couple_.a.transport->local_credentials ()));
    for (const auto &sdp : couple_.a.candidates)
      ASSERT_FALSE (newcomer->transport->add_remote_candidate (sdp));
    newcomers_.push_back (std::move (newcomer));
  }

  // In the end a last one comes, and is followed wherever that is possible.
  void finish () {
    bool ready = false;
    on_core ([&] {
      // Before that, an address that comes is taken for one of the first checks'.
      ready = couple_.a.transport->state () == IceState::ready;
      couple_.b.close ();
      for (auto &newcomer : newcomers_) newcomer->close ();
      newcomers_.clear ();
      couple_.a.transport->follow_peer (true);
      roles_differ_ = true;
      arrive ();
    });
    if (!ready) return;
    EXPECT_TRUE (wait_until ([&] {
      couple_.a.send ("the last");
      return !newcomers_.back ()->received.empty ();
    }));
  }

  std::mt19937 random_;
  IceCouple couple_;
  std::vector<std::unique_ptr<IceEnd>> newcomers_;
  IceCredentials old_;
  bool b_controlling_ = false, roles_differ_ = true;
};

unsigned Churn::followed_ = 0;

TEST (IceChurn, SurvivesEverySequence) {
  for (unsigned seed = 1; seed <= kRounds; ++seed) {
    SCOPED_TRACE (seed);
    Churn churn (seed);
    churn.run ();
    if (testing::Test::HasFailure ()) return;
  }
  RecordProperty ("followed", static_cast<int> (Churn::followed_));
  EXPECT_GT (Churn::followed_, kRounds / 4);
}

}  // namespace
}  // namespace p2p::test
