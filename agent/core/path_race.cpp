#include "core/path_race.hpp"

#include <algorithm>
#include <utility>

#include "base/loop_thread.hpp"
#include "core/transport_handshake.hpp"
#include "ice/early_sends.hpp"

namespace p2p {

namespace {

// How long a usable way waits for a preferred one: the attempt delay of RFC 8305 section 5.
constexpr TimeUs kPreferenceDelay = 250 * kMillisecond;
// A handshake takes one round trip; with another way at hand there is no need to wait for long.
constexpr TimeUs kHandshakeTimeoutWithAlternative = 3 * kSecond;
// A server does not know when the client, which tries its ways one by one, comes to this one.
constexpr TimeUs kServerPatience = 60 * kSecond;
// Of one way: whoever can send packets to us could otherwise have us begin for ever.
constexpr unsigned kMaxServerHandshakes = 8;

}  // namespace

// One handshake of one way, with the group that the transport goes on with.
class PathRace::Handshake final {
 public:
  Handshake (PathRace &race, Way &way, const QuicConfig &config)
      : ways_ (std::make_unique<PathGroup> (way.path->scheduler ())) {
    ways_->add (*way.path);
    watch_ = std::make_unique<TransportHandshake> (
        make_quic_transport (config, *ways_), [&race, &way] { race.handshake_ready (way); },
        [&race, &way] (const Error &error, bool by_peer) {
          race.handshake_failed (way, error, by_peer);
        });
  }
  void stop () { watch_->stop (); }
  void hold () { watch_->transport ().suspend (); }
  void go_on () { watch_->transport ().resume (); }
  Carrier take () {
    go_on ();
    Carrier carrier;
    carrier.ways = std::move (ways_);
    carrier.transport = watch_->take ();
    return carrier;
  }

 private:
  std::unique_ptr<PathGroup> ways_;
  std::unique_ptr<TransportHandshake> watch_;  // its transport uses the ways
};

PathRace::PathRace (const QuicConfig &config, Scheduler &clock, Observer &observer)
    : config_ (config), clock_ (clock), observer_ (observer) {
  patience_ = clock_.make_timer ([this] { choose (); });
  proof_ = clock_.make_timer ([this] { wait_for_proof (); });
}

PathRace::~PathRace () {
  // Transports first: they use the paths.
  ended_.clear ();
  for (const auto &way : ways_) way->handshake.reset ();
}

std::size_t
PathRace::add_way (const std::string &name) {
  ways_.push_back (std::make_unique<Way> ());
  ways_.back ()->name = name;
  return ways_.size () - 1;
}

void
PathRace::way_opened (std::size_t index, Path &path) {
  Way &way = *ways_[index];
  if (over_) return;
  if (std::exchange (way.unproven, false)) {
    if (way.handshake) way.handshake->go_on ();
    return;
  }
  if (way.path) return;
  way.path = &path;
  way.opened_at = clock_.now ();
  choose ();
}

void
PathRace::way_unproven (std::size_t index, Path &path) {
  Way &way = *ways_[index];
  if (way.path || over_) return;
  way.unproven = true;
  way.path = &path;
  way.opened_at = clock_.now ();
  proof_->arm (clock_.now () + kUnprovenFor);
  choose ();
}

// Its clock stands still from now on until the way opens.
void
PathRace::wait_for_proof () {
  for (const auto &way : ways_)
    if (way->unproven && way->handshake) way->handshake->hold ();
}

void
PathRace::way_failed (std::size_t index, const Error &error) {
  Way &way = *ways_[index];
  if (way.failed || over_) return;
  way.failed = error;
  end_handshake (way);
  choose ();
}

void
PathRace::start (const std::string &peer_fingerprint, bool client, bool handshakes,
                 const std::string &greeting) {
  handshakes_ = handshakes;
  config_.client = client;
  config_.greeting = greeting;
  config_.peer_fingerprint = peer_fingerprint;
  started_ = true;
  choose ();
}

void
PathRace::begin_handshake (Way &way) {
  QuicConfig config = config_;
  const bool alternative = std::any_of (ways_.begin (), ways_.end (), [&] (const auto &other) {
    return other.get () != &way && !other->failed;
  });
  if (!config.client)
    config.handshake_timeout_us = kServerPatience;
  else if (alternative)
    config.handshake_timeout_us = kHandshakeTimeoutWithAlternative;
  ++way.handshakes;
  way.handshake = std::make_unique<Handshake> (*this, way, config);
}

void
PathRace::end_handshake (Way &way) {
  if (!way.handshake) return;
  way.handshake->stop ();
  ended_.push_back (std::move (way.handshake));
}

void
PathRace::choose () {
  if (!started_ || over_) return;
  if (!config_.client && handshakes_) {
    for (const auto &way : ways_)
      if (way->path && !way->failed && !way->handshake) begin_handshake (*way);
  } else if (handshakes_) {
    bool preferred_may_come = false;
    for (const auto &way : ways_) {
      if (way->failed) continue;
      if (way->handshake) return;
      if (!way->path) {
        preferred_may_come = true;
        continue;
      }
      const TimeUs due = way->opened_at + kPreferenceDelay;
      if (preferred_may_come && clock_.now () < due) {
        patience_->arm (due);
        return;
      }
      begin_handshake (*way);
      return;
    }
  }
  const bool any_left =
      std::any_of (ways_.begin (), ways_.end (), [] (const auto &way) { return !way->failed; });
  if (any_left) return;
  std::string message = "No path to the peer works";
  for (const std::string &sentence : report ()) message += "; " + sentence;
  lose ({P2P_ERROR_UNREACHABLE, message + "."});
}

void
PathRace::handshake_ready (Way &way) {
  if (over_) return;
  over_ = true;
  patience_->disarm ();
  proof_->disarm ();
  observer_.race_won (way.handshake->take ());
}

void
PathRace::handshake_failed (Way &way, const Error &error, bool by_peer) {
  if (over_) return;
  // Another way would lead to the same wrong certificate.
  if (error.code == P2P_ERROR_NOT_AUTHORIZED) {
    lose (error);
    return;
  }
  end_handshake (way);
  // The client has turned to another way, but it may come back to this one.
  if (!config_.client && by_peer && way.handshakes < kMaxServerHandshakes) {
    begin_handshake (way);
    return;
  }
  way.failed = error;
  choose ();
}

void
PathRace::lose (const Error &error) {
  over_ = true;
  patience_->disarm ();
  proof_->disarm ();
  observer_.race_lost (error);
}

std::vector<std::string>
PathRace::report () const {
  std::vector<std::string> sentences;
  for (const auto &way : ways_) {
    std::string text = way->name + ": ";
    if (way->failed)
      text += way->failed->message;
    else if (way->handshake)
      text += over_ ? "in use" : "handshake under way";
    else
      text += way->path ? "open" : "not open yet";
    while (!text.empty () && text.back () == '.') text.pop_back ();
    sentences.push_back (std::move (text));
  }
  return sentences;
}

}  // namespace p2p
