#include "ice/turn_fronts.hpp"

#include <algorithm>

#include "base/loop_thread.hpp"
#include "turn/source_address.hpp"

namespace p2p {

namespace {

std::optional<turn::Address>
parse_ip (const std::string &text) {
  const auto address = turn::Address::parse (text, 0);
  // libnice asks no TURN server from there.
  if (!address || turn::scope_of (*address) == turn::Scope::link_local) return std::nullopt;
  return address;
}

std::vector<turn::Address>
addresses_of (const turn::Server &server, const LookedUp &at) {
  std::vector<turn::Address> out;
  for (const std::string &ip : {at.ipv4, at.ipv6})
    if (const auto address = turn::Address::parse (ip, server.port)) out.push_back (*address);
  return out;
}

}  // namespace

TurnFronts::TurnFronts (Config config, Observer &observer)
    : config_ (std::move (config)), observer_ (&observer) {}

// The way to the server is the one whose end is the candidate's, so that it is the right one to
// watch; of the others the first, IPv4 before IPv6.
std::optional<turn::Address>
TurnFronts::host_for (const turn::Server &server, const LookedUp &at) const {
  std::optional<turn::Address> first;
  std::vector<turn::Address> all;
  for (const auto &text : config_.addresses.chosen)
    if (const auto ip = parse_ip (text)) all.push_back (*ip);
  for (const turn::Address &to : addresses_of (server, at)) {
    const auto source = turn::source_towards (to);
    if (source && std::find (all.begin (), all.end (), *source) != all.end ()) return source;
  }
  for (const auto &ip : all)
    if (!first || (first->family == turn::Family::ipv6 && ip.family == turn::Family::ipv4))
      first = ip;
  return first;
}

bool
TurnFronts::add (const turn::Server &server, const LookedUp &at) {
  if (doors_ == kMaxDoors) return false;
  const auto host = host_for (server, at);
  if (!host) {
    front_warning ({P2P_ERROR_UNREACHABLE, "The TURN server \"" + server.host +
                                               "\" is not used: this machine has only link-local "
                                               "addresses."});
    return true;
  }
  TurnFront::Config config;
  config.server = server;
  config.server_addresses = addresses_of (server, at);
  config.policy.allow_private = turn::machine_is_private ();
  // A server without an IPv6 address of its own is not expected to relay any.
  config.both_families = !at.ipv6.empty () && doors_ + 2 <= kMaxDoors;
  config.host = *host;
  for (const auto &text : config_.addresses.chosen)
    if (const auto ip = parse_ip (text)) config.known.insert (*ip);
  const std::string &same_family = host->family == turn::Family::ipv4 ? at.ipv4 : at.ipv6;
  if (config_.bound && !same_family.empty ()) config.local = host;
  config.tls_database = config_.tls_database;
  doors_ += config.both_families ? 2 : 1;
  fronts_.push_back (std::make_unique<TurnFront> (core_loop ().context (),
                                                  core_loop ().scheduler (), config,
                                                  static_cast<TurnFront::Observer &> (*this)));
  return true;
}

bool
TurnFronts::settled () const {
  return std::all_of (fronts_.begin (), fronts_.end (),
                      [] (const auto &front) { return front->settled (); });
}

bool
TurnFronts::asked () const {
  return std::all_of (fronts_.begin (), fronts_.end (),
                      [] (const auto &front) { return front->asked (); });
}

TurnFront *
TurnFronts::find (const turn::Address &relayed) const {
  for (const auto &front : fronts_)
    if (front->shows (relayed)) return front.get ();
  return nullptr;
}

void
TurnFronts::leave () {
  observer_ = nullptr;
  leaving_ = shared_from_this ();
  for (const auto &front : fronts_) front->close ();
  front_closed ();
}

void
TurnFronts::move (const MovedTo &moved) {
  for (const auto &front : fronts_)
    if (const auto source = front->move ()) moved (*front, *source);
}

std::vector<TurnRelayState>
TurnFronts::states () const {
  std::vector<TurnRelayState> out;
  for (const auto &front : fronts_) out.push_back (front->state ());
  return out;
}

void
TurnFronts::front_warning (const Error &warning) {
  if (observer_) observer_->fronts_warning (warning);
}

void
TurnFronts::front_allocated (TurnFront &front) {
  for (const auto &socket : front.sockets ())
    if (observer_)
      observer_->fronts_door (
          {socket->bound ().ip_text (), socket->bound ().port, socket->server ().credentials ()});
}

void
TurnFronts::front_settled () {
  if (observer_) observer_->fronts_settled ();
}

void
TurnFronts::front_received (ByteView datagram) {
  if (observer_) observer_->fronts_received (datagram);
}

// Whoever hears of it may destroy a good deal, but not what it is called from.
void
TurnFronts::front_lost (TurnFront &front) {
  core_loop ().post ([weak = weak_from_this (), &front] {
    const auto self = weak.lock ();
    if (self && self->observer_) self->observer_->fronts_lost (front);
  });
}

void
TurnFronts::front_closed () {
  const bool all = std::all_of (fronts_.begin (), fronts_.end (),
                                [] (const auto &front) { return front->closed (); });
  if (leaving_ && all) core_loop ().post ([self = std::move (leaving_)] {});
}

}  // namespace p2p
