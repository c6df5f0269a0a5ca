// The part of Link that streaming threads wait in.
#include <algorithm>
#include <chrono>

#include "link.hpp"

namespace p2p {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFlushLook (250);  // how often the flush looks for progress

// What is still to be confirmed by the peer; changes with every message that it takes.
guint64
queued_bytes (P2pChannel *channel) {
  const auto stats = Ref<GVariant>::adopt (p2p_channel_get_stats (channel));
  guint64 bytes = 0;
  g_variant_lookup (stats.get (), "queued-bytes", "t", &bytes);
  return bytes;
}

}  // namespace

// A flush that goes on in the background while a streaming thread watches it.
struct Link::FlushTask {
  std::weak_ptr<Link> link;
  Ref<GCancellable> cancellable = Ref<GCancellable>::adopt (g_cancellable_new ());
  bool done = false;  // guarded by the link's mutex
  Status error;       // likewise
};

Link::Wait
Link::wait_ready (bool connected, GCancellable *cancellable) {
  Lock lock (mutex_);
  for (;;) {
    if (g_cancellable_is_cancelled (cancellable)) return Wait::interrupted;
    if (failure_) return Wait::failed;
    if (channel_ && (!connected || state_ == P2P_CONNECTION_STATE_CONNECTED || was_connected_))
      return Wait::ready;
    if (ended_ || closed_) return Wait::ended;
    changed_.wait (lock);
  }
}

Link::Wait
Link::wait_until (const std::function<bool ()> &holds, GCancellable *cancellable) {
  Lock lock (mutex_);
  for (;;) {
    if (g_cancellable_is_cancelled (cancellable)) return Wait::interrupted;
    if (failure_) return Wait::failed;
    if (closed_) return Wait::ended;
    if (holds ()) return Wait::ready;
    changed_.wait (lock);
  }
}

Link::Wait
Link::wait_flushed (GCancellable *cancellable, guint max_stall_ms, Broken what_broken_is) {
  const auto channel = this->channel ();
  if (!channel) return Wait::ended;
  const auto task = std::make_shared<FlushTask> ();
  task->link = weak_from_this ();
  run_on_events ([channel, task] {
    using Shared = std::shared_ptr<FlushTask>;
    p2p_channel_flush_async (
        channel.get (), task->cancellable.get (),
        [] (GObject *object, GAsyncResult *result, gpointer data) {
          const std::unique_ptr<Shared> shared (static_cast<Shared *> (data));
          FlushTask &flush = **shared;
          GError *raw = nullptr;
          const bool flushed = p2p_channel_flush_finish (P2P_CHANNEL (object), result, &raw);
          const Error error = take_error (raw);
          const auto link = flush.link.lock ();
          if (!link) return;
          {
            const Lock lock (link->mutex_);
            flush.done = true;
            if (!flushed) flush.error = error;
          }
          link->changed_.notify_all ();
        },
        new Shared (task));
  });

  const milliseconds max_stall (max_stall_ms);
  const milliseconds look = std::min (kFlushLook, max_stall);
  guint64 waiting = queued_bytes (channel.get ());
  milliseconds stalled (0);
  Lock lock (mutex_);
  while (!task->done) {
    if (failure_ || closed_ || g_cancellable_is_cancelled (cancellable) || stalled >= max_stall)
      break;
    if (changed_.wait_for (lock, look) == std::cv_status::no_timeout) continue;
    const bool broken = state_ == P2P_CONNECTION_STATE_BROKEN && what_broken_is == Broken::waits;
    lock.unlock ();
    const guint64 now = queued_bytes (channel.get ());
    // For how long a broken connection is waited for is its agent's matter.
    stalled = now == waiting && !broken ? stalled + look : milliseconds (0);
    waiting = now;
    lock.lock ();
  }
  if (task->done && !task->error) return Wait::ready;
  const bool failed = failure_ || (task->done && task->error->code != P2P_ERROR_CLOSED);
  const Status error = task->done ? task->error : Status ();
  const bool ended = task->done || closed_;
  const bool interrupted = g_cancellable_is_cancelled (cancellable);
  lock.unlock ();
  g_cancellable_cancel (task->cancellable.get ());
  if (failed) {
    if (error) fail (*error);
    return Wait::failed;
  }
  return interrupted ? Wait::interrupted : ended ? Wait::ended : Wait::stalled;
}

void
Link::wake () {
  // Under the lock, so that a waiter is either before its look or waiting.
  const Lock lock (mutex_);
  changed_.notify_all ();
}

}  // namespace p2p
