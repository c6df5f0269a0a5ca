#include <algorithm>
#include <utility>
#include <vector>

#include "base/packed_memory.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"

namespace p2p {

namespace {

// When, and in which order among those of the same moment.
using Due = std::pair<TimeUs, std::uint64_t>;
constexpr Due kNotDue = {kNever, 0};
// Whoever waits for long may wait a little longer, so that the keep-alives of a thousand quiet
// connections wake the loop ten times a second, not hundreds of times.
constexpr TimeUs kLongWait = 2 * kSecond;
constexpr TimeUs kLongWaitGrain = 100 * kMillisecond;

}  // namespace

// A binary heap of timers. Moving a deadline back, which every packet does, touches only the timer:
// its place in the heap is put right when it comes to the top.
struct LoopScheduler::State {
  explicit State (GMainContext *main_context) : context (main_context) {}

  void enter (LoopTimer &timer);
  void leave (LoopTimer &timer);
  void sift_up (std::size_t at);
  void sift_down (std::size_t at);
  void put (std::size_t at, LoopTimer *timer);
  LoopTimer *first ();  // with its place put right; null when nothing is armed
  void run_due ();

  GMainContext *const context;
  UniqueSource source;
  std::vector<LoopTimer *> heap;
  std::uint64_t counter = 0;
  TimeUs turn = 0;  // nothing is armed for before the turn that is under way
};

class LoopScheduler::LoopTimer final : public Packed, public Scheduler::Timer {
 public:
  LoopTimer (std::shared_ptr<State> state, std::function<void ()> callback)
      : state_ (std::move (state)),
        callback_ (make_packed<std::function<void ()>> (std::move (callback))) {}
  ~LoopTimer () override {
    if (listed) state_->leave (*this);
  }

  void arm (TimeUs when) override {
    if (when == kNever) {
      due = kNotDue;
      return;
    }
    const TimeUs wait = when - g_source_get_time (state_->source.get ());
    if (wait >= kLongWait && when < kNever - kLongWaitGrain)
      when += kLongWaitGrain - when % kLongWaitGrain;
    due = {std::max (when, state_->turn), ++state_->counter};
    if (!listed) {
      state_->enter (*this);
    } else if (due < place) {
      place = due;
      state_->sift_up (index);
    }
    // The loop asks prepare() again before it sleeps; only another thread's loop needs waking.
    if (!g_main_context_is_owner (state_->context)) g_main_context_wakeup (state_->context);
  }
  void disarm () override { due = kNotDue; }

  void fire () {
    due = kNotDue;
    // A copy keeps the callback alive if it destroys its own timer.
    const auto keep = callback_;
    (*keep) ();
  }

  Due due = kNotDue;    // as armed
  Due place = kNotDue;  // by which it stands in the heap; never after `due`
  std::size_t index = 0;
  bool listed = false;

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<std::function<void ()>> callback_;
};

void
LoopScheduler::State::put (std::size_t at, LoopTimer *timer) {
  heap[at] = timer;
  timer->index = at;
}

void
LoopScheduler::State::sift_up (std::size_t at) {
  LoopTimer *const timer = heap[at];
  while (at > 0) {
    const std::size_t parent = (at - 1) / 2;
    if (heap[parent]->place <= timer->place) break;
    put (at, heap[parent]);
    at = parent;
  }
  put (at, timer);
}

void
LoopScheduler::State::sift_down (std::size_t at) {
  LoopTimer *const timer = heap[at];
  for (;;) {
    std::size_t child = 2 * at + 1;
    if (child >= heap.size ()) break;
    if (child + 1 < heap.size () && heap[child + 1]->place < heap[child]->place) ++child;
    if (timer->place <= heap[child]->place) break;
    put (at, heap[child]);
    at = child;
  }
  put (at, timer);
}

void
LoopScheduler::State::enter (LoopTimer &timer) {
  timer.listed = true;
  timer.place = timer.due;
  heap.push_back (&timer);
  sift_up (heap.size () - 1);
}

void
LoopScheduler::State::leave (LoopTimer &timer) {
  timer.listed = false;
  const std::size_t at = timer.index;
  LoopTimer *const last = heap.back ();
  heap.pop_back ();
  if (last == &timer) return;
  put (at, last);
  if (at > 0 && last->place < heap[(at - 1) / 2]->place)
    sift_up (at);
  else
    sift_down (at);
}

LoopScheduler::LoopTimer *
LoopScheduler::State::first () {
  while (!heap.empty ()) {
    LoopTimer *const top = heap.front ();
    if (top->due == top->place) return top;
    if (top->due == kNotDue) {
      leave (*top);
    } else {
      top->place = top->due;
      sift_down (0);
    }
  }
  return nullptr;
}

// Those armed meanwhile wait for the next turn of the loop, so that its other sources have theirs.
void
LoopScheduler::State::run_due () {
  turn = g_source_get_time (source.get ());
  const std::uint64_t armed_before = counter;
  for (;;) {
    LoopTimer *const next = first ();
    if (!next || next->due.first > turn || next->due.second > armed_before) return;
    leave (*next);
    next->fire ();
  }
}

namespace {

struct TimersSource {
  GSource source;
  void *state;
};

}  // namespace

LoopScheduler::LoopScheduler (GMainContext *context) : state_ (std::make_shared<State> (context)) {
  static GSourceFuncs funcs = {
      [] (GSource *source, gint *timeout_ms) -> gboolean {
        auto *state = static_cast<State *> (reinterpret_cast<TimersSource *> (source)->state);
        const LoopTimer *first = state->first ();
        *timeout_ms = -1;
        if (!first) return FALSE;
        const TimeUs left = first->due.first - g_source_get_time (source);
        // Rounded up: waking a millisecond early would spin.
        const TimeUs ms = left <= 0 ? 0 : (left + kMillisecond - 1) / kMillisecond;
        *timeout_ms = ms > G_MAXINT ? G_MAXINT : static_cast<gint> (ms);
        return left <= 0;
      },
      [] (GSource *source) -> gboolean {
        auto *state = static_cast<State *> (reinterpret_cast<TimersSource *> (source)->state);
        const LoopTimer *first = state->first ();
        return first && first->due.first <= g_source_get_time (source);
      },
      [] (GSource *source, GSourceFunc, gpointer) -> gboolean {
        static_cast<State *> (reinterpret_cast<TimersSource *> (source)->state)->run_due ();
        return G_SOURCE_CONTINUE;
      },
      nullptr,
      nullptr,
      nullptr};
  GSource *source = g_source_new (&funcs, sizeof (TimersSource));
  reinterpret_cast<TimersSource *> (source)->state = state_.get ();
  g_source_set_static_name (source, "p2p timers");
  state_->source.reset (source);
  g_source_attach (source, context);
}

LoopScheduler::~LoopScheduler () {
  state_->source.reset ();
}

TimeUs
LoopScheduler::now () const {
  return g_get_monotonic_time ();
}

std::unique_ptr<Scheduler::Timer>
LoopScheduler::make_timer (std::function<void ()> callback) {
  return std::make_unique<LoopTimer> (state_, std::move (callback));
}

}  // namespace p2p
