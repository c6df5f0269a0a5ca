#include "turn/permission.hpp"

#include <algorithm>

namespace p2p::turn {

PermissionTable::Entry *
PermissionTable::find (const Address &ip) {
  const auto found = entries_.find (ip.without_port ());
  return found == entries_.end () ? nullptr : &found->second;
}

bool
PermissionTable::granted (const Address &ip, TimeUs now) {
  const Entry *entry = find (ip);
  // One that is being renewed holds on until it expires.
  return entry && entry->expires != kNever && now < entry->expires;
}

void
PermissionTable::forget (TimeUs now) {
  for (auto &[ip, entry] : entries_) {
    entry = Entry{};
    entry.due = now;
  }
}

std::vector<Address>
PermissionTable::take_due (TimeUs now) {
  std::vector<Address> out;
  for (auto &[ip, entry] : entries_) {
    const bool waits =
        entry.state == PermissionState::wanted || entry.state == PermissionState::granted;
    if (!waits || entry.due > now) continue;
    if (entry.alone && !out.empty ()) continue;
    entry.state = PermissionState::asked;
    out.push_back (ip);
    if (entry.alone || out.size () == kPermissionsPerRequest) break;
  }
  return out;
}

TimeUs
PermissionTable::next_due () const {
  TimeUs out = kNever;
  for (const auto &[ip, entry] : entries_)
    if (entry.state == PermissionState::wanted || entry.state == PermissionState::granted)
      out = std::min (out, entry.due);
  return out;
}

}  // namespace p2p::turn
