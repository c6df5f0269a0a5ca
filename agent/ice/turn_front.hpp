// One allocation of ours at a TURN server, shown to libnice as a TURN server that is always there:
// libnice gets the relayed address as a candidate and does its checks over it, while turn::Relay
// gets and keeps the allocation. Data of the selected pair does not pass the front. Core thread
// only, also the relay below.
#pragma once
#include <gio/gio.h>

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ptr.hpp"
#include "ice/front_socket.hpp"
#include "turn/relay.hpp"

namespace p2p {

// How an allocation stands, for people and for the state of a session.
struct TurnRelayState {
  std::string server;                   // its URI, without a password
  std::string realm;                    // of the credentials, as the server says
  std::vector<turn::Address> relayed;   // as libnice was told
  std::optional<turn::Address> mapped;  // of the connection to the server, as the server sees it
  TimeUs lifetime = 0;                  // as the server granted it last; it is refreshed before
  TimeUs left = 0;                      // of that
  std::optional<Error> lost;
  turn::ClientStats stats;
  std::uint64_t dropped = 0;  // datagrams, here and there: no room, no permission, or no sense
};

class TurnFront final : private turn::Relay::Observer, private FrontSocket::Owner {
 public:
  // Called from inside of the front, which must outlive the call.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void front_warning (const Error &warning) = 0;  // this server gives no relay
    virtual void front_allocated (TurnFront &front) = 0;    // sockets() are there for libnice
    virtual void front_settled () = 0;                      // see settled() and asked()
    virtual void front_received (ByteView datagram) = 0;    // data of the pair in use
    virtual void front_lost (TurnFront &front) = 0;         // see lost()
    virtual void front_closed () = 0;
  };
  struct Config {
    turn::Server server;
    std::vector<turn::Address> server_addresses;  // the first of each family
    turn::PeerPolicy policy;
    bool both_families = false;     // an IPv6 address as well
    turn::Address host;             // of this machine: where libnice's socket is, and the front
    std::set<turn::Address> known;  // all such addresses
    std::optional<turn::Address> local;  // where the connection to the server must begin
    Ref<GTlsDatabase> tls_database;      // none: that of the system
  };

  // Begins to allocate.
  TurnFront (GMainContext *context, Scheduler &scheduler, const Config &config, Observer &observer);
  TurnFront (const TurnFront &) = delete;
  TurnFront &operator= (const TurnFront &) = delete;

  // For each relayed address, one of each family.
  const std::vector<std::unique_ptr<FrontSocket>> &sockets () const { return sockets_; }
  bool settled () const { return given_up_ || !sockets_.empty (); }
  bool asked () const;  // libnice has been given all relayed addresses that there are
  bool shows (const turn::Address &relayed) const;
  // Why the relayed address is of no use any more, if it is.
  const std::optional<Error> &lost () const { return lost_; }

  // The peer of the pair in use, when that is one of this relay: what it sends that is not STUN
  // comes by front_received(). None: all goes to libnice.
  void carry (const std::optional<turn::Address> &peer);
  turn::Sent send (ByteView datagram);  // to that peer
  // What is sent in between may leave together; the answer is how many, at the end, had no room.
  void hold () { relay_.hold (); }
  std::size_t unhold () { return relay_.release (); }

  // To another five-tuple, as after a change of the network: only where the server lets the
  // allocation go along (RFC 8016). From where it goes now.
  std::optional<turn::Address> move ();
  void doubt ();    // nothing comes: the server is asked whether there is still an allocation
  void release ();  // it is not wanted: as if its server had given none, without a warning
  void close ();    // releases the allocation; libnice's requests are still answered
  bool closed () const { return relay_.client ().state () == turn::Client::State::closed; }
  TurnRelayState state () const;

 private:
  static turn::RelayConfig relay_config (const Config &config);
  void show ();
  void give_up (const Error &why);
  void lose (const std::string &why);
  void relay_event (const turn::Event &event) override;
  void relay_received (const turn::Address &peer, ByteView data) override;
  void relay_credentials_wanted (const turn::Server &server) override;
  Status front_peer (const turn::Address &peer, bool channel) override;
  void front_relay (const turn::Address &peer, ByteView data) override;
  void front_granted () override { observer_.front_settled (); }

  // Candidates that come later are of little use; libnice gives a server over TCP as long.
  // Over TLS there are two more round trips, and the first connection of a process loads what is
  // trusted.
  static constexpr TimeUs kLimit = 2 * kSecond, kTlsLimit = 5 * kSecond;

  GMainContext *const context_;
  const Config config_;
  Observer &observer_;
  std::vector<std::unique_ptr<FrontSocket>> sockets_;
  std::vector<turn::Address> relayed_;  // as they were shown; empty before
  std::uint64_t dropped_ = 0;           // libnice's checks, for want of room
  bool given_up_ = false;
  std::optional<Error> lost_;
  std::optional<turn::Address> carried_;
  const std::unique_ptr<Scheduler::Timer> limit_;
  turn::Relay relay_;
};

}  // namespace p2p
