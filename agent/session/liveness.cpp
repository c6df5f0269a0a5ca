#include "session/liveness.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace p2p {

namespace {

constexpr TimeUs kMinInterval = 10 * kMillisecond;
// Quiet deadlines lie on a grid that all connections of a thread share, so that one wake-up serves
// many; each side leaves out up to three steps of it, so that the two seldom ask at once.
constexpr TimeUs kGridSteps = 20;
constexpr std::uint64_t kPreferences = 4;
// With 20 % loss each way an answer misses 36 times in 100; 16 in a row once in ten million.
constexpr TimeUs kQuickPings = 16;
constexpr TimeUs kMinSpacing = 10 * kMillisecond;
constexpr TimeUs kMinMargin = 5 * kMillisecond;  // for timers, and for the peer to answer
constexpr TimeUs kMinDoubt = 25 * kMillisecond;
constexpr TimeUs kAfterStall = 200 * kMillisecond;  // the peer may still speak of before
constexpr TimeUs kBackOff = 100 * kMillisecond;
constexpr TimeUs kEarlyBackOff = 500 * kMillisecond;  // half of what a restore may take
constexpr TimeUs kLateBackOff = 5 * kSecond;
constexpr TimeUs kEarly = 60 * kSecond;
// A part of the patience by which a deadline may be late before that is called a stall.
constexpr TimeUs kStallPart = 4;
// A part of the timeout, for threads that wake late and for the peer that is told after it: 125 ms
// of 2 s.
constexpr TimeUs kHeadroomPart = 16;
constexpr TimeUs kBrokenStall = 500 * kMillisecond;

TimeUs
round_up (TimeUs time, TimeUs step) {
  return (time + step - 1) / step * step;
}

std::string
seconds (TimeUs span) {
  const TimeUs tenths = span / (kSecond / 10);
  std::string text = std::to_string (tenths / 10);
  if (tenths % 10 != 0) text += "." + std::to_string (tenths % 10);
  return text + " s";
}

const char *
why (BreakReason reason) {
  switch (reason) {
    case BreakReason::silence:
      return "nothing came from the peer";
    case BreakReason::network_down:
      return "this host has no network";
    case BreakReason::peer:
      return "the peer hears nothing of this side";
    case BreakReason::relay_lost:
      return "the relay ended its allocation";
    case BreakReason::transport:
      return "the transport ended";
  }
  return "";
}

}  // namespace

Liveness::Liveness (const LivenessSettings &settings, Host &host, std::uint64_t seed)
    : settings_ (settings), host_ (host), random_ (seed) {}

void
Liveness::start (TimeUs now, TimeUs rtt) {
  started_ = true;
  heard_at_ = carried_at_ = sample_from_ = awake_since_ = now;
  srtt_ = std::max<TimeUs> (rtt, 1);
  probe (now);
}

void
Liveness::heard (TimeUs now) {
  if (awake (now)) sign_of_life (now);
}

void
Liveness::ping_arrived (TimeUs now, bool peer_unheard) {
  if (!awake (now)) return;
  draw_preference ();
  sign_of_life (now);
  if (!peer_unheard || state_ != State::live || doubt_until_ != kNever ||
      now < unheard_counts_from_)
    return;
  doubted_at_ = now;
  // The peer has broken already, and what it said took its time: no longer than one answer takes.
  // Where that varies much a pong that comes after it restores at once, on both sides.
  doubt_until_ = now + std::min (std::max (kMinDoubt, usual_answer ()), patience ());
  probe (now);
}

void
Liveness::pong_arrived (TimeUs now, TimeUs rtt) {
  if (!awake (now)) return;
  take_rtt (now, rtt);
  const TimeUs sent = now - rtt;
  if (state_ == State::broken && sent >= std::max (proof_since_, awake_since_)) {
    restore (now);
    return;
  }
  if (sent >= doubted_at_) doubt_until_ = kNever;
  sign_of_life (now);
}

void
Liveness::break_now (TimeUs now, BreakReason reason) {
  if (!awake (now)) return;
  if (state_ == State::live)
    break_off (now, reason, now);
  else
    proof_since_ = now;
}

void
Liveness::network_changed (TimeUs now) {
  if (!awake (now)) return;
  if (state_ == State::broken) begin_back_off (now);
  probe (now);
}

void
Liveness::set_settings (TimeUs now, const LivenessSettings &settings) {
  const bool go_on = awake (now);
  settings_ = settings;
  if (!go_on) return;
  if (state_ == State::live) {
    heard_at_ = now;  // by the new settings nothing was asked yet
    if (doubt_until_ == kNever) listen ();
    next_ping_ = now;
  }
  run_due (now);
}

TimeUs
Liveness::deadline () const {
  if (!started_ || state_ == State::over) return kNever;
  if (state_ == State::broken) return std::min (next_ping_, over_deadline ());
  return std::min (
      {next_ping_, silence_deadline (), suspect_deadline (), doubt_deadline (), idle_deadline ()});
}

void
Liveness::on_deadline (TimeUs now) {
  if (awake (now)) run_due (now);
}

void
Liveness::run_due (TimeUs now) {
  if (state_ == State::broken) {
    if (now >= over_deadline ())
      finish (std::string ("The connection broke because ") + why (reason_) +
              ", and the peer did not come back within " + seconds (settings_.comeback_timeout) +
              "; connect again when it can be reached.");
    else if (now >= next_ping_)
      probe (now);
    return;
  }
  if (now >= idle_deadline ()) {
    finish ("No application data went either way for " + seconds (settings_.idle_timeout) +
            ", which is the idle timeout; connect again when there is something to send.");
    return;
  }
  if (now >= doubt_deadline ()) {
    break_off (now, BreakReason::peer, doubted_at_);
    return;
  }
  if (now >= silence_deadline ()) {
    break_off (now, BreakReason::silence, 0);
    return;
  }
  if (now >= suspect_deadline ()) {
    suspected_ = true;
    host_.liveness_suspect ();
  }
  if (state_ == State::live && now >= next_ping_) probe (now);
}

// False when there is nothing more to do. Whoever calls late was stalled, whatever it calls.
bool
Liveness::awake (TimeUs now) {
  if (!started_ || state_ == State::over) return false;
  const TimeUs late = now - own_deadline ();
  if (late > (state_ == State::live ? patience () / kStallPart : kBrokenStall))
    stalled (now, late);
  else if (late > 0 && state_ == State::live)
    put_off_ = std::max (put_off_, late + kMinMargin);
  return state_ != State::over;
}

void
Liveness::stalled (TimeUs now, TimeUs late) {
  awake_since_ = sample_from_ = now;
  unheard_counts_from_ = now + std::max (kAfterStall, 2 * srtt_);
  if (state_ == State::live) {
    // Who is stalled again and again still notices: without a sign of life only the stalls
    // themselves are not counted.
    heard_at_ = heard_since_stall_ ? now : heard_at_ + late;
    heard_since_stall_ = false;
    doubt_until_ = kNever;
    listen ();
  } else {
    stalled_for_ += late;
    begin_back_off (now);
  }
  next_ping_ = now + kMinSpacing;  // in the future, lest a call from inside sees another stall
  host_.liveness_stalled (late);
  if (state_ != State::over) probe (now);
}

void
Liveness::sign_of_life (TimeUs now) {
  const bool first = now >= silence_deadline ();
  heard_at_ = now;
  heard_since_stall_ = true;
  if (state_ == State::live) {
    if (doubt_until_ == kNever) listen ();
  } else if (state_ == State::broken && first) {
    begin_back_off (now);
    if (now >= pinged_last_ + kMinSpacing) probe (now);
  }
}

// Of ten pings that a stopped peer answers at once only the first is a sample, and an outage is
// no round trip.
void
Liveness::take_rtt (TimeUs now, TimeUs rtt) {
  if (now - rtt < sample_from_) return;
  sample_from_ = now;
  if (rtt_measured_) {
    // What came after the patience had an outage in it; but if it always does, patience grows.
    const TimeUs off = std::min (rtt, patience ()) - srtt_;
    rttvar_ += ((off < 0 ? -off : off) - rttvar_) / 4;
    srtt_ += off / 8;
  } else {
    srtt_ = std::max<TimeUs> (rtt, 1);
    rttvar_ = rtt / 2;
    rtt_measured_ = true;
  }
}

void
Liveness::probe (TimeUs now) {
  pinged_last_ = now;
  bool unheard = false;
  if (state_ == State::broken) {
    unheard = now >= silence_deadline ();
    next_ping_ = next_back_off (now);
  } else {
    if (pinged_at_ == kNever) {
      pinged_at_ = now;
      draw_preference ();
    }
    next_ping_ = next_quick_ping (now);
  }
  host_.liveness_ping (unheard);
}

void
Liveness::break_off (TimeUs now, BreakReason reason, TimeUs proof_since) {
  state_ = State::broken;
  reason_ = reason;
  broken_at_ = now;
  proof_since_ = proof_since;
  stalled_for_ = 0;
  doubt_until_ = kNever;
  begin_back_off (now);
  next_ping_ = now;
  host_.liveness_broken (reason);
  if (state_ == State::broken && next_ping_ <= now) probe (now);
}

void
Liveness::restore (TimeUs now) {
  const TimeUs outage = now - broken_at_;
  state_ = State::live;
  heard_at_ = now;
  heard_since_stall_ = true;
  carried_at_ = std::min (carried_at_ + outage, now);  // there was no way for data
  listen ();
  host_.liveness_restored (outage);
}

void
Liveness::finish (std::string sentence) {
  state_ = State::over;
  host_.liveness_over ({P2P_ERROR_TIMED_OUT, std::move (sentence)});
}

// A silence begins.
void
Liveness::listen () {
  pinged_at_ = kNever;
  suspected_ = false;
  put_off_ = 0;
  next_ping_ = round_up (heard_at_ + interval () + preference_ * grid (), grid ());
}

void
Liveness::begin_back_off (TimeUs now) {
  back_off_ = kBackOff;
  back_off_from_ = now;
}

void
Liveness::draw_preference () {
  preference_ = static_cast<TimeUs> (random () % kPreferences);
}

std::uint64_t
Liveness::random () {  // SplitMix64
  std::uint64_t z = random_ += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

// One that is met early enough to tell a stall by it; data may rest for longer.
TimeUs
Liveness::own_deadline () const {
  if (state_ != State::live) return std::min (next_ping_, over_deadline ());
  return std::min ({next_ping_, silence_deadline (), suspect_deadline (), doubt_deadline ()});
}

TimeUs
Liveness::interval () const {
  return std::max (settings_.ping_interval, kMinInterval);
}

TimeUs
Liveness::grid () const {
  return interval () / kGridSteps;
}

TimeUs
Liveness::margin () const {
  return std::max (kMinMargin, 2 * rttvar_);
}

TimeUs
Liveness::usual_answer () const {
  return srtt_ + srtt_ / 4 + kMinMargin;
}

TimeUs
Liveness::answer_due () const {
  return std::max (usual_answer (), srtt_ + 4 * rttvar_);  // as RFC 6298 section 2
}

TimeUs
Liveness::patience () const {
  const TimeUs asked = settings_.ping_timeout > 0 ? settings_.ping_timeout : 2 * interval ();
  // What came last had left half a round trip before, and what is decided here is told a little
  // later: all of that is within the time that was asked for.
  const TimeUs silence =
      std::max (asked - asked / kHeadroomPart, 3 * srtt_ + margin ()) - srtt_ / 2;
  const TimeUs latest_ping = interval () + static_cast<TimeUs> (kPreferences) * grid ();
  return std::max (silence, latest_ping + srtt_ + srtt_ / 4 + margin ());
}

// Not so many that the answers of the last could not come in time.
TimeUs
Liveness::next_quick_ping (TimeUs now) const {
  if (doubt_until_ != kNever)
    return now + std::max (kMinSpacing, (doubt_until_ - doubted_at_) / kQuickPings);
  const TimeUs last = std::max (pinged_at_, silence_deadline () - srtt_);
  // Where a round trip takes much of the patience, waiting for the answer would leave no time.
  const TimeUs first = pinged_at_ + std::min (answer_due (), (last - pinged_at_) / 2);
  if (now < first) return std::max (first, now + kMinSpacing);
  const TimeUs spacing = std::max (kMinSpacing, (last - first) / kQuickPings);
  return now + (now < last ? spacing : std::max (spacing, srtt_ / 2));
}

TimeUs
Liveness::next_back_off (TimeUs now) {
  const TimeUs most = now < back_off_from_ + kEarly ? kEarlyBackOff : kLateBackOff;
  const TimeUs wait =
      back_off_ - static_cast<TimeUs> (random () % static_cast<std::uint64_t> (back_off_ / 5));
  back_off_ = std::min (most, back_off_ + back_off_ / 2);
  return now + wait;
}

TimeUs
Liveness::suspect_deadline () const {
  return pinged_at_ == kNever || suspected_ ? kNever : pinged_at_ + answer_due ();
}

TimeUs
Liveness::idle_deadline () const {
  return settings_.idle_timeout > 0 ? carried_at_ + settings_.idle_timeout : kNever;
}

TimeUs
Liveness::over_deadline () const {
  return settings_.comeback_timeout > 0 ? broken_at_ + stalled_for_ + settings_.comeback_timeout
                                        : kNever;
}

}  // namespace p2p
