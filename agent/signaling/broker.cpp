#include "signaling/broker_private.hpp"

namespace p2p {

namespace {

constexpr TimeUs kTickUs = 5 * kSecond;
// Three heartbeats: one may be lost to a stall, and one is under way.
constexpr std::uint32_t kSilentHeartbeats = 3;
// A client confirms what it took by answering pings; one is sent after this much.
constexpr std::size_t kPingEveryBytes = 32 * 1024;
// Less than that is asked about when the clock ticks, but not for a mere greeting.
constexpr std::size_t kIdlePingBytes = 1024;

}  // namespace

Broker::Broker (const BrokerConfig &config, Scheduler &scheduler, FrontEnd &front_end,
                Backplane *backplane)
    : config_ (config),
      scheduler_ (scheduler),
      front_end_ (front_end),
      timer_ (scheduler.make_timer ([this] { tick (); })) {
  timer_->arm (scheduler_.now () + kTickUs);
  if (backplane)
    federation_ = std::make_unique<Federation> (
        *backplane, scheduler, static_cast<Federation::Host &> (*this), config.hold_us);
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
        drop_registration (frame.id, Goes::away);
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

void
Broker::on_message (Client &client, const Frame &frame) {
  Registration *one = own (client, frame.id, "not-registered");
  if (!one) {
    ++totals_.messages_dropped;
    return;
  }
  if (one->links.count (frame.peer) == 0) {
    ++totals_.messages_dropped;
    refuse_message (client, frame.id, frame.peer, "not-present");
    return;
  }
  const auto other = ids_.find (frame.peer);
  const char *code = other == ids_.end () ? federation_->send (frame.id, frame.peer, frame.data)
                                          : pass_on (*other->second, frame.id, frame.data);
  if (!code) return;
  ++totals_.messages_dropped;
  refuse_message (client, frame.id, frame.peer, code);
}

// Null, or the code of the error for the one who sent it.
const char *
Broker::pass_on (Registration &to, const std::string &from, const std::string &data) {
  Frame out;
  out.type = FrameType::message;
  out.id = to.id;
  out.peer = from;
  out.data = data;
  const std::string text = to_json (out);
  // A quarter is kept free for presence, so that a sender alone cannot get its peer closed.
  const Client &client = *to.client;
  if (client.sent_bytes - client.acked_bytes + text.size () > config_.max_unacked_bytes / 4 * 3 ||
      !has_room (text.size ()))
    return "peer-busy";
  ++totals_.messages;
  deliver (*to.client, text);
  return nullptr;
}

void
Broker::refuse_message (Client &client, const std::string &id, const std::string &peer,
                        const std::string &code) {
  Frame about;
  about.id = id;
  about.peer = peer;
  refuse (client, code,
          "\"" + peer + "\" " +
              (code == "peer-busy" ? "takes messages too slowly; it was dropped."
                                   : "is not there, or has not asked for you."),
          about, "peer");
}

void
Broker::on_pong (Client &client, const Frame &frame) {
  while (!client.pings.empty () && client.pings.front ().first <= frame.seq) {
    memory_bytes_ -= client.pings.front ().second - client.acked_bytes;
    client.acked_bytes = client.pings.front ().second;
    client.pings.pop_front ();
  }
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
  for (const std::string &held : client->ids) drop_registration (held, Goes::away);
  memory_bytes_ -= kClientBytes + client->sent_bytes - client->acked_bytes;
}

std::size_t
Broker::memory_in_use () const {
  return memory_bytes_ + (federation_ ? federation_->memory_bytes () : 0);
}

bool
Broker::has_room (std::size_t bytes) const {
  return memory_in_use () + bytes <= config_.max_memory_bytes;
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
  stats.memory_bytes = memory_in_use ();
  return stats;
}

}  // namespace p2p
