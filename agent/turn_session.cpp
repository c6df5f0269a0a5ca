#include "turn_session.hpp"

#include <algorithm>

#include "turn/server_uri.hpp"

namespace p2p {

namespace {

constexpr std::size_t kMaxQueuedBytes = 4 * 1024 * 1024;
// A datagram costs more than its bytes.
constexpr std::size_t kOverheadBytes = 128;

std::size_t
cost_of (const Ref<GBytes> &bytes) {
  return g_bytes_get_size (bytes.get ()) + kOverheadBytes;
}

}  // namespace

GSocketAddress *
turn_socket_address (const turn::Address &address) {
  socklen_t size = 0;
  sockaddr_storage storage = address.to_sockaddr (&size);
  return g_socket_address_new_from_native (&storage, size);
}

std::optional<turn::Address>
turn_address (GSocketAddress *address) {
  sockaddr_storage storage{};
  if (!g_socket_address_to_native (address, &storage, sizeof storage, nullptr)) return std::nullopt;
  return turn::Address::from_sockaddr (storage);
}

void
TurnSession::post_core (std::function<void (TurnSession &)> work) {
  core_loop ().post ([weak = weak_from_this (), work = std::move (work)] {
    if (const auto self = weak.lock ()) work (*self);
  });
}

void
TurnSession::start (turn::RelayConfig config) {
  {
    const MutexLock lock (mutex_);
    policy_ = config.client.policy;
    max_datagram_bytes_ = 1200;
  }
  post_core ([config = std::move (config)] (TurnSession &self) {
    if (self.relay_) return;
    self.relay_ = std::make_unique<turn::Relay> (core_loop ().context (), core_loop ().scheduler (),
                                                 config, self);
    self.relay_->client ().start ();
  });
}

void
TurnSession::wait_allocated (Ref<GTask> task) {
  const auto pending = PendingTask::create (std::move (task), {});
  Status outcome;
  {
    const MutexLock lock (mutex_);
    if (!allocated_ && !ended_) {
      allocating_.erase (std::remove_if (allocating_.begin (), allocating_.end (),
                                         [] (const auto &one) { return one->ended (); }),
                         allocating_.end ());
      allocating_.push_back (pending);
      return;
    }
    outcome = ended_;
  }
  finish ({pending}, outcome);
}

void
TurnSession::finish (const Waiting &waiting, const Status &outcome) {
  for (const auto &pending : waiting) {
    if (!pending->claim ()) continue;
    pending->finish ([outcome] (GTask *task) {
      if (outcome)
        g_task_return_error (task, outcome->to_gerror ());
      else
        g_task_return_boolean (task, TRUE);
    });
  }
}

void
TurnSession::reset () {
  {
    const MutexLock lock (mutex_);
    if (ended_ && ended_->code == P2P_ERROR_CLOSED) return;
    ended_.reset ();
    allocated_ = false;
    refused_.clear ();
  }
  post_core ([] (TurnSession &self) {
    if (self.relay_) self.relay_->client ().reset ();
  });
}

void
TurnSession::close (Ref<GTask> task) {
  const auto pending = PendingTask::create (std::move (task), {});
  {
    const MutexLock lock (mutex_);
    ended_ = Error{P2P_ERROR_CLOSED, "The TURN client is closed."};
    closing_.push_back (pending);
  }
  post_core ([] (TurnSession &self) {
    if (self.relay_ && self.relay_->client ().state () != turn::Client::State::closed)
      self.relay_->client ().close ();
    else
      self.relay_event ({turn::Event::Kind::closed, P2P_TURN_REASON_NONE, 0, {}, {}});
  });
}

void
TurnSession::set_credentials (turn::Credentials credentials) {
  post_core ([credentials = std::move (credentials)] (TurnSession &self) {
    if (self.relay_) self.relay_->client ().set_credentials (credentials);
  });
}

void
TurnSession::keep_credentials () {
  post_core ([] (TurnSession &self) {
    if (self.relay_) self.relay_->client ().keep_credentials ();
  });
}

Status
TurnSession::add_peer (const turn::Address &peer) {
  {
    const MutexLock lock (mutex_);
    if (ended_) return ended_;
    if (Status refused = policy_.check (peer, relayed_)) {
      ++refused_peers_;
      return refused;
    }
    if (!peers_.count (peer) && peers_.size () >= turn::Peers::kMaxPeers)
      return Error{P2P_ERROR_LIMIT, "The TURN client has as many peers as it can have (" +
                                        std::to_string (turn::Peers::kMaxPeers) + "); remove one."};
    peers_.insert (peer);
    refused_.erase (peer.without_port ());
  }
  post_core ([peer] (TurnSession &self) {
    // What could be wrong with it was looked at above.
    if (self.relay_) (void)self.relay_->client ().add_peer (peer);
  });
  return {};
}

void
TurnSession::remove_peer (const turn::Address &peer) {
  {
    const MutexLock lock (mutex_);
    peers_.erase (peer);
  }
  post_core ([peer] (TurnSession &self) {
    if (self.relay_) self.relay_->client ().remove_peer (peer);
  });
}

Status
TurnSession::send (const turn::Address &peer, GBytes *datagram) {
  const MutexLock lock (mutex_);
  if (ended_) return ended_;
  if (!peers_.count (peer))
    return Error{P2P_ERROR_NOT_FOUND, "The peer " + peer.text () + " was not added."};
  if (const auto refused = refused_.find (peer.without_port ()); refused != refused_.end ())
    return Error{P2P_ERROR_REFUSED, refused->second};
  const std::size_t size = g_bytes_get_size (datagram);
  if (size > max_datagram_bytes_)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE,
                 "The datagram has " + std::to_string (size) + " bytes; the relay takes " +
                     std::to_string (max_datagram_bytes_) + " at most."};
  if (outbox_bytes_ + size + kOverheadBytes > kMaxQueuedBytes)
    return Error{P2P_ERROR_WOULD_BLOCK,
                 "Too many datagrams wait to be sent; send fewer, or this one later."};
  outbox_bytes_ += size + kOverheadBytes;
  outbox_.push_back ({peer, Ref<GBytes>::share (datagram)});
  if (outbox_.size () == 1) post_core ([] (TurnSession &self) { self.drain_outbox (); });
  return {};
}

void
TurnSession::drain_outbox () {
  std::deque<Datagram> outbox;
  {
    const MutexLock lock (mutex_);
    outbox.swap (outbox_);
    outbox_bytes_ = 0;
  }
  std::uint64_t dropped = 0;
  for (const Datagram &one : outbox) {
    gsize size = 0;
    const void *data = g_bytes_get_data (one.bytes.get (), &size);
    const auto sent =
        relay_ ? relay_->client ().send (one.peer, ByteView (data, size)) : turn::Sent::refused;
    // What was refused is counted by the relay.
    if (sent == turn::Sent::too_long || sent == turn::Sent::full || !relay_) ++dropped;
  }
  const MutexLock lock (mutex_);
  dropped_sends_ += dropped;
}

void
TurnSession::relay_received (const turn::Address &peer, ByteView data) {
  Datagram datagram{peer, Ref<GBytes>::adopt (g_bytes_new (data.data, data.size))};
  const MutexLock lock (mutex_);
  const std::size_t cost = cost_of (datagram.bytes);
  if (inbox_bytes_ + cost > kMaxQueuedBytes) {
    ++dropped_receives_;
    return;
  }
  inbox_bytes_ += cost;
  inbox_.push_back (std::move (datagram));
  if (inbox_.size () > 1) return;
  post_event (context_.get (), [weak = weak_from_this ()] {
    if (const auto self = weak.lock ()) self->drain_inbox ();
  });
}

void
TurnSession::drain_inbox () {
  std::deque<Datagram> inbox;
  bool pulled = false;
  {
    const MutexLock lock (mutex_);
    inbox.swap (inbox_);
    inbox_bytes_ = 0;
    pulled = pulled_;
    for (const Datagram &one : inbox) {
      if (!pulled_) break;
      const std::size_t cost = cost_of (one.bytes);
      if (pullable_bytes_ + cost > kMaxQueuedBytes) {
        ++dropped_pulls_;
        continue;
      }
      pullable_bytes_ += cost;
      pullable_.push_back (one);
    }
  }
  if (pulled) serve_pulls ();
  for (const Datagram &one : inbox) {
    const Ref<P2pTurnClient> client = client_.lock ();
    if (!client) return;
    handlers_.received (client.get (), one.peer, one.bytes.get ());
  }
}

void
TurnSession::receive (Ref<GTask> task) {
  const auto pending = PendingTask::create (std::move (task), {});
  Status ended;
  {
    const MutexLock lock (mutex_);
    pulled_ = true;
    pulls_.push_back (pending);
    if (pullable_.empty ()) ended = ended_;
  }
  if (ended)
    end_pulls (*ended);
  else
    serve_pulls ();
}

void
TurnSession::serve_pulls () {
  for (;;) {
    std::shared_ptr<PendingTask> pull;
    Datagram datagram;
    {
      const MutexLock lock (mutex_);
      if (pullable_.empty ()) return;
      // Cancelled ones have ended already.
      while (!pulls_.empty () && !pulls_.front ()->claim ()) pulls_.pop_front ();
      if (pulls_.empty ()) return;
      pull = std::move (pulls_.front ());
      pulls_.pop_front ();
      datagram = std::move (pullable_.front ());
      pullable_.pop_front ();
      pullable_bytes_ -= cost_of (datagram.bytes);
    }
    pull->finish ([datagram] (GTask *task) {
      g_task_return_pointer (task, std::make_unique<Datagram> (datagram).release (),
                             [] (gpointer data) { delete static_cast<Datagram *> (data); });
    });
  }
}

void
TurnSession::end_pulls (const Error &error) {
  Waiting waiting;
  {
    const MutexLock lock (mutex_);
    waiting.assign (pulls_.begin (), pulls_.end ());
    pulls_.clear ();
  }
  finish (waiting, error);
}

std::vector<turn::Address>
TurnSession::relayed () const {
  const MutexLock lock (mutex_);
  return relayed_;
}

bool
TurnSession::allocated () const {
  const MutexLock lock (mutex_);
  return allocated_;
}

std::size_t
TurnSession::max_datagram_bytes () const {
  const MutexLock lock (mutex_);
  return max_datagram_bytes_;
}

TurnSession::Counters
TurnSession::counters () {
  Counters out;
  core_loop ().run_sync ([&] {
    if (!relay_) return;
    out.relay = relay_->client ().stats ();
    const turn::Target &target = relay_->client ().target ();
    out.server = turn::redacted_uri ({target.host, target.port, target.protocol, {}});
  });
  const MutexLock lock (mutex_);
  out.dropped_sends = dropped_sends_;
  out.dropped_receives = dropped_receives_;
  out.dropped_pulls = dropped_pulls_;
  out.refused_peers = refused_peers_;
  return out;
}

void
TurnSession::shut_down () {
  {
    const MutexLock lock (mutex_);
    if (!ended_) ended_ = Error{P2P_ERROR_CLOSED, "The TURN client is gone."};
  }
  core_loop ().run_sync ([this] { retire (std::move (relay_)); });
  // The retired relay is destroyed by the task after this one at the latest.
  core_loop ().run_sync ([] {});
}

void
TurnSession::relay_event (const turn::Event &event) {
  Waiting allocating, closing;
  Status outcome;
  {
    const MutexLock lock (mutex_);
    switch (event.kind) {
      case turn::Event::Kind::allocated:
      case turn::Event::Kind::recovered:
        allocated_ = true;
        relayed_ = relay_->client ().relayed ();
        max_datagram_bytes_ = relay_->max_datagram_bytes ();
        refused_.clear ();
        allocating.swap (allocating_);
        break;
      case turn::Event::Kind::network_bad:
        allocated_ = false;
        break;
      case turn::Event::Kind::failed:
        allocated_ = false;
        outcome = ended_ =
            Error{event.reason == P2P_TURN_REASON_TIMEOUT        ? P2P_ERROR_TIMED_OUT
                  : event.reason == P2P_TURN_REASON_UNAUTHORIZED ? P2P_ERROR_NOT_AUTHORIZED
                                                                 : P2P_ERROR_UNREACHABLE,
                  event.message};
        allocating.swap (allocating_);
        break;
      case turn::Event::Kind::closed:
        allocated_ = false;
        outcome = ended_ = Error{P2P_ERROR_CLOSED, "The TURN client is closed."};
        relayed_.clear ();
        allocating.swap (allocating_);
        closing.swap (closing_);
        break;
      case turn::Event::Kind::peer_refused:
        refused_[event.peer->without_port ()] = event.message;
        break;
      case turn::Event::Kind::peer_granted:
        refused_.erase (event.peer->without_port ());
        break;
      case turn::Event::Kind::redirected:
      case turn::Event::Kind::server_failed:
        break;
    }
  }
  post_event (context_.get (), [client = client_, handlers = handlers_, event] {
    if (const Ref<P2pTurnClient> alive = client.lock ()) handlers.event (alive.get (), event);
  });
  finish (allocating, outcome);
  finish (closing, {});
  if (outcome) end_pulls (*outcome);
}

void
TurnSession::relay_credentials_wanted (const turn::Server &server) {
  post_event (context_.get (),
              [client = client_, handlers = handlers_, uri = redacted_uri (server)] {
                if (const Ref<P2pTurnClient> alive = client.lock ())
                  handlers.credentials_wanted (alive.get (), uri);
              });
}

}  // namespace p2p
