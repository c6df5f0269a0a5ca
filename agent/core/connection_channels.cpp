// The channels of a connection: which pump serves which channel of the session.
#include <algorithm>

#include "core/connection.hpp"

namespace p2p {

std::shared_ptr<ChannelPump>
Connection::find_pump (const Channel &channel) const {
  for (const Entry &entry : entries_)
    if (entry.channel == &channel) return entry.pump;
  return nullptr;
}

void
Connection::use_channel (const std::shared_ptr<ChannelPump> &pump) {
  const ChannelPort &port = *pump->port ();
  if (pump->close_asked ()) {
    forget_pump (pump, {});
    return;
  }
  auto channel = session_->open_channel (port.name (), port.options ());
  if (!channel) {
    forget_pump (pump, channel.error ());
    return;
  }
  for (Entry &entry : entries_)
    if (entry.pump == pump) entry.channel = *channel;
  pump->attach (**channel, session_->peer_max_message_bytes ());
}

// Those that the application opened before there was a session.
void
Connection::use_channels () {
  std::vector<std::shared_ptr<ChannelPump>> pumps;
  for (const Entry &entry : entries_)
    if (!entry.channel) pumps.push_back (entry.pump);
  for (const auto &pump : pumps) use_channel (pump);
}

// What the application took last is confirmed before this side goes.
void
Connection::confirm_taken () {
  std::vector<std::shared_ptr<ChannelPump>> pumps;
  for (const Entry &entry : entries_) pumps.push_back (entry.pump);
  for (const auto &pump : pumps) pump->confirm_taken ();
}

void
Connection::session_channel_opened (Channel &channel) {
  std::shared_ptr<ChannelPort> port;
  bool opened_here_too = false;
  {
    const MutexLock lock (mutex_);
    auto &slot = ports_[channel.name ()];
    opened_here_too = slot && slot->is_open ();
    if (!opened_here_too)
      slot = make_packed<ChannelPort> (channel.name (), channel.options (), max_message_bytes_,
                                       ChannelPort::Opener::peer);
    port = slot;
  }
  const auto pump = add_pump (port, !opened_here_too);
  for (Entry &entry : entries_)
    if (entry.pump == pump) entry.channel = &channel;
  pump->attach (channel, session_->peer_max_message_bytes ());
  if (opened_here_too) return;
  if (const auto observer = observer_.lock ()) observer->connection_channel_opened (port);
}

std::shared_ptr<ChannelPump>
Connection::add_pump (const std::shared_ptr<ChannelPort> &port, bool by_peer) {
  for (const Entry &entry : entries_)
    if (entry.pump->port () == port) return entry.pump;
  auto pump = make_packed<ChannelPump> (port);
  pump->start ();
  entries_.push_back ({pump, nullptr, by_peer});
  return pump;
}

void
Connection::session_message (Channel &channel, Message message) {
  if (const auto pump = find_pump (channel)) pump->received (std::move (message));
}

void
Connection::session_end_of_stream (Channel &channel) {
  if (const auto pump = find_pump (channel)) pump->ended_by_peer ();
}

void
Connection::session_released (Channel &channel) {
  if (const auto pump = find_pump (channel)) pump->released ();
}

void
Connection::session_channel_closed (Channel &channel, const Status &reason) {
  const auto found = std::find_if (entries_.begin (), entries_.end (),
                                   [&] (const Entry &entry) { return entry.channel == &channel; });
  if (found == entries_.end ()) return;
  forget_pump (found->pump, reason);
}

void
Connection::forget_pump (std::shared_ptr<ChannelPump> pump, const Status &reason) {
  entries_.erase (std::remove_if (entries_.begin (), entries_.end (),
                                  [&] (const Entry &entry) { return entry.pump == pump; }),
                  entries_.end ());
  pump->closed (reason);
  const std::string &name = pump->port ()->name ();
  {
    const MutexLock lock (mutex_);
    const auto slot = ports_.find (name);
    if (slot != ports_.end () && slot->second == pump->port ()) ports_.erase (slot);
  }
  if (const auto observer = observer_.lock ()) observer->connection_channel_closed (name);
}

}  // namespace p2p
