// Runs all checks side by side, and ends in time whatever answers.
#pragma once
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "doctor/findings.hpp"
#include "doctor/health_check.hpp"
#include "doctor/nat_check.hpp"
#include "doctor/relay_check.hpp"
#include "doctor/request.hpp"
#include "doctor/stream_check.hpp"
#include "ice/name_lookup.hpp"

namespace p2p::doctor {

class Doctor {
 public:
  static constexpr TimeUs kLimit = 10 * kSecond, kLookupLimit = 2 * kSecond;
  using Done = std::function<void (const Findings &)>;

  // On the context's thread, where the context is the thread's default. `done` is called once,
  // never from inside.
  Doctor (GMainContext *context, Scheduler &scheduler, Request request, Done done);
  ~Doctor ();
  Doctor (const Doctor &) = delete;
  Doctor &operator= (const Doctor &) = delete;

 private:
  struct Patient {
    ServerFound found;
    std::string host;
    std::uint16_t port = 0;
    std::size_t udp = 0;  // which of found.attempts
    std::vector<Address> addresses;
    std::unique_ptr<RelayCheck> relay;
    std::unique_ptr<StreamCheck> stream;
    std::unique_ptr<HealthCheck> health;
  };

  Patient &add (ServerFound::Kind kind, const std::string &uri, const std::string &host,
                std::uint16_t port);
  void add_stun (const StunServer &server);
  void add_turn (const turn::Server &server);
  void check_stream (Patient &patient);
  void add_rendezvous (const SignalingUri &server);
  // One more of what is waited for; begun before, ended after.
  void begin () { ++under_way_; }
  void end ();
  void looked_up (const NameLookup::Answers &answers);
  void check_nat (turn::Family family, const std::set<Address> &contacted);
  void answered (const Address &server, TimeUs took_us);
  void relay_told (Patient &patient);
  void burst ();
  void finish ();

  GMainContext *const context_;
  Scheduler &scheduler_;
  const Request request_;
  Done done_;
  Findings findings_;
  std::vector<std::unique_ptr<Patient>> patients_;
  std::vector<std::unique_ptr<NatCheck>> nat_checks_;
  std::unique_ptr<NameLookup> lookup_;
  int under_way_ = 0;
  // Bursts would drown the small requests of a NAT check, and each other: they come last, in turn.
  int nats_under_way_ = 0;
  Patient *bursting_ = nullptr;
  std::set<const Patient *> probed_, burst_;  // relays that were, or will not be
  std::unique_ptr<Scheduler::Timer> limit_;
};

}  // namespace p2p::doctor
