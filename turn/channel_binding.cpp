#include "turn/channel_binding.hpp"

#include <algorithm>

namespace p2p::turn {

std::optional<std::uint16_t>
ChannelTable::free_number (TimeUs now) {
  for (int tries = 0; tries <= kLastChannel - kFirstChannel; ++tries) {
    const std::uint16_t number = next_;
    next_ = number == kLastChannel ? kFirstChannel : static_cast<std::uint16_t> (number + 1);
    if (peers_.count (number)) continue;
    const auto resting = resting_.find (number);
    if (resting != resting_.end ()) {
      if (now < resting->second) continue;
      resting_.erase (resting);
    }
    return number;
  }
  return std::nullopt;
}

ChannelTable::Binding *
ChannelTable::add (const Address &peer, TimeUs now) {
  if (Binding *known = find (peer)) return known;
  const auto number = free_number (now);
  if (!number) return nullptr;
  peers_[*number] = peer;
  Binding &binding = bindings_[peer];
  binding.channel = *number;
  binding.due = now;
  return &binding;
}

void
ChannelTable::remove (const Address &peer, TimeUs now) {
  const auto found = bindings_.find (peer);
  if (found == bindings_.end ()) return;
  const Binding &binding = found->second;
  // One that was asked for may have been bound without our knowing.
  if (binding.state != BindingState::wanted || binding.expires != kNever)
    resting_[binding.channel] =
        (binding.expires == kNever ? now + kChannelLifetime : binding.expires) + kChannelRest;
  peers_.erase (binding.channel);
  bindings_.erase (found);
}

ChannelTable::Binding *
ChannelTable::find (const Address &peer) {
  const auto found = bindings_.find (peer);
  return found == bindings_.end () ? nullptr : &found->second;
}

std::optional<std::uint16_t>
ChannelTable::bound (const Address &peer, TimeUs now) {
  const Binding *binding = find (peer);
  if (!binding || binding->expires == kNever || now >= binding->expires) return std::nullopt;
  return binding->channel;
}

const Address *
ChannelTable::peer_of (std::uint16_t channel) const {
  const auto found = peers_.find (channel);
  return found == peers_.end () ? nullptr : &found->second;
}

void
ChannelTable::forget (TimeUs now) {
  resting_.clear ();
  for (auto &[peer, binding] : bindings_) {
    const std::uint16_t channel = binding.channel;
    binding = Binding{};
    binding.channel = channel;
    binding.due = now;
  }
}

std::optional<Address>
ChannelTable::take_due (TimeUs now) {
  for (auto &[peer, binding] : bindings_) {
    const bool waits =
        binding.state == BindingState::wanted || binding.state == BindingState::bound;
    if (!waits || binding.due > now) continue;
    binding.state = BindingState::asked;
    return peer;
  }
  return std::nullopt;
}

TimeUs
ChannelTable::next_due () const {
  TimeUs out = kNever;
  for (const auto &[peer, binding] : bindings_)
    if (binding.state == BindingState::wanted || binding.state == BindingState::bound)
      out = std::min (out, binding.due);
  return out;
}

}  // namespace p2p::turn
