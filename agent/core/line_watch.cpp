#include "core/line_watch.hpp"

#include <algorithm>

namespace p2p {

namespace {

// Between two questions on one way while no answer comes.
constexpr TimeUs kFirstWait = 20 * kMillisecond, kLongestWait = 500 * kMillisecond;
// How long a way that is in use may leave that unanswered, in round trips and at least.
constexpr TimeUs kSilentRoundTrips = 4, kSilentFor = 300 * kMillisecond;
// What an answer may take beside two round trips, for timers and threads that wake late.
constexpr TimeUs kAnswerMargin = 25 * kMillisecond;
// Of the numbers of probes, for each epoch: more than anybody sends.
constexpr unsigned kNumberBits = 40;

}  // namespace

LineWatch::LineWatch (const Config &config, Scheduler &clock, Observer &observer)
    : clock_ (clock),
      observer_ (observer),
      codec_ (config.secret, config.client, config.epoch << kNumberBits),
      liveness_ (config.settings, *this, config.secret[0] + (config.client ? 1U : 0U)),
      timer_ (clock.make_timer ([this] { on_timer (); })) {}

LineWatch::~LineWatch () {
  watch (nullptr, nullptr);
}

void
LineWatch::watch (PathGroup *ways, const Transport *transport) {
  if (ways_) ways_->set_observer (nullptr);
  ways_ = ways;
  transport_ = transport;
  asked_.clear ();
  heard_.clear ();
  last_way_ = 0;
  if (!ways_) return;
  ways_->set_observer (this);
  follow (transport);
  if (transport_ && !std::exchange (started_, true)) {
    const TimeUs rtt = transport_->stats ().smoothed_rtt_us;
    liveness_.start (clock_.now (), rtt > 0 ? rtt : Liveness::kUnknownRtt);
  }
  rearm ();
}

void
LineWatch::follow (const Transport *transport) {
  transport_ = transport;
  if (transport_) heard_us_ = std::max (heard_us_, transport_->last_heard_us ());
}

void
LineWatch::set_transport (std::uint64_t name, bool anew) {
  transport_name_ = name;
  anew_ = anew;
}

void
LineWatch::tell () {
  if (!ways_) return;
  for (const Way way : ways_->ways ()) ping (way, false);
}

void
LineWatch::start_broken (BreakReason reason) {
  started_ = true;
  liveness_.start (clock_.now ());
  break_now (reason);
}

void
LineWatch::stop () {
  stopped_ = true;
  watch (nullptr, nullptr);
  timer_->disarm ();
}

void
LineWatch::set_settings (const LivenessSettings &settings) {
  liveness_.set_settings (clock_.now (), settings);
  rearm ();
}

void
LineWatch::carried () {
  liveness_.carried (clock_.now ());
}

void
LineWatch::network_changed () {
  liveness_.network_changed (clock_.now ());
  for (auto &[way, asked] : asked_) asked.next = clock_.now ();
  rearm ();
}

void
LineWatch::break_now (BreakReason reason) {
  liveness_.break_now (clock_.now (), reason);
  rearm ();
}

void
LineWatch::proved () {
  liveness_.pong_arrived (clock_.now (), liveness_.smoothed_rtt ());
  rearm ();
}

void
LineWatch::ask (Way way, bool wanted) {
  Asked &asked = asked_[way];
  asked.next = clock_.now ();
  asked.wait = kFirstWait;
  // An answer to what was asked before says nothing of what is asked now: that the peer has read
  // which transport is wanted.
  asked.first_number = codec_.next_number ();
  if (wanted && !asked.wanted) asked.since = clock_.now ();
  asked.wanted = asked.wanted || wanted;
  // Not from inside of whoever asks for it.
  timer_->arm (clock_.now ());
}

void
LineWatch::prove (Way way) {
  ask (way, false);
}

void
LineWatch::want (Way way) {
  for (auto &[other, asked] : asked_) asked.wanted = false;
  ask (way, true);
}

void
LineWatch::forget (Way way) {
  asked_.erase (way);
  heard_.erase (way);
  if (last_way_ == way) last_way_ = 0;
}

TimeUs
LineWatch::heard_at (Way way) const {
  const auto found = heard_.find (way);
  const TimeUs probe = found == heard_.end () ? 0 : found->second.at;
  return std::max (probe, ways_ ? ways_->last_carried_us (way) : 0);
}

TimeUs
LineWatch::answer_time () const {
  return 2 * liveness_.smoothed_rtt () + kAnswerMargin;
}

bool
LineWatch::unanswered (Way way) const {
  const auto found = heard_.find (way);
  return found != heard_.end () && found->second.asked != kNever &&
         heard_at (way) <= found->second.asked;
}

bool
LineWatch::missed (Way way) const {
  return unanswered (way) && clock_.now () - heard_.at (way).asked >= answer_time ();
}

bool
LineWatch::quiet (Way way) const {
  return clock_.now () - heard_at (way) >= answer_time ();
}

bool
LineWatch::counts (Way way) const {
  return broken () || (ways_ && ways_->in_use () == way);
}

void
LineWatch::rearm () {
  if (stopped_) return;
  TimeUs when = liveness_.deadline ();
  for (const auto &[way, asked] : asked_) when = std::min (when, asked.next);
  timer_->arm (when);
}

// What QUIC has heard is looked up when silence would matter, not told with every packet.
void
LineWatch::hear_transport () {
  if (!transport_ || transport_->last_heard_us () <= heard_us_) return;
  heard_us_ = transport_->last_heard_us ();
  if (!broken ()) suspect_ = false;
  liveness_.heard (heard_us_);
}

void
LineWatch::on_timer () {
  hear_transport ();
  if (liveness_.deadline () <= clock_.now ()) liveness_.on_deadline (clock_.now ());
  ask_again ();
  rearm ();
}

void
LineWatch::ask_again () {
  const TimeUs now = clock_.now ();
  const TimeUs patience = std::max (kSilentFor, kSilentRoundTrips * liveness_.smoothed_rtt ());
  std::vector<Way> due, silent;
  for (auto &[way, asked] : asked_) {
    if (asked.wanted && asked.since > 0 && now - asked.since > patience) {
      silent.push_back (way);
      asked.since = 0;
    }
    if (asked.next > now) continue;
    due.push_back (way);
    asked.next = now + asked.wait;
    asked.wait = std::min (2 * asked.wait, kLongestWait);
  }
  for (const Way way : due) ping (way, false);
  for (const Way way : silent) observer_.watch_way_silent (way);
}

void
LineWatch::ping (Way way, bool unheard) {
  if (!ways_ || !observer_.watch_may_ask (way)) return;
  const auto asked = asked_.find (way);
  const bool wanted = asked != asked_.end () && asked->second.wanted;
  ProbeCodec::Says says;
  says.unheard = unheard;
  says.wanted = wanted || (suspect_ && way == ways_->in_use ());
  says.anew = anew_;
  says.transport = transport_name_;
  const ProbeCodec::Ping ping = codec_.ping (says);
  pings_.follow (static_cast<int> (ways_->in_use ()));
  pings_.sent (clock_.now (), ping.number, static_cast<int> (way));
  Heard &heard = heard_[way];
  if (heard.asked == kNever || heard_at (way) > heard.asked) heard.asked = clock_.now ();
  // What is lost is asked again.
  (void)ways_->send_probe (way, {ping.bytes.data (), ping.bytes.size ()});
}

void
LineWatch::liveness_ping (bool unheard) {
  if (!ways_) return;
  const bool everywhere = suspect_ || broken ();
  for (const Way way : ways_->ways ())
    if (everywhere || way == ways_->in_use ()) ping (way, unheard);
  if (everywhere) observer_.watch_probes ();
}

void
LineWatch::liveness_suspect () {
  suspect_ = true;
  observer_.watch_suspect ();
}

void
LineWatch::liveness_stalled (TimeUs) {
  pings_.forget_unanswered ();
}

void
LineWatch::liveness_broken (BreakReason reason) {
  suspect_ = true;
  observer_.watch_broken (reason);
}

void
LineWatch::liveness_restored (TimeUs outage) {
  suspect_ = false;
  observer_.watch_restored (outage, last_way_);
}

void
LineWatch::liveness_over (const Error &error) {
  timer_->disarm ();
  observer_.watch_over (error);
}

void
LineWatch::group_probe (Way way, ByteView datagram) {
  const std::optional<Probe> probe = codec_.decode (datagram);
  if (!probe) return;
  met_ = true;
  hear_transport ();
  last_way_ = way;
  heard_[way] = {clock_.now (), kNever};
  if (probe->kind == Probe::Kind::ping) {
    if (probe->wanted) observer_.watch_way_wanted (way);
    observer_.watch_transport (probe->transport, probe->anew);
    if (!ways_) return;
    const ProbeBytes pong = codec_.pong (probe->number);
    (void)ways_->send_probe (way, {pong.data (), pong.size ()});
    const bool counted = counts (way) || probe->wanted;
    if (!probe->unheard && counted && !broken ()) suspect_ = false;
    if (probe->unheard || counted) liveness_.ping_arrived (clock_.now (), probe->unheard);
  } else {
    answered (way, probe->ping_number);
  }
  rearm ();
}

void
LineWatch::answered (Way way, std::uint64_t number) {
  const auto answer = pings_.answered (clock_.now (), number);
  if (!answer) return;
  const auto asked = asked_.find (static_cast<Way> (answer->way));
  if (asked != asked_.end () && number >= asked->second.first_number) asked_.erase (asked);
  // First, so that what is restored goes on where the answer came from.
  if (static_cast<Way> (answer->way) == way) observer_.watch_way_answers (way);
  if (!counts (way) && !answer->followed) return;
  if (!broken ()) suspect_ = false;
  liveness_.pong_arrived (clock_.now (), answer->rtt);
}

void
LineWatch::group_way_changed (Way way) {
  observer_.watch_way_changed (way);
}

void
LineWatch::group_way_failed (Way way, const Error &error) {
  observer_.watch_way_failed (way, error);
}

}  // namespace p2p
