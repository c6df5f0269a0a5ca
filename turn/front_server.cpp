#include "turn/front_server.hpp"

#include "base/hex.hpp"
#include "base/random_bytes.hpp"
#include "turn/channel_data.hpp"
#include "turn/integrity.hpp"

namespace p2p::turn {

namespace {

constexpr char kFrontRealm[] = "front";
constexpr std::uint32_t kLifetimeS = 3600;  // RFC 8656 section 3.2: no more than this
constexpr std::uint8_t kUdp = 17;           // RFC 8656 section 18.8
constexpr std::size_t kSecretBytes = 16;

std::string
random_text () {
  return hex_of (ByteView (std::string_view (random_bytes (kSecretBytes))));
}

const char *
reason_phrase (int code) {
  switch (code) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthenticated";
    case 403:
      return "Forbidden";
    case 437:
      return "Allocation Mismatch";
    case 438:
      return "Stale Nonce";
    case 440:
      return "Address Family not Supported";
    case 442:
      return "Unsupported Transport Protocol";
    default:
      return "Insufficient Capacity";
  }
}

}  // namespace

FrontServer::FrontServer (Host &host, const Address &client_ip, const Address &relayed)
    : host_ (host),
      client_ip_ (client_ip.without_port ()),
      credentials_{random_text (), random_text ()},
      nonce_ (random_text ()),
      key_ (long_term_key (PasswordAlgorithm::md5, credentials_.user, kFrontRealm,
                           credentials_.password)),
      relayed_ (relayed) {}

void
FrontServer::receive (const Address &from, ByteView packet) {
  if (is_channel_data (packet)) {
    receive_channel_data (from, packet);
    return;
  }
  const auto message = Message::parse (packet);
  if (!message) {
    ++stats_.malformed;
    return;
  }
  switch (message->message_class ()) {
    case MessageClass::request:
      receive_request (from, *message);
      return;
    case MessageClass::indication:
      receive_indication (from, *message);
      return;
    case MessageClass::success:
    case MessageClass::error:
      ++stats_.malformed;
      return;
  }
}

void
FrontServer::receive_channel_data (const Address &from, ByteView packet) {
  const auto parsed = parse_channel_data (packet);
  if (!parsed) {
    ++stats_.malformed;
    return;
  }
  const auto channel = channels_.find (parsed->channel);
  if (client_ != from || channel == channels_.end ()) {
    ++stats_.dropped;
    return;
  }
  const Address peer = channel->second;
  host_.front_relay (peer, parsed->data);
}

void
FrontServer::receive_indication (const Address &from, const Message &message) {
  // A Binding indication keeps a mapping open where there is one (RFC 8489 section 3).
  if (message.method () == Method::binding) return;
  const auto peer = message.find_xor_address (kXorPeerAddress);
  const auto data = message.find (kData);
  if (message.method () != Method::send || !peer || !data) {
    ++stats_.malformed;
    return;
  }
  if (client_ != from || permissions_.count (peer->without_port ()) == 0) {
    ++stats_.dropped;
    return;
  }
  host_.front_relay (*peer, *data);
}

void
FrontServer::receive_request (const Address &from, const Message &request) {
  switch (request.method ()) {
    case Method::allocate:
    case Method::refresh:
    case Method::create_permission:
    case Method::channel_bind:
      break;
    case Method::binding:
    case Method::send:
    case Method::data:
    default:  // it came from outside: any number
      ++stats_.malformed;
      return;
  }
  if (!authentic (from, request)) return;
  if (request.method () == Method::allocate) {
    allocate (from, request);
  } else if (client_ != from) {
    fail (from, request.method (), request.id (), 437);
  } else if (request.method () == Method::refresh) {
    refresh (from, request);
  } else if (request.method () == Method::create_permission) {
    create_permission (from, request);
  } else {
    bind_channel (from, request);
  }
}

bool
FrontServer::authentic (const Address &from, const Message &request) {
  const bool right = request.find_text (kUsername) == credentials_.user &&
                     request.find_text (kRealm) == std::string (kFrontRealm) &&
                     request.check_integrity (kMessageIntegrity, key_);
  if (right && request.find_text (kNonce) == nonce_) return true;
  ++stats_.unauthorized;
  challenge (from, request.method (), request.id (), right ? 438 : 401);
  return false;
}

void
FrontServer::challenge (const Address &to, Method method, const TransactionId &id, int code) {
  MessageWriter answer (MessageClass::error, method, id);
  answer.add_error (code, reason_phrase (code));
  answer.add_text (kRealm, kFrontRealm);
  answer.add_text (kNonce, nonce_);
  host_.front_send (to, answer.take ());
}

void
FrontServer::fail (const Address &to, Method method, const TransactionId &id, int code) {
  MessageWriter answer (MessageClass::error, method, id);
  answer.add_error (code, reason_phrase (code));
  succeed (to, &answer);
}

void
FrontServer::succeed (const Address &to, MessageWriter *answer) {
  answer->add_integrity (kMessageIntegrity, key_);
  host_.front_send (to, answer->take ());
}

void
FrontServer::allocate (const Address &from, const Message &request) {
  if (client_) {
    // Its answer was lost, or somebody else asks.
    if (client_ == from && request.id () == granted_by_)
      grant (from, request.id ());
    else
      fail (from, Method::allocate, request.id (), 437);
    return;
  }
  if (from.without_port () != client_ip_) {
    fail (from, Method::allocate, request.id (), 403);
    return;
  }
  const auto transport = request.find (kRequestedTransport);
  if (!transport || transport->size != 4 || (*transport)[0] != kUdp) {
    fail (from, Method::allocate, request.id (), transport ? 442 : 400);
    return;
  }
  grant (from, request.id ());
  host_.front_granted ();
}

void
FrontServer::grant (const Address &from, const TransactionId &id) {
  client_ = from;
  granted_by_ = id;
  MessageWriter answer (MessageClass::success, Method::allocate, id);
  answer.add_xor_address (kXorRelayedAddress, relayed_);
  answer.add_u32 (kLifetime, kLifetimeS);
  succeed (from, &answer);
}

void
FrontServer::refresh (const Address &from, const Message &request) {
  const bool ends = request.find_u32 (kLifetime) == 0U;
  MessageWriter answer (MessageClass::success, Method::refresh, request.id ());
  answer.add_u32 (kLifetime, ends ? 0 : kLifetimeS);
  succeed (from, &answer);
  // The client stays the same: what it repeats is answered again, and nobody else gets in.
  if (!ends) return;
  permissions_.clear ();
  channels_.clear ();
  channel_of_.clear ();
}

// 0, or the code of the error.
int
FrontServer::permit (const Address &peer, bool channel) {
  const Address ip = peer.without_port ();
  if (relayed_.family != peer.family) return 440;
  if (permissions_.count (ip) == 0 && permissions_.size () >= kMaxPermissions) return 508;
  if (host_.front_peer (peer, channel)) {
    ++stats_.refused_peers;
    return 403;
  }
  permissions_.insert (ip);
  return 0;
}

void
FrontServer::create_permission (const Address &from, const Message &request) {
  const auto peers = request.find_xor_addresses (kXorPeerAddress);
  int code = peers.empty () ? 400 : 0;
  for (const Address &peer : peers)
    if (code == 0) code = permit (peer, false);
  if (code != 0) {
    fail (from, Method::create_permission, request.id (), code);
    return;
  }
  MessageWriter answer (MessageClass::success, Method::create_permission, request.id ());
  succeed (from, &answer);
}

void
FrontServer::bind_channel (const Address &from, const Message &request) {
  const auto number = request.find_u32 (kChannelNumber);
  const auto peer = request.find_xor_address (kXorPeerAddress);
  const auto channel = static_cast<std::uint16_t> (number.value_or (0) >> 16);
  int code = 0;
  if (!number || !peer || channel < kFirstChannel || channel > kLastChannel) {
    code = 400;
  } else {
    const auto at = channels_.find (channel);
    const auto of = channel_of_.find (*peer);
    const bool taken = (at != channels_.end () && at->second != *peer) ||
                       (of != channel_of_.end () && of->second != channel);
    if (taken)
      code = 400;
    else if (at == channels_.end () && channels_.size () >= kMaxChannels)
      code = 508;
    else
      code = permit (*peer, true);
  }
  if (code != 0) {
    fail (from, Method::channel_bind, request.id (), code);
    return;
  }
  channels_[channel] = *peer;
  channel_of_[*peer] = channel;
  MessageWriter answer (MessageClass::success, Method::channel_bind, request.id ());
  succeed (from, &answer);
}

void
FrontServer::deliver (const Address &peer, ByteView data) {
  if (!client_ || permissions_.count (peer.without_port ()) == 0) {
    ++stats_.dropped;
    return;
  }
  if (const auto channel = channel_of_.find (peer); channel != channel_of_.end ()) {
    packet_.clear ();
    append_channel_data (&packet_, channel->second, data, false);
    host_.front_send (*client_, packet_);
    return;
  }
  MessageWriter indication (MessageClass::indication, Method::data, random_transaction_id (),
                            data.size);
  indication.add_xor_address (kXorPeerAddress, peer);
  indication.add (kData, data);
  if (!indication.complete ()) {
    ++stats_.dropped;
    return;
  }
  host_.front_send (*client_, indication.take ());
}

}  // namespace p2p::turn
