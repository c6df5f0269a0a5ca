#include "base/nested_context.hpp"

#include <algorithm>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

// GLib wakes a context whose sources it changes, which dispatching does: the second round takes
// what that left. More than these, and the thread's other work would wait.
constexpr int kRoundsPerTurn = 2;
// Whoever waits for this long may wait until others are due: quiet agents then wake the thread some
// 20 times a second together, not each for itself.
constexpr gint kGrainMs = 50;
constexpr auto kNothing = static_cast<GIOCondition> (0);

}  // namespace

std::shared_ptr<NestedContext>
NestedContext::create (GMainContext *outer, Scheduler &scheduler) {
  // The last reference may go anywhere, also inside of one of its own sources.
  std::shared_ptr<NestedContext> nested (
      std::make_unique<NestedContext> (outer, scheduler).release (), [] (NestedContext *last) {
        post (last->outer_.get (), [owner = std::shared_ptr<NestedContext> (last)] {});
      });
  post (outer, [weak = std::weak_ptr<NestedContext> (nested)] {
    if (const auto self = weak.lock ()) self->run (-1, kNothing);
  });
  return nested;
}

NestedContext::NestedContext (GMainContext *outer, Scheduler &scheduler)
    : outer_ (Ref<GMainContext>::share (outer)),
      // The flag has sources of other threads wake it although nobody sleeps in it.
      context_ (Ref<GMainContext>::adopt (
          g_main_context_new_with_flags (G_MAIN_CONTEXT_FLAGS_OWNERLESS_POLLING))),
      scheduler_ (scheduler) {
  // As long as there are no sources, the descriptor that wakes it is the only one.
  GPollFD only{};
  gint timeout_ms = -1;
  if (g_main_context_query (context_.get (), G_MAXINT, &timeout_ms, &only, 1) == 1)
    wake_fd_ = only.fd;
}

NestedContext::~NestedContext () = default;

void
NestedContext::query (int *timeout_ms) {
  for (;;) {
    const gint count = g_main_context_query (context_.get (), G_MAXINT, timeout_ms, polled_.data (),
                                             static_cast<gint> (polled_.size ()));
    const bool all = static_cast<std::size_t> (count) <= polled_.size ();
    polled_.resize (static_cast<std::size_t> (count));
    if (all) return;
  }
}

// One turn of a loop that neither sleeps nor polls: `ready_fd` is what epoll has told of. True when
// something was dispatched.
bool
NestedContext::iterate (int ready_fd, GIOCondition there, int *timeout_ms) {
  gint priority = 0;
  g_main_context_prepare (context_.get (), &priority);
  query (timeout_ms);
  for (GPollFD &polled : polled_)
    polled.revents = static_cast<gushort> (polled.fd == ready_fd ? there : 0);
  if (!g_main_context_check (context_.get (), priority, polled_.data (),
                             static_cast<gint> (polled_.size ())))
    return false;
  g_main_context_dispatch (context_.get ());
  return true;
}

void
NestedContext::run (int ready_fd, GIOCondition there) {
  if (!g_main_context_acquire (context_.get ())) return;
  bool more = true;
  gint timeout_ms = -1;
  for (int round = 0; more && round < kRoundsPerTurn; ++round) {
    more = iterate (ready_fd, there, &timeout_ms);
    // Taking back a wake-up that was not there does no harm.
    ready_fd = wake_fd_;
    there = G_IO_IN;
  }
  g_main_context_release (context_.get ());
  watch_polled ();
  if (!timer_) timer_ = scheduler_.make_timer ([this] { run (-1, kNothing); });
  const TimeUs now = scheduler_.now ();
  if (more || timeout_ms == 0) {
    timer_->arm (now);
  } else if (timeout_ms > 0) {
    const TimeUs due = now + timeout_ms * kMillisecond;
    const TimeUs grain = timeout_ms < kGrainMs ? 1 : kGrainMs * kMillisecond;
    timer_->arm ((due + grain - 1) / grain * grain);
  } else {
    timer_->disarm ();
  }
}

void
NestedContext::watch_polled () {
  for (Watched &watched : watched_) {
    const auto same = [&] (const GPollFD &polled) { return polled.fd == watched.fd; };
    const auto polled = std::find_if (polled_.begin (), polled_.end (), same);
    if (polled == polled_.end ()) {
      watched.watch.reset ();
      continue;
    }
    watched.watch->set_events (static_cast<GIOCondition> (polled->events));
    // Under the same number there may be another descriptor by now.
    watched.watch->renew ();
  }
  watched_.erase (std::remove_if (watched_.begin (), watched_.end (),
                                  [] (const Watched &watched) { return !watched.watch; }),
                  watched_.end ());
  for (const GPollFD &polled : polled_) {
    const auto same = [&] (const Watched &watched) { return watched.fd == polled.fd; };
    if (std::any_of (watched_.begin (), watched_.end (), same)) continue;
    watched_.push_back (
        {polled.fd, std::make_unique<FdWatch> (
                        outer_.get (), polled.fd, static_cast<GIOCondition> (polled.events),
                        [this, fd = polled.fd] (GIOCondition there) { run (fd, there); })});
  }
}

}  // namespace p2p
