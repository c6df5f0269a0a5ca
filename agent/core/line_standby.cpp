// The relay that is kept ready: another generation below the session, which shares no relay with
// the way in use, so that nothing has to be looked for when that one is gone.
#include <algorithm>

#include "core/line.hpp"

namespace p2p {

bool
Line::is_standby (const Generation *generation) const {
  return generation && !standby_id_.empty () && generation->id () == standby_id_;
}

// Proven, and with no relay of the way in use; null when there is none.
const Line::WayEntry *
Line::standby_way () const {
  if (!carrier_) return nullptr;
  const PathInfo now = carrier_->ways->info ();
  for (const WayEntry &entry : ways_) {
    const Path *path = carrier_->ways->path (entry.way);
    if (!path || !entry.usable () || entry.way == carrier_->ways->in_use () ||
        !is_standby (entry.generation))
      continue;
    const PathInfo info = path->info ();
    if (std::none_of (info.relays.begin (), info.relays.end (), [&] (const std::string &relay) {
          return std::find (now.relays.begin (), now.relays.end (), relay) != now.relays.end ();
        }))
      return &entry;
  }
  return nullptr;
}

void
Line::see_standby () {
  if (over_) return;
  const WayEntry *now = way_in_use ();
  const Generation *building = negotiation_.current ();
  Standby::View view;
  view.wanted = live_ && !broken_ && now && now->usable () && relayed (now->way) &&
                !carrier_->ways->info ().relays.empty ();
  view.there = view.wanted && standby_way ();
  view.building = building && building->id () == standby_building_;
  standby_.see (view);
  // What is not kept any more goes as all that was left does.
  if (!standby_id_.empty () && !view.there) arm_upkeep ();
}

bool
Line::standby_build () {
  if (negotiation_.current () || !in_band () || cut_off_) return false;
  // What was kept before is of no use any more; it goes as all that was left does.
  standby_id_.clear ();
  arm_upkeep ();
  without_relays_ = carrier_->ways->info ().relays;
  // A way through two relays falls with either of them. What takes the other one alone is better
  // already, and the next one is then built without that.
  if (without_relays_.size () > 1) without_relays_.resize (1);
  if (negotiation_.begin ()) negotiation_.offer ();
  without_relays_.clear ();
  const Generation *building = negotiation_.current ();
  return building && building->id () == standby_building_;
}

void
Line::standby_ask () {
  if (const WayEntry *entry = standby_way ()) watch_.prove (entry->way);
}

void
Line::standby_give_up () {
  const Generation *building = negotiation_.current ();
  if (building && building->id () == standby_building_) {
    g_debug ("line %s: no other relay was found", session_.c_str ());
    drop_generation (building);
    return;
  }
  const auto silent =
      std::find_if (generations_.begin (), generations_.end (), [this] (const auto &generation) {
        return is_standby (generation.get ()) &&
               (!way_in_use () || way_in_use ()->generation != generation.get ());
      });
  if (silent == generations_.end ()) return;
  host_.line_warning ({P2P_ERROR_UNREACHABLE,
                       "The relay that was kept ready does not answer any more; another one is "
                       "looked for."});
  drop_generation (silent->get ());
}

// What has a direct way now has no relay for the time when that one fails, unless there is another
// generation with one; it is joined to the peer beside the living one, as after a change of
// network.
void
Line::generation_relay_back (Generation &generation) {
  const WayEntry *now = way_in_use ();
  if (over_ || !live_ || broken_ || !now) return;
  g_debug ("line %s: a server relays again", session_.c_str ());
  standby_.begin_anew ();
  if (now->generation != &generation || relayed (now->way)) return;
  renewal_wanted_ = true;
  renewals_left_ = 1;
  renew_wait_ = 0;
  renew ();
}

}  // namespace p2p
