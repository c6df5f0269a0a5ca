// What follows from what the watch of a line says: of the peer, and of the single ways.
#include <algorithm>

#include "core/line.hpp"

namespace p2p {

namespace {

// After this side has asked for a way, a server's wish for another one is older than that.
constexpr TimeUs kOwnWishLasts = kSecond;
// So many answers over another way, and none over the one in use, are more than loss.
constexpr unsigned kAnswersOfAnother = 4;
// A peer that still asks for a way after so long, and two round trips, does not hear our answers.
constexpr TimeUs kUnheardAnswers = 50 * kMillisecond;
// An address that was followed and did not answer within that was a wrong one.
constexpr TimeUs kGoBackAfter = 2 * kSecond;
// For how long a peer that asks for a way is followed to another address.
constexpr TimeUs kFollowFor = 2 * kSecond;

}  // namespace

void
Line::watch_suspect () {
  follow (true);
}

void
Line::watch_probes () {
  // A server that has not heard the end of the handshake has no line that could answer: only QUIC
  // gets on there, and its own timeouts double.
  if (Transport *transport = this->transport (); transport && !watch_.met ()) {
    transport->suspend ();
    transport->resume ();
  }
  const bool go_back = broken_ && clock_.now () >= go_back_at_;
  if (go_back) go_back_at_ = clock_.now () + kGoBackAfter;
  for (const auto &generation : generations_) {
    IceTransport *ice = generation->attempt ().ice ();
    if (!ice || is_dead (*generation)) continue;
    if (go_back) (void)ice->go_back ();
    ice->check_pair ();
  }
}

void
Line::watch_broken (BreakReason reason) {
  if (broken_) return;
  broken_ = true;
  broken_at_ = clock_.now ();
  go_back_at_ = broken_at_ + kGoBackAfter;
  g_debug ("line %s: broken", session_.c_str ());
  if (Transport *transport = this->transport (); transport && watch_.met ()) transport->suspend ();
  follow (true);
  host_.line_broken (reason, std::exchange (break_detail_, {}));
  renew_wait_ = 0;
  see_standby ();
  if (!live_) return;
  // Where only the transport has gone, the ways that there are may serve; it takes three round
  // trips.
  if (transport_wanted_)
    renewal_->arm (clock_.now () + kTransportFirst);
  else
    renew ();
}

void
Line::watch_restored (TimeUs, PathGroup::Way way) {
  WayEntry *entry = find_way (way);
  if (entry && carrier_->ways->in_use () == 0) use_way (*entry);
  if (Transport *transport = this->transport ()) transport->resume ();
  if (!transport_ended_) end_break (false);
}

void
Line::end_break (bool new_transport) {
  if (!broken_) return;
  broken_ = false;
  g_debug ("line %s: restored", session_.c_str ());
  if (!renewal_wanted_) renewal_->disarm ();
  follow_until_ = clock_.now () + kFollowFor;
  arm_upkeep ();
  look_for_direct ();
  see_standby ();
  host_.line_restored ({clock_.now () - broken_at_, new_transport});
}

void
Line::watch_over (const Error &error) {
  over_ = true;
  renewal_->disarm ();
  host_.line_over (error);
}

// Whether an answer on one way is enough to leave the other, which is in use.
bool
Line::takes_over (const WayEntry &answering, const WayEntry &in_use) const {
  if (watch_.broken () || !in_use.usable ()) return true;
  if (no_worse (answering, in_use) && watch_.missed (in_use.way)) return true;
  // What is kept ready is asked now and then, and the way in use is not while data comes over it.
  return answering.answers >= kAnswersOfAnother &&
         (!is_standby (answering.generation) || watch_.unanswered (in_use.way));
}

void
Line::watch_way_answers (PathGroup::Way way) {
  WayEntry *entry = find_way (way);
  if (!entry) return;
  const bool first = !std::exchange (entry->proven, true);
  entry->failed = false;
  if (first && entry->generation) keep_generation (*entry->generation);
  // Others may have made place.
  entry = find_way (way);
  if (!entry) return;
  ++entry->answers;
  const bool standby = is_standby (entry->generation);
  if (standby) standby_.answered ();
  WayEntry *now = way_in_use ();
  if (now == entry)
    for (WayEntry &other : ways_) other.answers = 0;
  else if (!now || takes_over (*entry, *now))
    use_way (*entry);
  else if (watch_.unanswered (now->way))
    compare (*now, *entry);
  // Another relay would be no better; but a way that took one at first may be direct by now.
  const bool spare = for_direct_ || standby;
  const bool fewer = relays_of (way) < relays_of (carrier_->ways->in_use ());
  if (fewer || (first && !spare)) choose_way ();
  // The peer has read our ping, and so knows what is asked for.
  if (transport_wanted_ && client_ && !handshake_) transport_timer_->arm (clock_.now ());
}

void
Line::watch_way_wanted (PathGroup::Way way) {
  WayEntry *entry = find_way (way);
  if (!entry) return;
  const bool elsewhere = carrier_->ways->in_use () != way;
  if (elsewhere && client_ && clock_.now () - wanted_at_ < kOwnWishLasts) return;
  const TimeUs now = clock_.now ();
  if (now - entry->wanted_last > kOwnWishLasts) entry->wanted_since = now;
  entry->wanted_last = now;
  IceTransport *ice = entry->generation ? entry->generation->attempt ().ice () : nullptr;
  const TimeUs patience = kUnheardAnswers + 2 * watch_.pings ().smoothed_rtt_us;
  if (ice && now - entry->wanted_since > patience) {
    // Our answers go to where it was.
    ice->follow_peer (true);
    following_ = true;
    follow_until_ = now + kFollowFor;
    arm_upkeep ();
  }
  if (!elsewhere) return;
  entry->proven = true;
  if (entry->generation) keep_generation (*entry->generation);
  const PathGroup::Way before = carrier_->ways->in_use ();
  carrier_->ways->use (way);
  way_taken (before);
}

// The peer may have left it, while what comes over others keeps the line alive.
void
Line::watch_way_silent (PathGroup::Way way) {
  if (WayEntry *entry = find_way (way)) entry->failed = true;
  choose_way ();
  // Those that failed once may work by now.
  if (carrier_->ways->in_use () != way) return;
  for (const WayEntry &entry : ways_)
    if (entry.way != way) watch_.prove (entry.way);
}

void
Line::watch_way_changed (PathGroup::Way way) {
  WayEntry *entry = find_way (way);
  if (!entry) return;
  entry->failed = false;
  see_standby ();
  if (watch_.suspect ()) watch_.network_changed ();
  if (carrier_->ways->in_use () == way)
    host_.line_path_changed ();
  else
    watch_.prove (way);
}

void
Line::watch_way_failed (PathGroup::Way way, const Error &error) {
  WayEntry *entry = find_way (way);
  if (!entry || entry->failed) return;
  g_debug ("line %s: way %u failed: %s", session_.c_str (), way, error.message.c_str ());
  entry->failed = true;
  if (is_standby (entry->generation) && carrier_->ways->in_use () != way)
    host_.line_warning (
        {error.code,
         "What was kept ready is lost, and another relay is looked for. " + error.message});
  see_standby ();
  if (carrier_->ways->in_use () != way) return;
  choose_way ();
  if (carrier_->ways->in_use () != way) return;
  const PathInfo info = carrier_->ways->info ();
  // What libnice says of other pairs is for silence to show.
  if (info.kind == kIceWay && !info.own_relay) return;
  break_detail_ = error.message;
  watch_.break_now (info.own_relay ? BreakReason::relay_lost : BreakReason::transport);
}

// Not from an address that has gone: whatever waits for a gateway that does not answer has the
// kernel ask for it once a second only, so that nothing could leave for up to that when it is back.
bool
Line::watch_may_ask (PathGroup::Way way) const {
  return std::none_of (ways_.begin (), ways_.end (), [way] (const WayEntry &entry) {
    return entry.way == way && entry.base_gone;
  });
}

}  // namespace p2p
