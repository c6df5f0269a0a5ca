// Two sides of liveness over a simulated link, on virtual time, for thousands of seeds: how soon an
// outage is noticed, that loss is none, and that both sides tell the same story.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "session/liveness.hpp"
#include "session/ping_log.hpp"

using namespace p2p;

namespace {

constexpr TimeUs kMs = kMillisecond;
constexpr unsigned kSeeds = P2P_LIVENESS_SEEDS;

struct Packet {
  enum class Kind { ping, pong, data } kind = Kind::data;
  bool unheard = false;
  std::uint64_t number = 0;
};

// One direction: a delay with jitter, loss, and outages.
class Wire {
 public:
  struct Outage {
    TimeUs from, to;
  };
  Wire (VirtualScheduler &scheduler, std::mt19937_64 &random)
      : scheduler_ (scheduler),
        random_ (random),
        timer_ (scheduler.make_timer ([this] { deliver (); })) {}

  void send (const Packet &packet) {
    const TimeUs now = scheduler_.now ();
    ++packets;
    if (cut_at_sender && is_down (now)) return;
    if (std::uniform_real_distribution<> () (random_) < loss) return;
    const TimeUs wobble = jitter > 0 ? static_cast<TimeUs> (random_ () % jitter) : 0;
    flying_.emplace (now + delay + wobble, packet);
    timer_->arm (flying_.begin ()->first);
  }

  std::function<void (const Packet &)> arrived;
  TimeUs delay = 10 * kMs;
  std::uint64_t jitter = 0;
  double loss = 0;
  // Where the cable is pulled: what is in flight still arrives, or does not.
  bool cut_at_sender = true;
  std::vector<Outage> outages;
  std::uint64_t packets = 0;

 private:
  bool is_down (TimeUs when) const {
    return std::any_of (outages.begin (), outages.end (), [when] (const Outage &outage) {
      return when >= outage.from && when < outage.to;
    });
  }
  void deliver () {
    const TimeUs now = scheduler_.now ();
    while (!flying_.empty () && flying_.begin ()->first <= now) {
      const Packet packet = flying_.begin ()->second;
      flying_.erase (flying_.begin ());
      if (cut_at_sender || !is_down (now)) arrived (packet);
    }
    if (!flying_.empty ()) timer_->arm (flying_.begin ()->first);
  }

  VirtualScheduler &scheduler_;
  std::mt19937_64 &random_;
  std::multimap<TimeUs, Packet> flying_;
  std::unique_ptr<Scheduler::Timer> timer_;
};

struct Event {
  enum class Kind { broken, restored, stalled, over } kind;
  TimeUs at;
  BreakReason reason = BreakReason::silence;
};

class Side final : public Liveness::Host {
 public:
  Side (VirtualScheduler &scheduler, Wire &out, const LivenessSettings &settings,
        std::uint64_t seed)
      : liveness (settings, *this, seed),
        scheduler_ (scheduler),
        out_ (out),
        timer_ (scheduler.make_timer ([this] { on_timer (); })) {}

  void start () {
    liveness.start (scheduler_.now ());
    arm ();
  }
  void receive (const Packet &packet) {
    if (stopped_) {
      queue_.push_back (packet);
      return;
    }
    const TimeUs now = scheduler_.now ();
    switch (packet.kind) {
      case Packet::Kind::ping:
        out_.send ({Packet::Kind::pong, false, packet.number});
        liveness.ping_arrived (now, packet.unheard);
        break;
      case Packet::Kind::pong:
        if (const auto answer = log.answered (now, packet.number))
          liveness.pong_arrived (now, answer->rtt);
        else
          liveness.heard (now);
        break;
      case Packet::Kind::data:
        liveness.heard (now);
        break;
    }
    arm ();
  }
  // As SIGSTOP and SIGCONT: what arrives meanwhile waits in the socket.
  void stop () { stopped_ = true; }
  void go_on (bool timers_first) {
    stopped_ = false;
    if (timers_first) on_timer ();
    while (!queue_.empty ()) {
      const Packet packet = queue_.front ();
      queue_.pop_front ();
      receive (packet);
    }
    on_timer ();
  }
  std::string story () const {
    std::string text;
    for (const Event &event : events) text += "BRZO"[static_cast<int> (event.kind)];
    return text;
  }
  const Event *first (Event::Kind kind) const {
    for (const Event &event : events)
      if (event.kind == kind) return &event;
    return nullptr;
  }

  Liveness liveness;
  PingLog log;
  std::vector<Event> events;

 private:
  void arm () {
    const TimeUs when = liveness.deadline ();
    if (when == kNever)
      timer_->disarm ();
    else
      timer_->arm (when);
  }
  void on_timer () {
    if (stopped_) return;
    liveness.on_deadline (scheduler_.now ());
    arm ();
  }
  void tell (Event::Kind kind, BreakReason reason = BreakReason::silence) {
    events.push_back ({kind, scheduler_.now (), reason});
  }
  void liveness_ping (bool unheard) override {
    const std::uint64_t number = next_number_++;
    log.sent (scheduler_.now (), number, 0);
    out_.send ({Packet::Kind::ping, unheard, number});
  }
  void liveness_suspect () override {}
  void liveness_stalled (TimeUs) override {
    log.forget_unanswered ();
    tell (Event::Kind::stalled);
  }
  void liveness_broken (BreakReason reason) override { tell (Event::Kind::broken, reason); }
  void liveness_restored (TimeUs) override { tell (Event::Kind::restored); }
  void liveness_over (const Error &) override { tell (Event::Kind::over); }

  VirtualScheduler &scheduler_;
  Wire &out_;
  std::unique_ptr<Scheduler::Timer> timer_;
  std::deque<Packet> queue_;
  bool stopped_ = false;
  std::uint64_t next_number_ = 1;
};

struct Pair {
  Pair (unsigned seed, const LivenessSettings &settings, TimeUs max_rtt) : random (seed) {
    // Round trips of all sizes, with up to a tenth of jitter; the two starts and the clock's grid
    // have nothing to do with each other.
    rtt = 200 + static_cast<TimeUs> (random () % static_cast<std::uint64_t> (max_rtt - 200));
    const bool cut_at_sender = random () % 2 == 0;
    for (Wire *wire : {&to_bob, &to_alice}) {
      wire->delay = rtt * 9 / 20;
      wire->jitter = static_cast<std::uint64_t> (rtt) / 20;
      wire->cut_at_sender = cut_at_sender;
    }
    alice = std::make_unique<Side> (scheduler, to_bob, settings, random ());
    bob = std::make_unique<Side> (scheduler, to_alice, settings, random ());
    to_bob.arrived = [this] (const Packet &packet) { bob->receive (packet); };
    to_alice.arrived = [this] (const Packet &packet) { alice->receive (packet); };
    scheduler.run_for (some (10 * kSecond));
    alice->start ();
    scheduler.run_for (some (rtt));
    bob->start ();
    scheduler.run_for (10 * kSecond + some (5 * kSecond));
  }
  TimeUs some (TimeUs below) {
    return static_cast<TimeUs> (random () % static_cast<std::uint64_t> (below));
  }
  std::array<Side *, 2> sides () const { return {alice.get (), bob.get ()}; }

  VirtualScheduler scheduler;
  std::mt19937_64 random;
  TimeUs rtt = 0;
  Wire to_bob{scheduler, random}, to_alice{scheduler, random};
  std::unique_ptr<Side> alice, bob;
};

class Figures {
 public:
  void add (TimeUs value) { values_.push_back (value); }
  TimeUs percentile (double part) {
    std::sort (values_.begin (), values_.end ());
    return values_[static_cast<std::size_t> (part * static_cast<double> (values_.size () - 1))];
  }
  void print (const std::string &what) {
    std::cout << what << ": p50 " << percentile (0.5) / 1000 << " ms, p99 "
              << percentile (0.99) / 1000 << " ms, most " << percentile (1) / 1000 << " ms of "
              << values_.size () << "\n";
  }

 private:
  std::vector<TimeUs> values_;
};

LivenessSettings
quick () {
  LivenessSettings settings;
  settings.ping_interval = 100 * kMs;
  return settings;
}

// Both directions, or one of them.
enum class Cut { both, to_bob, to_alice };

void
cut (Pair &pair, Cut which, TimeUs length) {
  const Wire::Outage outage{pair.scheduler.now (), pair.scheduler.now () + length};
  if (which != Cut::to_alice) pair.to_bob.outages.push_back (outage);
  if (which != Cut::to_bob) pair.to_alice.outages.push_back (outage);
}

}  // namespace

TEST (LivenessPair, AnOutageIsNoticedWithinTwoSecondsByDefault) {
  Figures noticed;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, {}, 200 * kMs);
    const TimeUs from = pair.scheduler.now ();
    cut (pair, Cut::both, 20 * kSecond);
    pair.scheduler.run_for (4 * kSecond);
    for (const Side *side : pair.sides ()) {
      ASSERT_EQ (side->story (), "B") << "seed " << seed;
      noticed.add (side->events[0].at - from);
    }
  }
  noticed.print ("noticed, interval 1 s, RTT up to 200 ms");
  EXPECT_LE (noticed.percentile (0.99), 2 * kSecond);
  EXPECT_LE (noticed.percentile (1), 2 * kSecond + 20 * kMs);
}

TEST (LivenessPair, AnOutageIsNoticedWithin300MsWithPingsEach100Ms) {
  Figures noticed;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, quick (), 100 * kMs);
    const TimeUs from = pair.scheduler.now ();
    cut (pair, Cut::both, 20 * kSecond);
    pair.scheduler.run_for (kSecond);
    for (const Side *side : pair.sides ()) {
      ASSERT_EQ (side->story (), "B") << "seed " << seed;
      noticed.add (side->events[0].at - from);
    }
  }
  noticed.print ("noticed, interval 100 ms, RTT up to 100 ms");
  EXPECT_LE (noticed.percentile (0.99), 300 * kMs);
}

TEST (LivenessPair, AnOutageIsOneBreakAndOneRestoreOnBothSides) {
  for (const Cut which : {Cut::both, Cut::to_bob, Cut::to_alice}) {
    Figures restored;
    for (unsigned seed = 0; seed < kSeeds; ++seed) {
      for (const TimeUs length : {3 * kSecond, 10 * kSecond, 25 * kSecond}) {
        Pair pair (seed, {}, 200 * kMs);
        const TimeUs back_at = pair.scheduler.now () + length;
        cut (pair, which, length);
        pair.scheduler.run_for (length + 10 * kSecond);
        for (const Side *side : pair.sides ()) {
          ASSERT_EQ (side->story (), "BR") << "seed " << seed << ", " << length << " us";
          const TimeUs after = side->events[1].at - back_at;
          ASSERT_GE (after, 0) << "seed " << seed;
          ASSERT_LE (after, kSecond + 2 * pair.rtt) << "seed " << seed;
          restored.add (after);
        }
        if (which == Cut::both) continue;
        const Side &heard = which == Cut::to_bob ? *pair.alice : *pair.bob;
        ASSERT_EQ (heard.events[0].reason, BreakReason::peer) << "seed " << seed;
      }
    }
    restored.print (which == Cut::both ? "restored, both ways" : "restored, one way");
  }
}

TEST (LivenessPair, AGapOfHalfASecondIsNoOutage) {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, {}, 100 * kMs);
    cut (pair, static_cast<Cut> (seed % 3), 500 * kMs);
    pair.scheduler.run_for (10 * kSecond);
    for (const Side *side : pair.sides ()) ASSERT_EQ (side->story (), "") << "seed " << seed;
  }
}

TEST (LivenessPair, LossOf20PercentForAMinuteIsNoOutage) {
  std::uint64_t packets = 0;
  unsigned alarms = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, {}, 200 * kMs);
    pair.to_bob.loss = pair.to_alice.loss = 0.2;
    const std::uint64_t before = pair.to_bob.packets + pair.to_alice.packets;
    pair.scheduler.run_for (60 * kSecond);
    packets += pair.to_bob.packets + pair.to_alice.packets - before;
    for (const Side *side : pair.sides ()) alarms += side->first (Event::Kind::broken) != nullptr;
  }
  std::cout << "false alarms: " << alarms << " in " << 2 * kSeeds << " minutes, "
            << static_cast<double> (packets) / kSeeds / 60 << " packets each second\n";
  EXPECT_EQ (alarms, 0u);
}

TEST (LivenessPair, NoSettingFlapsWhereTheRoundTripIsSteady) {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    std::mt19937_64 random (seed);
    LivenessSettings settings;
    settings.ping_interval = static_cast<TimeUs> (random () % 2000) * kMs;
    settings.ping_timeout = static_cast<TimeUs> (random () % 2000) * kMs;
    Pair pair (seed, settings, 800 * kMs);
    pair.scheduler.run_for (20 * kSecond);
    for (const Side *side : pair.sides ()) ASSERT_EQ (side->story (), "") << "seed " << seed;
  }
}

TEST (LivenessPair, SidesOfDifferentSettingsTellOneStory) {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, quick (), 100 * kMs);
    LivenessSettings slow;
    slow.ping_interval = 3 * kSecond;
    pair.bob->liveness.set_settings (pair.scheduler.now (), slow);
    pair.scheduler.run_for (10 * kSecond);
    cut (pair, static_cast<Cut> (seed % 3), 12 * kSecond);
    pair.scheduler.run_for (30 * kSecond);
    for (const Side *side : pair.sides ()) ASSERT_EQ (side->story (), "BR") << "seed " << seed;
  }
}

TEST (LivenessPair, AnIdlePairCostsLittle) {
  std::uint64_t packets = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, {}, 100 * kMs);
    const std::uint64_t before = pair.to_bob.packets + pair.to_alice.packets;
    pair.scheduler.run_for (60 * kSecond);
    packets += pair.to_bob.packets + pair.to_alice.packets - before;
  }
  const double each_second = static_cast<double> (packets) / kSeeds / 60;
  std::cout << "idle: " << each_second << " packets each second, both ways together\n";
  EXPECT_LE (each_second, 3);
}

TEST (LivenessPair, AStoppedProcessDoesNotBlameItsPeer) {
  Figures restored;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, {}, 200 * kMs);
    pair.alice->stop ();
    pair.scheduler.run_for (10 * kSecond);
    const TimeUs awake_at = pair.scheduler.now ();
    pair.alice->go_on (seed % 2 == 0);
    pair.scheduler.run_for (20 * kSecond);
    ASSERT_EQ (pair.alice->story (), "Z") << "seed " << seed;
    ASSERT_EQ (pair.bob->story (), "BR") << "seed " << seed;
    ASSERT_EQ (pair.bob->events[0].reason, BreakReason::silence);
    restored.add (pair.bob->events[1].at - awake_at);
    // What waited in the socket is no round trip.
    for (const Side *side : pair.sides ())
      ASSERT_LE (side->liveness.patience (), 2100 * kMs) << "seed " << seed;
  }
  restored.print ("restored after a stop");
}

TEST (LivenessPair, BothSidesEndAfterTheComebackTimeout) {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Pair pair (seed, {}, 200 * kMs);
    const TimeUs from = pair.scheduler.now ();
    cut (pair, static_cast<Cut> (seed % 3), 60 * kSecond);
    pair.scheduler.run_for (60 * kSecond);
    for (const Side *side : pair.sides ()) {
      ASSERT_EQ (side->story (), "BO") << "seed " << seed;
      ASSERT_LE (side->events[1].at - from, 33 * kSecond) << "seed " << seed;
    }
  }
}
