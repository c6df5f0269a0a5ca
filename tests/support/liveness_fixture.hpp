// One side of liveness, with a peer that says what the test lets it say.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "session/liveness.hpp"

namespace p2p::test {

constexpr TimeUs kMs = kMillisecond;
constexpr TimeUs kBegin = 1000 * kSecond;

class LivenessTest : public testing::Test, public Liveness::Host {
 protected:
  void begin (LivenessSettings the_settings = {}, TimeUs rtt = 40 * kMs) {
    settings = the_settings;
    liveness = std::make_unique<Liveness> (settings, *this, 1);
    liveness->start (now, rtt);
    for (int i = 0; i < 20; ++i) at (now + rtt, [&] { liveness->pong_arrived (now, rtt); });
    pings.clear ();
  }
  void at (TimeUs when, const std::function<void ()> &event) {
    until (when);
    event ();
  }
  // Serves deadlines in time.
  void until (TimeUs when) {
    while (liveness->deadline () <= when) {
      ASSERT_GE (liveness->deadline (), now) << "a deadline in the past is never met in time";
      now = liveness->deadline ();
      liveness->on_deadline (now);
    }
    now = when;
  }
  void pass (TimeUs span) { until (now + span); }
  // The process does not run, and then `event` is the first thing that happens.
  void stall (TimeUs span, const std::function<void ()> &event = {}) {
    now += span;
    if (event)
      event ();
    else
      liveness->on_deadline (now);
  }
  void break_by_silence () {
    pass (liveness->patience ());
    ASSERT_EQ (liveness->state (), Liveness::State::broken);
  }
  std::vector<TimeUs> gaps () const {
    std::vector<TimeUs> spans;
    for (std::size_t i = 1; i < pings.size (); ++i) spans.push_back (pings[i].at - pings[i - 1].at);
    return spans;
  }

  struct Ping {
    TimeUs at;
    bool unheard;
  };
  LivenessSettings settings;
  std::unique_ptr<Liveness> liveness;
  TimeUs now = kBegin;
  std::vector<Ping> pings;
  std::string told;  // one letter for each event
  TimeUs told_at = 0, outage = 0, stalled_span = 0;
  BreakReason reason = BreakReason::silence;
  Error error;
  std::function<void (char)> answer;  // to an event, from inside of it

 private:
  void tell (char event) {
    told += event;
    told_at = now;
    if (answer) answer (event);
  }
  void liveness_ping (bool unheard) override {
    EXPECT_NE (liveness->state (), Liveness::State::over);
    pings.push_back ({now, unheard});
    if (answer) answer ('p');
  }
  void liveness_suspect () override { tell ('s'); }
  void liveness_stalled (TimeUs span) override {
    stalled_span = span;
    tell ('Z');
  }
  void liveness_broken (BreakReason the_reason) override {
    reason = the_reason;
    tell ('B');
  }
  void liveness_restored (TimeUs the_outage) override {
    outage = the_outage;
    tell ('R');
  }
  void liveness_over (const Error &the_error) override {
    error = the_error;
    tell ('O');
  }
};

}  // namespace p2p::test
