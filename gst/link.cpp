#include "link.hpp"

#include <algorithm>
#include <chrono>

namespace p2p {
namespace {

using std::chrono::milliseconds;

// An element has to stop in less than a second; a peer that was not told in this time notices by
// itself that we are gone.
constexpr milliseconds kMaxCloseWait (500);
constexpr milliseconds kFlushLook (250);  // how often the flush looks for progress

// Told to wait_closed() by the last CloseToken that goes.
struct Closing {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
};

using WeakLink = std::weak_ptr<Link>;

template <class Callback>
gulong
connect_handler (gpointer object, const char *signal, Callback callback, WeakLink link) {
  return g_signal_connect_data (
      object, signal, G_CALLBACK (callback), new WeakLink (std::move (link)),
      [] (gpointer data, GClosure *) { delete static_cast<WeakLink *> (data); },
      static_cast<GConnectFlags> (0));
}

struct OptionsFree {
  void operator() (P2pChannelOptions *options) const { p2p_channel_options_free (options); }
};

std::unique_ptr<P2pChannelOptions, OptionsFree>
make_options (const ElementSettings &settings) {
  std::unique_ptr<P2pChannelOptions, OptionsFree> options (p2p_channel_options_new ());
  p2p_channel_options_set_ordered (options.get (), settings.ordered);
  if (settings.max_packet_lifetime_ms >= 0)
    p2p_channel_options_set_max_packet_lifetime (options.get (), settings.max_packet_lifetime_ms);
  else if (!settings.reliable)
    p2p_channel_options_set_max_retransmits (options.get (), 0);
  p2p_channel_options_set_max_queue_bytes (options.get (), settings.max_queue_bytes);
  p2p_channel_options_set_priority (options.get (), settings.priority);
  return options;
}

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

std::shared_ptr<Link>
Link::open (const ElementSettings &settings, bool sends, std::shared_ptr<LinkObserver> observer) {
  auto link = std::make_shared<Link> (settings, sends, std::move (observer));
  run_on_events ([link] { link->start (); });
  return link;
}

Link::Link (const ElementSettings &settings, bool sends, std::shared_ptr<LinkObserver> observer)
    : settings_ (settings), sends_ (sends), observer_ (std::move (observer)) {}

void
Link::start () {
  if (closed ()) return;
  auto agent = SharedAgent::join (settings_, weak_from_this ());
  if (!agent) {
    fail (agent.error ());
    return;
  }
  agent_ = std::move (*agent);
  if (settings_.peer.empty ()) {
    agent_->offer ();
    return;
  }
  auto connection = agent_->connect (settings_.peer);
  if (!connection)
    fail (connection.error ());
  else
    adopt (*connection);
}

bool
Link::wants_any_peer () const {
  const Lock lock (mutex_);
  return settings_.peer.empty () && !connection_ && !closed_ && !failure_ && agent_;
}

void
Link::offered (P2pConnection *connection) {
  if (auto error = agent_->pin (p2p_connection_get_peer (connection), settings_.peer_fingerprint)) {
    fail (*error);
    return;
  }
  agent_->use (connection);
  adopt (Ref<P2pConnection>::share (connection));
}

// The connection is this link's from now on.
void
Link::adopt (const Ref<P2pConnection> &connection) {
  {
    const Lock lock (mutex_);
    connection_ = connection;
  }
  state_handler_ = connect_handler (
      connection.get (), "notify::state",
      +[] (P2pConnection *, GParamSpec *, gpointer data) {
        run_on_events ([weak = *static_cast<WeakLink *> (data)] {
          if (const auto link = weak.lock ()) link->refresh ();
        });
      },
      weak_from_this ());
  warning_handler_ = connect_handler (
      connection.get (), "warning",
      +[] (P2pConnection *, const GError *error, gpointer data) {
        run_on_events ([weak = *static_cast<WeakLink *> (data), warning = to_error (error)] {
          if (const auto link = weak.lock ()) link->agent_warned (warning);
        });
      },
      weak_from_this ());
  auto channel =
      agent_->open_channel (connection.get (), settings_.channel, make_options (settings_).get ());
  if (!channel) {
    fail (channel.error ());
    return;
  }
  {
    const Lock lock (mutex_);
    channel_ = std::move (*channel);
  }
  changed_.notify_all ();
  refresh ();
}

// Takes over the connection's state.
void
Link::refresh () {
  Lock lock (mutex_);
  if (closed_ || !connection_) return;
  const auto connection = connection_;
  lock.unlock ();
  const P2pConnectionState state = p2p_connection_get_state (connection.get ());
  const P2pAuthentication authentication = p2p_connection_get_authentication (connection.get ());
  GError *raw = state == P2P_CONNECTION_STATE_REMOVED ? p2p_connection_dup_error (connection.get ())
                                                      : nullptr;
  const bool removed_by_error = raw;
  const Error error = take_error (raw);

  lock.lock ();
  if (closed_) return;
  const bool changed = std::exchange (state_, state) != state;
  const bool first_connected = state == P2P_CONNECTION_STATE_CONNECTED && !was_connected_;
  if (first_connected) was_connected_ = true;
  // What came before the end still waits in the channel: a receiver meets the error after that.
  const bool tell_error = removed_by_error && (sends_ || !was_connected_);
  if (state == P2P_CONNECTION_STATE_REMOVED && !removed_by_error) ended_ = true;
  lock.unlock ();
  changed_.notify_all ();

  if (changed) observer_->link_state_changed (state, connection.get ());
  if (first_connected && authentication == P2P_AUTHENTICATION_SIGNALING)
    observer_->link_unauthenticated (p2p_connection_get_peer (connection.get ()),
                                     agent_ && agent_->rendezvous () == kLocalRendezvous);
  if (tell_error) fail (error);
}

void
Link::rejected (const Error &reason) {
  // For one who waits for anybody, this was the peer that was to come.
  if (reason.code == P2P_ERROR_NOT_AUTHORIZED && wants_any_peer ())
    fail (reason);
  else
    agent_warned (reason);
}

void
Link::agent_failed (const Error &error) {
  fail (error);
}

void
Link::agent_warned (const Error &warning) {
  if (!closed ()) observer_->link_warned (warning);
}

void
Link::fail (const Error &error) {
  bool connected;
  {
    const Lock lock (mutex_);
    if (closed_ || failure_) return;
    failure_ = error;
    connected = was_connected_;
  }
  changed_.notify_all ();
  observer_->link_failed (error, connected);
}

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
Link::wait_flushed (GCancellable *cancellable) {
  const auto channel = this->channel ();
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

  const milliseconds max_stall (settings_.drain_timeout_ms);
  const milliseconds look = std::min (kFlushLook, max_stall);
  guint64 waiting = queued_bytes (channel.get ());
  milliseconds stalled (0);
  Lock lock (mutex_);
  while (!task->done) {
    if (failure_ || closed_ || g_cancellable_is_cancelled (cancellable) || stalled >= max_stall)
      break;
    if (changed_.wait_for (lock, look) == std::cv_status::no_timeout) continue;
    lock.unlock ();
    const guint64 now = queued_bytes (channel.get ());
    stalled = now == waiting ? stalled + look : milliseconds (0);
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
  // Under the lock, so that a waiter is either before its look at the cancellable or waiting.
  const Lock lock (mutex_);
  changed_.notify_all ();
}

void
Link::close () {
  {
    const Lock lock (mutex_);
    closed_ = true;
  }
  changed_.notify_all ();
  const auto closing = std::make_shared<Closing> ();
  CloseToken token (closing.get (), [closing] (void *) {
    {
      const std::lock_guard lock (closing->mutex);
      closing->done = true;
    }
    closing->changed.notify_all ();
  });
  const bool may_wait = !on_events ();
  run_on_events ([self = shared_from_this (), token] { self->release (token); });
  token.reset ();
  if (!may_wait) return;
  std::unique_lock lock (closing->mutex);
  closing->changed.wait_for (lock, kMaxCloseWait, [&] { return closing->done; });
}

void
Link::release (const CloseToken &token) {
  Ref<P2pConnection> connection;
  Ref<P2pChannel> channel;
  {
    const Lock lock (mutex_);
    connection = std::move (connection_);
    channel = std::move (channel_);
    state_ = P2P_CONNECTION_STATE_REMOVED;
  }
  if (connection) {
    g_signal_handler_disconnect (connection.get (), state_handler_);
    if (warning_handler_) g_signal_handler_disconnect (connection.get (), warning_handler_);
  }
  if (!agent_) return;
  if (connection) agent_->release (connection.get (), channel.get (), token);
  agent_->leave (this, token);
  agent_.reset ();
}

Ref<P2pChannel>
Link::channel () const {
  const Lock lock (mutex_);
  return channel_;
}

Ref<P2pConnection>
Link::connection () const {
  const Lock lock (mutex_);
  return connection_;
}

P2pConnectionState
Link::state () const {
  const Lock lock (mutex_);
  return state_;
}

bool
Link::connected () const {
  const Lock lock (mutex_);
  return channel_ && state_ == P2P_CONNECTION_STATE_CONNECTED;
}

bool
Link::failed () const {
  const Lock lock (mutex_);
  return failure_.has_value ();
}

bool
Link::hopeless () const {
  const Lock lock (mutex_);
  return failure_ || ended_;
}

bool
Link::closed () const {
  const Lock lock (mutex_);
  return closed_;
}

}  // namespace p2p
