// Two agents on a virtual clock, joined by a signaling that delays, reorders, repeats and loses,
// and by paths that fail, die and come back.
#pragma once
#include <glib/gstdio.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/loop_thread.hpp"
#include "core/agent.hpp"
#include "path/memory_path.hpp"

namespace p2p::test {

struct Faults {
  bool reorder = false, duplicate = false;
  double loss = 0;
  int broken_paths = 0;  // this many openings of each side fail
  TimeUs max_delay = 200 * kMillisecond;
};

// The world of one seed. Everything runs on the core thread, between turns of the virtual clock.
class World {
 public:
  World (std::uint64_t seed, const Faults &faults) : faults_ (faults), random_ (seed) {}

  std::uint64_t roll (std::uint64_t sides) { return random_ () % sides; }
  bool chance (double p) { return static_cast<double> (roll (1000000)) < p * 1e6; }

  void after (TimeUs delay, std::function<void ()> work) {
    auto slot = std::make_shared<std::unique_ptr<Scheduler::Timer>> ();
    *slot = clock.make_timer ([this, weak = std::weak_ptr (slot), work = std::move (work)] {
      work ();
      timers_.erase (weak.lock ());
    });
    timers_.insert (slot);
    (*slot)->arm (clock.now () + delay);
  }
  void post_pending () {
    while (g_main_context_iteration (core_loop ().context (), FALSE)) {
    }
  }
  void run_for (TimeUs span) {
    const TimeUs end = clock.now () + span;
    post_pending ();
    while (clock.next_deadline () <= end) {
      clock.run_next ();
      post_pending ();
    }
    clock.run_until (end);
  }

  // Signaling.
  class Client final : public Signaling {
   public:
    explicit Client (World &world) : world_ (world) {}
    ~Client () override {
      world_.clients_.erase (id_);
      world_.meet ();
    }
    void set_observer (Observer *observer) override { observer_ = observer; }
    void start (const std::string &id) override {
      id_ = id;
      world_.clients_[id] = this;
      tell (0, [] (Observer &o) { o.signaling_state (State::registered, nullptr); });
      world_.meet ();
    }
    void ask (const std::string &peer) override {
      asked_.insert (peer);
      world_.meet ();
    }
    void unask (const std::string &peer) override {
      asked_.erase (peer);
      world_.meet ();
    }
    Status send (const std::string &peer, const std::string &message) override {
      world_.carry (id_, peer, message);
      return {};
    }
    State state () const override { return State::registered; }
    std::string stun_server () const override { return {}; }
    void tell (TimeUs delay, std::function<void (Observer &)> what) {
      world_.after (delay, [this, alive = std::weak_ptr<int> (alive_), what = std::move (what)] {
        if (alive.lock () && observer_) what (*observer_);
      });
    }
    bool wants (const std::string &peer) const {
      return asked_.count (peer) > 0 || asked_.count (kAnyPeer) > 0;
    }

   private:
    World &world_;
    Observer *observer_ = nullptr;
    std::string id_;
    std::set<std::string> asked_;
    std::shared_ptr<int> alive_ = std::make_shared<int> (0);
  };

  struct Laid {
    std::shared_ptr<MemoryLink> link;
    bool relayed = false;
    std::string relay;  // its address, where it takes one of set_relays()
  };

  // Paths: the client makes the link, and tells its number to the other side.
  class Source final : public PathSource {
   public:
    Source (World &world, int broken) : world_ (world), broken_ (broken) {}
    const std::string &name () const override { return name_; }
    std::unique_ptr<PathSource::Attempt> open (const std::string &, const std::string &,
                                               bool initiator, SendMessage send,
                                               Opened opened) override {
      auto attempt = std::make_unique<Opening> (world_, std::move (opened));
      if (broken_ > 0) {
        --broken_;
        attempt->fail (static_cast<TimeUs> (world_.roll (300)) * kMillisecond);
      } else if (initiator) {
        auto link = std::shared_ptr<MemoryLink> (MemoryLink::create (world_.clock, 1));
        link->set_options (world_.from_client_, world_.to_client_);
        const std::string relay = world_.free_relay ();
        if (relay.empty () && !world_.relays_.empty ()) {
          attempt->fail (0);
          return attempt;
        }
        world_.links_.push_back ({link, world_.relayed_ || !relay.empty (), relay});
        const std::string number = std::to_string (world_.links_.size () - 1);
        world_.after (0, [send, number] { send (ByteView (std::string_view (number))); });
        attempt->hand_over (link->a (), world_.links_.back ());
      }
      return attempt;
    }

   private:
    class Opening final : public PathSource::Attempt {
     public:
      Opening (World &world, Opened opened) : world_ (world), opened_ (std::move (opened)) {}
      void receive_message (ByteView message) override {
        const Laid &laid = world_.links_.at (std::stoul (message.to_string ()));
        hand_over (laid.link->b (), laid);
      }
      void hand_over (Path &path, const Laid &laid) {
        answer (0, [&world = world_, &path, laid] () -> Result<std::unique_ptr<Path>> {
          return std::unique_ptr<Path> (std::make_unique<Borrowed> (world, path, laid));
        });
      }
      void fail (TimeUs delay) {
        answer (delay, [] () -> Result<std::unique_ptr<Path>> {
          return Error{P2P_ERROR_UNREACHABLE, "This path is broken on purpose."};
        });
      }

     private:
      void answer (TimeUs delay, std::function<Result<std::unique_ptr<Path>> ()> result) {
        if (std::exchange (answered_, true)) return;
        world_.after (delay,
                      [opened = opened_, result = std::move (result)] { opened (result ()); });
      }
      World &world_;
      Opened opened_;
      bool answered_ = false;
    };
    class Borrowed final : public Path {
     public:
      Borrowed (World &world, Path &path, Laid laid)
          : world_ (world), path_ (path), laid_ (std::move (laid)) {
        world_.borrowed_.insert (this);
      }
      ~Borrowed () override {
        path_.set_receiver (nullptr);
        world_.borrowed_.erase (this);
      }
      void set_receiver (Receiver *receiver) override {
        receiver_ = receiver;
        path_.set_receiver (receiver);
      }
      void fail () {
        if (receiver_) receiver_->path_failed (*this, {P2P_ERROR_FAILED, "It fails for the test."});
      }
      Sent send (ByteView burst, std::size_t size) override { return path_.send (burst, size); }
      std::size_t max_datagram_bytes () const override { return path_.max_datagram_bytes (); }
      std::size_t max_burst_bytes () const override { return path_.max_burst_bytes (); }
      PathInfo info () const override {
        PathInfo info = path_.info ();
        info.relayed = laid_.relayed;
        if (!laid_.relay.empty ()) info.relays = {laid_.relay};
        return info;
      }
      Scheduler &scheduler () override { return path_.scheduler (); }
      const std::string &relay () const { return laid_.relay; }

     private:
      World &world_;
      Path &path_;
      const Laid laid_;
      Receiver *receiver_ = nullptr;
    };
    friend class World;

    World &world_;
    int broken_;
    const std::string name_ = "memory";
  };

  std::shared_ptr<Agent> make_agent (const AgentSettings &settings) {
    auto agent = make_core_object<Agent> (settings, clock);
    agent->add_path_source (std::make_shared<Source> (
        *this, static_cast<int> (roll (static_cast<std::uint64_t> (faults_.broken_paths) + 1))));
    agent->start (
        [this] (Identity &) -> Result<std::unique_ptr<Signaling>> {
          return std::unique_ptr<Signaling> (std::make_unique<Client> (*this));
        },
        [] (const Status &) {});
    post_pending ();
    return agent;
  }

  // What all paths are like, those to come as well.
  void set_links (const LinkOptions &options) { set_links (options, options); }
  void set_links (const LinkOptions &from_client, const LinkOptions &to_client) {
    from_client_ = from_client;
    to_client_ = to_client;
    for (const auto &laid : links_) laid.link->set_options (from_client, to_client);
  }
  // Those that are laid from now on take a relay, or do not.
  void set_relayed (bool relayed) { relayed_ = relayed; }
  // From now on every path takes the first of these that is up, and if it can be not taken; there
  // is none without.
  void set_relays (const std::vector<std::string> &relays) { relays_ = relays; }
  // Nobody is told.
  void set_relay (const std::string &relay, bool up) {
    if (up)
      relays_down_.erase (relay);
    else
      relays_down_.insert (relay);
    LinkOptions down;
    down.down = true;
    for (const auto &laid : links_)
      if (laid.relay == relay)
        laid.link->set_options (up ? from_client_ : down, up ? to_client_ : down);
  }
  // Those that there are end, and both sides are told.
  void fail_links () {
    LinkOptions down;
    down.down = true;
    for (const auto &laid : links_) laid.link->set_options (down);
    for (Source::Borrowed *path : std::set<Source::Borrowed *> (borrowed_)) path->fail ();
  }
  // Nothing is carried, and nobody is present.
  void set_signaling (bool up) {
    signaling_up_ = up;
    meet ();
  }

  // Its process is about to die: it says nothing any more.
  void silence (const std::string &id) {
    clients_.erase (id);
    meet ();
  }

  void set_signaling_loss (double loss) { faults_.loss = loss; }

  VirtualScheduler clock;

 private:
  std::string free_relay () const {
    std::string any;
    for (const std::string &relay : relays_) {
      if (relays_down_.count (relay) > 0) continue;
      if (std::none_of (borrowed_.begin (), borrowed_.end (),
                        [&] (const Source::Borrowed *path) { return path->relay () == relay; }))
        return relay;
      if (any.empty ()) any = relay;
    }
    return any;
  }
  void carry (const std::string &from, const std::string &to, const std::string &message) {
    if (met_.count ({from, to}) == 0 || chance (faults_.loss)) return;
    const int copies = faults_.duplicate && chance (0.3) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      TimeUs at = clock.now () +
                  static_cast<TimeUs> (roll (static_cast<std::uint64_t> (faults_.max_delay) + 1));
      if (i > 0) at += static_cast<TimeUs> (roll (2)) * 10 * kSecond;
      if (!faults_.reorder && i == 0) {
        TimeUs &last = last_arrival_[{from, to}];
        at = last = std::max (last + 1, at);
      }
      after (at - clock.now (), [this, from, to, message] {
        const auto found = clients_.find (to);
        if (found != clients_.end ())
          found->second->tell (
              0, [from, message] (Signaling::Observer &o) { o.signaling_message (from, message); });
      });
    }
  }
  void meet () {
    std::set<std::pair<std::string, std::string>> now;
    for (const auto &[a, one] : clients_)
      for (const auto &[b, other] : clients_)
        if (signaling_up_ && a != b && one->wants (b) && other->wants (a)) now.insert ({a, b});
    const auto before = std::exchange (met_, now);
    auto tell = [&] (const auto &pair, bool present) {
      const auto found = clients_.find (pair.first);
      if (found == clients_.end ()) return;
      found->second->tell (0, [peer = pair.second, present] (Signaling::Observer &o) {
        o.signaling_peer (peer, present);
      });
    };
    for (const auto &pair : before)
      if (now.count (pair) == 0) tell (pair, false);
    for (const auto &pair : now)
      if (before.count (pair) == 0) tell (pair, true);
  }

  Faults faults_;
  std::mt19937_64 random_;
  LinkOptions from_client_, to_client_;
  bool signaling_up_ = true;
  std::set<std::shared_ptr<std::unique_ptr<Scheduler::Timer>>> timers_;
  std::vector<Laid> links_;
  std::vector<std::string> relays_;
  std::set<std::string> relays_down_;
  bool relayed_ = false;
  std::set<Source::Borrowed *> borrowed_;
  std::map<std::string, Client *> clients_;
  std::set<std::pair<std::string, std::string>> met_;
  std::map<std::pair<std::string, std::string>, TimeUs> last_arrival_;
};

inline std::optional<ConnectionSnapshot>
state_of (const Agent &agent) {
  const auto all = agent.connections ();
  EXPECT_LE (all.size (), 1u) << "two connections to one peer";
  if (all.empty ()) return {};
  return all[0]->snapshot ();
}

inline bool
connected (const std::optional<ConnectionSnapshot> &state) {
  return state && state->state == P2P_CONNECTION_STATE_CONNECTED;
}

// Two identities, made once for all seeds.
class WorldTest : public testing::Test {
 protected:
  void SetUp () override {
    const UniqueChars made (g_dir_make_tmp ("p2p-test-XXXXXX", nullptr));
    directory_ = made.get ();
  }
  void TearDown () override {
    for (const char *id : {"alice", "bob"}) g_unlink ((directory_ + "/" + id + ".pem").c_str ());
    g_rmdir (directory_.c_str ());
  }
  AgentSettings settings_of (const std::string &id, bool listens) {
    AgentSettings settings;
    settings.id = id;
    settings.identity_path = directory_ + "/" + id + ".pem";
    settings.path_order = {"memory"};
    if (listens) settings.accept_policy = P2P_ACCEPT_POLICY_ALL;
    return settings;
  }

  std::string directory_;
};

}  // namespace p2p::test
