#include "signaling/federation.hpp"

#include <algorithm>

#include "base/ptr.hpp"
#include "base/random_bytes.hpp"

namespace p2p {

namespace {

constexpr TimeUs kBeatUs = 2 * kSecond;
// Three beats and a stall: then a server is taken for dead.
constexpr TimeUs kSilentUs = 7 * kSecond;
// A lease ends after three of these.
constexpr TimeUs kRenewUs = 5 * kSecond;
constexpr TimeUs kLeaseUs = 3 * kRenewUs;
constexpr std::size_t kBatch = 100;  // claims and names that go together
constexpr std::size_t kMaxLostServers = 256;
// What they cost beside their strings.
constexpr std::size_t kLeaseBytes = 512, kWishBytes = 256;

std::string
random_prefix () {
  const std::string bytes = random_bytes (8);
  const UniqueChars text (
      g_base64_encode (reinterpret_cast<const guchar *> (bytes.data ()), bytes.size ()));
  return text.get ();
}

}  // namespace

Federation::Federation (Backplane &backplane, Scheduler &scheduler, Host &host, TimeUs hold_us)
    : backplane_ (backplane),
      scheduler_ (scheduler),
      host_ (host),
      hold_us_ (hold_us),
      token_prefix_ (random_prefix ()),
      last_tick_ (scheduler.now ()),
      timer_ (scheduler.make_timer ([this] { on_tick (); })) {
  timer_->arm (scheduler_.now () + kBeatUs);
  backplane_.start (this, {kLeaseUs, hold_us_});
}

Federation::~Federation () {
  backplane_.stop ();
}

std::string
Federation::new_token () {
  return token_prefix_ + "-" + std::to_string (next_token_++);
}

bool
Federation::claim (const Enrollment &enrollment) {
  const std::string token = new_token ();
  const bool asked = backplane_.claim (
      {{enrollment.id, enrollment.owner, token, 0}},
      [this, token, alive = std::weak_ptr<bool> (alive_)] (const std::vector<Verdict> &verdicts) {
        if (!alive.expired ())
          on_claimed (token, verdicts.empty () ? Verdict::unavailable : verdicts.front ());
      });
  if (asked) claims_[token] = enrollment;
  return asked;
}

void
Federation::on_claimed (const std::string &token, Verdict verdict) {
  const auto it = claims_.find (token);
  if (it == claims_.end ()) return;  // decided when the backplane went
  const Enrollment enrollment = std::move (it->second);
  claims_.erase (it);
  if (verdict != Verdict::held) {
    host_.claim_decided (enrollment, verdict);
    return;
  }
  const TimeUs now = scheduler_.now ();
  add_lease (enrollment.id, {enrollment.owner, token, now, now, true, {}});
  host_.claim_decided (enrollment, verdict);
  // Only now: whoever hears of it asks at once.
  if (const auto lease = leases_.find (enrollment.id);
      lease != leases_.end () && lease->second.token == token)
    announce ({enrollment.id});
}

void
Federation::adopt (const std::string &id, const std::string &owner) {
  add_lease (id, {owner, new_token (), scheduler_.now (), 0, false, {}});
}

void
Federation::add_lease (const std::string &id, Lease lease) {
  if (const auto old = leases_.find (id); old != leases_.end ()) {
    renewals_.erase (old->second.order);
    leases_.erase (old);
  }
  // What was never claimed is the next to be.
  lease.order = renewals_.insert (lease.announced ? renewals_.end () : renewals_.begin (), id);
  leases_[id] = std::move (lease);
}

void
Federation::detach (const std::string &id) {
  const auto it = peers_of_.find (id);
  if (it == peers_of_.end ()) return;
  std::set<std::string> servers;
  for (const std::string &peer : it->second) servers.insert (contacts_.at (peer).server);
  const std::set<std::string> peers = it->second;
  for (const std::string &peer : peers) forget_wish (id, peer);
  ServerMessage gone;
  gone.kind = ServerMessage::Kind::gone;
  gone.id = id;
  for (const std::string &server : servers) say (server, gone);
}

void
Federation::resign (const std::string &id) {
  if (const auto it = leases_.find (id); it != leases_.end ()) {
    const Lease lease = std::move (it->second);
    renewals_.erase (lease.order);
    leases_.erase (it);
    // One that cannot be given back ends by itself.
    if (up_) backplane_.release ({id, lease.owner, lease.token, 0});
  }
  detach (id);
}

std::vector<std::string>
Federation::arrived (const std::string &id) {
  std::vector<std::string> dealt;
  if (const auto it = contacts_.find (id); it != contacts_.end ())
    for (const auto &[local, wish] : it->second.wishes) dealt.push_back (local);
  for (const std::string &local : dealt) forget_wish (local, id);
  return dealt;
}

void
Federation::wish_changed (const std::string &id, const std::string &peer) {
  if (!up_) return;
  const auto it = contacts_.find (peer);
  if (it == contacts_.end ()) {
    if (host_.wish_of (id, peer).asks && leases_.count (peer) == 0) find ({peer});
    return;
  }
  const std::string server = it->second.server;
  const Wish *theirs = wish (id, peer);
  tell (id, peer, server, theirs == nullptr);
  if (theirs && !theirs->asks && !host_.wish_of (id, peer).asks) forget_wish (id, peer);
}

void
Federation::any_changed (const std::string &id) {
  for (const std::string &peer : contacts_of (id))
    tell (id, peer, contacts_.at (peer).server, false);
}

Wish
Federation::remote_wish (const std::string &id, const std::string &peer) const {
  const auto it = contacts_.find (peer);
  if (it == contacts_.end ()) return {};
  const auto found = it->second.wishes.find (id);
  return found == it->second.wishes.end () ? Wish () : found->second;
}

std::set<std::string>
Federation::contacts_of (const std::string &id) const {
  const auto it = peers_of_.find (id);
  return it == peers_of_.end () ? std::set<std::string> () : it->second;
}

const char *
Federation::send (const std::string &id, const std::string &peer, const std::string &data) {
  const auto it = contacts_.find (peer);
  if (it == contacts_.end ()) return "not-present";
  ServerMessage message;
  message.kind = ServerMessage::Kind::message;
  message.from = backplane_.name ();
  message.id = id;
  message.peer = peer;
  message.data = data;
  if (!backplane_.publish (it->second.server, to_text (message), true)) {
    ++totals_.dropped;
    return "peer-busy";
  }
  ++totals_.sent;
  return nullptr;
}

void
Federation::backplane_up () {
  up_ = true;
  last_tick_ = scheduler_.now ();
  for (auto &[id, lease] : leases_) {
    lease.announced = false;
    lease.renewed = 0;
  }
  host_.backplane_changed (true, {});
  say ({}, {});  // a beat
  renew_leases ();
  to_keep_ = hold_us_ > 0 ? host_.kept_ids () : std::vector<Claim> ();
  keep_ids ();
  find (host_.asked_peers ());
}

void
Federation::backplane_down (const Error &reason) {
  if (!std::exchange (up_, false)) {
    host_.backplane_changed (false, reason.message);
    return;
  }
  renewing_ = false;
  to_keep_.clear ();
  servers_.clear ();
  lost_servers_.clear ();
  host_.backplane_changed (false, reason.message);
  std::vector<std::string> peers;
  for (const auto &[peer, contact] : contacts_) peers.push_back (peer);
  for (const std::string &peer : peers) forget_contact (peer);
  for (const auto &[token, enrollment] : std::exchange (claims_, {}))
    host_.claim_decided (enrollment, Verdict::unavailable);
}

void
Federation::on_tick () {
  const TimeUs now = scheduler_.now ();
  timer_->arm (now + kBeatUs);
  // Who stood still himself has heard nobody.
  const bool stalled = now - std::exchange (last_tick_, now) > 2 * kBeatUs;
  if (!up_) return;
  say ({}, {});
  renew_leases ();
  std::vector<std::string> silent;
  for (auto &[server, heard] : servers_) {
    if (stalled) heard = now;
    if (now - heard >= kSilentUs) silent.push_back (server);
  }
  for (const std::string &server : silent) forget_server (server);
}

void
Federation::renew_leases () {
  if (renewing_ || !up_) return;
  const TimeUs now = scheduler_.now ();
  std::vector<Claim> claims;
  for (const std::string &id : renewals_) {
    const Lease &lease = leases_.at (id);
    if (claims.size () == kBatch || (lease.announced && now - lease.renewed < kRenewUs)) break;
    claims.push_back ({id, lease.owner, lease.token, now - lease.since});
  }
  if (claims.empty ()) return;
  // Refused, it is tried with the next tick.
  renewing_ = backplane_.claim (claims, [this, claims, alive = std::weak_ptr<bool> (alive_)] (
                                            const std::vector<Verdict> &verdicts) {
    if (alive.expired () || verdicts.size () != claims.size ()) return;
    renewing_ = false;
    on_renewed (claims, verdicts);
    renew_leases ();
  });
}

void
Federation::on_renewed (const std::vector<Claim> &claims, const std::vector<Verdict> &verdicts) {
  std::vector<std::string> news;
  for (std::size_t i = 0; i < claims.size (); ++i) {
    const auto it = leases_.find (claims[i].id);
    if (it == leases_.end () || it->second.token != claims[i].token) continue;
    if (verdicts[i] != Verdict::held) {
      host_.registration_lost (claims[i].id, verdicts[i]);
      continue;
    }
    it->second.renewed = scheduler_.now ();
    renewals_.splice (renewals_.end (), renewals_, it->second.order);
    if (!std::exchange (it->second.announced, true)) news.push_back (claims[i].id);
  }
  announce (news);
}

void
Federation::keep_ids () {
  if (to_keep_.empty ()) return;
  const std::size_t count = std::min (to_keep_.size (), kBatch);
  const std::vector<Claim> batch (to_keep_.end () - static_cast<std::ptrdiff_t> (count),
                                  to_keep_.end ());
  to_keep_.resize (to_keep_.size () - count);
  backplane_.keep (batch, [this, alive = std::weak_ptr<bool> (alive_)] (const auto &) {
    if (!alive.expired ()) keep_ids ();
  });
}

void
Federation::announce (const std::vector<std::string> &ids) {
  if (ids.empty ()) return;
  ServerMessage here;
  here.kind = ServerMessage::Kind::here;
  here.ids = ids;
  say ({}, here);
}

void
Federation::find (const std::vector<std::string> &peers) {
  for (std::size_t at = 0; at < peers.size (); at += kBatch) {
    const std::size_t count = std::min (kBatch, peers.size () - at);
    const auto from = peers.begin () + static_cast<std::ptrdiff_t> (at);
    const std::vector<std::string> batch (from, from + static_cast<std::ptrdiff_t> (count));
    const bool asked = backplane_.find (batch, [this, batch, alive = std::weak_ptr<bool> (alive_)] (
                                                   const std::vector<std::string> &servers) {
      if (alive.expired () || servers.size () != batch.size ()) return;
      for (std::size_t i = 0; i < batch.size (); ++i)
        if (!servers[i].empty ()) on_here (batch[i], servers[i]);
    });
    if (asked) continue;
    // An answer that is never asked for would be a peer that is never seen.
    backplane_.restart ({P2P_ERROR_WOULD_BLOCK, "The backplane takes requests too slowly."});
    return;
  }
}

void
Federation::on_here (const std::string &id, const std::string &server) {
  if (!up_ || server == backplane_.name () || leases_.count (id) != 0) return;
  const auto it = contacts_.find (id);
  if (it != contacts_.end () && it->second.server != server) forget_contact (id);
  for (const std::string &asker : host_.askers_of (id)) tell (asker, id, server, true);
}

void
Federation::backplane_message (const std::string &text) {
  const auto message = parse_server_message (text);
  if (!message) {
    ++totals_.malformed;
    return;
  }
  if (!up_ || message->from == backplane_.name ()) return;
  on_server (*message);
}

void
Federation::on_server (const ServerMessage &message) {
  const std::string &from = message.from;
  servers_[from] = scheduler_.now ();
  if (lost_servers_.erase (from) != 0) {
    // It does not know that it was given up.
    ServerMessage forget;
    forget.kind = ServerMessage::Kind::forget;
    say (from, forget);
    find (host_.asked_peers ());
  }
  switch (message.kind) {
    case ServerMessage::Kind::beat:
      break;
    case ServerMessage::Kind::here:
      for (const std::string &id : message.ids) on_here (id, from);
      break;
    case ServerMessage::Kind::tell:
      on_tell (message);
      break;
    case ServerMessage::Kind::gone:
    case ServerMessage::Kind::absent:
      if (const auto it = contacts_.find (message.id);
          it != contacts_.end () && it->second.server == from)
        forget_contact (message.id);
      break;
    case ServerMessage::Kind::message:
      on_client_message (message);
      break;
    case ServerMessage::Kind::refused:
      ++totals_.dropped;
      host_.remote_refused (message.peer, message.id, message.code);
      break;
    case ServerMessage::Kind::forget:
      forget_server (from);
      lost_servers_.erase (from);
      find (host_.asked_peers ());
      break;
  }
}

void
Federation::on_tell (const ServerMessage &message) {
  const std::string &id = message.peer, &peer = message.id, &from = message.from;
  if (leases_.count (id) == 0) {
    ServerMessage absent;
    absent.kind = ServerMessage::Kind::absent;
    absent.id = id;
    say (from, absent);
    return;
  }
  if (leases_.count (peer) != 0) return;  // of a time before it came here
  if (const auto it = contacts_.find (peer); it != contacts_.end () && it->second.server != from)
    forget_contact (peer);
  const Wish ours = host_.wish_of (id, peer);
  if (message.answer) tell (id, peer, from, false);
  if (!message.asks && !ours.asks) {
    forget_wish (id, peer);
  } else {
    Wish *known = wish (id, peer);
    if (!known && !host_.has_room_for (kWishBytes)) {
      ServerMessage absent;
      absent.kind = ServerMessage::Kind::absent;
      absent.id = id;
      say (from, absent);
      return;
    }
    if (!known) known = &remember (id, peer, from);
    *known = {message.asks, message.any};
  }
  host_.remote_wish_changed (id, peer);
}

void
Federation::on_client_message (const ServerMessage &message) {
  const char *code = "not-present";
  const auto it = contacts_.find (message.id);
  if (it != contacts_.end () && it->second.server == message.from)
    code = host_.remote_message (message.peer, message.id, message.data);
  if (!code) {
    ++totals_.received;
    return;
  }
  ++totals_.dropped;
  ServerMessage refused;
  refused.kind = ServerMessage::Kind::refused;
  refused.id = message.peer;
  refused.peer = message.id;
  refused.code = code;
  say (message.from, refused);
}

void
Federation::backplane_lost (const std::string &id, const std::string &token, Verdict verdict) {
  const auto it = leases_.find (id);
  if (it != leases_.end () && it->second.token == token) host_.registration_lost (id, verdict);
}

void
Federation::backplane_unreachable (const std::string &server) {
  forget_server (server);
}

void
Federation::tell (const std::string &id, const std::string &peer, const std::string &server,
                  bool answer) {
  const Wish ours = host_.wish_of (id, peer);
  // Whoever was told is told as well when the id goes, though no answer has come yet.
  if (ours.asks) remember (id, peer, server);
  ServerMessage message;
  message.kind = ServerMessage::Kind::tell;
  message.id = id;
  message.peer = peer;
  message.asks = ours.asks;
  message.any = ours.any;
  message.answer = answer;
  say (server, message);
}

// To all without a name. What cannot be said would leave two servers with different ideas.
bool
Federation::say (const std::string &server, ServerMessage message) {
  if (!up_) return false;
  message.from = backplane_.name ();
  if (backplane_.publish (server, to_text (message), false)) return true;
  backplane_.restart ({P2P_ERROR_WOULD_BLOCK, "The backplane takes messages too slowly."});
  return false;
}

// The contact is at that server, or nowhere yet.
Wish &
Federation::remember (const std::string &id, const std::string &peer, const std::string &server) {
  Contact &contact = contacts_[peer];
  contact.server = server;
  const auto [place, added] = contact.wishes.try_emplace (id);
  if (added) {
    peers_of_[id].insert (peer);
    ++wishes_;
  }
  return place->second;
}

Wish *
Federation::wish (const std::string &id, const std::string &peer) {
  const auto it = contacts_.find (peer);
  if (it == contacts_.end ()) return nullptr;
  const auto found = it->second.wishes.find (id);
  return found == it->second.wishes.end () ? nullptr : &found->second;
}

void
Federation::forget_wish (const std::string &id, const std::string &peer) {
  const auto it = contacts_.find (peer);
  if (it == contacts_.end () || it->second.wishes.erase (id) == 0) return;
  --wishes_;
  if (it->second.wishes.empty ()) contacts_.erase (it);
  const auto peers = peers_of_.find (id);
  peers->second.erase (peer);
  if (peers->second.empty ()) peers_of_.erase (peers);
}

void
Federation::forget_contact (const std::string &peer) {
  for (const std::string &local : arrived (peer)) host_.remote_wish_changed (local, peer);
}

void
Federation::forget_server (const std::string &server) {
  servers_.erase (server);
  if (lost_servers_.size () == kMaxLostServers) lost_servers_.erase (lost_servers_.begin ());
  lost_servers_.insert (server);
  std::vector<std::string> peers;
  for (const auto &[peer, contact] : contacts_)
    if (contact.server == server) peers.push_back (peer);
  for (const std::string &peer : peers) forget_contact (peer);
}

std::size_t
Federation::memory_bytes () const {
  return leases_.size () * kLeaseBytes + wishes_ * kWishBytes;
}

FederationStats
Federation::stats () const {
  FederationStats stats = totals_;
  stats.up = up_;
  stats.servers = servers_.size ();
  stats.contacts = contacts_.size ();
  return stats;
}

}  // namespace p2p
