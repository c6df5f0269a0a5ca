#include "signaling/broker.hpp"

#include <deque>

#include "signaling/key_proof.hpp"

namespace p2p {

namespace {

constexpr TimeUs kTickUs = 5 * kSecond;
// Three heartbeats: one may be lost to a stall, and one is under way.
constexpr std::uint32_t kSilentHeartbeats = 3;
// A client confirms what it took by answering pings; one is sent after this much.
constexpr std::size_t kPingEveryBytes = 32 * 1024;
// Less than that is asked about when the clock ticks, but not for a mere greeting.
constexpr std::size_t kIdlePingBytes = 1024;
// What an object costs beside its strings: map nodes, buckets, and the socket under a client.
constexpr std::size_t kClientBytes = 8 * 1024;
constexpr std::size_t kIdBytes = 512;
constexpr std::size_t kAskBytes = 256;

}  // namespace

struct Broker::Client {
  Client (ClientId number, std::string where, const BrokerConfig &config, TimeUs now)
      : id (number),
        source (std::move (where)),
        challenge (random_bytes (kChallengeBytes)),
        since (now),
        last_heard (now),
        frames (config.frames, now),
        bytes (config.bytes, now),
        registrations (config.registrations, now),
        bad_frames (config.bad_frames, now) {}

  ClientId id;
  std::string source, challenge;
  TimeUs since, last_heard;
  TokenBucket frames, bytes, registrations, bad_frames;
  std::set<std::string> ids;
  bool registered_once = false;
  std::uint64_t sent_bytes = 0, acked_bytes = 0, pinged_bytes = 0;
  std::uint64_t next_seq = 1;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> pings;  // seq, sent_bytes at that time
};

struct Broker::Registration {
  std::string id, owner;
  Client *client;
  bool any = false;
  std::set<std::string> asks;
  std::set<std::string> links;  // peers that are told to be present
};

struct Broker::Held {
  std::string id, owner;
  TimeUs until;
};

Broker::Broker (const BrokerConfig &config, Scheduler &scheduler, FrontEnd &front_end)
    : config_ (config),
      scheduler_ (scheduler),
      front_end_ (front_end),
      timer_ (scheduler.make_timer ([this] { tick (); })) {
  timer_->arm (scheduler_.now () + kTickUs);
}

Broker::~Broker () = default;

bool
Broker::connect (ClientId id, const std::string &source) {
  const char *why = nullptr;
  if (clients_.size () >= config_.max_clients || !has_room (kClientBytes))
    why = "The server is full; try again later.";
  else if (const auto it = sources_.find (source); config_.max_clients_per_source != 0 &&
                                                   it != sources_.end () &&
                                                   it->second >= config_.max_clients_per_source)
    why = "There are too many connections from this address.";
  if (why) {
    Frame error;
    error.code = "full";
    error.text = why;
    front_end_.broker_send (id, to_json (error));
    ++totals_.closed;
    front_end_.broker_close (id, CloseReason::full);
    return false;
  }
  auto &client = clients_[id];
  client = std::make_unique<Client> (id, source, config_, scheduler_.now ());
  ++sources_[source];
  memory_bytes_ += kClientBytes;
  Frame welcome;
  welcome.type = FrameType::welcome;
  welcome.version = kSignalVersion;
  welcome.challenge = client->challenge;
  welcome.stun_port = config_.stun_port;
  welcome.heartbeat_s = config_.heartbeat_s;
  send (*client, welcome);
  return true;
}

void
Broker::disconnect (ClientId id) {
  forget (id);
  close_doomed ();
}

void
Broker::receive (ClientId id, ByteView text) {
  const auto it = clients_.find (id);
  if (it == clients_.end ()) return;
  Client &client = *it->second;
  const TimeUs now = scheduler_.now ();
  client.last_heard = now;
  if (!client.frames.take (1, now) || !client.bytes.take (text.size, now)) {
    // Read all the same, so that the error can say which message was lost.
    const auto parsed = parse_frame (text);
    const Frame *frame = std::get_if<Frame> (&parsed);
    if (frame && frame->type == FrameType::message) ++totals_.messages_dropped;
    refuse (client, "rate", "This connection sends more than it may; the frame was dropped.",
            frame ? *frame : Frame{});
    strike (client);
  } else {
    const auto parsed = parse_frame (text);
    if (const auto *error = std::get_if<FrameError> (&parsed)) {
      ++totals_.bad_frames;
      refuse (client, error->code, error->text, {}, error->field);
      strike (client);
    } else {
      on_frame (client, std::get<Frame> (parsed));
    }
  }
  close_doomed ();
}

void
Broker::receive_bad (ClientId id, const FrameError &error) {
  const auto it = clients_.find (id);
  if (it == clients_.end ()) return;
  it->second->last_heard = scheduler_.now ();
  ++totals_.bad_frames;
  refuse (*it->second, error.code, error.text, {}, error.field);
  strike (*it->second);
  close_doomed ();
}

void
Broker::on_frame (Client &client, const Frame &frame) {
  switch (frame.type) {
    case FrameType::enroll:
      on_register (client, frame);
      break;
    case FrameType::resign:
      if (own (client, frame.id, "not-registered")) {
        drop_registration (frame.id);
        client.ids.erase (frame.id);
      }
      break;
    case FrameType::ask:
      on_ask (client, frame);
      break;
    case FrameType::unask:
      on_unask (client, frame);
      break;
    case FrameType::message:
      on_message (client, frame);
      break;
    case FrameType::ping: {
      Frame pong;
      pong.type = FrameType::pong;
      pong.seq = frame.seq;
      send (client, pong);
      break;
    }
    case FrameType::pong:
      on_pong (client, frame);
      break;
    case FrameType::error:
      break;  // a client has nothing to complain about that we could mend
    case FrameType::welcome:
    case FrameType::registered:
    case FrameType::peer:
      refuse (client, "unknown-type", "The field \"type\" names a frame that only a server sends.",
              {}, "type");
      strike (client);
      break;
  }
}

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
    refuse (client, "id-taken", "Another key holds the id \"" + frame.id + "\".", frame, "id");
    return;
  }
  if (!has_room (kIdBytes)) {
    refuse (client, "full", "The server is full; try again later.", frame);
    return;
  }
  Frame answer;
  answer.type = FrameType::registered;
  answer.id = frame.id;
  if (current != ids_.end ()) {
    Client &old = *current->second->client;
    if (&old == &client) {
      send (client, answer);
      return;
    }
    drop_registration (frame.id);
    old.ids.erase (frame.id);
    refuse (old, "replaced", "The same key has registered \"" + frame.id + "\" from elsewhere.",
            answer);
    if (old.ids.empty ()) close_later (old, CloseReason::replaced);
  }
  if (const auto again = held_.find (frame.id); again != held_.end ()) {
    held_order_.erase (again->second);
    held_.erase (again);
    memory_bytes_ -= kIdBytes;
  }
  auto registration = std::make_unique<Registration> ();
  registration->id = frame.id;
  registration->owner = owner;
  registration->client = &client;
  ids_[frame.id] = std::move (registration);
  memory_bytes_ += kIdBytes;
  client.ids.insert (frame.id);
  client.registered_once = true;
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
    const auto askers = asked_by_.find (one->id);
    if (askers == asked_by_.end ()) return;
    for (const std::string &asker : askers->second)
      if (const auto it = ids_.find (asker); it != ids_.end ()) update_pair (*one, *it->second);
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
  if (const auto it = ids_.find (frame.peer); it != ids_.end ()) update_pair (*one, *it->second);
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
    return;
  }
  if (one->asks.erase (frame.peer) == 0) return;
  memory_bytes_ -= kAskBytes;
  const auto askers = asked_by_.find (frame.peer);
  askers->second.erase (one->id);
  if (askers->second.empty ()) asked_by_.erase (askers);
  if (const auto it = ids_.find (frame.peer); it != ids_.end ()) update_pair (*one, *it->second);
}

void
Broker::on_message (Client &client, const Frame &frame) {
  Registration *one = own (client, frame.id, "not-registered");
  if (!one) {
    ++totals_.messages_dropped;
    return;
  }
  if (one->links.count (frame.peer) == 0) {
    ++totals_.messages_dropped;
    refuse (client, "not-present", "\"" + frame.peer + "\" is not there, or has not asked for you.",
            frame, "peer");
    return;
  }
  const Registration &other = *ids_.at (frame.peer);
  Frame out = frame;
  out.id = frame.peer;
  out.peer = frame.id;
  const std::string text = to_json (out);
  Client &to = *other.client;
  // A quarter is kept free for presence, so that a sender alone cannot get its peer closed.
  if (to.sent_bytes - to.acked_bytes + text.size () > config_.max_unacked_bytes / 4 * 3 ||
      !has_room (text.size ())) {
    ++totals_.messages_dropped;
    refuse (client, "peer-busy",
            "\"" + frame.peer + "\" takes messages too slowly; it was dropped.", frame, "peer");
    return;
  }
  ++totals_.messages;
  deliver (to, text);
}

void
Broker::on_pong (Client &client, const Frame &frame) {
  while (!client.pings.empty () && client.pings.front ().first <= frame.seq) {
    memory_bytes_ -= client.pings.front ().second - client.acked_bytes;
    client.acked_bytes = client.pings.front ().second;
    client.pings.pop_front ();
  }
}

// Takes the registration away, tells its peers, and keeps the id for its owner.
void
Broker::drop_registration (const std::string &id) {
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
  if (config_.hold_us > 0) hold (id, gone->owner);
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

void
Broker::send (Client &client, const Frame &frame) {
  deliver (client, to_json (frame));
}

void
Broker::deliver (Client &client, const std::string &text) {
  if (doomed_.count (client.id) != 0) return;
  client.sent_bytes += text.size ();
  memory_bytes_ += text.size ();
  if (client.sent_bytes - client.acked_bytes > config_.max_unacked_bytes) {
    close_later (client, CloseReason::slow);
    return;
  }
  front_end_.broker_send (client.id, text);
  if (client.sent_bytes - client.pinged_bytes >= kPingEveryBytes) probe (client);
}

// Asks the client to confirm everything that was sent up to here.
void
Broker::probe (Client &client) {
  Frame ping;
  ping.type = FrameType::ping;
  ping.seq = client.next_seq++;
  const std::string ping_text = to_json (ping);
  client.sent_bytes += ping_text.size ();
  memory_bytes_ += ping_text.size ();
  client.pinged_bytes = client.sent_bytes;
  client.pings.emplace_back (ping.seq, client.sent_bytes);
  front_end_.broker_send (client.id, ping_text);
}

void
Broker::refuse (Client &client, const std::string &code, const std::string &text,
                const Frame &about, const std::string &field) {
  Frame error;
  error.type = FrameType::error;
  error.code = code;
  error.text = text;
  error.field = field;
  error.id = about.id;
  error.peer = about.peer;
  send (client, error);
}

void
Broker::strike (Client &client) {
  if (!client.bad_frames.take (1, scheduler_.now ())) close_later (client, CloseReason::abuse);
}

// Closing takes registrations away, which the caller may hold; so it waits for close_doomed().
void
Broker::close_later (Client &client, CloseReason reason) {
  doomed_.emplace (client.id, reason);
}

void
Broker::close_doomed () {
  while (!doomed_.empty ()) {
    const auto [id, reason] = *doomed_.begin ();
    forget (id);  // may doom others
    doomed_.erase (id);
    ++totals_.closed;
    front_end_.broker_close (id, reason);
  }
}

void
Broker::forget (ClientId id) {
  const auto it = clients_.find (id);
  if (it == clients_.end ()) return;
  const std::unique_ptr<Client> client = std::move (it->second);
  clients_.erase (it);
  if (const auto source = sources_.find (client->source); --source->second == 0)
    sources_.erase (source);
  for (const std::string &held : client->ids) drop_registration (held);
  memory_bytes_ -= kClientBytes + client->sent_bytes - client->acked_bytes;
}

bool
Broker::has_room (std::size_t bytes) const {
  return memory_bytes_ + bytes <= config_.max_memory_bytes;
}

void
Broker::tick () {
  const TimeUs now = scheduler_.now ();
  timer_->arm (now + kTickUs);
  release_expired ();
  const TimeUs silent_us = TimeUs{kSilentHeartbeats} * config_.heartbeat_s * kSecond;
  for (const auto &[id, client] : clients_) {
    if (now - client->last_heard >= silent_us ||
        (!client->registered_once && now - client->since >= config_.register_within_us))
      close_later (*client, CloseReason::silent);
    else if (client->sent_bytes - client->pinged_bytes >= kIdlePingBytes)
      probe (*client);
  }
  close_doomed ();
}

BrokerStats
Broker::stats () const {
  BrokerStats stats = totals_;
  stats.clients = clients_.size ();
  stats.ids = ids_.size ();
  stats.held = held_.size ();
  stats.memory_bytes = memory_bytes_;
  return stats;
}

}  // namespace p2p
