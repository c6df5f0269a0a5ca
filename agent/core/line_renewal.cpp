// How a living session gets other ways: when, and over what their configurations travel.
#include <algorithm>

#include "base/loop_thread.hpp"
#include "core/line.hpp"

namespace p2p {

namespace {

// For how long a generation that is built while nothing passes is waited for, before another one
// is begun: ICE and signaling need some round trips, and more where packets are still lost. Twice
// as long each time.
constexpr TimeUs kFirstPatience = kSecond, kLongestPatience = 12 * kSecond;
constexpr TimeUs kPatienceRoundTrips = 10, kMostFirstPatience = 3 * kSecond;
// Below a living way there is more time: the checks of one generation take 7 s at most.
constexpr TimeUs kPatienceWhileLive = 10 * kSecond;
// How often a change of network has other ways looked for beside one that works.
constexpr unsigned kRenewals = 3;
// For how long a peer that says something by the meeting point is answered there as well.
constexpr TimeUs kDoubtFor = 5 * kSecond;
// How often a relayed connection looks for a direct way, less and less often.
constexpr TimeUs kFirstDirect = 30 * kSecond, kLongestDirect = 300 * kSecond;

}  // namespace

bool
Line::in_band () const {
  return live_ && carrier_ && !broken_ && !transport_ended_;
}

bool
Line::can_signal () const {
  return in_band () || host_.line_peer_present ();
}

void
Line::renew () {
  renewal_->disarm ();
  // When there is a network again it is called again.
  if (over_ || !live_ || cut_off_) return;
  if (!broken_ && renewal_wanted_ && renewals_left_-- == 0) renewal_wanted_ = false;
  for_direct_ = !broken_ && !renewal_wanted_;
  if (for_direct_) {
    if (!path ().relayed) return;
    direct_wait_ = std::min (2 * direct_wait_, kLongestDirect);
  }
  if (can_signal ()) {
    if (negotiation_.begin ()) negotiation_.offer ();
  } else {
    const bool found = std::any_of (ways_.begin (), ways_.end (),
                                    [] (const WayEntry &entry) { return entry.proven; });
    if (memory_ && !found)
      resume_ways ();
    else
      renew_alone ();
  }
  renew_later ();
}

void
Line::renew_later () {
  if (!broken_ && !renewal_wanted_) {
    look_for_direct ();
    return;
  }
  const TimeUs first = broken_ ? std::clamp (kPatienceRoundTrips * watch_.round_trip (),
                                             kFirstPatience, kMostFirstPatience)
                               : kPatienceWhileLive;
  renew_wait_ = std::clamp (2 * renew_wait_, first, kLongestPatience);
  renewal_->arm (clock_.now () + renew_wait_);
}

void
Line::look_for_direct () {
  // One side is enough.
  if (!live_ || broken_ || renewal_wanted_ || !client_ || !path ().relayed) {
    direct_wait_ = 0;
    return;
  }
  direct_wait_ = std::max (direct_wait_, kFirstDirect);
  renewal_->arm (clock_.now () + direct_wait_);
}

// Without a word to the peer: from the addresses that there are now, in the name of the generation
// that the peer knows. Its side of that one learns the new address by the checks that come from
// there (RFC 8445 section 7.3.1.3).
void
Line::renew_alone () {
  if (!carrier_) return;
  const Generation *known = nullptr;
  for (const auto &generation : generations_) {
    const bool twin_lives =
        std::any_of (generations_.begin (), generations_.end (), [&] (const auto &other) {
          return other != generation && other->id () == generation->id () && !is_dead (*other);
        });
    if (generation->attempt ().ice () && is_dead (*generation) && !twin_lives)
      known = generation.get ();
  }
  if (!known) return;
  const NetworkConfig local = known->attempt ().local_config ();
  NetworkConfig remote = *known->attempt ().remote_config ();
  remote.candidates = known->attempt ().ice ()->remote_candidates ();
  remote.complete = true;
  auto twin = Generation::create (*this, [&] (Attempt::Observer *observer) {
    return host_.line_attempt (observer, &local, nullptr);
  });
  if (!twin) {
    host_.line_warning (twin.error ());
    return;
  }
  Generation &started = **twin;
  generations_.push_back (std::move (*twin));
  Attempt::Start how;
  how.client = client_;
  how.aim = Attempt::Aim::path;
  if (started.start (remote, how, true)) drop_generation (&started);
}

// It had ways, and this machine has none of their addresses any more.
bool
Line::is_dead (const Generation &generation) const {
  bool any = false;
  for (const WayEntry &entry : ways_) {
    if (entry.generation != &generation) continue;
    if (!entry.base_gone) return false;
    any = true;
  }
  return any;
}

// -------------------------------------------------------------------------------------- network

void
Line::note_bases () {
  for (WayEntry &entry : ways_) {
    const IceTransport *ice = entry.generation ? entry.generation->attempt ().ice () : nullptr;
    const auto pair = ice ? ice->selected_pair () : std::nullopt;
    if (!pair || pair->local_base_address.empty ()) continue;
    const bool here = network_->has (pair->local_base_address);
    if (here) entry.base = pair->local_base_address;
    // What was never seen may be one that the monitor does not know.
    entry.base_gone = !here && entry.base == pair->local_base_address;
  }
}

// First of all, so that a way that goes along is not taken for one whose address has gone.
void
Line::move_relays () {
  for (const auto &generation : generations_)
    if (IceTransport *ice = generation->attempt ().ice ()) ice->move_relays ();
}

std::vector<TurnRelayState>
Line::relays () const {
  std::vector<TurnRelayState> all;
  for (const auto &generation : generations_)
    if (const IceTransport *ice = generation->attempt ().ice ())
      for (TurnRelayState &state : ice->relays ()) all.push_back (std::move (state));
  return all;
}

void
Line::see_network (const NetworkView &now) {
  cut_off_ = !now->usable () && (cut_off_ || network_->usable ());
  network_ = now;
}

void
Line::network_changed (const NetworkView &now, const NetworkChange &change) {
  see_network (now);
  if (over_ || !live_) return;
  const bool other_addresses = !change.added.empty () || !change.removed.empty ();
  const bool other_network = now->usable () && (other_addresses || change.default_routes_changed);
  if (other_network) move_relays ();
  note_bases ();
  choose_way ();
  const WayEntry *in_use = way_in_use ();
  const bool cut_off = in_use && in_use->base_gone;
  if (cut_off) watch_.break_now (BreakReason::network_down);
  watch_.network_changed ();
  if (!other_network) return;
  renewal_wanted_ = true;
  renewals_left_ = kRenewals;
  renew_wait_ = 0;
  standby_.begin_anew ();
  if (cut_off) {
    drop_fruitless ();
    renew_alone ();
  }
  renew ();
}

// Begun alone on the addresses of another moment, and without a way so far.
void
Line::drop_fruitless () {
  std::vector<const Generation *> fruitless;
  for (const auto &generation : generations_)
    if (std::none_of (ways_.begin (), ways_.end (), [&] (const WayEntry &entry) {
          return entry.generation == generation.get ();
        }))
      fruitless.push_back (generation.get ());
  for (const Generation *generation : fruitless) drop_generation (generation);
}

void
Line::network_lost (const NetworkView &now) {
  const bool back = cut_off_ && now->usable ();
  see_network (now);
  if (over_ || !live_) return;
  note_bases ();
  choose_way ();
  if (back && broken_) renew ();
}

void
Line::peer_present () {
  if (broken_ || renewal_wanted_) {
    renew_wait_ = 0;
    renew ();
  }
}

// ------------------------------------------------------------------------------------ signaling

bool
Line::receive_signal (const PeerSignal &signal, bool in_band) {
  if (!live_) return false;
  if (signal.kind == PeerSignal::Kind::hello) {
    // What was asked for may have come meanwhile, by pings.
    const bool here = transport_here_ > 0 && !needs_transport ();
    new_transport_asked_ = signal.new_transport && !(here && signal.transport == transport_here_);
    if (!in_band) doubt_line ();
    // Where nothing carries the session, any relay will do.
    if (!transport_ended_ && !new_transport_asked_) without_relays_ = signal.without_relays;
    const bool taken = negotiation_.receive (signal);
    without_relays_.clear ();
    return taken;
  }
  Generation *building = negotiation_.current ();
  if (building && building->started () && building->remote_id () == signal.attempt)
    return building->receive (signal);
  for (const auto &generation : generations_)
    if (generation->remote_id () == signal.attempt) return generation->receive (signal);
  return false;
}

void
Line::generation_says (const PeerSignal &signal) {
  const bool told = in_band () && host_.line_signal_in_band (signal);
  // What was said over a line that may be dead is said again.
  if (!told || watch_.suspect () || clock_.now () < doubted_until_) host_.line_signal (signal);
}

// A peer that takes the way by the meeting point does not trust the line.
void
Line::doubt_line () {
  if (!broken_ && clock_.now () >= doubted_until_) watch_.network_changed ();
  doubted_until_ = clock_.now () + kDoubtFor;
}

void
Line::negotiation_hello (PeerSignal hello) {
  hello.session = session_;
  hello.new_transport = needs_transport ();
  hello.transport = transport_name_;
  if (hello.attempt == standby_building_) hello.without_relays = building_without_;
  generation_says (hello);
}

bool
Line::negotiation_peer_there () const {
  return can_signal ();
}

std::unique_ptr<Generation>
Line::negotiation_generation () {
  // The peer may be using what was built before: it stays for a while if there are ways.
  const Generation *before = negotiation_.current ();
  if (std::any_of (ways_.begin (), ways_.end (),
                   [&] (const WayEntry &entry) { return entry.generation == before; }))
    keep_building ();
  auto generation = Generation::create (*this, [this] (Attempt::Observer *observer) {
    return without_relays_.empty () ? host_.line_attempt (observer, nullptr, nullptr)
                                    : host_.line_standby_attempt (observer, without_relays_);
  });
  standby_building_ = generation && !without_relays_.empty () ? (*generation)->id () : "";
  building_without_ = without_relays_;
  if (generation) return std::move (*generation);
  host_.line_warning (generation.error ());
  return nullptr;
}

bool
Line::negotiation_start (const PeerSignal &hello) {
  Generation &building = *negotiation_.current ();
  Status bad = host_.line_check (*hello.config);
  Attempt::Start how;
  how.client = client_;
  if (hello.in_reply_to.empty ()) for_direct_ = false;  // the peer's wish
  how.aim =
      needs_transport () || new_transport_asked_ ? Attempt::Aim::connection : Attempt::Aim::path;
  if (!bad) bad = building.start (*hello.config, how, false);
  if (!bad) {
    negotiation_.set_newest_remote (hello.attempt);
    return true;
  }
  host_.line_warning (*bad);
  drop_generation (&building);
  return false;
}

// ----------------------------------------------------------------------------------- generations

void
Line::generation_config_changed (Generation &generation) {
  const auto newest = std::find_if (generations_.rbegin (), generations_.rend (),
                                    [this] (const auto &one) { return !is_standby (one.get ()); });
  if (newest != generations_.rend () && newest->get () == &generation)
    host_.line_config_changed (generation.attempt ().local_config ());
}

void
Line::generation_path (Generation &generation, Path &path) {
  if (!carrier_ && !transport_wanted_) return;
  const bool first = !carrier_;
  if (first) {
    carrier_ = std::make_unique<Carrier> ();
    carrier_->ways = std::make_unique<PathGroup> (path.scheduler ());
  }
  WayEntry entry;
  entry.way = carrier_->ways->add (path);
  entry.generation = &generation;
  entry.added_at = clock_.now ();
  ways_.push_back (entry);
  note_bases ();
  g_debug ("line %s: way %u, %s to %s", session_.c_str (), entry.way, generation.id ().c_str (),
           generation.remote_id ().c_str ());
  if (first) {
    watch_.watch (carrier_->ways.get (), nullptr);
    if (!client_) transport_timer_->arm (clock_.now ());
  }
  watch_.prove (entry.way);
}

// The session goes on over a new transport, from what both sides say that they have.
void
Line::generation_connected (Generation &generation, Carrier carrier) {
  if (negotiation_.current () != &generation) {
    retire (std::make_unique<Carrier> (std::move (carrier)));
    return;
  }
  auto next = negotiation_.take ();
  if (broken_) transport_ended_ = true;
  end_handshake ();
  transport_wanted_ = false;
  transport_here_ = 0;
  // The peer may have the one that was asked for by pings: whoever asks on means another one.
  transport_name_ = name_after (transport_name_);
  watch_.set_transport (transport_name_, false);
  host_.line_transport (*carrier.transport);
  drop_carrier ();
  generations_.clear ();
  standby_id_.clear ();
  generations_.push_back (std::move (next));
  generation.attempt ().keep ();
  carrier_ = std::make_unique<Carrier> (std::move (carrier));
  WayEntry only;
  only.way = carrier_->ways->in_use ();
  only.generation = &generation;
  only.proven = true;
  ways_.push_back (only);
  g_debug ("line %s: another transport", session_.c_str ());
  watch_.watch (carrier_->ways.get (), carrier_->transport.get ());
  note_bases ();
  host_.line_config_changed (generation.attempt ().local_config ());
  host_.line_remote_config (*generation.attempt ().remote_config ());
  host_.line_path_changed ();
  see_standby ();
}

void
Line::generation_lost (Generation &generation, const Error &error) {
  const bool in_use = std::any_of (ways_.begin (), ways_.end (), [&] (const WayEntry &entry) {
    return entry.generation == &generation && entry.proven;
  });
  if (in_use) return;
  g_debug ("line %s: another way was not found: %s", session_.c_str (), error.message.c_str ());
  drop_generation (&generation);
  if (broken_ || renewal_wanted_) renewal_->arm (clock_.now () + kSecond);
}

void
Line::generation_pair_changed (Generation &) {
  note_bases ();
  see_standby ();
  host_.line_path_changed ();
}

void
Line::generation_warning (const Error &warning) {
  host_.line_warning (warning);
}

}  // namespace p2p
