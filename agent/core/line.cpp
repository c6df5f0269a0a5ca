#include "core/line.hpp"

#include <algorithm>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

constexpr TimeUs kUpkeepEvery = 500 * kMillisecond;
// What is under way on a way that is left arrives within that.
constexpr TimeUs kLinger = 5 * kSecond;
// More come of a peer that begins anew again and again; the oldest go.
constexpr std::size_t kMaxGenerations = 4;

}  // namespace

Line::Line (const Config &config, Carrier carrier, Scheduler &clock, Host &host)
    : session_ (config.session),
      client_ (config.watch.client),
      clock_ (clock),
      host_ (host),
      network_ (config.network),
      negotiation_ (*this, clock),
      carrier_ (std::make_unique<Carrier> (std::move (carrier))),
      watch_ (config.watch, clock, *this),
      standby_ ({config.builds_standby, config.watch.client}, clock, *this),
      upkeep_ (clock.make_timer ([this] { keep_up (); })),
      renewal_ (clock.make_timer ([this] { renew (); })),
      transport_timer_ (clock.make_timer ([this] { begin_transport (); })) {
  WayEntry first;
  first.way = carrier_->ways->in_use ();
  first.proven = true;
  ways_.push_back (first);
  watch_.watch (carrier_->ways.get (), carrier_->transport.get ());
}

Line::Line (const Config &config, Scheduler &clock, Host &host)
    : session_ (config.session),
      client_ (config.watch.client),
      clock_ (clock),
      host_ (host),
      network_ (config.network),
      negotiation_ (*this, clock),
      watch_ (config.watch, clock, *this),
      standby_ ({config.builds_standby, config.watch.client}, clock, *this),
      upkeep_ (clock.make_timer ([this] { keep_up (); })),
      renewal_ (clock.make_timer ([this] { renew (); })),
      transport_timer_ (clock.make_timer ([this] { begin_transport (); })) {}

Line::~Line () {
  end ();
}

void
Line::end () {
  over_ = true;
  upkeep_->disarm ();
  renewal_->disarm ();
  transport_timer_->disarm ();
  standby_.stop ();
  watch_.stop ();
  drop_carrier ();
  negotiation_.drop ();
  generations_.clear ();
}

void
Line::drop_carrier () {
  watch_.watch (nullptr, nullptr);
  ways_.clear ();
  end_handshake ();
  retire (std::move (carrier_));
}

void
Line::live (std::unique_ptr<Generation> generation, const std::string &newest_remote) {
  live_ = true;
  generation->set_host (*this);
  generation->attempt ().keep ();
  for (WayEntry &entry : ways_) entry.generation = generation.get ();
  generations_.push_back (std::move (generation));
  negotiation_.set_newest_remote (newest_remote);
  note_bases ();
  look_for_direct ();
  see_standby ();
}

// ------------------------------------------------------------------------------------- the ways

Line::WayEntry *
Line::find_way (PathGroup::Way way) {
  for (WayEntry &entry : ways_)
    if (entry.way == way) return &entry;
  return nullptr;
}

bool
Line::relayed (PathGroup::Way way) const {
  const Path *path = carrier_ ? carrier_->ways->path (way) : nullptr;
  return path && path->info ().relayed;
}

// How many it takes: what falls with two of them falls twice as often.
std::size_t
Line::relays_of (PathGroup::Way way) const {
  const Path *path = carrier_ ? carrier_->ways->path (way) : nullptr;
  if (!path) return 0;
  const PathInfo info = path->info ();
  return info.relayed ? std::max<std::size_t> (info.relays.size (), 1) : 0;
}

bool
Line::no_worse (const WayEntry &one, const WayEntry &other) const {
  return relays_of (one.way) <= relays_of (other.way);
}

// The newer one, unless it takes more relays than the other.
bool
Line::better (const WayEntry &one, const WayEntry &other) const {
  return no_worse (one, other) && (!no_worse (other, one) || one.way > other.way);
}

void
Line::use_way (WayEntry &entry) {
  const PathGroup::Way before = carrier_->ways->in_use ();
  if (before == entry.way) return;
  carrier_->ways->use (entry.way);
  wanted_at_ = clock_.now ();
  watch_.want (entry.way);
  g_debug ("line %s: way %u, over %s", session_.c_str (), entry.way,
           carrier_->ways->info ().local.c_str ());
  look_for_direct ();
  way_taken (before);
}

// What was kept ready is in use, and what was in use is what may be kept ready now.
void
Line::way_taken (PathGroup::Way before) {
  const WayEntry *now = way_in_use ();
  const WayEntry *left = find_way (before);
  // What is under way is lost: to wait until QUIC believes it would double the gap.
  Transport *transport = this->transport ();
  if (left && transport && !broken_ && watch_.quiet (before)) {
    transport->suspend ();
    transport->resume ();
  }
  if (now && is_standby (now->generation)) {
    const Attempt &taken = now->generation->attempt ();
    standby_id_ = left && left->generation ? left->generation->id () : "";
    host_.line_config_changed (taken.local_config ());
    host_.line_remote_config (*taken.remote_config ());
  }
  arm_upkeep ();
  see_standby ();
  standby_.doubt ();
  host_.line_path_changed ();
}

// The client leads where there is a choice; a server leaves a way only when it has to.
void
Line::choose_way () {
  WayEntry *best = nullptr;
  for (WayEntry &entry : ways_)
    if (entry.usable () && (!best || better (entry, *best))) best = &entry;
  if (!best) return;
  const WayEntry *now = way_in_use ();
  if (!now || !now->usable () || (client_ && better (*best, *now))) use_way (*best);
}

// The other one answers, and a first answer over the one in use is missing: both are asked, until
// it comes or takes too long.
void
Line::compare (const WayEntry &in_use, const WayEntry &other) {
  if (!no_worse (other, in_use)) return;
  watch_.prove (in_use.way);
  watch_.prove (other.way);
}

void
Line::keep_generation (Generation &generation) {
  generation.attempt ().keep ();
  if (negotiation_.current () != &generation) return;
  keep_building ();
  if (generation.id () == standby_building_) {
    standby_id_ = std::exchange (standby_building_, {});
    see_standby ();
    return;
  }
  renewal_wanted_ = false;
  if (!broken_) {
    renewal_->disarm ();
    look_for_direct ();
  }
  host_.line_config_changed (generation.attempt ().local_config ());
  host_.line_remote_config (*generation.attempt ().remote_config ());
}

// What is being built stays below the session, at least for a while.
void
Line::keep_building () {
  generations_.push_back (negotiation_.take ());
  arm_upkeep ();
  while (generations_.size () > kMaxGenerations) {
    const WayEntry *now = way_in_use ();
    const auto left = [now] (const auto &one) { return !now || now->generation != one.get (); };
    auto oldest = std::find_if (generations_.begin (), generations_.end (), [&] (const auto &one) {
      return left (one) && !is_standby (one.get ());
    });
    if (oldest == generations_.end ())
      oldest = std::find_if (generations_.begin (), generations_.end (), left);
    drop_generation (oldest->get ());
  }
}

void
Line::remove_ways_of (const Generation *generation) {
  for (const WayEntry &entry : ways_) {
    if (entry.generation != generation || !carrier_) continue;
    g_debug ("line %s: way %u is left", session_.c_str (), entry.way);
    watch_.forget (entry.way);
    carrier_->ways->remove (entry.way);
  }
  ways_.erase (
      std::remove_if (ways_.begin (), ways_.end (),
                      [&] (const WayEntry &entry) { return entry.generation == generation; }),
      ways_.end ());
}

void
Line::drop_generation (const Generation *generation) {
  remove_ways_of (generation);
  if (is_standby (generation)) standby_id_.clear ();
  if (negotiation_.current () == generation) negotiation_.drop ();
  generations_.erase (std::remove_if (generations_.begin (), generations_.end (),
                                      [&] (const auto &one) { return one.get () == generation; }),
                      generations_.end ());
  if (carrier_ && carrier_->ways->in_use () == 0) choose_way ();
  see_standby ();
}

void
Line::arm_upkeep () {
  upkeep_->arm (clock_.now () + kUpkeepEvery);
}

void
Line::keep_up () {
  const TimeUs now = clock_.now ();
  if (following_ && !broken_ && !watch_.suspect () && now >= follow_until_) follow (false);
  const WayEntry *standby = standby_way ();
  std::vector<const Generation *> left;
  for (const auto &generation : generations_) {
    if (standby && standby->generation == generation.get ()) continue;
    TimeUs needed_at = 0;
    for (const WayEntry &entry : ways_) {
      if (entry.generation != generation.get () || !carrier_) continue;
      if (entry.way == carrier_->ways->in_use ()) needed_at = now;
      needed_at =
          std::max ({needed_at, entry.added_at, carrier_->ways->last_carried_us (entry.way)});
    }
    const WayEntry *in_use = way_in_use ();
    if (in_use && in_use->usable () && !broken_ && now - needed_at >= kLinger)
      left.push_back (generation.get ());
  }
  for (const Generation *generation : left) drop_generation (generation);
  const std::size_t kept = standby_way () ? 2 : 1;
  if (generations_.size () > kept || following_) arm_upkeep ();
}

// Only while the peer is silent, or asks for it: whoever repeats a captured check from another
// address could otherwise draw the traffic away for a moment.
void
Line::follow (bool on) {
  following_ = on;
  for (const auto &generation : generations_)
    if (IceTransport *ice = generation->attempt ().ice ()) ice->follow_peer (on);
  if (on) arm_upkeep ();
}

// -------------------------------------------------------------------------------- the transport

void
Line::session_attached (bool peer_restarted) {
  if (peer_restarted && !broken_) {
    transport_ended_ = true;
    break_detail_ = "the peer has begun anew";
    watch_.break_now (BreakReason::transport);
  }
  if (!std::exchange (transport_ended_, false)) return;
  new_transport_asked_ = false;
  drop_building_transport ();
  end_break (true);
  watch_.proved ();
}

PathInfo
Line::path () const {
  return carrier_ ? carrier_->ways->info () : PathInfo ();
}

std::uint64_t
Line::dropped_datagrams () const {
  return carrier_ ? carrier_->ways->dropped_datagrams () : 0;
}

std::vector<std::string>
Line::report () const {
  return generations_.empty () ? std::vector<std::string> ()
                               : generations_.back ()->attempt ().report ();
}

}  // namespace p2p
