#include "base/scheduler.hpp"

namespace p2p {

// Armed deadlines in order of time, then of arming.
struct VirtualScheduler::State {
  std::map<std::pair<TimeUs, std::uint64_t>, VirtualTimer *> armed;
  std::uint64_t counter = 0;
};

class VirtualScheduler::VirtualTimer final : public Scheduler::Timer {
 public:
  VirtualTimer (std::shared_ptr<State> state, std::function<void ()> callback)
      : state_ (std::move (state)),
        callback_ (std::make_shared<std::function<void ()>> (std::move (callback))) {}
  ~VirtualTimer () override { disarm (); }

  void arm (TimeUs when) override {
    disarm ();
    if (when == kNever) return;
    key_ = {when, ++state_->counter};
    state_->armed.emplace (key_, this);
  }
  void disarm () override {
    if (key_.second != 0) state_->armed.erase (key_);
    key_ = {};
  }
  void fire () {
    disarm ();
    const auto keep = callback_;
    (*keep) ();
  }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<std::function<void ()>> callback_;
  std::pair<TimeUs, std::uint64_t> key_{};
};

VirtualScheduler::VirtualScheduler () : state_ (std::make_shared<State> ()) {}

VirtualScheduler::~VirtualScheduler () = default;

std::unique_ptr<Scheduler::Timer>
VirtualScheduler::make_timer (std::function<void ()> callback) {
  return std::make_unique<VirtualTimer> (state_, std::move (callback));
}

TimeUs
VirtualScheduler::next_deadline () const {
  return state_->armed.empty () ? kNever : state_->armed.begin ()->first.first;
}

bool
VirtualScheduler::run_next () {
  if (state_->armed.empty ()) return false;
  const auto [key, timer] = *state_->armed.begin ();
  if (key.first > now_) now_ = key.first;
  timer->fire ();
  return true;
}

void
VirtualScheduler::run_until (TimeUs when) {
  while (next_deadline () <= when && run_next ()) {
  }
  if (when > now_) now_ = when;
}

bool
VirtualScheduler::run_until_true (const std::function<bool ()> &done, TimeUs limit) {
  const TimeUs end = now_ + limit;
  while (!done ()) {
    if (next_deadline () > end) {
      now_ = end;
      return done ();
    }
    run_next ();
  }
  return true;
}

}  // namespace p2p
