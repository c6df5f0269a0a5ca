#include "core/standby.hpp"

#include <algorithm>

namespace p2p {

Standby::Standby (const Config &config, Scheduler &clock, Host &host)
    : config_ (config),
      clock_ (clock),
      host_ (host),
      timer_ (clock.make_timer ([this] { on_timer (); })) {}

void
Standby::see (const View &view) {
  const bool had = state_ == State::there || state_ == State::asked;
  if (!view.wanted) {
    state_ = State::idle;
    wait_ = 0;
    timer_->disarm ();
  } else if (view.there) {
    if (had) return;
    ++stats_.built;
    state_ = State::there;
    wait_ = 0;
    timer_->arm (clock_.now () + kAskEvery);
  } else if (had) {
    ++stats_.lost;
    wait ();
  } else if (state_ == State::idle) {
    wait ();
  } else if (state_ == State::building && !view.building) {
    ++stats_.failed;
    wait ();
  }
}

// Twice as long after each failure.
void
Standby::wait () {
  state_ = State::waiting;
  wait_ = std::clamp (2 * wait_, kFirstWait, kLongestWait);
  if (config_.builds)
    timer_->arm (clock_.now () + wait_ + (config_.client ? 0 : kServerWait));
  else
    timer_->disarm ();
}

void
Standby::answered () {
  if (state_ != State::asked) return;
  state_ = State::there;
  timer_->arm (clock_.now () + kAskEvery);
}

void
Standby::doubt () {
  if (state_ == State::there) timer_->arm (clock_.now ());
}

void
Standby::begin_anew () {
  wait_ = 0;
  if (state_ == State::waiting) wait ();
}

void
Standby::stop () {
  state_ = State::idle;
  timer_->disarm ();
}

void
Standby::on_timer () {
  switch (state_) {
    case State::idle:
      return;
    case State::waiting:
      state_ = State::building;
      timer_->arm (clock_.now () + kBuildWithin);
      if (host_.standby_build () || state_ != State::building) return;
      // Something else is being built; that is no failure.
      state_ = State::waiting;
      timer_->arm (clock_.now () + kFirstWait);
      return;
    case State::building:
      ++stats_.failed;
      wait ();
      host_.standby_give_up ();
      return;
    case State::there:
      state_ = State::asked;
      timer_->arm (clock_.now () + kAnswerWithin);
      host_.standby_ask ();
      return;
    case State::asked:
      ++stats_.lost;
      wait ();
      host_.standby_give_up ();
      return;
  }
}

}  // namespace p2p
