// Time and timers as an interface, so that everything above runs on a real or on a virtual clock.
// A scheduler, its timers and their callbacks belong to one thread.
#pragma once
#include <glib.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace p2p {

using TimeUs = std::int64_t;  // microseconds on a monotonic clock
constexpr TimeUs kNever = INT64_MAX;
constexpr TimeUs kMillisecond = 1000;
constexpr TimeUs kSecond = 1000 * kMillisecond;

class Scheduler {
 public:
  // One deadline that can be moved at no cost. Destroying it disarms it, also from its own
  // callback.
  class Timer {
   public:
    virtual ~Timer () = default;
    virtual void arm (TimeUs when) = 0;  // replaces the deadline; in the past means at once
    virtual void disarm () = 0;
  };

  virtual ~Scheduler () = default;
  virtual TimeUs now () const = 0;
  // `callback` runs on the scheduler's thread, never from inside arm().
  virtual std::unique_ptr<Timer> make_timer (std::function<void ()> callback) = 0;
};

// The monotonic clock, with timers on a GMainContext. All of them share one prepare/check source:
// GLib asks every source at every turn of its loop, and a timerfd system call per packet was half
// of the CPU time of a ping. Timers due at the same moment run in the order in which they were
// armed. A deadline that is 2 s away or more is rounded up to a tenth of a second.
class LoopScheduler final : public Scheduler {
 public:
  explicit LoopScheduler (GMainContext *context);  // must outlive the scheduler
  ~LoopScheduler () override;
  TimeUs now () const override;
  std::unique_ptr<Timer> make_timer (std::function<void ()> callback) override;

 private:
  struct State;
  class LoopTimer;
  const std::shared_ptr<State> state_;
};

// A clock that stands still until it is told to go on. Timers due at the same moment run in the
// order in which they were armed, so that a run is repeatable.
class VirtualScheduler final : public Scheduler {
 public:
  VirtualScheduler ();
  ~VirtualScheduler () override;
  TimeUs now () const override { return now_; }
  std::unique_ptr<Timer> make_timer (std::function<void ()> callback) override;

  TimeUs next_deadline () const;  // kNever when nothing is armed
  bool run_next ();               // moves to the next deadline and runs it; false if there is none
  void run_until (TimeUs when);   // runs everything due up to `when`, then stands at `when`
  void run_for (TimeUs span) { run_until (now_ + span); }
  // Runs until `done` holds; false when `limit` of virtual time went by before.
  bool run_until_true (const std::function<bool ()> &done, TimeUs limit = 60 * kSecond);

 private:
  struct State;
  class VirtualTimer;
  std::shared_ptr<State> state_;
  TimeUs now_ = 0;
};

}  // namespace p2p
