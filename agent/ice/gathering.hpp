// How a generation gets its local candidates: which servers are asked, in which order libnice
// hears of them, and when there is nothing more to come. libnice is told of a relay when there is
// one, so that it never waits for a server. Core thread only.
#pragma once
#include <memory>
#include <vector>

#include "ice/nice_handle.hpp"
#include "ice/turn_fronts.hpp"

namespace p2p {

class Gathering final : private TurnFronts::Observer {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    // Never from inside of begin().
    virtual void gathering_done () = 0;
    virtual void gathering_received (ByteView datagram) = 0;  // from the relay in use
    virtual void gathering_relay_lost (const TurnFront &relay) = 0;
    virtual void gathering_relay_back () = 0;
    virtual void gathering_warning (const Error &warning) = 0;  // also from inside
  };

  Gathering (const IceConfig &config, const LocalAddresses &addresses, NiceHandle &nice,
             Observer &observer);
  ~Gathering () override;
  Gathering (const Gathering &) = delete;
  Gathering &operator= (const Gathering &) = delete;

  // Fails when no socket at all can be had.
  Status begin (const NameLookup::Answers &answers);
  void nice_done ();  // libnice has asked everybody that it knows of
  bool done () const { return done_; }
  TurnFront *find (const turn::Address &relayed) const { return fronts_->find (relayed); }
  void move_relays (const TurnFronts::MovedTo &moved) { fronts_->move (moved); }
  std::vector<TurnRelayState> relays () const { return fronts_->states (); }

 private:
  bool reaches (const LookedUp &server) const;
  const LookedUp *address_of (const NameLookup::Answers &answers, const std::string &host,
                              const char *kind);
  void use_turn_servers (const NameLookup::Answers &answers);
  bool use_stun_server (const NameLookup::Answers &answers);
  bool has_socket () const;
  void tell_doors ();
  void look ();
  void fronts_warning (const Error &warning) override;
  void fronts_door (const TurnFronts::Door &door) override;
  void fronts_settled () override { look (); }
  void fronts_received (ByteView datagram) override { observer_.gathering_received (datagram); }
  void fronts_lost (const TurnFront &front) override { observer_.gathering_relay_lost (front); }
  void fronts_relay_back () override { observer_.gathering_relay_back (); }

  const IceConfig &config_;
  const LocalAddresses &addresses_;
  NiceHandle &nice_;
  Observer &observer_;
  const std::shared_ptr<TurnFronts> fronts_;
  std::vector<TurnFronts::Door> doors_;  // that libnice was not told of yet
  bool stun_ahead_ = false;              // libnice has asked the STUN server first
  bool nice_idle_ = false, done_ = false;
  const std::unique_ptr<Scheduler::Timer> stun_timer_, door_timer_;
};

}  // namespace p2p
