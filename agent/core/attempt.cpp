#include "core/attempt.hpp"

#include <algorithm>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

// ICE gives up after some 7 s; this bounds what other ways and slow signaling add to it.
constexpr TimeUs kAttemptTimeout = 30 * kSecond;

}  // namespace

Attempt::Attempt (const AttemptConfig &config, Observer *observer)
    : config_ (config),
      attempt_ (config.attempt),
      observer_ (observer),
      race_ (config.quic, *config.clock, *this) {
  for (const std::string &name : config_.order) {
    if (name == kIceWay) {
      ice_way_ = race_.add_way (name);
      continue;
    }
    for (const auto &source : config_.sources)
      if (source->name () == name) sources_[name] = {race_.add_way (name), source, nullptr};
  }
  deadline_ = config_.clock->make_timer ([this] {
    race_lost ({P2P_ERROR_TIMED_OUT, "The peer did not answer on any path in time."});
  });
  if (!ice_way_) return;
  auto ice = IceTransport::create (config_.ice, *this);
  if (ice)
    ice_ = std::move (*ice);
  else
    race_.way_failed (*ice_way_, ice.error ());
}

NetworkConfig
Attempt::local_config () const {
  NetworkConfig config;
  config.id = config_.id;
  config.attempt = attempt_;
  config.fingerprint = config_.quic.identity->fingerprint ();
  config.complete = gathered ();
  if (!ice_) return config;
  const IceCredentials credentials = ice_->local_credentials ();
  config.ufrag = credentials.ufrag;
  config.pwd = credentials.pwd;
  config.candidates = ice_->local_candidates ();
  if (config.candidates.size () > kMaxCandidates) config.candidates.resize (kMaxCandidates);
  return config;
}

bool
Attempt::gathered () const {
  return !ice_ || ice_->gathering_done ();
}

Status
Attempt::start (const NetworkConfig &remote, const Start &how) {
  aim_ = how.aim;
  if (ice_) {
    if (remote.ufrag.empty ()) {
      race_.way_failed (*ice_way_, {P2P_ERROR_UNREACHABLE, "The peer does not use ICE."});
    } else {
      if (Status bad = ice_->set_remote_credentials ({remote.ufrag, remote.pwd})) return bad;
      for (const std::string &candidate : remote.candidates)
        if (Status bad = ice_->add_remote_candidate (candidate)) return bad;
      if (remote.complete) ice_->remote_gathering_done ();
    }
  }
  remote_ = remote;
  deadline_->arm (config_.clock->now () + kAttemptTimeout);
  open_sources (remote.id, how.client);
  // A server may see the client's first packet before its own checks are done.
  const bool usable =
      ice_ && (ice_->state () == IceState::connected || ice_->state () == IceState::ready);
  if (usable || (ice_ && !how.client && how.aim == Aim::connection))
    way_opened (*ice_way_, ice_->path ());
  else if (ice_ && how.aim == Aim::connection && sources_.empty ())
    ice_->send_before_checks ();
  race_.start (remote.fingerprint, how.client, how.aim == Aim::connection, how.greeting);
  return {};
}

QuicConfig
Attempt::quic_config (bool client) const {
  QuicConfig config = config_.quic;
  config.client = client;
  if (remote_) config.peer_fingerprint = remote_->fingerprint;
  return config;
}

void
Attempt::open_sources (const std::string &peer, bool client) {
  for (auto &[name, entry] : sources_) {
    auto send = [this, alive = alive_, source = name] (ByteView message) {
      if (*alive && observer_) observer_->attempt_path_message (source, message);
    };
    auto opened = [this, alive = alive_, way = entry.way] (Result<std::unique_ptr<Path>> path) {
      if (!*alive) return;
      if (!path) {
        race_.way_failed (way, path.error ());
        return;
      }
      paths_.push_back (std::move (*path));
      way_opened (way, *paths_.back ());
    };
    entry.attempt = entry.source->open (config_.id, peer, client, send, opened);
  }
}

void
Attempt::way_opened (std::size_t way, Path &path) {
  race_.way_opened (way, path);
  const bool told = std::find (open_ways_.begin (), open_ways_.end (), way) != open_ways_.end ();
  if (aim_ != Aim::path || told) return;
  open_ways_.push_back (way);
  if (observer_) observer_->attempt_path (path);
}

Status
Attempt::add_remote_candidate (const std::string &sdp) {
  return ice_ ? ice_->add_remote_candidate (sdp) : Status ();
}

void
Attempt::remote_gathering_done () {
  if (ice_) ice_->remote_gathering_done ();
}

void
Attempt::path_message (const std::string &source, ByteView message) {
  const auto found = sources_.find (source);
  if (found != sources_.end () && found->second.attempt)
    found->second.attempt->receive_message (message);
}

void
Attempt::ice_candidate (const std::string &sdp) {
  if (observer_) observer_->attempt_candidate (sdp);
}

void
Attempt::ice_gathering_done () {
  if (observer_) observer_->attempt_gathered ();
}

void
Attempt::ice_state (IceState state) {
  switch (state) {
    case IceState::gathering:
    case IceState::connecting:
      break;
    case IceState::connected:
    case IceState::ready:
      way_opened (*ice_way_, ice_->path ());
      break;
    case IceState::failed:
      race_.way_failed (*ice_way_, {P2P_ERROR_UNREACHABLE,
                                    "No pair of candidates passed its check; a TURN server helps "
                                    "where both sides are behind strict NATs."});
      break;
  }
}

void
Attempt::ice_unproven_path () {
  race_.way_unproven (*ice_way_, ice_->path ());
}

void
Attempt::ice_selected_pair (const IcePair &) {
  if (observer_) observer_->attempt_path_changed ();
}

void
Attempt::ice_warning (const Error &warning) {
  if (observer_) observer_->attempt_warning (warning);
}

void
Attempt::ice_relay_back () {
  if (observer_) observer_->attempt_relay_back ();
}

void
Attempt::race_won (Carrier carrier) {
  deadline_->disarm ();
  if (observer_)
    observer_->attempt_won (std::move (carrier));
  else
    retire (std::make_unique<Carrier> (std::move (carrier)));
}

void
Attempt::race_lost (const Error &error) {
  deadline_->disarm ();
  if (observer_) observer_->attempt_lost (error);
}

}  // namespace p2p
