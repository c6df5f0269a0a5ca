// The half of Connection that any thread may call: it reads what is published, and posts the rest.
#include <condition_variable>

#include "base/loop_thread.hpp"
#include "core/connection.hpp"

namespace p2p {

void
Connection::set_observer (std::weak_ptr<ConnectionCore::Observer> observer) {
  core_loop ().post ([self = shared_from_this (), observer = std::move (observer)] {
    self->observer_ = observer;
    const auto now = observer.lock ();
    if (!now) return;
    now->connection_changed (self->snapshot ());
    for (const Entry &entry : self->entries_)
      if (entry.by_peer) now->connection_channel_opened (entry.pump->port ());
  });
}

ConnectionSnapshot
Connection::snapshot () const {
  const MutexLock lock (mutex_);
  return snapshot_;
}

ConnectionStats
Connection::stats () const {
  ConnectionStats stats;
  core_loop ().run_sync ([&] {
    const TimeUs now = clock_.now ();
    if (line_) {
      if (const Transport *transport = line_->transport ()) stats.transport = transport->stats ();
      stats.pings = line_->pings ();
      for (const TurnRelayState &relay : line_->relays ()) {
        stats.relay_datagrams_dropped += relay.dropped;
        stats.relay_peers_refused += relay.stats.peers.refused_peers;
        if (relay.lost)
          ++stats.relays_lost;
        else if (!relay.relayed.empty ())
          ++stats.relays_allocated;
      }
      stats.relay_standby = line_->has_standby ();
      const Standby::Stats &standby = line_->standby_stats ();
      stats.relay_standbys_built = standby.built;
      stats.relay_standbys_lost = standby.lost;
      stats.relay_standbys_failed = standby.failed;
    }
    stats.signals_rejected = signals_rejected_;
    if (established_at_ > 0) {
      stats.connected_for_us = now - established_at_;
      stats.connect_took_us = established_at_ - asked_at_;
    }
    if (line_ && established ()) {
      // The selected pair may change without a word.
      const MutexLock lock (mutex_);
      stats.snapshot = snapshot_;
      stats.snapshot.path = line_->path ();
      stats.path_datagrams_dropped = line_->dropped_datagrams ();
    } else {
      stats.snapshot = snapshot ();
    }
  });
  return stats;
}

void
Connection::accept () {
  core_loop ().post ([self = shared_from_this ()] {
    if (self->removed_ || !self->waiting_hello_) return;
    const PeerSignal hello = *self->waiting_hello_;
    self->waiting_hello_.reset ();
    self->change ([&] (ConnectionSnapshot &s) {
      s.state = P2P_CONNECTION_STATE_CONNECTING;
      s.reason = "accepted";
    });
    self->receive_hello (hello);
  });
}

void
Connection::refuse (const std::string &reason) {
  core_loop ().post ([self = shared_from_this (), reason] {
    if (self->removed_ || !self->waiting_hello_) return;
    self->say_bye (P2P_ERROR_REFUSED, reason);
    self->remove ({}, "refused by this side", false);
  });
}

Status
Connection::update_remote_config (const NetworkConfig &config) {
  if (config.id != peer_)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The network configuration is of \"" + config.id +
                                                 "\", not of \"" + peer_ + "\"."};
  if (snapshot ().state == P2P_CONNECTION_STATE_REMOVED)
    return Error{P2P_ERROR_CLOSED, "The connection to \"" + peer_ + "\" is closed."};
  core_loop ().post ([self = shared_from_this (), config] {
    if (self->removed_ || self->session_) return;
    Generation *building = self->negotiation_.current ();
    if (building && building->remote_id () == config.attempt) {
      self->signals_rejected_ += building->add_candidates (config);
      return;
    }
    if (!self->negotiation_.waits () && !self->negotiation_.begin ()) return;
    self->start_generation (config, true);
  });
  return {};
}

Result<std::shared_ptr<ChannelPort>>
Connection::open_channel (const std::string &name, const ChannelOptions &options) {
  if (name.empty () || name.size () > kMaxChannelNameBytes ||
      !g_utf8_validate_len (name.data (), name.size (), nullptr))
    return Error{
        P2P_ERROR_INVALID_ARGUMENT,
        "A channel's name is 1 to " + std::to_string (kMaxChannelNameBytes) + " bytes of UTF-8."};
  if (options.max_packet_lifetime_ms && options.max_retransmits)
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "Of max-packet-lifetime and max-retransmits, a "
                 "channel takes at most one."};
  if (options.priority == 0 || options.priority > kMaxPriority)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "A channel's priority is a number from 1 to 65535."};
  std::shared_ptr<ChannelPort> port;
  bool taken_over = false;
  {
    const MutexLock lock (mutex_);
    if (snapshot_.state == P2P_CONNECTION_STATE_REMOVED)
      return snapshot_.error
                 ? *snapshot_.error
                 : Error{P2P_ERROR_CLOSED, "The connection to \"" + peer_ + "\" is closed."};
    auto &slot = ports_[name];
    if (slot && slot->is_open ()) {
      taken_over = slot->take_over (options);
      if (!taken_over) return slot;
    } else {
      slot = make_packed<ChannelPort> (name, options, max_message_bytes_);
    }
    port = slot;
  }
  core_loop ().post ([self = shared_from_this (), port, taken_over] {
    if (self->removed_) {
      if (taken_over) return;
      const ConnectionSnapshot now = self->snapshot ();
      make_packed<ChannelPump> (port)->closed (now.error);
      return;
    }
    const auto pump = self->add_pump (port, false);
    if (self->established () && (taken_over || !pump->attached ())) self->use_channel (pump);
  });
  return port;
}

std::shared_ptr<ChannelPort>
Connection::lookup_channel (const std::string &name) const {
  const MutexLock lock (mutex_);
  const auto found = ports_.find (name);
  return found == ports_.end () || !found->second->is_open () ? nullptr : found->second;
}

void
Connection::close () {
  core_loop ().post ([self = shared_from_this ()] { self->shut_down ("closed by this side"); });
}

}  // namespace p2p
