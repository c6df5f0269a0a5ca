// A store that ends at a given write, as a kill would end it: nothing after that is written and
// nobody hears an answer. Or one that answers with an error, or late.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <utility>

#include "base/scheduler.hpp"
#include "store/session_store.hpp"

namespace p2p::test {

struct FaultPlan {
  enum class When {
    before,  // the batch is not written
    midst,   // it is written and its answer never comes
    after,   // it is written and answered
  };
  std::uint64_t end_at = 0;  // the number of the commit, from 1 on; 0: never
  When when = When::before;
  std::function<void ()> ended;  // called once; may destroy the store, or kill the process

  std::uint64_t fail_at = 0;  // this commit and all later ones get the error
  Error error{P2P_ERROR_STORE, "The disk of the session store is full."};

  // Each answer is late by a random time of up to this, in order.
  TimeUs late_us = 0;
  std::uint32_t seed = 1;
};

class FaultStore final : public SessionStore {
 public:
  FaultStore (std::unique_ptr<SessionStore> below, Scheduler &scheduler, FaultPlan plan)
      : scheduler_ (scheduler),
        plan_ (std::move (plan)),
        random_ (plan_.seed),
        timer_ (scheduler.make_timer ([this] { answer_due (); })),
        below_ (std::move (below)) {}
  ~FaultStore () override { *alive_ = false; }

  std::uint64_t commits () const { return commits_; }

  void set_observer (Observer *observer) override {
    observer_ = observer;
    below_->set_observer (observer);
  }
  void open (const std::string &owner, OpenDone done) override {
    if (!ended_) below_->open (owner, std::move (done));
  }
  void commit (StoreBatch batch, Done done) override {
    if (ended_) return;
    const std::uint64_t number = ++commits_;
    const bool last = number == plan_.end_at;
    if (last) ended_ = true;
    if (last && plan_.when == FaultPlan::When::before) {
      later ([this] {
        if (plan_.ended) plan_.ended ();
      });
      return;
    }
    if (plan_.fail_at != 0 && number >= plan_.fail_at) {
      later ([this, done = std::move (done)] { fail (done); });
      return;
    }
    below_->commit (std::move (batch),
                    [this, last, done = std::move (done)] (const Status &status) {
                      later ([this, last, done, status] { answer (last, done, status); });
                    });
  }
  std::uint64_t waiting_bytes () const override { return below_->waiting_bytes (); }
  void close (Done done) override {
    if (!ended_) below_->close (std::move (done));
  }

 private:
  struct Late {
    TimeUs due;
    std::function<void ()> run;
  };

  void fail (const Done &done) {
    const auto alive = alive_;
    if (!std::exchange (failed_, true) && observer_) observer_->store_lost (plan_.error);
    if (*alive) done (plan_.error);
  }

  // Once it has ended, only the last commit is still heard of, and that as the plan says.
  void answer (bool last, const Done &done, const Status &status) {
    const auto alive = alive_;
    if (last ? plan_.when == FaultPlan::When::after : !silent_) done (status);
    if (!*alive || !last) return;
    silent_ = true;
    if (plan_.ended) plan_.ended ();
  }

  void later (std::function<void ()> run) {
    TimeUs due = scheduler_.now ();
    if (plan_.late_us > 0)
      due += std::uniform_int_distribution<TimeUs> (0, plan_.late_us) (random_);
    if (!late_.empty () && late_.back ().due > due) due = late_.back ().due;
    late_.push_back ({due, std::move (run)});
    if (late_.size () == 1) timer_->arm (due);
  }
  void answer_due () {
    const auto alive = alive_;
    while (*alive && !late_.empty () && late_.front ().due <= scheduler_.now ()) {
      const Late one = std::move (late_.front ());
      late_.pop_front ();
      one.run ();
    }
    if (*alive && !late_.empty ()) timer_->arm (late_.front ().due);
  }

  Scheduler &scheduler_;
  FaultPlan plan_;
  std::minstd_rand random_;
  std::uint64_t commits_ = 0;
  bool ended_ = false, silent_ = false, failed_ = false;
  Observer *observer_ = nullptr;
  std::deque<Late> late_;
  std::unique_ptr<Scheduler::Timer> timer_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
  const std::unique_ptr<SessionStore> below_;  // goes first: its answers use the rest
};

}  // namespace p2p::test
