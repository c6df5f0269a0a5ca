#include "ice/gathering.hpp"

#include <utility>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

// libnice sends plain STUN servers requests of RFC 3489, and takes an answer to one for an answer
// of whatever stands first in its list, which then rejects it. So a relay comes later: after this
// time the request is in the list, if its server has not answered already.
constexpr TimeUs kStunAhead = 50 * kMillisecond;
// libnice asks at a door at once, unless it has no socket there.
constexpr TimeUs kDoorLimit = 2 * kSecond;

}  // namespace

Gathering::Gathering (const IceConfig &config, const LocalAddresses &addresses, NiceHandle &nice,
                      Observer &observer)
    : config_ (config),
      addresses_ (addresses),
      nice_ (nice),
      observer_ (observer),
      fronts_ (make_core_object<TurnFronts> (
          TurnFronts::Config{addresses, !config.local_addresses.empty (), config.turn_tls_database,
                             config.one_relay, config.without_relays},
          static_cast<TurnFronts::Observer &> (*this))),
      stun_timer_ (core_loop ().scheduler ().make_timer ([this] {
        stun_ahead_ = true;
        tell_doors ();
      })),
      door_timer_ (core_loop ().scheduler ().make_timer ([this] {
        nice_idle_ = true;
        look ();
      })) {}

Gathering::~Gathering () {
  fronts_->leave ();
  nice_.keep_until_closed (fronts_);
}

Status
Gathering::begin (const NameLookup::Answers &answers) {
  NiceAgent *agent = nice_.agent ();
  stun_ahead_ = config_.relay_only || !use_stun_server (answers);
  if (!stun_ahead_) stun_timer_->arm (core_loop ().scheduler ().now () + kStunAhead);
  use_turn_servers (answers);
  if (config_.port_min != 0)
    nice_agent_set_port_range (agent, nice_.stream (), kNiceComponent, config_.port_min,
                               config_.port_max);
  for (const auto &text : addresses_.chosen) {
    NiceAddress address;
    nice_address_init (&address);
    if (nice_address_set_from_string (&address, text.c_str ()))
      nice_agent_add_local_address (agent, &address);
  }
  g_debug ("ice: gathering on %zu addresses", addresses_.chosen.size ());
  if (nice_agent_gather_candidates (agent, nice_.stream ()) && has_socket ()) return {};
  std::string message = "No socket could be bound to " + addresses_.chosen.front ();
  if (addresses_.chosen.size () > 1) message += " or any other local address";
  if (config_.port_min != 0)
    message += " in the ports " + std::to_string (config_.port_min) + " to " +
               std::to_string (config_.port_max);
  return Error{P2P_ERROR_UNREACHABLE,
               message + "; check that the addresses are this machine's and the ports are free."};
}

// libnice is content with active TCP candidates, which have no socket yet.
bool
Gathering::has_socket () const {
  GPtrArray *sockets = nice_agent_get_sockets (nice_.agent (), nice_.stream (), kNiceComponent);
  const bool found = sockets && sockets->len > 0;
  if (sockets) g_ptr_array_unref (sockets);
  return found;
}

bool
Gathering::reaches (const LookedUp &server) const {
  return (!server.ipv4.empty () && addresses_.has_ipv4) ||
         (!server.ipv6.empty () && addresses_.has_ipv6);
}

const LookedUp *
Gathering::address_of (const NameLookup::Answers &answers, const std::string &host,
                       const char *kind) {
  const auto found = answers.find (host);
  const LookedUp *answer = found == answers.end () ? nullptr : &found->second;
  const bool any = answer && (!answer->ipv4.empty () || !answer->ipv6.empty ());
  if (any && reaches (*answer)) return answer;
  const std::string what = std::string ("The ") + kind + " server \"" + host + "\" is not used: ";
  if (any)
    fronts_warning (
        {P2P_ERROR_UNREACHABLE,
         what + "it has only addresses of a kind (IPv4, IPv6) that this machine has not."});
  else
    fronts_warning ({P2P_ERROR_UNREACHABLE,
                     what + "its name does not resolve" +
                         (answer && !answer->problem.empty () ? " (" + answer->problem + ")" : "") +
                         "; check the name and this machine's name service."});
  return nullptr;
}

void
Gathering::use_turn_servers (const NameLookup::Answers &answers) {
  std::size_t left_out = 0;
  for (const auto &server : config_.turn_servers) {
    const LookedUp *at = address_of (answers, server.host, "TURN");
    if (!at) continue;
    if (!fronts_->add (server, *at)) ++left_out;
  }
  if (left_out > 0)
    fronts_warning (
        {P2P_ERROR_LIMIT,
         std::to_string (left_out) + " TURN servers are not used: at most 8 are; name fewer."});
}

// A TURN server tells the same, but is asked by a socket of the relay's.
bool
Gathering::use_stun_server (const NameLookup::Answers &answers) {
  std::vector<StunServer> servers = config_.stun_servers;
  for (const auto &server : config_.turn_servers) {
    const auto at = answers.find (server.host);
    if (server.protocol == turn::Protocol::udp && config_.stun_servers.empty () &&
        at != answers.end () && reaches (at->second))
      servers.push_back ({server.host, server.port});
  }
  for (const auto &server : servers) {
    const LookedUp *at = address_of (answers, server.host, "STUN");
    if (!at) continue;
    // libnice asks one server at one address. IPv4 first: that is where the NATs are.
    const bool ipv4 = !at->ipv4.empty () && addresses_.has_ipv4;
    g_object_set (nice_.agent (), "stun-server", (ipv4 ? at->ipv4 : at->ipv6).c_str (),
                  "stun-server-port", guint{server.port}, nullptr);
    return true;
  }
  return false;
}

void
Gathering::fronts_warning (const Error &warning) {
  observer_.gathering_warning (warning);
}

void
Gathering::fronts_door (const TurnFronts::Door &door) {
  doors_.push_back (door);
  if (stun_ahead_) tell_doors ();
}

void
Gathering::tell_doors () {
  for (const TurnFronts::Door &door : std::exchange (doors_, {})) {
    nice_idle_ = false;
    door_timer_->arm (core_loop ().scheduler ().now () + kDoorLimit);
    nice_agent_set_relay_info (nice_.agent (), nice_.stream (), kNiceComponent, door.ip.c_str (),
                               door.port, door.credentials.user.c_str (),
                               door.credentials.password.c_str (), NICE_RELAY_TYPE_TURN_UDP);
  }
}

void
Gathering::nice_done () {
  stun_ahead_ = true;
  tell_doors ();
  // What it said before it was told of a door is no news.
  if (fronts_->asked ()) nice_idle_ = true;
  look ();
}

void
Gathering::look () {
  if (done_ || !nice_idle_ || !doors_.empty () || !fronts_->settled ()) return;
  done_ = true;
  observer_.gathering_done ();
}

}  // namespace p2p
