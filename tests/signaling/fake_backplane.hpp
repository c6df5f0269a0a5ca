// A backplane in memory, on a virtual clock: what Redis and its scripts do, each after a delay.
#pragma once
#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "signaling/backplane.hpp"

namespace p2p {

class FakeBackplane;

// What all servers share.
class FakeRedis {
 public:
  explicit FakeRedis (VirtualScheduler &clock)
      : scheduler (clock), timer_ (clock.make_timer ([this] { run (); })) {}

  // Runs after the delay, in the order of the calls.
  void later (std::function<void ()> work) {
    work_.emplace_back (scheduler.now () + delay_us, std::move (work));
    if (work_.size () == 1) timer_->arm (work_.front ().first);
  }

  struct Owner {
    std::string owner;
    TimeUs since, until;
  };
  struct Lease {
    std::string server, token;
    TimeUs since, until;
  };
  VirtualScheduler &scheduler;
  TimeUs delay_us = kMillisecond;
  std::map<std::string, Owner> owners;
  std::map<std::string, Lease> leases;
  std::map<std::string, FakeBackplane *> servers;  // by name, while they listen
  unsigned next_name = 1;

 private:
  void run () {
    while (!work_.empty () && work_.front ().first <= scheduler.now ()) {
      const auto work = std::move (work_.front ().second);
      work_.pop_front ();
      work ();
    }
    if (!work_.empty ()) timer_->arm (work_.front ().first);
  }
  std::deque<std::pair<TimeUs, std::function<void ()>>> work_;
  std::unique_ptr<Scheduler::Timer> timer_;
};

class FakeBackplane final : public Backplane {
 public:
  explicit FakeBackplane (FakeRedis &redis) : redis_ (redis) {}
  ~FakeBackplane () override { redis_.servers.erase (name_); }

  void go_up () {
    name_ = "s" + std::to_string (redis_.next_name++);
    redis_.servers[name_] = this;
    up_ = true;
    observer_->backplane_up ();
  }
  void go_down (const std::string &why = "Redis is away.") {
    redis_.servers.erase (name_);
    if (!std::exchange (up_, false)) return;
    ++generation_;
    observer_->backplane_down ({P2P_ERROR_NOT_CONNECTED, why});
  }
  // A server that is stopped neither speaks nor hears, and Redis keeps what is for it.
  bool stopped = false;
  // Killed, it is gone for Redis at once.
  void die () {
    redis_.servers.erase (name_);
    up_ = false;
    observer_ = nullptr;
  }
  bool full = false;
  unsigned restarts = 0;

  void start (Observer *observer, const LeaseTimes &times) override {
    observer_ = observer;
    times_ = times;
  }
  void stop () override { observer_ = nullptr; }
  const std::string &name () const override { return name_; }

  bool claim (const std::vector<Claim> &claims, Decided decided) override {
    if (!up_ || full) return false;
    ask ([this, claims, decided] (bool up) {
      std::vector<Verdict> verdicts;
      for (const Claim &one : claims)
        if (up) verdicts.push_back (decide (one));
      answer ([decided, verdicts] (bool still) {
        decided (still ? verdicts : std::vector<Verdict> ());
      });
    });
    return true;
  }
  bool release (const Claim &claim) override {
    if (!up_) return false;
    ask ([this, claim] (bool up) {
      const auto lease = redis_.leases.find (claim.id);
      if (!up || lease == redis_.leases.end () || lease->second.token != claim.token) return;
      redis_.leases.erase (lease);
      redis_.owners[claim.id].until = redis_.scheduler.now () + times_.hold_us;
    });
    return true;
  }
  bool keep (const std::vector<Claim> &claims, Decided done) override {
    if (!up_) return false;
    ask ([this, claims, done] (bool up) {
      const TimeUs now = redis_.scheduler.now ();
      for (const Claim &one : claims)
        if (up && owner_of (one.id) == nullptr)
          redis_.owners[one.id] = {one.owner, now - one.age_us, now + times_.hold_us - one.age_us};
      answer ([done] (bool) { done ({}); });
    });
    return true;
  }
  bool find (const std::vector<std::string> &ids, Found found) override {
    if (!up_) return false;
    ask ([this, ids, found] (bool up) {
      std::vector<std::string> servers;
      for (const std::string &id : ids) {
        const auto *lease = up ? lease_of (id) : nullptr;
        servers.push_back (lease ? lease->server : "");
      }
      answer (
          [found, servers] (bool still) { found (still ? servers : std::vector<std::string> ()); });
    });
    return true;
  }
  bool publish (const std::string &server, const std::string &text, bool data) override {
    if (!up_ || (full && data)) return false;
    ask ([this, server, text] (bool up) {
      if (!up) return;
      if (!server.empty () && redis_.servers.count (server) == 0) {
        answer ([this, server] (bool still) {
          if (still) observer_->backplane_unreachable (server);
        });
        return;
      }
      const auto all = redis_.servers;
      for (const auto &[name, other] : all)
        if (server.empty () || name == server) other->hear (text);
    });
    return true;
  }
  void restart (const Error &reason) override {
    ++restarts;
    answer ([this, reason] (bool still) {
      if (!still) return;
      go_down (reason.message);
      go_up ();
    });
  }
  void resume () {
    stopped = false;
    for (const auto &work : std::exchange (kept_, {})) work ();
  }

 private:
  // On its way to Redis; `up`: whether it gets there.
  void ask (std::function<void (bool up)> work) {
    redis_.later ([this, work = std::move (work), generation = generation_] {
      work (generation == generation_);
    });
  }
  // On the way back.
  void answer (std::function<void (bool still)> work) {
    redis_.later ([this, work = std::move (work), generation = generation_] {
      auto run = [this, work, generation] {
        if (observer_) work (generation == generation_);
      };
      if (stopped)
        kept_.push_back (run);
      else
        run ();
    });
  }
  void hear (const std::string &text) {
    answer ([this, text] (bool still) {
      if (still) observer_->backplane_message (text);
    });
  }
  void hear_lost (const std::string &id, const std::string &token, Verdict verdict) {
    answer ([this, id, token, verdict] (bool still) {
      if (still) observer_->backplane_lost (id, token, verdict);
    });
  }
  FakeRedis::Owner *owner_of (const std::string &id) const {
    const auto it = redis_.owners.find (id);
    return it == redis_.owners.end () || it->second.until <= redis_.scheduler.now () ? nullptr
                                                                                     : &it->second;
  }
  FakeRedis::Lease *lease_of (const std::string &id) const {
    const auto it = redis_.leases.find (id);
    return it == redis_.leases.end () || it->second.until <= redis_.scheduler.now () ? nullptr
                                                                                     : &it->second;
  }
  Verdict decide (const Claim &claim) {
    const TimeUs now = redis_.scheduler.now (), since = now - claim.age_us;
    FakeRedis::Owner *owner = owner_of (claim.id);
    FakeRedis::Lease *lease = lease_of (claim.id);
    const TimeUs owned_until = now + std::max (times_.lease_us, times_.hold_us);
    if (lease && lease->token == claim.token) {
      lease->server = name_;
      lease->until = now + times_.lease_us;
      if (owner) owner->until = owned_until;
      return Verdict::held;
    }
    const bool same = owner && owner->owner == claim.owner;
    if (owner && !same && owner->since <= since) return Verdict::taken;
    if (lease && same && lease->since > since) return Verdict::replaced;
    if (lease)
      if (const auto old = redis_.servers.find (lease->server); old != redis_.servers.end ())
        old->second->hear_lost (claim.id, lease->token, same ? Verdict::replaced : Verdict::taken);
    redis_.owners[claim.id] = {claim.owner, same ? owner->since : since, owned_until};
    redis_.leases[claim.id] = {name_, claim.token, since, now + times_.lease_us};
    return Verdict::held;
  }

  FakeRedis &redis_;
  Observer *observer_ = nullptr;
  LeaseTimes times_;
  std::string name_;
  bool up_ = false;
  unsigned generation_ = 0;
  std::vector<std::function<void ()>> kept_;
};

}  // namespace p2p
