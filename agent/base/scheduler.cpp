#include "base/scheduler.hpp"

#include "base/ptr.hpp"

namespace p2p {

namespace {

struct DeadlineSource {
  GSource source;
  TimeUs deadline;
};

gboolean
deadline_prepare (GSource *source, gint *timeout_ms) {
  const TimeUs deadline = reinterpret_cast<DeadlineSource *> (source)->deadline;
  if (deadline == kNever) {
    *timeout_ms = -1;
    return FALSE;
  }
  const TimeUs left = deadline - g_source_get_time (source);
  if (left <= 0) {
    *timeout_ms = 0;
    return TRUE;
  }
  // Rounded up: waking a millisecond early would spin.
  const TimeUs ms = (left + kMillisecond - 1) / kMillisecond;
  *timeout_ms = ms > G_MAXINT ? G_MAXINT : static_cast<gint> (ms);
  return FALSE;
}

gboolean
deadline_check (GSource *source) {
  const TimeUs deadline = reinterpret_cast<DeadlineSource *> (source)->deadline;
  return deadline != kNever && deadline <= g_source_get_time (source);
}

gboolean
deadline_dispatch (GSource *source, GSourceFunc, gpointer callback) {
  reinterpret_cast<DeadlineSource *> (source)->deadline = kNever;
  // A copy keeps the callback alive if it destroys its own timer.
  const auto keep = *static_cast<std::shared_ptr<std::function<void ()>> *> (callback);
  (*keep) ();
  return G_SOURCE_CONTINUE;
}

GSourceFuncs deadline_funcs = {deadline_prepare, deadline_check, deadline_dispatch,
                               nullptr,          nullptr,        nullptr};

class LoopTimer final : public Scheduler::Timer {
 public:
  LoopTimer (GMainContext *context, std::function<void ()> callback)
      : source_ (g_source_new (&deadline_funcs, sizeof (DeadlineSource))) {
    using Callback = std::shared_ptr<std::function<void ()>>;
    deadline () = kNever;
    g_source_set_static_name (source_.get (), "p2p deadline");
    g_source_set_callback (
        source_.get (), nullptr,
        new Callback (std::make_shared<std::function<void ()>> (std::move (callback))),
        [] (gpointer data) { delete static_cast<Callback *> (data); });
    g_source_attach (source_.get (), context);
  }

  void arm (TimeUs when) override {
    deadline () = when;
    // The loop asks prepare() again before it sleeps; only another thread's loop needs waking.
    GMainContext *context = g_source_get_context (source_.get ());
    if (!g_main_context_is_owner (context)) g_main_context_wakeup (context);
  }
  void disarm () override { deadline () = kNever; }

 private:
  TimeUs &deadline () { return reinterpret_cast<DeadlineSource *> (source_.get ())->deadline; }
  UniqueSource source_;
};

}  // namespace

LoopScheduler::LoopScheduler (GMainContext *context) : context_ (context) {}

TimeUs
LoopScheduler::now () const {
  return g_get_monotonic_time ();
}

std::unique_ptr<Scheduler::Timer>
LoopScheduler::make_timer (std::function<void ()> callback) {
  return std::make_unique<LoopTimer> (context_, std::move (callback));
}

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
