#include "doctor/echo_burst.hpp"

#include <algorithm>

namespace p2p::doctor {

std::optional<std::uint32_t>
EchoBurst::next (TimeUs now) const {
  if (!may_send (now) || under_way_.size () >= window_) return std::nullopt;
  return next_;
}

void
EchoBurst::sent () {
  under_way_.insert (next_++);
  ++result_.sent;
}

void
EchoBurst::received (std::uint32_t number, TimeUs now) {
  if (under_way_.erase (number) == 0) return;  // twice, or given up
  heard_ = last_back_ = now;
  result_.bytes += bytes_;
  if (slow_start_) {
    ++window_;
  } else if (++grown_ >= window_) {
    grown_ = 0;
    ++window_;
  }
  window_ = std::min (window_, kLargestWindow);
  bool lost = false;
  while (!under_way_.empty () && *under_way_.begin () + kReordering < number) {
    // One loss in a window is enough to shrink it.
    lost = lost || *under_way_.begin () >= shrunk_at_;
    under_way_.erase (under_way_.begin ());
    ++result_.lost;
  }
  if (lost) shrink (window_ / 2);
}

void
EchoBurst::tick (TimeUs now) {
  if (under_way_.empty () || now < heard_ + kSilence) return;
  result_.lost += under_way_.size ();
  under_way_.clear ();
  heard_ = now;
  shrink (kFirstWindow);
}

void
EchoBurst::shrink (std::size_t to) {
  window_ = std::max (to, kFirstWindow);
  grown_ = 0;
  slow_start_ = false;
  shrunk_at_ = next_;
}

bool
EchoBurst::done (TimeUs now) const {
  return !may_send (now) && under_way_.empty ();
}

BurstResult
EchoBurst::result () const {
  BurstResult out = result_;
  out.took_us = last_back_ - begun_;
  return out;
}

}  // namespace p2p::doctor
