#include "base/loop_thread.hpp"

#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

namespace p2p {

void
post (GMainContext *context, std::function<void ()> work) {
  using Work = std::function<void ()>;
  GSource *source = g_idle_source_new ();
  g_source_set_static_name (source, "p2p task");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (
      source,
      [] (gpointer data) -> gboolean {
        (*static_cast<Work *> (data)) ();
        return G_SOURCE_REMOVE;
      },
      new Work (std::move (work)), [] (gpointer data) { delete static_cast<Work *> (data); });
  g_source_attach (source, context);
  g_source_unref (source);
}

namespace {

// How long the end of a process waits for what a thread is in the middle of.
constexpr auto kExitPatience = std::chrono::seconds (1);
// More than what is ready needs; a loop may also feed itself for ever.
constexpr int kLastTurns = 16;
constexpr auto kParkedCheck = std::chrono::seconds (1);

// As GLib, which cannot make a main context without one: nothing works without it.
int
make_wake_fd () {
  const int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    g_error (
        "A thread cannot be started: no descriptor is left for it (%s). Raise the limit of "
        "open files.",
        g_strerror (errno));
  return fd;
}

}  // namespace

LoopThread::LoopThread (const char *name)
    : context_ (Ref<GMainContext>::adopt (g_main_context_new ())),
      loop_ (Ref<GMainLoop>::adopt (g_main_loop_new (context_.get (), FALSE))),
      scheduler_ (context_.get ()),
      wake_fd_ (make_wake_fd ()),
      wake_source_ (g_unix_fd_source_new (wake_fd_, G_IO_IN)) {
  const GUnixFDSourceFunc ready = [] (gint, GIOCondition, gpointer data) -> gboolean {
    static_cast<LoopThread *> (data)->run_tasks ();
    return G_SOURCE_CONTINUE;
  };
  g_source_set_callback (wake_source_.get (), G_SOURCE_FUNC (ready), this, nullptr);
  g_source_set_static_name (wake_source_.get (), "p2p tasks");
  g_source_set_can_recurse (wake_source_.get (), TRUE);  // saves two wake-ups per dispatch
  g_source_attach (wake_source_.get (), context_.get ());
  const GThreadFunc run = [] (gpointer data) -> gpointer {
    auto *loop = static_cast<GMainLoop *> (data);
    GMainContext *context = g_main_loop_get_context (loop);
    g_main_context_push_thread_default (context);
    g_main_loop_run (loop);
    g_main_context_pop_thread_default (context);
    g_main_loop_unref (loop);
    return nullptr;
  };
  thread_ = g_thread_new (name, run, g_main_loop_ref (loop_.get ()));
}

LoopThread::~LoopThread () {
  // Posted, so that it cannot come before g_main_loop_run.
  post ([loop = loop_] { g_main_loop_quit (loop.get ()); });
  g_thread_join (thread_);
  wake_source_.reset ();
  close (wake_fd_);
}

void
LoopThread::post (std::function<void ()> work) {
  {
    const MutexLock lock (mutex_);
    tasks_.push_back (std::move (work));
    if (tasks_.size () > 1) return;  // its thread was woken for the first
  }
  eventfd_write (wake_fd_, 1);
}

void
LoopThread::run_tasks () {
  eventfd_t count = 0;
  eventfd_read (wake_fd_, &count);
  std::vector<std::function<void ()>> tasks;
  {
    const MutexLock lock (mutex_);
    tasks.swap (tasks_);
  }
  for (auto &task : tasks) {
    task ();
    task = nullptr;  // what it holds goes before the next one runs
  }
}

void
LoopThread::run_sync (const std::function<void ()> &work) {
  if (is_current () || parked_) {
    work ();
    return;
  }
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  post ([&] {
    work ();
    // Notified under the lock: the waiter's frame goes as soon as it may.
    const std::lock_guard lock (mutex);
    done = true;
    finished.notify_one ();
  });
  std::unique_lock lock (mutex);
  while (!finished.wait_for (lock, kParkedCheck, [&] { return done; })) {
    if (!parked_) continue;
    // Nobody else will.
    work ();
    return;
  }
}

void
LoopThread::park (std::chrono::steady_clock::time_point deadline) {
  if (is_current ()) return;
  struct Parking {
    std::mutex mutex;
    std::condition_variable there;
    bool taken = false;
  };
  const auto parking = std::make_shared<Parking> ();
  post ([this, parking] {
    // What was told to others, a last word that waits for its socket among it, goes out before.
    for (int i = 0; i < kLastTurns; ++i)
      if (!g_main_context_iteration (context_.get (), FALSE)) break;
    {
      const std::lock_guard lock (parking->mutex);
      parking->taken = parked_ = true;
      parking->there.notify_one ();
    }
    for (;;) pause ();
  });
  std::unique_lock lock (parking->mutex);
  parking->there.wait_until (lock, deadline, [&] { return parking->taken; });
}

namespace {

struct Lasting {
  const pid_t process = getpid ();
  std::mutex mutex;
  std::vector<LoopThread *> loops;
};

Lasting &
lasting () {
  static auto *const all = new Lasting;
  return *all;
}

// While a process exits its other threads run on, and use what the destructors of the libraries
// below take away: libnice, releasing a relay, was seen to die in GnuTLS.
void
park_all () {
  Lasting &all = lasting ();
  // A child that was forked has none of them.
  if (getpid () != all.process) return;
  const auto deadline = std::chrono::steady_clock::now () + kExitPatience;
  std::vector<LoopThread *> loops;
  {
    const std::lock_guard lock (all.mutex);
    loops = all.loops;
  }
  for (LoopThread *loop : loops) loop->park (deadline);
}

LoopThread *
start_lasting (const char *name) {
  auto *loop = new LoopThread (name);
  Lasting &all = lasting ();
  const std::lock_guard lock (all.mutex);
  if (all.loops.empty ()) std::atexit (park_all);
  all.loops.push_back (loop);
  return loop;
}

}  // namespace

LoopThread &
core_loop () {
  static LoopThread *const loop = start_lasting ("p2p-core");
  return *loop;
}

LoopThread &
ice_loop () {
  static LoopThread *const loop = start_lasting ("p2p-ice");
  return *loop;
}

LoopThread &
events_loop () {
  static LoopThread *const loop = start_lasting ("p2p-events");
  return *loop;
}

}  // namespace p2p
