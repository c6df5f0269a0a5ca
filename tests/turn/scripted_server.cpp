#include "scripted_server.hpp"

#include <algorithm>
#include <cstring>

#include "turn/integrity.hpp"

namespace p2p::test {

using turn::PasswordAlgorithm;

int
ScriptedServer::count (Method method) const {
  return static_cast<int> (std::count_if (seen.begin (), seen.end (),
                                          [&] (const Seen &one) { return one.method == method; }));
}

const Seen &
ScriptedServer::last (Method method) const {
  static const Seen none{};
  for (auto one = seen.rbegin (); one != seen.rend (); ++one)
    if (one->method == method) return *one;
  ADD_FAILURE () << "no " << method_name (method) << " came";
  return none;
}

void
ScriptedServer::restart () {
  allocations_.clear ();
  ++nonce_;
}

void
ScriptedServer::stale () {
  ++nonce_;
}

std::string
ScriptedServer::nonce () const {
  const std::string number = host_ + std::to_string (nonce_);
  const int features = (sha256 ? 1 : 0) | (anonymous ? 2 : 0);
  if (features == 0) return number;
  return std::string ("obMatJos2AAA") + static_cast<char> ('A' + features) + number;
}

turn::Key
ScriptedServer::key () const {
  return turn::long_term_key (sha256 ? PasswordAlgorithm::sha256 : PasswordAlgorithm::md5, user,
                              realm, password);
}

bool
ScriptedServer::authentic (const Message &request) const {
  const std::uint16_t which = sha256 ? turn::kMessageIntegritySha256 : turn::kMessageIntegrity;
  return request.check_integrity (which, key ());
}

void
ScriptedServer::add_challenge (MessageWriter *out) const {
  out->add_text (turn::kRealm, realm);
  out->add_text (turn::kNonce, nonce ());
  if (sha256 && !hide_algorithms)
    out->add (turn::kPasswordAlgorithms, ByteView ("\0\2\0\0\0\1\0\0", 8));
}

std::vector<std::uint8_t>
ScriptedServer::reply (const Message &request, const Answer &how,
                       const std::function<void (MessageWriter *)> &fill) {
  if (how.silent) return {};
  if (how.raw) {
    auto bytes = *how.raw;
    if (bytes.size () >= 20)
      std::copy (request.id ().begin (), request.id ().end (), bytes.begin () + 8);
    return bytes;
  }
  MessageWriter out (how.code ? MessageClass::error : MessageClass::success, request.method (),
                     request.id ());
  if (how.code) out.add_error (how.code, "scripted");
  if (how.code == 401 || how.code == 438) add_challenge (&out);
  if (how.extra) how.extra (&out);
  if (!how.code && fill) fill (&out);
  if (how.is_signed && how.code != 401 && how.code != 438)
    out.add_integrity (sha256 ? turn::kMessageIntegritySha256 : turn::kMessageIntegrity, key ());
  out.add_fingerprint ();
  return out.take ();
}

std::vector<std::uint8_t>
ScriptedServer::receive (std::uint64_t tuple, ByteView packet) {
  if (dead) return {};
  if (const auto data = turn::parse_channel_data (packet)) {
    const auto allocation = allocations_.find (tuple);
    if (allocation == allocations_.end ()) return {};
    const auto channel = allocation->second.channels.find (data->channel);
    if (channel != allocation->second.channels.end ())
      relayed_data.push_back (channel->second.text () + "=" + data->data.to_string ());
    return {};
  }
  const auto message = Message::parse (packet);
  if (!message) {
    ADD_FAILURE () << "the client sent nonsense";
    return {};
  }
  if (message->message_class () == MessageClass::indication) {
    const auto peer = message->find_xor_address (turn::kXorPeerAddress);
    const auto data = message->find (turn::kData);
    const auto allocation = allocations_.find (tuple);
    if (peer && data && allocation != allocations_.end () &&
        allocation->second.permissions.count (peer->without_port ()))
      relayed_data.push_back (peer->text () + "~" + data->to_string ());
    return {};
  }
  Seen one{message->method (),
           {},
           tuple,
           message->find_u32 (turn::kLifetime),
           message->find_xor_addresses (turn::kXorPeerAddress),
           clock_.now ()};
  for (std::uint32_t type = 0; type <= 0xffff; ++type)
    if (type < 0x40 || (type >= 0x8000 && type < 0x8040))
      if (message->has (static_cast<std::uint16_t> (type)))
        one.attributes.insert (static_cast<std::uint16_t> (type));
  seen.push_back (one);
  auto &next = script[message->method ()];
  const bool signed_one = one.attributes.count (turn::kNonce) > 0;
  // A script is for requests that are past the challenge.
  if (!next.empty () && (signed_one || next.front ().at_once)) {
    const Answer how = next.front ();
    next.pop_front ();
    return reply (*message, how, nullptr);
  }
  return answer (*message, tuple);
}

std::vector<std::uint8_t>
ScriptedServer::answer (const Message &request, std::uint64_t tuple) {
  const auto error = [&] (int code) {
    return reply (request, {code, false, true, {}, {}, false}, nullptr);
  };
  if (!request.has (turn::kNonce)) return error (401);
  if (stale_always || request.find_text (turn::kNonce) != nonce ()) return error (438);
  if (!authentic (request)) return error (401);
  if (anonymous != request.has (turn::kUserhash)) return error (400);

  const auto held = allocations_.find (tuple);
  if (request.method () == Method::allocate) {
    if (held != allocations_.end ()) return error (437);
    if (request.find_u32 (turn::kRequestedAddressFamily) == 2U << 24 && !ipv6) return error (440);
    Allocation made;
    made.port = next_port_++;
    if (mobility && request.has (turn::kMobilityTicket))
      made.ticket = "ticket" + std::to_string (tuple);
    allocations_[tuple] = made;
    return reply (request, {}, [&] (MessageWriter *out) {
      out->add_xor_address (turn::kXorRelayedAddress, address (relay_ip, made.port));
      if (request.has (turn::kAdditionalAddressFamily)) {
        if (ipv6)
          out->add_xor_address (turn::kXorRelayedAddress, address ("2001:db8::9", made.port));
        else
          out->add (turn::kAddressErrorCode, ByteView ("\2\0\4\50", 4));
      }
      out->add_xor_address (turn::kXorMappedAddress, address ("192.0.2.1", 1024));
      out->add_u32 (turn::kLifetime, lifetime_s);
      if (!made.ticket.empty ()) out->add_text (turn::kMobilityTicket, made.ticket);
    });
  }
  if (request.method () == Method::refresh && request.has (turn::kMobilityTicket)) {
    for (auto &[other, allocation] : allocations_) {
      if (allocation.ticket != request.find_text (turn::kMobilityTicket)) continue;
      Allocation moved = allocation;
      moved.ticket += "+";
      allocations_.erase (other);
      allocations_[tuple] = moved;
      return reply (request, {}, [&] (MessageWriter *out) {
        out->add_u32 (turn::kLifetime, lifetime_s);
        out->add_text (turn::kMobilityTicket, moved.ticket);
      });
    }
    return error (437);
  }
  if (held == allocations_.end ()) return error (437);
  const auto peers = request.find_xor_addresses (turn::kXorPeerAddress);
  switch (request.method ()) {
    case Method::refresh: {
      const auto wanted = request.find_u32 (turn::kLifetime);
      if (wanted == 0U) allocations_.erase (held);
      return reply (request, {}, [&] (MessageWriter *out) {
        out->add_u32 (turn::kLifetime, wanted == 0U ? 0 : lifetime_s);
      });
    }
    case Method::create_permission:
    case Method::channel_bind:
      if (peers.empty ()) return error (400);
      for (const Address &peer : peers)
        if (forbidden.count (peer.without_port ())) return error (403);
      for (const Address &peer : peers) held->second.permissions.insert (peer.without_port ());
      if (request.method () == Method::channel_bind)
        held->second
            .channels[static_cast<std::uint16_t> (*request.find_u32 (turn::kChannelNumber) >> 16)] =
            peers.front ();
      return reply (request, {}, nullptr);
    case Method::binding:
    case Method::allocate:
    case Method::send:
    case Method::data:
      break;
  }
  return error (400);
}

std::vector<std::uint8_t>
ScriptedServer::from_peer (std::uint64_t tuple, const Address &peer, const std::string &text) {
  const auto held = allocations_.find (tuple);
  if (held == allocations_.end () || !held->second.permissions.count (peer.without_port ()))
    return {};
  for (const auto &[channel, to] : held->second.channels) {
    if (to != peer) continue;
    std::vector<std::uint8_t> out;
    turn::append_channel_data (&out, channel, ByteView (text), false);
    return out;
  }
  MessageWriter out (MessageClass::indication, Method::data, turn::random_transaction_id ());
  out.add_xor_address (turn::kXorPeerAddress, peer);
  out.add_text (turn::kData, text);
  return out.take ();
}

TurnBench::TurnBench () = default;
TurnBench::~TurnBench () {
  client.reset ();
}

ScriptedServer &
TurnBench::server (const std::string &host) {
  auto &one = servers[host];
  if (!one) one = std::make_unique<ScriptedServer> (clock, host);
  return *one;
}

turn::ClientConfig
TurnBench::config (std::vector<std::string> hosts, turn::Protocol protocol) const {
  turn::ClientConfig out;
  for (const auto &host : hosts) out.servers.push_back ({host, 3478, protocol, {"user", "secret"}});
  return out;
}

void
TurnBench::start (const turn::ClientConfig &config) {
  for (const auto &one : config.servers) server (one.host);
  client = std::make_unique<turn::Client> (clock, *this, config);
  client->start ();
}

void
TurnBench::allocate (const turn::ClientConfig &config) {
  start (config);
  ASSERT_TRUE (until (Event::Kind::allocated));
}

bool
TurnBench::until (Event::Kind kind, TimeUs limit) {
  return clock.run_until_true ([&] { return count (kind) > 0; }, limit);
}

int
TurnBench::count (Event::Kind kind) const {
  return static_cast<int> (std::count_if (events.begin (), events.end (),
                                          [&] (const Event &one) { return one.kind == kind; }));
}

const Event *
TurnBench::last (Event::Kind kind) const {
  for (auto one = events.rbegin (); one != events.rend (); ++one)
    if (one->kind == kind) return &*one;
  return nullptr;
}

void
TurnBench::after (TimeUs delay, std::function<void ()> work) {
  timers_.push_back (nullptr);
  const auto at = std::prev (timers_.end ());
  *at = clock.make_timer ([this, at, work = std::move (work)] {
    const auto keep = std::move (*at);
    timers_.erase (at);
    work ();
  });
  (*at)->arm (clock.now () + delay);
}

void
TurnBench::open_transport (const turn::Target &target) {
  targets.push_back (target);
  tuple = ++tuples;
  const auto found = servers.find (target.host);
  const bool stream = !turn::is_datagram (target.protocol);
  const bool works = found != servers.end () && (!stream || found->second->connects);
  hosts_[tuple] = target.host;
  after (stream ? kRoundTrip : 0, [this, works, stream, mine = tuple] {
    if (mine != tuple || !client) return;
    if (works)
      client->transport_opened (stream);
    else
      client->transport_failed ("nobody listens there");
  });
}

void
TurnBench::close_transport () {
  tuple = 0;
}

bool
TurnBench::send_packet (ByteView packet) {
  if (tuple == 0) return false;
  after (kOneWay,
         [this, mine = tuple, bytes = std::vector<std::uint8_t> (packet.begin (), packet.end ())] {
           const auto back = server (hosts_[mine]).receive (mine, bytes);
           if (back.empty ()) return;
           after (kOneWay, [this, mine, back] {
             if (mine == tuple && client) client->receive (back);
           });
         });
  return true;
}

void
TurnBench::turn_event (const Event &event) {
  events.push_back (event);
}

void
TurnBench::turn_received (const Address &peer, ByteView data) {
  received.push_back (peer.text () + "=" + data.to_string ());
}

void
TurnBench::credentials_wanted (const turn::Server &) {
  ++wanted;
  if (fresh)
    after (0, [this] { client->set_credentials (*fresh); });
  else
    after (0, [this] { client->keep_credentials (); });
}

void
TurnBench::peer_sends (const std::string &text, const Address &from) {
  const auto packet = server (hosts_[tuple]).from_peer (tuple, from, text);
  if (!packet.empty ()) client->receive (packet);
}

void
TurnBench::stream_ends () {
  tuple = 0;
  client->transport_failed ("the server has closed the connection");
}

}  // namespace p2p::test
