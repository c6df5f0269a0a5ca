// Asks STUN servers, over one family, in the order in which the answers mean something: first all
// of them; then, from a socket of its own, whether answers from elsewhere come through; and last
// what the other addresses see, as what is sent there opens the filter.
#pragma once
#include <memory>
#include <set>
#include <vector>

#include "doctor/binding_socket.hpp"
#include "doctor/nat_behaviour.hpp"

namespace p2p::doctor {

class NatCheck {
 public:
  struct Outcome {
    NatSeen seen;
    std::optional<Address> local, mapped;  // of the first answer that tells of a NAT, or of any
  };
  // The first answer of each server: how long it took.
  using Answered = std::function<void (const Address &server, TimeUs took_us)>;
  using Done = std::function<void (const Outcome &)>;

  // `contacted`: all that this program sends to besides. `done` is called once, never from inside.
  NatCheck (GMainContext *context, Scheduler &scheduler, turn::Family family,
            std::set<Address> servers, std::set<Address> contacted, Answered answered, Done done);

 private:
  void ask_all ();
  void test_filter ();
  void test_mapping ();
  // `then` when as many have ended as were begun.
  void ask (BindingSocket &socket, const Address &to, Change change,
            std::function<void (const BindingSocket::Reply &)> use, void (NatCheck::*then) ());
  void take (const Address &server, const BindingSocket::Reply &reply);
  void finish ();

  GMainContext *const context_;
  Scheduler &scheduler_;
  const turn::Family family_;
  const std::set<Address> servers_, contacted_;
  const Answered answered_;
  Done done_;
  Outcome outcome_;
  struct Tester {
    Address server, other;
  };
  std::optional<Tester> tester_;  // the first that offers RFC 5780
  int under_way_ = 0;
  std::unique_ptr<BindingSocket> mapping_socket_, filter_socket_;
  std::unique_ptr<Scheduler::Timer> end_;
};

}  // namespace p2p::doctor
