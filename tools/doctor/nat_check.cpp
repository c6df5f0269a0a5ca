#include "doctor/nat_check.hpp"

#include <algorithm>

#include "turn/source_address.hpp"

namespace p2p::doctor {

NatCheck::NatCheck (GMainContext *context, Scheduler &scheduler, turn::Family family,
                    std::set<Address> servers, std::set<Address> contacted, Answered answered,
                    Done done)
    : context_ (context),
      scheduler_ (scheduler),
      family_ (family),
      servers_ (std::move (servers)),
      contacted_ (std::move (contacted)),
      answered_ (std::move (answered)),
      done_ (std::move (done)),
      end_ (scheduler.make_timer ([this] {
        // The last thing: whoever hears it may destroy this.
        const auto last = std::move (done_);
        last (outcome_);
      })) {
  ask_all ();
}

void
NatCheck::ask_all () {
  auto socket = BindingSocket::open (context_, scheduler_, family_);
  if (!socket || servers_.empty ()) {
    finish ();
    return;
  }
  mapping_socket_ = std::move (*socket);
  for (const Address &server : servers_)
    ask (
        *mapping_socket_, server, kChangeNothing,
        [this, server] (const BindingSocket::Reply &reply) {
          answered_ (server, reply.took_us);
          take (server, reply);
          const auto &other = reply.binding.other;
          if (!tester_ && other && usable_other_address (server, *other))
            tester_ = Tester{server, *other};
        },
        &NatCheck::test_filter);
}

void
NatCheck::test_filter () {
  auto socket = BindingSocket::open (context_, scheduler_, family_);
  if (!tester_ || !socket) {
    finish ();
    return;
  }
  filter_socket_ = std::move (*socket);
  FilterSeen filter;
  filter.other_address_known =
      std::any_of (contacted_.begin (), contacted_.end (), [this] (const Address &one) {
        return one.without_port () == tester_->other.without_port ();
      });
  outcome_.seen.filter = filter;
  const Address server = tester_->server;
  ask (
      *filter_socket_, server, kChangeNothing,
      [this] (const BindingSocket::Reply &) { outcome_.seen.filter->first = true; },
      &NatCheck::test_mapping);
  const auto test = [this, server] (Change change, bool FilterSeen::*came) {
    ask (
        *filter_socket_, server, change,
        [this, server, came] (const BindingSocket::Reply &reply) {
          FilterSeen &seen = *outcome_.seen.filter;
          (reply.from == server ? seen.ignored : seen.*came) = true;
        },
        &NatCheck::test_mapping);
  };
  test (kChangePort, &FilterSeen::other_port);
  test (kChangeBoth, &FilterSeen::other_address);
}

void
NatCheck::test_mapping () {
  Address same_port = tester_->other;
  same_port.port = tester_->server.port;
  for (const Address &to : {same_port, tester_->other})
    ask (
        *mapping_socket_, to, kChangeNothing,
        [this, to] (const BindingSocket::Reply &reply) { take (to, reply); }, &NatCheck::finish);
}

void
NatCheck::ask (BindingSocket &socket, const Address &to, Change change,
               std::function<void (const BindingSocket::Reply &)> use, void (NatCheck::*then) ()) {
  ++under_way_;
  socket.ask (
      to, change,
      [this, use = std::move (use), then] (const std::optional<BindingSocket::Reply> &reply) {
        if (reply) use (*reply);
        if (--under_way_ == 0) (this->*then) ();
      });
}

void
NatCheck::take (const Address &server, const BindingSocket::Reply &reply) {
  auto local = turn::source_towards (server);
  if (local) local->port = mapping_socket_->port ();
  outcome_.seen.mappings.push_back ({server, reply.binding.mapped, local});
  // A server on this side of the NAT sees less of it than one beyond.
  if (outcome_.mapped && outcome_.local != outcome_.mapped) return;
  outcome_.local = local;
  outcome_.mapped = reply.binding.mapped;
}

void
NatCheck::finish () {
  end_->arm (scheduler_.now ());
}

}  // namespace p2p::doctor
