// TURN servers on a virtual clock that do what a test tells them, and a client in front of them.
#pragma once
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <set>

#include "turn/client.hpp"

namespace p2p::test {

using turn::Address;
using turn::Event;
using turn::Message;
using turn::MessageClass;
using turn::MessageWriter;
using turn::Method;

constexpr TimeUs kOneWay = 25 * kMillisecond;
constexpr TimeUs kRoundTrip = 2 * kOneWay;

// One request as it came.
struct Seen {
  Method method;
  std::set<std::uint16_t> attributes;
  std::uint64_t tuple;
  std::optional<std::uint32_t> lifetime_s;
  std::vector<Address> peers;
  TimeUs at;
};

// What a server does with the next request of a method instead of the right thing.
struct Answer {
  int code = 0;         // an error; 0: success
  bool silent = false;  // no answer at all
  bool is_signed = true;
  std::function<void (MessageWriter *)> extra;   // more attributes
  std::optional<std::vector<std::uint8_t>> raw;  // these bytes, with the right transaction id
  bool at_once = false;                          // also to a request that is not signed yet
};

class ScriptedServer {
 public:
  ScriptedServer (VirtualScheduler &clock, std::string host)
      : clock_ (clock), host_ (std::move (host)) {}

  std::string user = "user", password = "secret", realm = "test";
  std::uint32_t lifetime_s = 600;
  bool dead = false;          // answers nothing
  bool connects = true;       // whether a stream to it is accepted
  bool stale_always = false;  // a 438 for whatever comes
  bool mobility = false;
  bool sha256 = false, anonymous = false, hide_algorithms = false;
  bool ipv6 = false;  // whether it has an address of that family
  std::string relay_ip = "203.0.113.9";
  std::map<Method, std::deque<Answer>> script;
  std::set<Address> forbidden;  // peers, without port

  std::vector<Seen> seen;
  std::vector<std::string> relayed_data;  // what arrived for peers, as "peer<how>text"
  int count (Method method) const;
  const Seen &last (Method method) const;

  void restart ();  // forgets allocations and nonces
  void stale ();    // the nonces alone
  bool holds (std::uint64_t tuple) const { return allocations_.count (tuple) > 0; }
  std::size_t allocations () const { return allocations_.size (); }
  // A datagram of a peer, as it goes to the client of the tuple: by channel if there is one.
  std::vector<std::uint8_t> from_peer (std::uint64_t tuple, const Address &peer,
                                       const std::string &text);
  std::vector<std::uint8_t> receive (std::uint64_t tuple, ByteView packet);

 private:
  struct Allocation {
    std::uint16_t port;
    std::set<Address> permissions;
    std::map<std::uint16_t, Address> channels;
    std::string ticket;
  };
  std::string nonce () const;
  std::vector<std::uint8_t> answer (const Message &request, std::uint64_t tuple);
  std::vector<std::uint8_t> reply (const Message &request, const Answer &how,
                                   const std::function<void (MessageWriter *)> &fill);
  turn::Key key () const;
  bool authentic (const Message &request) const;
  void add_challenge (MessageWriter *out) const;

  VirtualScheduler &clock_;
  const std::string host_;
  std::map<std::uint64_t, Allocation> allocations_;
  std::uint16_t next_port_ = 50000;
  int nonce_ = 1;
};

// A client, its servers by name, and all that it said.
class TurnBench : public turn::Client::Host {
 public:
  TurnBench ();
  ~TurnBench () override;
  ScriptedServer &server (const std::string &host = "one");
  turn::ClientConfig config (std::vector<std::string> hosts = {"one"},
                             turn::Protocol protocol = turn::Protocol::udp) const;
  void start (const turn::ClientConfig &config);
  // Starts and waits for the relayed address.
  void allocate (const turn::ClientConfig &config);
  void allocate () { allocate (config ()); }
  bool until (Event::Kind kind, TimeUs limit = 120 * kSecond);
  bool until (const std::function<bool ()> &done, TimeUs limit = 120 * kSecond) {
    return clock.run_until_true (done, limit);
  }
  int count (Event::Kind kind) const;
  const Event *last (Event::Kind kind) const;
  void peer_sends (const std::string &text, const Address &from);
  void stream_ends ();  // the server closes the connection

  void open_transport (const turn::Target &target) override;
  void close_transport () override;
  bool send_packet (ByteView packet) override;
  void turn_event (const Event &event) override;
  void turn_received (const Address &peer, ByteView data) override;
  void credentials_wanted (const turn::Server &server) override;

  VirtualScheduler clock;
  std::map<std::string, std::unique_ptr<ScriptedServer>> servers;
  std::vector<Event> events;
  std::vector<turn::Target> targets;
  std::vector<std::string> received;
  std::optional<turn::Credentials> fresh;  // what is given when others are wanted
  int wanted = 0;
  std::uint64_t tuple = 0;  // the one there is; 0: none
  std::uint64_t tuples = 0;
  double loss = 0;
  std::unique_ptr<turn::Client> client;

 private:
  void after (TimeUs delay, std::function<void ()> work);

  std::map<std::uint64_t, std::string> hosts_;  // by tuple
  std::list<std::unique_ptr<Scheduler::Timer>> timers_;
};

inline Address
address (const std::string &ip, std::uint16_t port) {
  return *Address::parse (ip, port);
}

const Address kPeer = *Address::parse ("198.51.100.7", 4000);

}  // namespace p2p::test
