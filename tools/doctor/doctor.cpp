#include "doctor/doctor.hpp"

#include <algorithm>

#include "doctor/machine.hpp"
#include "ice/route_mtu.hpp"
#include "turn/server_uri.hpp"
#include "turn/source_address.hpp"

namespace p2p::doctor {

namespace {

using Kind = ServerFound::Kind;

std::string
with_port (const std::string &host, std::uint16_t port) {
  const bool ipv6 = host.find (':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string (port);
}

const char *
transport_of (turn::Protocol protocol) {
  switch (protocol) {
    case turn::Protocol::udp:
      return "udp";
    case turn::Protocol::tcp:
      return "tcp";
    case turn::Protocol::tls:
      return "tls";
    case turn::Protocol::dtls:
      return "dtls";
  }
  return "";
}

std::optional<std::size_t>
mtu_towards (const Address &remote) {
  const auto local = turn::source_towards (remote);
  if (!local) return std::nullopt;
  socklen_t size = 0;
  const std::size_t mtu = route_mtu_bytes (local->to_sockaddr (&size), remote.to_sockaddr (&size));
  return mtu ? std::optional (mtu) : std::nullopt;
}

}  // namespace

Doctor::Doctor (GMainContext *context, Scheduler &scheduler, Request request, Done done)
    : context_ (context),
      scheduler_ (scheduler),
      request_ (std::move (request)),
      done_ (std::move (done)),
      limit_ (scheduler.make_timer ([this] { finish (); })) {
  limit_->arm (scheduler_.now () + kLimit);
  findings_.machine = look_at_machine (context_);
  begin ();
  for (const auto &server : request_.rendezvous) add_rendezvous (server);
  for (const auto &server : request_.stun) add_stun (server);
  for (const auto &server : request_.turn) add_turn (server);
  std::vector<std::string> names;
  for (const auto &patient : patients_)
    if (std::find (names.begin (), names.end (), patient->host) == names.end ())
      names.push_back (patient->host);
  nats_under_way_ = 1;
  lookup_ = std::make_unique<NameLookup> (
      names, scheduler_, kLookupLimit,
      [this] (const NameLookup::Answers &answers) { looked_up (answers); });
}

Doctor::~Doctor () = default;

Doctor::Patient &
Doctor::add (Kind kind, const std::string &uri, const std::string &host, std::uint16_t port) {
  patients_.push_back (std::make_unique<Patient> ());
  Patient &patient = *patients_.back ();
  patient.found.kind = kind;
  patient.found.uri = uri;
  patient.host = host;
  patient.port = port;
  return patient;
}

void
Doctor::add_stun (const StunServer &server) {
  Patient &patient =
      add (Kind::stun, "stun://" + with_port (server.host, server.port), server.host, server.port);
  patient.found.attempts = {{"stun", "udp", false, {}, ""}, {"stun", "tcp", true, {}, ""}};
  check_stream (patient);
}

void
Doctor::add_turn (const turn::Server &server) {
  Patient &patient = add (Kind::turn, turn::redacted_uri (server), server.host, server.port);
  const bool udp = server.protocol == turn::Protocol::udp;
  // Its Binding answers tell of the NAT, and are no proof that it relays.
  patient.found.attempts = {{"turn", transport_of (server.protocol), false, {}, ""},
                            {"stun", "udp", true, {}, ""}};
  patient.udp = 1;
  if (udp) patient.found.attempts.push_back ({"stun", "tcp", true, {}, ""});
  turn::RelayConfig config;
  config.client.servers = {server};
  config.client.policy.allow_private = true;  // its own address is the one peer
  config.client.wishes.mobility = false;
  begin ();
  patient.relay = std::make_unique<RelayCheck> (context_, scheduler_, std::move (config),
                                                [this, &patient] { relay_told (patient); });
  if (udp) check_stream (patient);
}

// The last of the patient's attempts.
void
Doctor::check_stream (Patient &patient) {
  begin ();
  patient.stream = std::make_unique<StreamCheck> (
      context_, scheduler_,
      turn::Target{patient.host, patient.port, turn::Protocol::tcp, patient.host},
      [this, &patient] (std::optional<TimeUs> took_us) {
        patient.found.attempts.back ().took_us = took_us;
        end ();
      });
}

void
Doctor::add_rendezvous (const SignalingUri &server) {
  Patient &patient = add (Kind::rendezvous, server.text, server.host, server.port);
  patient.found.attempts = {{server.tls ? "https" : "http", "tcp", false, {}, ""},
                            {"stun", "udp", true, {}, ""}};
  patient.udp = 1;
  begin ();
  patient.health = std::make_unique<HealthCheck> (
      server.host, server.port, server.tls, [this, &patient] (const HealthCheck::Outcome &outcome) {
        patient.found.attempts[0].took_us = outcome.took_us;
        patient.found.attempts[0].problem = outcome.problem;
        if (outcome.clock && !findings_.clock) findings_.clock = outcome.clock;
        end ();
      });
}

void
Doctor::end () {
  if (--under_way_ == 0) limit_->arm (scheduler_.now ());
}

void
Doctor::looked_up (const NameLookup::Answers &answers) {
  std::set<Address> contacted;
  for (const auto &patient : patients_) {
    const auto found = answers.find (patient->host);
    if (found == answers.end ()) continue;
    for (const std::string &ip : {found->second.ipv4, found->second.ipv6})
      if (const auto address = Address::parse (ip, patient->port))
        patient->addresses.push_back (*address);
    contacted.insert (patient->addresses.begin (), patient->addresses.end ());
    if (patient->addresses.empty ()) {
      for (Attempt &attempt : patient->found.attempts)
        if (attempt.problem.empty ())
          attempt.problem =
              "The name " + patient->host + " has no address: " + found->second.problem + ".";
    }
  }
  check_nat (turn::Family::ipv4, contacted);
  check_nat (turn::Family::ipv6, contacted);
  --nats_under_way_;
  burst ();
  end ();
}

void
Doctor::check_nat (turn::Family family, const std::set<Address> &contacted) {
  std::set<Address> servers;
  for (const auto &patient : patients_)
    for (const Address &address : patient->addresses)
      if (address.family == family) servers.insert (address);
  if (servers.empty ()) return;
  begin ();
  ++nats_under_way_;
  nat_checks_.push_back (std::make_unique<NatCheck> (
      context_, scheduler_, family, std::move (servers), contacted,
      [this] (const Address &server, TimeUs took_us) { answered (server, took_us); },
      [this, family] (const NatCheck::Outcome &outcome) {
        if (outcome.mapped)
          findings_.nats.push_back (
              {family, classify (outcome.seen), outcome.local, outcome.mapped});
        --nats_under_way_;
        burst ();
        end ();
      }));
}

void
Doctor::answered (const Address &server, TimeUs took_us) {
  for (const auto &patient : patients_)
    if (std::find (patient->addresses.begin (), patient->addresses.end (), server) !=
        patient->addresses.end ()) {
      auto &took = patient->found.attempts[patient->udp].took_us;
      took = took ? std::min (*took, took_us) : took_us;
    }
}

// When all but its burst is known, when that is over, and when the relay is lost, at any time.
void
Doctor::relay_told (Patient &patient) {
  const bool burst_over = bursting_ == &patient;
  if (burst_over) bursting_ = nullptr;
  const bool first = probed_.insert (&patient).second;
  const bool nothing_follows = first && (!request_.burst || !patient.relay->can_burst ());
  if (nothing_follows) burst_.insert (&patient);
  if (burst_over || nothing_follows) end ();
  burst ();
}

void
Doctor::burst () {
  if (nats_under_way_ > 0 || bursting_) return;
  for (const auto &patient : patients_) {
    if (!probed_.count (patient.get ()) || !burst_.insert (patient.get ()).second) continue;
    if (patient->relay->can_burst ()) {
      bursting_ = patient.get ();
      patient->relay->burst ();
      return;
    }
    end ();
  }
}

void
Doctor::finish () {
  // What was measured by now is told; what was not says so.
  for (const auto &patient : patients_) {
    ServerFound &found = patient->found;
    // Now, as what was sent may have taught the kernel better.
    if (!patient->addresses.empty ())
      found.route_mtu_bytes = mtu_towards (patient->addresses.front ());
    if (patient->relay) {
      const RelayCheck::Outcome &outcome = patient->relay->outcome ();
      found.attempts[0].problem = outcome.problem;
      if (outcome.took_us && outcome.problem.empty ()) {
        found.attempts[0].took_us = outcome.took_us;
        found.relay = outcome.relay;
      }
    }
    for (Attempt &attempt : found.attempts)
      if (!attempt.took_us && attempt.problem.empty ())
        attempt.problem =
            "No answer came; check host and port, and that a firewall lets them through.";
    findings_.servers.push_back (std::move (found));
  }
  const auto last = std::exchange (done_, nullptr);
  if (last) last (findings_);
}

}  // namespace p2p::doctor
