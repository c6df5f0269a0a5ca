#include "link.hpp"

#include <chrono>

namespace p2p {
namespace {

using std::chrono::milliseconds;

// An element has to stop in less than a second; a peer that was not told in this time notices by
// itself that we are gone.
constexpr milliseconds kMaxCloseWait (500);
constexpr guint kPauseMs = 1000;  // after a connection that never came up

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

}  // namespace

std::shared_ptr<Link>
Link::open (const ElementSettings &settings, bool sends, std::shared_ptr<LinkObserver> observer,
            std::weak_ptr<ChannelUser> user) {
  auto link = std::make_shared<Link> (settings, sends, std::move (observer), std::move (user));
  run_on_events ([link] { link->start (); });
  return link;
}

Link::Link (const ElementSettings &settings, bool sends, std::shared_ptr<LinkObserver> observer,
            std::weak_ptr<ChannelUser> user)
    : settings_ (settings),
      sends_ (sends),
      observer_ (std::move (observer)),
      user_ (std::move (user)) {}

void
Link::start () {
  if (closed ()) return;
  auto agent = SharedAgent::join (settings_, weak_from_this ());
  if (!agent) {
    fail (agent.error ());
    return;
  }
  agent_ = std::move (*agent);
  seek ();
}

void
Link::seek () {
  if (closed ()) return;
  {
    const Lock lock (mutex_);
    if (failure_) return;
  }
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

AgentUser::Wish
Link::wishes_any_peer () const {
  const Lock lock (mutex_);
  if (!settings_.peer.empty () || closed_ || failure_ || !agent_) return Wish::none;
  if (!connection_) return Wish::now;
  const bool soon = settings_.keep_listening && state_ == P2P_CONNECTION_STATE_REMOVED;
  return soon ? Wish::soon : Wish::none;
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
  told_ = P2P_CONNECTION_STATE_CONNECTING;
  watch_ = StateWatch::start (connection.get (), agent_->context ().get (),
                              [weak = weak_from_this ()] (const ConnectionEvent &event) {
                                if (const auto link = weak.lock ()) link->take (event);
                              });
  warning_handler_ = connect_handler (
      connection.get (), "warning",
      +[] (P2pConnection *, const GError *error, gpointer data) {
        run_on_events ([weak = *static_cast<WeakLink *> (data), warning = to_error (error)] {
          if (const auto link = weak.lock ()) link->agent_warned (warning);
        });
      },
      weak_from_this ());
  open_channel (connection.get ());
  refresh ();
}

void
Link::open_channel (P2pConnection *connection) {
  auto channel =
      agent_->open_channel (connection, settings_.channel, make_options (settings_).get ());
  if (!channel) {
    // The next one comes after its end was told.
    begins_again_ = settings_.outlives_sessions () &&
                    p2p_connection_get_state (connection) == P2P_CONNECTION_STATE_REMOVED;
    if (!begins_again_) fail (channel.error ());
    return;
  }
  {
    const Lock lock (mutex_);
    channel_ = *channel;
  }
  if (const auto user = user_.lock ()) user->channel_opened (shared_from_this (), *channel);
  changed_.notify_all ();
}

// What the connection's signals say, in order; what holds now may be ahead of it.
void
Link::take (const ConnectionEvent &event) {
  const auto connection = this->connection ();
  if (closed () || !connection) return;
  refresh ();
  told_ = event.state;
  if (event.state == P2P_CONNECTION_STATE_CONNECTED) peer_present ();
  if (event.state == P2P_CONNECTION_STATE_BROKEN) peer_absent ({});
  observer_->link_state_changed (event, connection.get ());
  if (event.state == P2P_CONNECTION_STATE_CONNECTED &&
      p2p_connection_get_authentication (connection.get ()) == P2P_AUTHENTICATION_SIGNALING &&
      !std::exchange (told_unauthenticated_, true))
    observer_->link_unauthenticated (p2p_connection_get_peer (connection.get ()),
                                     agent_ && agent_->rendezvous () == kLocalRendezvous);
  if (event.state == P2P_CONNECTION_STATE_REMOVED) take_removal ();
}

void
Link::take_removal () {
  const Status error = removal_error ();
  if (settings_.outlives_sessions ()) {
    if (error) agent_warned (*error);
    peer_absent (error);
    begin_again ();
    return;
  }
  bool was_connected;
  {
    const Lock lock (mutex_);
    was_connected = was_connected_;
  }
  // What came before the end still waits in the channel: a receiver meets the error after that.
  if (error && (sends_ || !was_connected)) fail (*error);
}

// Takes over the connection's state.
void
Link::refresh () {
  const auto connection = this->connection ();
  if (!connection) return;
  const P2pConnectionState state = p2p_connection_get_state (connection.get ());
  const bool ended = state == P2P_CONNECTION_STATE_REMOVED && !removal_error ();
  {
    const Lock lock (mutex_);
    if (closed_) return;
    state_ = state;
    if (state == P2P_CONNECTION_STATE_CONNECTED) was_connected_ = true;
    if (ended && !settings_.outlives_sessions ()) ended_ = true;
  }
  changed_.notify_all ();
}

void
Link::listen_again (P2pChannel *ended) {
  Ref<P2pChannel> parting;
  {
    const Lock lock (mutex_);
    if (closed_ || !ended || channel_.get () != ended) return;
    parting = parting_ = std::move (channel_);
  }
  // Its name is free for the next one when both directions have ended.
  p2p_channel_end (parting.get ());
  run_on_events ([self = shared_from_this (), parting] {
    if (self->closed ()) return;
    self->begins_again_ = true;
    self->closed_handler_ = connect_handler (
        parting.get (), "closed",
        +[] (P2pChannel *, gpointer data) {
          run_on_events ([weak = *static_cast<WeakLink *> (data)] {
            if (const auto link = weak.lock ()) link->begin_again ();
          });
        },
        self->weak_from_this ());
    self->begin_again ();
  });
}

// Goes on to another session: over the same connection, where only the channel has ended, or over
// the next one.
void
Link::begin_again () {
  Ref<P2pConnection> connection;
  Ref<P2pChannel> parting;
  bool was_connected;
  {
    const Lock lock (mutex_);
    if (closed_ || !begins_again_) return;
    connection = connection_;
    parting = parting_;
    was_connected = was_connected_;
  }
  const bool removed = p2p_connection_get_state (connection.get ()) == P2P_CONNECTION_STATE_REMOVED;
  if (removed && told_ != P2P_CONNECTION_STATE_REMOVED) return;
  if (!removed && (!parting || p2p_channel_is_open (parting.get ()))) return;
  begins_again_ = false;
  if (!removed) agent_->use (connection.get ());
  let_go (removed ? connection.get () : nullptr, parting.get ());
  agent_->release (connection.get (), parting.get (), {});
  {
    const Lock lock (mutex_);
    parting_.reset ();
    if (removed) {
      connection_.reset ();
      was_connected_ = false;
    }
  }
  if (!removed)
    open_channel (connection.get ());
  else if (was_connected)
    seek ();
  else
    seek_later ();
}

// A peer that cannot be reached is not to be tried without a pause.
void
Link::seek_later () {
  GSource *source = g_timeout_source_new (kPauseMs);
  g_source_set_callback (
      source,
      [] (gpointer data) -> gboolean {
        if (const auto link = static_cast<WeakLink *> (data)->lock ()) link->seek ();
        return G_SOURCE_REMOVE;
      },
      new WeakLink (weak_from_this ()),
      [] (gpointer data) { delete static_cast<WeakLink *> (data); });
  g_source_attach (source, p2p_get_event_context ());
  g_source_unref (source);
}

// Hears nothing of them any more; either may be null.
void
Link::let_go (P2pConnection *connection, P2pChannel *parting) {
  if (connection) {
    watch_->stop ();
    watch_.reset ();
    g_signal_handler_disconnect (connection, warning_handler_);
    told_unauthenticated_ = false;
  }
  if (parting && closed_handler_)
    g_signal_handler_disconnect (parting, std::exchange (closed_handler_, 0));
}

void
Link::set_liveness (const LivenessWishes &wishes) {
  run_on_events ([self = shared_from_this (), wishes] {
    if (self->agent_) self->agent_->set_liveness (wishes);
  });
}

void
Link::rejected (const Error &reason) {
  // For one who waits for anybody, this was the peer that was to come.
  if (reason.code == P2P_ERROR_NOT_AUTHORIZED && wishes_any_peer () == Wish::now &&
      !settings_.keep_listening)
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
  bool connected, complete;
  {
    const Lock lock (mutex_);
    if (closed_ || failure_) return;
    failure_ = error;
    connected = was_connected_;
    complete = complete_;
  }
  changed_.notify_all ();
  if (!complete) observer_->link_failed (error, connected);
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
  Ref<P2pChannel> channel, parting;
  {
    const Lock lock (mutex_);
    connection = std::move (connection_);
    channel = std::move (channel_);
    parting = std::move (parting_);
    state_ = P2P_CONNECTION_STATE_REMOVED;
  }
  let_go (connection.get (), parting.get ());
  peer_present ();
  if (!agent_) return;
  if (connection)
    agent_->release (connection.get (), parting ? parting.get () : channel.get (), token);
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

Status
Link::removal_error () const {
  const auto connection = this->connection ();
  GError *raw = connection ? p2p_connection_dup_error (connection.get ()) : nullptr;
  return raw ? Status (take_error (raw)) : Status ();
}

bool
Link::closed () const {
  const Lock lock (mutex_);
  return closed_;
}

}  // namespace p2p
