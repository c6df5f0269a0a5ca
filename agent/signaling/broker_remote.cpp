// Ids of this server and of others: what a Federation asks of its meeting point.
#include "signaling/broker_private.hpp"

namespace p2p {

void
Broker::claim_decided (const Federation::Enrollment &enrollment, Verdict verdict) {
  const std::string &id = enrollment.id;
  const auto it = clients_.find (enrollment.client);
  if (it == clients_.end ()) {
    if (verdict == Verdict::held && ids_.count (id) == 0) federation_->resign (id);
    return;
  }
  Client &client = *it->second;
  const auto current = ids_.find (id);
  const bool foreign = current != ids_.end () && current->second->owner != enrollment.owner;
  if (verdict == Verdict::taken || verdict == Verdict::replaced) {
    refuse_id (client, id, verdict);
  } else if (verdict == Verdict::unavailable && foreign) {
    refuse_id (client, id, Verdict::taken);
  } else if (client.ids.count (id) == 0 && client.ids.size () >= config_.max_ids_per_client) {
    Frame about;
    about.id = id;
    refuse (client, "limit", "This connection holds as many ids as it may.", about, "id");
    if (verdict == Verdict::held && ids_.count (id) == 0) federation_->resign (id);
  } else {
    enroll (client, id, enrollment.owner, verdict == Verdict::held);
  }
  close_doomed ();
}

void
Broker::registration_lost (const std::string &id, Verdict verdict) {
  const auto it = ids_.find (id);
  if (it == ids_.end ()) return;
  Client &client = *it->second->client;
  drop_registration (id, verdict == Verdict::taken ? Goes::to_another_owner : Goes::away);
  client.ids.erase (id);
  refuse_id (client, id, verdict);
  if (client.ids.empty ()) close_later (client, CloseReason::replaced);
  close_doomed ();
}

Wish
Broker::wish_of (const std::string &id, const std::string &peer) const {
  const auto it = ids_.find (id);
  if (it == ids_.end ()) return {};
  return {it->second->asks.count (peer) != 0, it->second->any};
}

void
Broker::remote_wish_changed (const std::string &id, const std::string &peer) {
  if (const auto it = ids_.find (id); it != ids_.end ()) update_remote_pair (*it->second, peer);
  close_doomed ();
}

// As update_pair(), where the other one is elsewhere, or gone.
void
Broker::update_remote_pair (Registration &one, const std::string &peer) {
  const Wish theirs = federation_->remote_wish (one.id, peer);
  const bool asks = one.asks.count (peer) != 0;
  const bool linked = (asks || (one.any && theirs.asks)) && (theirs.asks || (theirs.any && asks));
  if (linked == (one.links.count (peer) != 0)) return;
  if (linked)
    one.links.insert (peer);
  else
    one.links.erase (peer);
  present (one, peer, linked);
}

void
Broker::update_remote_pairs (Registration &one) {
  if (!federation_) return;
  federation_->any_changed (one.id);
  for (const std::string &peer : federation_->contacts_of (one.id)) update_remote_pair (one, peer);
}

const char *
Broker::remote_message (const std::string &id, const std::string &peer, const std::string &data) {
  const auto it = ids_.find (id);
  const bool linked = it != ids_.end () && it->second->links.count (peer) != 0;
  const char *code = linked ? pass_on (*it->second, peer, data) : "not-present";
  close_doomed ();
  return code;
}

void
Broker::remote_refused (const std::string &id, const std::string &peer, const std::string &code) {
  ++totals_.messages_dropped;
  if (const auto it = ids_.find (id); it != ids_.end ())
    refuse_message (*it->second->client, id, peer, code);
  close_doomed ();
}

std::vector<std::string>
Broker::askers_of (const std::string &peer) const {
  const auto it = asked_by_.find (peer);
  if (it == asked_by_.end ()) return {};
  return {it->second.begin (), it->second.end ()};
}

std::vector<std::string>
Broker::asked_peers () const {
  std::vector<std::string> peers;
  for (const auto &[peer, askers] : asked_by_)
    if (ids_.count (peer) == 0) peers.push_back (peer);
  return peers;
}

std::vector<Claim>
Broker::kept_ids () const {
  std::vector<Claim> kept;
  for (const Held &one : held_order_)
    kept.push_back ({one.id, one.owner, {}, scheduler_.now () - (one.until - config_.hold_us)});
  return kept;
}

void
Broker::backplane_changed (bool up, const std::string &reason) {
  front_end_.broker_backplane (up, reason);
}

FederationStats
Broker::backplane_stats () const {
  return federation_ ? federation_->stats () : FederationStats ();
}

}  // namespace p2p
