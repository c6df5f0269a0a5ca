// The TURN servers of one generation: a front for each, and the end of all of them. It may outlive
// its generation for as long as libnice or the relays say good-bye. Core thread only.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ice/local_addresses.hpp"
#include "ice/name_lookup.hpp"
#include "ice/relay_scout.hpp"
#include "ice/turn_front.hpp"

namespace p2p {

class TurnFronts final : public std::enable_shared_from_this<TurnFronts>,
                         private TurnFront::Observer {
 public:
  struct Door {  // what libnice is told to be a TURN server
    std::string ip;
    std::uint16_t port;
    turn::Credentials credentials;
  };
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void fronts_warning (const Error &warning) = 0;
    virtual void fronts_door (const Door &door) = 0;  // for libnice to ask
    virtual void fronts_settled () = 0;               // see settled()
    virtual void fronts_received (ByteView datagram) = 0;
    // Called by a posted task.
    virtual void fronts_lost (const TurnFront &front) = 0;
    // Also posted: after a loss, a server gives relays again.
    virtual void fronts_relay_back () = 0;
  };
  struct Config {
    LocalAddresses addresses;
    bool bound = false;  // the connections to servers begin there as well
    Ref<GTlsDatabase> tls_database;
    bool one = false;  // only the first that answers is kept; the next is asked a little later
    // IP addresses: a relay there is released at once.
    std::vector<std::string> without;
  };
  static constexpr std::size_t kMaxDoors = 8;  // libnice's limit of servers for a component

  // Through make_core_object() only.
  TurnFronts (Config config, Observer &observer);

  // Begins an allocation, or will when those before give none; false when there are as many as
  // libnice takes.
  bool add (const turn::Server &server, const LookedUp &at);
  bool settled () const;  // no further door will be opened
  bool asked () const;    // libnice has been at every one that there is
  // Whose relayed address that is; null when there is none.
  TurnFront *find (const turn::Address &relayed) const;
  // See TurnFront::move(); called for each that moves.
  using MovedTo = std::function<void (const TurnFront &, const turn::Address &source)>;
  void move (const MovedTo &moved);
  // The observer hears no more; allocations are released, and libnice is still answered.
  void leave ();
  std::vector<TurnRelayState> states () const;

 private:
  struct Waiting {
    turn::Server server;
    LookedUp at;
  };
  struct Entry {
    TurnFront::Config config;
    std::unique_ptr<TurnFront> front;
    bool told = false;  // libnice knows of it
  };

  std::optional<TurnFront::Config> config_for (const turn::Server &server, const LookedUp &at);
  void begin (const turn::Server &server, const LookedUp &at);
  void scout (const TurnFront::Config &config);
  void begin_next ();
  bool wanted (const TurnFront &front) const;
  void tell (Entry &entry);
  void tell_in_order ();
  std::optional<turn::Address> host_for (const turn::Server &server, const LookedUp &at) const;
  void front_warning (const Error &warning) override;
  void front_allocated (TurnFront &front) override;
  void front_settled () override;
  void front_received (ByteView datagram) override;
  void front_lost (TurnFront &front) override;
  void front_closed () override;

  const Config config_;
  Observer *observer_;
  std::vector<Entry> fronts_;
  std::vector<Waiting> waiting_, spare_;  // with Config::one: not needed so far, and not any more
  std::vector<std::unique_ptr<RelayScout>> scouts_;
  const TurnFront *kept_ = nullptr;  // then, the one
  const std::unique_ptr<Scheduler::Timer> next_timer_, order_timer_;
  bool ordering_ = false, order_passed_ = false;  // one has answered, and the others had time
  std::size_t doors_ = 0;                         // that may be opened
  std::shared_ptr<TurnFronts> leaving_;           // itself, until all are closed
};

}  // namespace p2p
