#include "ice/turn_front.hpp"

#include <algorithm>

#include "ice/steering.hpp"
#include "turn/server_uri.hpp"
#include "turn/source_address.hpp"

namespace p2p {

namespace {

// Whether the client goes for the same allocation over another five-tuple.
bool
may_come_back (const turn::Client &client, const turn::Event &lost) {
  return client.allocation ().has_ticket () &&
         (lost.reason == P2P_TURN_REASON_DISCONNECTED || lost.reason == P2P_TURN_REASON_TIMEOUT ||
          lost.reason == P2P_TURN_REASON_REQUESTED);
}

}  // namespace

turn::RelayConfig
TurnFront::relay_config (const Config &config) {
  turn::RelayConfig out;
  out.client.servers = {config.server};
  out.client.policy = config.policy;
  out.client.wishes.both_families = config.both_families;
  out.connector.tls_database = config.tls_database;
  out.connector.local = config.local;
  return out;
}

TurnFront::TurnFront (GMainContext *context, Scheduler &scheduler, const Config &config,
                      Observer &observer)
    : context_ (context),
      config_ (config),
      observer_ (observer),
      limit_ (scheduler.make_timer ([this] {
        give_up ({P2P_ERROR_TIMED_OUT, "The TURN server " + turn::redacted_uri (config_.server) +
                                           " gave no relay in time; is it reachable?"});
      })),
      relay_ (context, scheduler, relay_config (config),
              static_cast<turn::Relay::Observer &> (*this)) {
  const bool tls = turn::is_secure (config.server.protocol);
  limit_->arm (scheduler.now () + (tls ? kTlsLimit : kLimit));
  relay_.client ().start ();
}

bool
TurnFront::asked () const {
  return std::all_of (sockets_.begin (), sockets_.end (),
                      [] (const auto &socket) { return socket->server ().granted (); });
}

bool
TurnFront::shows (const turn::Address &relayed) const {
  return std::any_of (sockets_.begin (), sockets_.end (),
                      [&] (const auto &socket) { return socket->server ().relayed () == relayed; });
}

void
TurnFront::show () {
  limit_->disarm ();
  relayed_ = relay_.client ().relayed ();
  for (const turn::Address &address : relayed_) {
    const bool doubled = std::any_of (sockets_.begin (), sockets_.end (), [&] (const auto &other) {
      return other->server ().relayed ().family == address.family;
    });
    if (doubled) continue;
    auto socket = FrontSocket::open (context_, {config_.host, config_.known, address},
                                     static_cast<FrontSocket::Owner &> (*this));
    if (!socket) {
      give_up (socket.error ());
      return;
    }
    sockets_.push_back (std::move (*socket));
  }
  observer_.front_allocated (*this);
}

void
TurnFront::give_up (const Error &why) {
  if (given_up_) return;
  observer_.front_warning (why);
  release ();
}

void
TurnFront::release () {
  if (std::exchange (given_up_, true)) return;
  limit_->disarm ();
  sockets_.clear ();
  close ();
  observer_.front_settled ();
}

void
TurnFront::lose (const std::string &why) {
  if (lost_ || given_up_ || relayed_.empty ()) return;
  lost_ = Error{P2P_ERROR_UNREACHABLE,
                "The relay at " + relayed_.front ().text () + " is lost. " + why};
  close ();
  observer_.front_lost (*this);
}

void
TurnFront::relay_event (const turn::Event &event) {
  switch (event.kind) {
    case turn::Event::Kind::allocated:
      if (given_up_)
        close ();
      else
        show ();
      return;
    case turn::Event::Kind::network_bad:
      // Another allocation would have another address, of which the peer does not know.
      if (!may_come_back (relay_.client (), event)) lose (event.message);
      return;
    case turn::Event::Kind::recovered:
      if (relay_.client ().relayed () != relayed_)
        lose ("Its server has forgotten the allocation.");
      return;
    case turn::Event::Kind::server_failed:
    case turn::Event::Kind::failed:
      if (relayed_.empty ())
        give_up ({P2P_ERROR_UNREACHABLE, event.message});
      else
        lose (event.message);
      return;
    case turn::Event::Kind::closed:
      observer_.front_closed ();
      return;
    case turn::Event::Kind::redirected:
    case turn::Event::Kind::peer_granted:
      return;
    case turn::Event::Kind::peer_refused:
      g_debug ("ice: %s", event.message.c_str ());
      return;
  }
}

void
TurnFront::relay_received (const turn::Address &peer, ByteView data) {
  if (carried_ == peer && !is_stun (data)) {
    observer_.front_received (data);
    return;
  }
  for (const auto &socket : sockets_) {
    if (socket->server ().relayed ().family != peer.family) continue;
    socket->server ().deliver (peer, data);
    return;
  }
}

// The user has been asked before, and has no others.
void
TurnFront::relay_credentials_wanted (const turn::Server &) {
  relay_.client ().keep_credentials ();
}

Status
TurnFront::front_peer (const turn::Address &peer, bool channel) {
  return relay_.client ().add_peer (peer, channel);
}

void
TurnFront::front_relay (const turn::Address &peer, ByteView data) {
  if (relay_.client ().send (peer, data) == turn::Sent::full) ++dropped_;
}

void
TurnFront::carry (const std::optional<turn::Address> &peer) {
  carried_ = peer;
  if (!peer) return;
  if (const Status refused = relay_.client ().add_peer (*peer, true))
    g_debug ("ice: %s", refused->message.c_str ());
}

turn::Sent
TurnFront::send (ByteView datagram) {
  return carried_ ? relay_.client ().send (*carried_, datagram) : turn::Sent::refused;
}

std::optional<turn::Address>
TurnFront::move () {
  turn::Client &client = relay_.client ();
  // An allocation over a stream ends with it, whatever its ticket says.
  if (relayed_.empty () || lost_ || !turn::is_datagram (config_.server.protocol) ||
      !client.allocation ().has_ticket ())
    return std::nullopt;
  std::optional<turn::Address> source;
  for (const turn::Address &server : config_.server_addresses)
    if (!source) source = turn::source_towards (server);
  if (source) client.move ();
  return source;
}

void
TurnFront::doubt () {
  relay_.client ().transport_doubtful ();
}

void
TurnFront::close () {
  carried_.reset ();
  relay_.client ().close ();
}

TurnRelayState
TurnFront::state () const {
  TurnRelayState out;
  const turn::Client &client = relay_.client ();
  const turn::Target &target = client.target ();
  out.server = turn::redacted_uri ({target.host, target.port, target.protocol, {}});
  out.realm = client.realm ();
  if (!given_up_) out.relayed = relayed_;
  out.mapped = client.mapped ();
  out.lifetime = client.allocation ().lifetime ();
  out.left = client.allocation ().left ();
  out.lost = lost_;
  out.stats = client.stats ();
  out.dropped = dropped_ + out.stats.peers.dropped_sends;
  for (const auto &socket : sockets_) {
    const turn::FrontStats &front = socket->server ().stats ();
    out.dropped += socket->strangers () + socket->unsent () + front.malformed + front.dropped;
  }
  return out;
}

}  // namespace p2p
