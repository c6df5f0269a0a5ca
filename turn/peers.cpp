#include "turn/peers.hpp"

#include <algorithm>

namespace p2p::turn {

namespace {

constexpr TimeUs kFirstRetry = kSecond;
constexpr TimeUs kVerifyLimit = 5 * kSecond;  // until then the owner has said what it found out
constexpr std::size_t kIndicationBytes = 64;  // header, peer and what stands before the data
constexpr std::size_t kMaxDataBytes = UINT16_MAX - kIndicationBytes;

TimeUs
retry_after (int failures) {
  return kFirstRetry << std::min (failures - 1, 5);
}

}  // namespace

Peers::Peers (Scheduler &scheduler, Requester &requester, Owner &owner, bool channels,
              bool dont_fragment)
    : scheduler_ (scheduler),
      requester_ (requester),
      owner_ (owner),
      use_channels_ (channels),
      dont_fragment_ (dont_fragment),
      timer_ (scheduler.make_timer ([this] { work (); })) {}

Status
Peers::add (const Address &peer, bool channel) {
  const bool is_new = peers_.count (peer) == 0;
  if (is_new && peers_.size () >= kMaxPeers)
    return Error{P2P_ERROR_LIMIT,
                 "The relay has " + std::to_string (kMaxPeers) + " peers already; remove one."};
  const TimeUs now = scheduler_.now ();
  if (is_new) {
    peers_.insert (peer);
    if (ips_[peer.without_port ()]++ == 0) permissions_.add (peer).due = now;
  }
  if (use_channels_ && channel) channels_.add (peer, now);
  PermissionTable::Entry *entry = permissions_.find (peer);
  if (entry->state == PermissionState::refused) {
    *entry = {};
    entry->due = now;
  }
  rearm ();
  return {};
}

void
Peers::remove (const Address &peer) {
  if (peers_.erase (peer) == 0) return;
  const auto ip = ips_.find (peer.without_port ());
  if (--ip->second == 0) {
    ips_.erase (ip);
    permissions_.remove (peer);
  }
  channels_.remove (peer, scheduler_.now ());
  drop_waiting ([&] (const Waiting &one) { return one.peer != peer; });
}

template <class Keep>
void
Peers::drop_waiting (Keep keep) {
  std::deque<Waiting> kept;
  for (auto &one : waiting_) {
    if (keep (one)) {
      kept.push_back (std::move (one));
    } else {
      waiting_bytes_ -= one.data.size ();
      ++stats_.dropped_sends;
    }
  }
  waiting_ = std::move (kept);
}

Sent
Peers::wait (const Address &peer, ByteView data) {
  if (waiting_.size () >= kMaxWaiting || waiting_bytes_ + data.size > kMaxWaitingBytes)
    return Sent::full;
  waiting_bytes_ += data.size;
  waiting_.push_back ({peer, {data.begin (), data.end ()}});
  return Sent::waiting;
}

Sent
Peers::send (const Address &peer, ByteView data) {
  if (data.size > kMaxDataBytes) return Sent::too_long;
  const TimeUs now = scheduler_.now ();
  const PermissionTable::Entry *entry = permissions_.find (peer);
  if (!entry || entry->state == PermissionState::refused) {
    ++stats_.dropped_sends;
    return Sent::refused;
  }
  if (!ready_ || !permissions_.granted (peer, now)) return wait (peer, data);
  return send_now (peer, data) ? Sent::sent : Sent::full;
}

bool
Peers::send_now (const Address &peer, ByteView data) {
  packet_.clear ();
  if (const auto channel = channels_.bound (peer, scheduler_.now ())) {
    append_channel_data (&packet_, *channel, data, padded_);
  } else {
    MessageWriter writer (MessageClass::indication, Method::send, random_transaction_id (),
                          data.size);
    writer.add_xor_address (kXorPeerAddress, peer);
    if (dont_fragment_) writer.add (kDontFragment, {});
    writer.add (kData, data);
    packet_ = writer.take ();
  }
  if (!owner_.send_packet (packet_)) return false;
  ++stats_.sent;
  stats_.sent_bytes += data.size;
  return true;
}

void
Peers::flush () {
  const TimeUs now = scheduler_.now ();
  std::deque<Waiting> waiting = std::move (waiting_);
  waiting_.clear ();
  waiting_bytes_ = 0;
  for (auto &one : waiting) {
    const PermissionTable::Entry *entry = permissions_.find (one.peer);
    const bool refused = !entry || entry->state == PermissionState::refused;
    if (!refused && !permissions_.granted (one.peer, now)) {
      waiting_bytes_ += one.data.size ();
      waiting_.push_back (std::move (one));
    } else if (refused || !send_now (one.peer, one.data)) {
      ++stats_.dropped_sends;
    }
  }
}

void
Peers::allocated (bool padded) {
  ready_ = true;
  padded_ = padded;
  permissions_.forget (scheduler_.now ());
  channels_.forget (scheduler_.now ());
  work ();
}

void
Peers::resumed (bool padded) {
  ready_ = true;
  padded_ = padded;
  // Requests that were under way on the old five-tuple are asked again.
  retry_soon ();
  flush ();
  work ();
}

void
Peers::lost () {
  ready_ = false;
  timer_->disarm ();
}

void
Peers::verified () {
  retry_soon ();
}

void
Peers::retry_soon () {
  const TimeUs now = scheduler_.now ();
  for (const auto &[ip, peers] : ips_) {
    PermissionTable::Entry *entry = permissions_.find (ip);
    if (entry->state == PermissionState::asked) entry->state = PermissionState::wanted;
    if (entry->failures > 0 && entry->state != PermissionState::refused) entry->due = now;
    if (entry->state == PermissionState::wanted) entry->due = now;
  }
  for (const Address &peer : peers_) {
    ChannelTable::Binding *binding = channels_.find (peer);
    if (!binding || binding->state == BindingState::refused) continue;
    if (binding->state == BindingState::asked) binding->state = BindingState::wanted;
    if (binding->failures > 0 || binding->state == BindingState::wanted) binding->due = now;
  }
  rearm ();
}

void
Peers::rearm () {
  if (!ready_) return;
  const TimeUs due = std::min (permissions_.next_due (), channels_.next_due ());
  if (due == kNever)
    timer_->disarm ();
  else
    timer_->arm (due);
}

void
Peers::work () {
  if (!ready_) return;
  const TimeUs now = scheduler_.now ();
  for (auto ips = permissions_.take_due (now); !ips.empty (); ips = permissions_.take_due (now))
    ask_permissions (ips);
  while (const auto peer = channels_.take_due (now)) ask_channel (*peer);
  rearm ();
}

void
Peers::ask_permissions (const std::vector<Address> &ips) {
  const auto fill = [ips] (MessageWriter *request) {
    for (const Address &ip : ips) request->add_xor_address (kXorPeerAddress, ip);
  };
  requester_.request (Method::create_permission, fill, [this, ips] (const Reply &reply) {
    if (!reply.ok ()) {
      permission_failed (ips, reply);
      return;
    }
    const TimeUs now = scheduler_.now ();
    std::vector<Address> newly;
    for (const Address &ip : ips) {
      PermissionTable::Entry *entry = permissions_.find (ip);
      if (!entry) continue;  // removed meanwhile
      if (entry->expires == kNever) newly.push_back (ip);
      *entry = {};
      entry->state = PermissionState::granted;
      entry->due = now + kPermissionRefresh;
      entry->expires = now + kPermissionLifetime;
    }
    rearm ();
    flush ();
    for (const Address &ip : newly) owner_.peer_granted (ip);
  });
}

void
Peers::permission_failed (const std::vector<Address> &ips, const Reply &reply) {
  const TimeUs now = scheduler_.now ();
  const PeerStep step = peer_step (reply);
  const bool at_fault = step == PeerStep::refuse || step == PeerStep::verify;
  if (at_fault && ips.size () > 1) {
    // One of them; each is asked for by itself, so that the others do not pay for it.
    for (const Address &ip : ips) {
      PermissionTable::Entry *entry = permissions_.find (ip);
      if (!entry) continue;
      entry->state = PermissionState::wanted;
      entry->alone = true;
      entry->due = now;
    }
    rearm ();
    return;
  }
  std::vector<Address> refused;
  for (const Address &ip : ips) {
    PermissionTable::Entry *entry = permissions_.find (ip);
    if (!entry) continue;
    ++entry->failures;
    const bool again =
        step == PeerStep::verify ? entry->failures < 2 : entry->failures <= kMaxFailures;
    entry->state = PermissionState::wanted;
    entry->due = now + (step == PeerStep::verify ? kVerifyLimit : retry_after (entry->failures));
    if (step == PeerStep::refuse || !again) refused.push_back (ip);
  }
  rearm ();
  for (const Address &ip : refused) refuse (ip, reply);
  // A second refusal was verified by then.
  if (step != PeerStep::refuse && step != PeerStep::retry && refused.empty ())
    owner_.peer_trouble (step, reply);
}

void
Peers::refuse (const Address &ip, const Reply &reply) {
  PermissionTable::Entry *entry = permissions_.find (ip);
  if (!entry) return;
  *entry = {};
  entry->state = PermissionState::refused;
  drop_waiting ([&] (const Waiting &one) { return one.peer.without_port () != ip; });
  owner_.peer_refused (ip, reply);
}

void
Peers::ask_channel (const Address &peer) {
  const auto fill = [peer, channel = channels_.find (peer)->channel] (MessageWriter *request) {
    request->add_u32 (kChannelNumber, static_cast<std::uint32_t> (channel) << 16);
    request->add_xor_address (kXorPeerAddress, peer);
  };
  requester_.request (Method::channel_bind, fill, [this, peer] (const Reply &reply) {
    if (!reply.ok ()) {
      channel_failed (peer, reply);
      return;
    }
    const TimeUs now = scheduler_.now ();
    if (ChannelTable::Binding *binding = channels_.find (peer)) {
      binding->state = BindingState::bound;
      binding->failures = 0;
      binding->due = now + kChannelRefresh;
      binding->expires = now + kChannelLifetime;
    }
    rearm ();
  });
}

void
Peers::channel_failed (const Address &peer, const Reply &reply) {
  ChannelTable::Binding *binding = channels_.find (peer);
  if (!binding) return;
  const PeerStep step = peer_step (reply);
  const bool again =
      step == PeerStep::verify ? ++binding->failures < 2 : ++binding->failures <= kMaxFailures;
  if (step == PeerStep::refuse || !again) {
    // Without a channel data goes by Send indications, as far as there is a permission.
    binding->state = BindingState::refused;
    rearm ();
    return;
  }
  binding->state = BindingState::wanted;
  binding->due = scheduler_.now () +
                 (step == PeerStep::verify ? kVerifyLimit : retry_after (binding->failures));
  rearm ();
  if (step != PeerStep::retry) owner_.peer_trouble (step, reply);
}

void
Peers::receive_channel_data (ByteView packet) {
  const auto parsed = parse_channel_data (packet);
  if (!parsed) {
    ++stats_.malformed;
    return;
  }
  const Address *peer = channels_.peer_of (parsed->channel);
  if (!ready_ || !peer) {
    ++stats_.dropped_receives;
    return;
  }
  ++stats_.received;
  stats_.received_bytes += parsed->data.size;
  const Address from = *peer;  // the call may remove it
  owner_.peer_received (from, parsed->data);
}

void
Peers::receive_indication (const Message &message) {
  const auto peer = message.find_xor_address (kXorPeerAddress);
  const auto data = message.find (kData);
  if (message.method () != Method::data || !peer || !data || message.incomprehensible ()) {
    ++stats_.malformed;
    return;
  }
  // A permission is for an address with all of its ports.
  if (!ready_ || ips_.count (peer->without_port ()) == 0) {
    ++stats_.dropped_receives;
    return;
  }
  ++stats_.received;
  stats_.received_bytes += data->size;
  owner_.peer_received (*peer, *data);
}

}  // namespace p2p::turn
