#include "doctor/verdict.hpp"

#include <algorithm>
#include <cstdlib>

namespace p2p::doctor {

namespace {

using Kind = ServerFound::Kind;

constexpr TimeUs kClockTolerance = 30 * kSecond;
// QUIC needs 1200 bytes (RFC 9000 section 14).
constexpr std::size_t kLeastDatagramBytes = 1200;

Udp
judge_udp (const Findings &findings) {
  bool asked = false, answered = false, other = false;
  for (const ServerFound &server : findings.servers)
    for (const Attempt &attempt : server.attempts) {
      const bool udp = attempt.transport == "udp";
      // What was not asked for may not be there at all.
      asked = asked || (udp && !attempt.extra);
      // DTLS may fail for other reasons than its datagrams.
      if (attempt.took_us) (udp || attempt.transport == "dtls" ? answered : other) = true;
    }
  if (answered) return Udp::works;
  if (!asked) return Udp::unknown;
  return other ? Udp::blocked : Udp::silent;
}

bool
has_relay (const Findings &findings) {
  return std::any_of (findings.servers.begin (), findings.servers.end (),
                      [] (const ServerFound &server) { return server.relay.has_value (); });
}

// A mapping that stays can be told to a peer, whose answers then come in.
bool
is_punchable (const NatFound &nat) {
  return nat.behaviour.translated &&
         (!*nat.behaviour.translated || nat.behaviour.mapping == Mapping::endpoint_independent ||
          nat.behaviour.mapping == Mapping::unknown);
}

// Also one whose port nobody can foretell.
bool
lets_any_peer_in (const NatFound &nat) {
  const NatBehaviour &is = nat.behaviour;
  return is_punchable (nat) && (is.filtering == Filtering::endpoint_independent ||
                                is.filtering == Filtering::address_dependent);
}

Reach
judge_reach (const Findings &findings, Udp udp) {
  if (findings.servers.empty ()) return Reach::unknown;
  const bool relay = has_relay (findings);
  switch (udp) {
    case Udp::unknown:
      return relay ? Reach::relay : Reach::unknown;
    case Udp::blocked:
    case Udp::silent:
      return relay ? Reach::relay : Reach::none;
    case Udp::works:
      break;
  }
  if (std::any_of (findings.nats.begin (), findings.nats.end (), is_punchable))
    return Reach::direct;
  if (relay) return Reach::relay;
  return findings.nats.empty () ? Reach::unknown : Reach::some;
}

void
collect_failures (const Findings &findings, Verdict &verdict) {
  for (const ServerFound &server : findings.servers)
    for (const Attempt &attempt : server.attempts)
      if (!attempt.took_us && !attempt.extra)
        verdict.problems.push_back (server.uri + ", " + attempt.protocol + " over " +
                                    attempt.transport + ": " + attempt.problem);
}

void
advise (const Findings &findings, Verdict &verdict) {
  if (!findings.machine.network.usable ())
    verdict.advice.push_back (
        "This machine has no address but the loopback one; bring up a network interface.");
  if (findings.servers.empty ())
    verdict.advice.push_back (
        "No server was named, so nothing was sent; name those that p2pcat is to use with "
        "--rendezvous, --stun-server and --turn-server.");
  if (verdict.udp == Udp::blocked)
    verdict.advice.push_back ("UDP does not get through here; " +
                              std::string (has_relay (findings)
                                               ? "what is relayed over TCP is slower."
                                               : "name a TURN server with ?transport=tcp."));
  if (verdict.reach == Reach::direct && !has_relay (findings) &&
      std::none_of (findings.nats.begin (), findings.nats.end (), lets_any_peer_in))
    verdict.advice.push_back (
        "Peers behind symmetric NATs may need a relay; name a TURN server with --turn-server.");
  for (const ServerFound &server : findings.servers) {
    if (!server.relay) continue;
    if (server.relay->largest_datagram_bytes.value_or (kLeastDatagramBytes) < kLeastDatagramBytes)
      verdict.advice.push_back ("Through " + server.uri + " come datagrams of at most " +
                                std::to_string (*server.relay->largest_datagram_bytes) +
                                " bytes, and QUIC needs 1200; the way to it has too small an MTU.");
  }
  if (!findings.clock) return;
  const ClockFound &clock = *findings.clock;
  if (clock.least_us > kClockTolerance || clock.most_us < -kClockTolerance)
    verdict.advice.push_back (
        "This machine's clock is not the one of " + clock.source +
        "; certificates and TURN passwords that run out may be refused: set the clock.");
}

}  // namespace

Verdict
judge (const Findings &findings) {
  Verdict verdict;
  verdict.udp = judge_udp (findings);
  verdict.reach = judge_reach (findings, verdict.udp);
  collect_failures (findings, verdict);
  if (verdict.reach == Reach::none)
    verdict.problems.push_back (
        verdict.udp == Udp::blocked
            ? "No peer can be reached: UDP is blocked, and there is no relay over TCP."
            : "No peer can be reached: no server answers.");
  if (verdict.reach == Reach::some)
    verdict.problems.push_back (
        "Peers behind symmetric NATs, as this machine is, cannot be reached without a relay; name "
        "a "
        "TURN server with --turn-server.");
  if (verdict.reach == Reach::unknown && !findings.servers.empty ())
    verdict.problems.push_back (
        "Whether peers can be reached is not known: no server answers STUN over UDP, and none "
        "relays; name one with --stun-server or --turn-server.");
  advise (findings, verdict);
  return verdict;
}

const char *
udp_name (Udp udp) {
  switch (udp) {
    case Udp::unknown:
      return "unknown";
    case Udp::works:
      return "works";
    case Udp::blocked:
      return "blocked";
    case Udp::silent:
      return "no answer";
  }
  return "";
}

const char *
reach_name (Reach reach) {
  switch (reach) {
    case Reach::unknown:
      return "unknown";
    case Reach::direct:
      return "direct";
    case Reach::relay:
      return "relay";
    case Reach::some:
      return "some";
    case Reach::none:
      return "none";
  }
  return "";
}

const char *
ipv6_state (const Findings &findings) {
  const auto is_ipv6 = [] (const NatFound &nat) { return nat.family == turn::Family::ipv6; };
  if (std::any_of (findings.nats.begin (), findings.nats.end (), is_ipv6)) return "works";
  const NetworkSnapshot &network = findings.machine.network;
  const auto has_address = std::any_of (
      network.addresses.begin (), network.addresses.end (),
      [] (const NetworkAddress &one) { return one.ipv6 && !one.loopback && !one.link_local; });
  if (!has_address) return "has no address";
  const bool routed = std::any_of (network.default_routes.begin (), network.default_routes.end (),
                                   [] (const DefaultRoute &one) { return one.ipv6; });
  return routed ? "has a route" : "has no route";
}

}  // namespace p2p::doctor
