#include "ice/turn_fronts.hpp"

#include <algorithm>

#include "base/loop_thread.hpp"
#include "turn/source_address.hpp"

namespace p2p {

namespace {

// With one relay only, the next server is asked when those before have not answered for so long
// (RFC 8305 section 8 has the same for addresses).
constexpr TimeUs kNextAfter = 250 * kMillisecond;
// libnice prefers the server that it hears of last, and both sides must prefer the same one, or
// their pair takes two relays: the first answer waits so long for the others.
constexpr TimeUs kOrderFor = 100 * kMillisecond;

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
    : config_ (std::move (config)),
      observer_ (&observer),
      next_timer_ (core_loop ().scheduler ().make_timer ([this] { begin_next (); })),
      order_timer_ (core_loop ().scheduler ().make_timer ([this] {
        order_passed_ = true;
        tell_in_order ();
      })) {}

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
  if (config_.one && !fronts_.empty ()) {
    waiting_.push_back ({server, at});
    if (waiting_.size () == 1) next_timer_->arm (core_loop ().scheduler ().now () + kNextAfter);
    return true;
  }
  if (doors_ == kMaxDoors) return false;
  begin (server, at);
  return true;
}

void
TurnFronts::begin_next () {
  if (waiting_.empty () || kept_ || doors_ == kMaxDoors) return;
  const Waiting next = std::move (waiting_.front ());
  waiting_.erase (waiting_.begin ());
  if (!waiting_.empty ()) next_timer_->arm (core_loop ().scheduler ().now () + kNextAfter);
  begin (next.server, next.at);
}

std::optional<TurnFront::Config>
TurnFronts::config_for (const turn::Server &server, const LookedUp &at) {
  const auto host = host_for (server, at);
  if (!host) {
    front_warning ({P2P_ERROR_UNREACHABLE, "The TURN server \"" + server.host +
                                               "\" is not used: this machine has only link-local "
                                               "addresses."});
    return std::nullopt;
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
  return config;
}

void
TurnFronts::begin (const turn::Server &server, const LookedUp &at) {
  const auto config = config_for (server, at);
  if (!config) return;
  doors_ += config->both_families ? 2 : 1;
  fronts_.push_back (
      {*config, std::make_unique<TurnFront> (core_loop ().context (), core_loop ().scheduler (),
                                             *config, static_cast<TurnFront::Observer &> (*this))});
}

void
TurnFronts::scout (const TurnFront::Config &config) {
  scouts_.push_back (std::make_unique<RelayScout> (core_loop ().context (),
                                                   core_loop ().scheduler (), config, [this] {
                                                     core_loop ().post ([weak = weak_from_this ()] {
                                                       const auto self = weak.lock ();
                                                       if (!self || !self->observer_) return;
                                                       self->scouts_.clear ();
                                                       self->observer_->fronts_relay_back ();
                                                     });
                                                   }));
}

bool
TurnFronts::settled () const {
  return waiting_.empty () &&
         std::all_of (fronts_.begin (), fronts_.end (), [] (const Entry &entry) {
           return entry.front->settled () && (entry.told || entry.front->sockets ().empty ());
         });
}

bool
TurnFronts::asked () const {
  return std::all_of (fronts_.begin (), fronts_.end (),
                      [] (const Entry &entry) { return entry.front->asked (); });
}

TurnFront *
TurnFronts::find (const turn::Address &relayed) const {
  for (const Entry &entry : fronts_)
    if (entry.front->shows (relayed)) return entry.front.get ();
  return nullptr;
}

void
TurnFronts::leave () {
  observer_ = nullptr;
  leaving_ = shared_from_this ();
  waiting_.clear ();
  scouts_.clear ();
  next_timer_->disarm ();
  order_timer_->disarm ();
  for (const Entry &entry : fronts_) entry.front->close ();
  front_closed ();
}

void
TurnFronts::move (const MovedTo &moved) {
  for (const Entry &entry : fronts_)
    if (const auto source = entry.front->move ()) moved (*entry.front, *source);
}

std::vector<TurnRelayState>
TurnFronts::states () const {
  std::vector<TurnRelayState> out;
  for (const Entry &entry : fronts_) out.push_back (entry.front->state ());
  return out;
}

void
TurnFronts::front_warning (const Error &warning) {
  if (observer_) observer_->fronts_warning (warning);
}

bool
TurnFronts::wanted (const TurnFront &front) const {
  if (config_.one && kept_) return false;
  for (const auto &socket : front.sockets ()) {
    const std::string ip = socket->server ().relayed ().ip_text ();
    if (std::find (config_.without.begin (), config_.without.end (), ip) != config_.without.end ())
      return false;
  }
  return true;
}

void
TurnFronts::front_allocated (TurnFront &front) {
  if (!wanted (front)) {
    front.release ();
    return;
  }
  if (config_.one) {
    kept_ = &front;
    spare_ = std::move (waiting_);
    waiting_.clear ();
    for (const Entry &entry : fronts_)
      if (entry.front.get () != &front) entry.front->release ();
  }
  tell_in_order ();
}

// In the order of configuration, the last one first.
void
TurnFronts::tell_in_order () {
  const bool all = std::all_of (fronts_.begin (), fronts_.end (),
                                [] (const Entry &entry) { return entry.front->settled (); });
  if (!all && !order_passed_) {
    if (!std::exchange (ordering_, true))
      order_timer_->arm (core_loop ().scheduler ().now () + kOrderFor);
    return;
  }
  for (auto entry = fronts_.rbegin (); entry != fronts_.rend (); ++entry) tell (*entry);
}

void
TurnFronts::tell (Entry &entry) {
  if (!observer_ || entry.front->sockets ().empty () || std::exchange (entry.told, true)) return;
  for (const auto &socket : entry.front->sockets ())
    observer_->fronts_door (
        {socket->bound ().ip_text (), socket->bound ().port, socket->server ().credentials ()});
}

void
TurnFronts::front_settled () {
  if (!observer_) return;
  // Of those that were begun, none is left to wait for.
  const bool none = std::all_of (fronts_.begin (), fronts_.end (), [] (const Entry &entry) {
    return entry.front->settled () && entry.front->sockets ().empty ();
  });
  if (none) begin_next ();
  if (ordering_) tell_in_order ();
  observer_->fronts_settled ();
}

void
TurnFronts::front_received (ByteView datagram) {
  if (observer_) observer_->fronts_received (datagram);
}

// Whoever hears of it may destroy a good deal, but not what it is called from.
void
TurnFronts::front_lost (TurnFront &front) {
  if (!observer_) return;
  for (const Entry &entry : fronts_)
    if (entry.front.get () == &front || config_.one) scout (entry.config);
  for (const Waiting &spare : std::exchange (spare_, {}))
    if (const auto config = config_for (spare.server, spare.at)) scout (*config);
  core_loop ().post ([weak = weak_from_this (), &front] {
    const auto self = weak.lock ();
    if (self && self->observer_) self->observer_->fronts_lost (front);
  });
}

void
TurnFronts::front_closed () {
  const bool all = std::all_of (fronts_.begin (), fronts_.end (),
                                [] (const Entry &entry) { return entry.front->closed (); });
  if (leaving_ && all) core_loop ().post ([self = std::move (leaving_)] {});
}

}  // namespace p2p
