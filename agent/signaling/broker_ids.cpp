// Who holds which id, and who asked for whom.
#include "signaling/broker_private.hpp"

namespace p2p {

// Who would own the id by this frame; false after an error was sent.
bool
Broker::owner_of (const Client &client, const Frame &frame, std::string &owner) {
  if (!config_.require_proof) {
    owner = frame.key;
    return true;
  }
  auto proof = verify_registration (client.challenge, frame.id, frame.key, frame.signature);
  if (proof) {
    owner = std::move (*proof);
    return true;
  }
  return false;
}

void
Broker::on_register (Client &client, const Frame &frame) {
  if (!client.registrations.take (1, scheduler_.now ())) {
    refuse (client, "rate", "This connection registers ids faster than it may.", frame);
    strike (client);
    return;
  }
  if (client.ids.count (frame.id) == 0 && client.ids.size () >= config_.max_ids_per_client) {
    refuse (client, "limit",
            "One connection holds at most " + std::to_string (config_.max_ids_per_client) + " ids.",
            frame, "id");
    return;
  }
  std::string owner;
  if (!owner_of (client, frame, owner)) {
    refuse (client, "bad-proof",
            "The fields \"key\" and \"signature\" do not prove a P-256 key for this id.", frame,
            "signature");
    strike (client);
    return;
  }

  release_expired ();
  const auto held = held_.find (frame.id);
  const auto current = ids_.find (frame.id);
  const bool foreign = (held != held_.end () && held->second->owner != owner) ||
                       (current != ids_.end () && current->second->owner != owner);
  if (foreign) {
    refuse_id (client, frame.id, Verdict::taken);
    return;
  }
  if (!has_room (kIdBytes)) {
    refuse (client, "full", "The server is full; try again later.", frame);
    return;
  }
  const bool again = current != ids_.end () && current->second->client == &client;
  if (again || !federation_ || !federation_->up ())
    enroll (client, frame.id, owner, false);
  else if (!federation_->claim ({client.id, frame.id, owner}))
    refuse (client, "full", "The server is busy; try again later.", frame);
}

void
Broker::refuse_id (Client &client, const std::string &id, Verdict verdict) {
  Frame about;
  about.id = id;
  if (verdict == Verdict::replaced)
    refuse (client, "replaced", "The same key has registered \"" + id + "\" from elsewhere.",
            about);
  else
    refuse (client, "id-taken", "Another key holds the id \"" + id + "\".", about, "id");
}

// Nobody else may have it. `claimed`: the other servers know already.
void
Broker::enroll (Client &client, const std::string &id, const std::string &owner, bool claimed) {
  Frame answer;
  answer.type = FrameType::registered;
  answer.id = id;
  if (const auto current = ids_.find (id); current != ids_.end ()) {
    Client &old = *current->second->client;
    if (&old == &client) {
      send (client, answer);
      return;
    }
    drop_registration (id, Goes::to_another_client);
    old.ids.erase (id);
    refuse_id (old, id, Verdict::replaced);
    if (old.ids.empty ()) close_later (old, CloseReason::replaced);
  }
  if (const auto held = held_.find (id); held != held_.end ()) {
    held_order_.erase (held->second);
    held_.erase (held);
    memory_bytes_ -= kIdBytes;
  }
  auto registration = std::make_unique<Registration> ();
  registration->id = id;
  registration->owner = owner;
  registration->client = &client;
  ids_[id] = std::move (registration);
  memory_bytes_ += kIdBytes;
  client.ids.insert (id);
  client.registered_once = true;
  if (federation_) {
    if (!claimed) federation_->adopt (id, owner);
    for (const std::string &local : federation_->arrived (id)) remote_wish_changed (local, id);
  }
  send (client, answer);
}

// The registration that this client holds under this id; null after an error was sent.
Broker::Registration *
Broker::own (Client &client, const std::string &id, const char *code) {
  const auto it = ids_.find (id);
  if (it != ids_.end () && it->second->client == &client) return it->second.get ();
  Frame about;
  about.id = id;
  refuse (client, code, "This connection has not registered \"" + id + "\".", about, "id");
  return nullptr;
}

void
Broker::on_ask (Client &client, const Frame &frame) {
  Registration *one = own (client, frame.id, "not-registered");
  if (!one) return;
  if (frame.peer == frame.id) {
    refuse (client, "bad-field", "An id cannot ask for itself.", frame, "peer");
    return;
  }
  if (frame.peer == kAnyPeer) {
    one->any = true;
    if (const auto askers = asked_by_.find (one->id); askers != asked_by_.end ())
      for (const std::string &asker : askers->second)
        if (const auto it = ids_.find (asker); it != ids_.end ()) update_pair (*one, *it->second);
    update_remote_pairs (*one);
    return;
  }
  if (one->asks.count (frame.peer) != 0) return;
  if (one->asks.size () >= config_.max_asks_per_id || !has_room (kAskBytes)) {
    refuse (client, "limit",
            "One id asks for at most " + std::to_string (config_.max_asks_per_id) + " peers.",
            frame, "peer");
    return;
  }
  one->asks.insert (frame.peer);
  asked_by_[frame.peer].insert (one->id);
  memory_bytes_ += kAskBytes;
  update_named_pair (*one, frame.peer);
}

void
Broker::on_unask (Client &client, const Frame &frame) {
  Registration *one = own (client, frame.id, "not-registered");
  if (!one) return;
  if (frame.peer == kAnyPeer) {
    one->any = false;
    const std::set<std::string> links = one->links;
    for (const std::string &peer : links)
      if (const auto it = ids_.find (peer); it != ids_.end ()) update_pair (*one, *it->second);
    update_remote_pairs (*one);
    return;
  }
  if (one->asks.erase (frame.peer) == 0) return;
  memory_bytes_ -= kAskBytes;
  const auto askers = asked_by_.find (frame.peer);
  askers->second.erase (one->id);
  if (askers->second.empty ()) asked_by_.erase (askers);
  update_named_pair (*one, frame.peer);
}

// Takes the registration away, tells its peers, and keeps the id for its owner.
void
Broker::drop_registration (const std::string &id, Goes where) {
  const auto it = ids_.find (id);
  if (it == ids_.end ()) return;
  const std::unique_ptr<Registration> gone = std::move (it->second);
  ids_.erase (it);
  memory_bytes_ -= kIdBytes + gone->asks.size () * kAskBytes;
  for (const std::string &peer : gone->asks) {
    const auto askers = asked_by_.find (peer);
    askers->second.erase (id);
    if (askers->second.empty ()) asked_by_.erase (askers);
  }
  for (const std::string &peer : gone->links) {
    const auto other = ids_.find (peer);
    if (other == ids_.end ()) continue;
    other->second->links.erase (id);
    present (*other->second, id, false);
  }
  if (federation_ && where == Goes::to_another_client) federation_->detach (id);
  if (federation_ && where != Goes::to_another_client) federation_->resign (id);
  if (config_.hold_us > 0 && where != Goes::to_another_owner) hold (id, gone->owner);
}

void
Broker::hold (const std::string &id, const std::string &owner) {
  if (config_.max_held == 0) return;
  if (held_order_.size () >= config_.max_held || !has_room (kIdBytes)) {
    if (held_order_.empty ()) return;
    held_.erase (held_order_.front ().id);
    held_order_.pop_front ();
    memory_bytes_ -= kIdBytes;
  }
  held_order_.push_back ({id, owner, scheduler_.now () + config_.hold_us});
  held_[id] = std::prev (held_order_.end ());
  memory_bytes_ += kIdBytes;
}

void
Broker::release_expired () {
  // One hold time for all: the first in the list is the first to end.
  while (!held_order_.empty () && held_order_.front ().until <= scheduler_.now ()) {
    held_.erase (held_order_.front ().id);
    held_order_.pop_front ();
    memory_bytes_ -= kIdBytes;
  }
}

void
Broker::update_named_pair (Registration &one, const std::string &peer) {
  if (const auto it = ids_.find (peer); it != ids_.end ()) {
    update_pair (one, *it->second);
  } else if (federation_) {
    federation_->wish_changed (one.id, peer);
    update_remote_pair (one, peer);
  }
}

bool
Broker::wants (const Registration &one, const Registration &other) const {
  return one.asks.count (other.id) != 0 || (one.any && other.asks.count (one.id) != 0);
}

void
Broker::update_pair (Registration &one, Registration &other) {
  const bool linked = wants (one, other) && wants (other, one);
  if (linked == (one.links.count (other.id) != 0)) return;
  if (linked) {
    one.links.insert (other.id);
    other.links.insert (one.id);
  } else {
    one.links.erase (other.id);
    other.links.erase (one.id);
  }
  present (one, other.id, linked);
  present (other, one.id, linked);
}

void
Broker::present (const Registration &to, const std::string &peer, bool is_present) {
  Frame frame;
  frame.type = FrameType::peer;
  frame.id = to.id;
  frame.peer = peer;
  frame.present = is_present;
  send (*to.client, frame);
}

}  // namespace p2p
