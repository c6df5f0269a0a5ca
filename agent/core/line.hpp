// What lies below a living session: one transport, the ways it may take, and the generations that
// they belong to. Finds out when the line is broken, looks for other ways, moves to them, and says
// when it is restored. line.cpp is about the ways in use, line_liveness.cpp about what the watch
// says of them, line_renewal.cpp about new ones, line_transport.cpp about new transports over those
// that there are, line_standby.cpp about the relay that is kept ready. Core thread only; destroyed
// by retire() only.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/packed_memory.hpp"
#include "core/line_watch.hpp"
#include "core/negotiation.hpp"
#include "core/standby.hpp"
#include "core/transport_handshake.hpp"
#include "ice/turn_front.hpp"
#include "net/network_snapshot.hpp"

namespace p2p {

class Line final : public Packed,
                   private LineWatch::Observer,
                   private Generation::Host,
                   private Negotiation::Host,
                   private Standby::Host {
 public:
  struct Restored {
    TimeUs outage = 0;
    bool new_transport = false;  // the session replays what the peer has not confirmed
  };

  // None of these may destroy the line but by retire().
  class Host {
   public:
    virtual ~Host () = default;
    // Another attempt of the agent's, or one that speaks as `twin` does: see
    // IceConfig::credentials and resume.
    virtual Result<std::unique_ptr<Attempt>> line_attempt (Attempt::Observer *observer,
                                                           const NetworkConfig *twin,
                                                           const IceResume *resume) = 0;
    // One without the relays at these IP addresses.
    virtual Result<std::unique_ptr<Attempt>> line_standby_attempt (
        Attempt::Observer *observer, const std::vector<std::string> &without_relays) = 0;
    virtual bool line_peer_present () const = 0;                        // at the meeting point
    virtual void line_signal (const PeerSignal &signal) = 0;            // by the meeting point
    virtual bool line_signal_in_band (const PeerSignal &signal) = 0;    // over the session
    virtual Status line_check (const NetworkConfig &remote) const = 0;  // is it still that peer
    virtual void line_config_changed (const NetworkConfig &local) = 0;
    virtual void line_remote_config (const NetworkConfig &remote) = 0;
    virtual void line_path_changed () = 0;
    virtual void line_warning (const Error &warning) = 0;
    // `detail`: what is known beside the reason, a sentence; may be empty.
    virtual void line_broken (BreakReason reason, const std::string &detail) = 0;
    // The transport is about to go, and another one will come.
    virtual void line_detach () = 0;
    // A new transport takes the place of the one before, which is gone after the call.
    virtual void line_transport (Transport &transport) = 0;
    virtual void line_restored (const Restored &restored) = 0;
    virtual void line_over (const Error &error) = 0;  // for good
  };

  struct Config {
    LineWatch::Config watch;
    std::string session;  // its name on the wire
    NetworkView network;
    bool builds_standby = false;
  };
  // How a line is found again whose process has ended: what both sides said last, and the pair of
  // addresses that was in use, where that was one of UDP and without a relay of this side.
  struct Memory {
    NetworkConfig local, remote;
    std::optional<IceResume> pair;
    std::uint64_t transport_name = 0;
  };

  Line (const Config &config, Carrier carrier, Scheduler &clock, Host &host);
  // Without a transport and a way: broken until restore() has found the peer.
  Line (const Config &config, Scheduler &clock, Host &host);
  ~Line () override;
  Line (const Line &) = delete;
  Line &operator= (const Line &) = delete;

  Transport *transport () const { return carrier_ ? carrier_->transport.get () : nullptr; }
  // The session is up: what carried it stays, and others may follow.
  void live (std::unique_ptr<Generation> generation, const std::string &newest_remote);
  void restore (const Memory &memory);
  std::optional<Memory> memory () const;        // nothing while there is no way in use
  std::vector<TurnRelayState> relays () const;  // of all generations that live
  // Nothing is told any more; whoever owns it may retire it from inside of any call.
  void end ();
  bool broken () const { return broken_; }
  bool met () const { return watch_.met (); }  // the peer has a line as well
  const std::string &newest_remote () const { return negotiation_.newest_remote (); }

  // Of this session, from the meeting point or over the session. False counts as rejected.
  bool receive_signal (const PeerSignal &signal, bool in_band);
  void peer_present ();
  void network_changed (const NetworkView &now, const NetworkChange &change);
  void network_lost (const NetworkView &now);  // moves, where there is another way
  void look_at_once () { watch_.network_changed (); }
  void set_settings (const LivenessSettings &settings) { watch_.set_settings (settings); }
  void carried () { watch_.carried (); }
  // The session's new transport has said hello: what was broken by the loss of the last one is not.
  void session_attached (bool peer_restarted);
  // The transport has ended, and the session has not.
  void transport_ended (const Error &error);

  PathInfo path () const;
  std::uint64_t dropped_datagrams () const;
  const Standby::Stats &standby_stats () const { return standby_.stats (); }
  bool has_standby () const { return standby_way () != nullptr; }
  PingStats pings () { return watch_.pings (); }
  std::vector<std::string> report () const;

 private:
  struct WayEntry {
    PathGroup::Way way = 0;
    Generation *generation = nullptr;
    TimeUs added_at = 0;
    bool proven = false;     // it carried both directions once
    bool failed = false;     // its path says that nothing passes
    std::string base;        // its local address, once that was known to be this machine's
    bool base_gone = false;  // and is no longer
    unsigned answers = 0;    // since the one in use has answered last
    TimeUs wanted_since = 0, wanted_last = 0;  // the peer asks for it, and does not hear the answer
    bool usable () const { return proven && !failed && !base_gone; }
  };

  // LineWatch::Observer
  void watch_suspect () override;
  void watch_probes () override;
  void watch_broken (BreakReason reason) override;
  void watch_restored (TimeUs outage, PathGroup::Way way) override;
  void watch_over (const Error &error) override;
  void watch_way_answers (PathGroup::Way way) override;
  void watch_way_wanted (PathGroup::Way way) override;
  void watch_transport (std::uint64_t name, bool anew) override;
  void watch_way_silent (PathGroup::Way way) override;
  void watch_way_changed (PathGroup::Way way) override;
  void watch_way_failed (PathGroup::Way way, const Error &error) override;
  bool watch_may_ask (PathGroup::Way way) const override;
  // Generation::Host
  void generation_says (const PeerSignal &signal) override;
  void generation_config_changed (Generation &generation) override;
  void generation_connected (Generation &generation, Carrier carrier) override;
  void generation_path (Generation &generation, Path &path) override;
  void generation_lost (Generation &generation, const Error &error) override;
  void generation_pair_changed (Generation &generation) override;
  void generation_relay_back (Generation &generation) override;
  void generation_warning (const Error &warning) override;
  // Negotiation::Host
  std::unique_ptr<Generation> negotiation_generation () override;
  void negotiation_hello (PeerSignal hello) override;
  bool negotiation_peer_there () const override;
  bool negotiation_start (const PeerSignal &hello) override;

  // line.cpp
  WayEntry *find_way (PathGroup::Way way);
  WayEntry *way_in_use () { return carrier_ ? find_way (carrier_->ways->in_use ()) : nullptr; }
  bool relayed (PathGroup::Way way) const;
  std::size_t relays_of (PathGroup::Way way) const;
  bool no_worse (const WayEntry &one, const WayEntry &other) const;
  bool better (const WayEntry &one, const WayEntry &other) const;
  void use_way (WayEntry &entry);
  void way_taken (PathGroup::Way before);
  void choose_way ();
  void compare (const WayEntry &in_use, const WayEntry &other);
  void keep_generation (Generation &generation);
  void keep_building ();
  void remove_ways_of (const Generation *generation);
  void drop_generation (const Generation *generation);
  void drop_carrier ();
  void follow (bool on);
  void keep_up ();
  void arm_upkeep ();
  void end_break (bool new_transport);

  // line_liveness.cpp
  bool takes_over (const WayEntry &answering, const WayEntry &in_use) const;

  // line_standby.cpp
  bool standby_build () override;
  void standby_ask () override;
  void standby_give_up () override;
  bool is_standby (const Generation *generation) const;
  const WayEntry *standby_way () const;
  void see_standby ();

  // line_transport.cpp
  // What another transport over the ways that there are gets, before other ways are looked for.
  static constexpr TimeUs kTransportFirst = 600 * kMillisecond;
  static std::uint64_t name_after (std::uint64_t name);
  void want_transport ();
  void begin_transport ();
  void transport_ready ();
  bool attaching () const;
  bool needs_transport () const { return transport_ended_ && !attaching (); }
  void drop_building_transport ();
  void transport_failed (const Error &error);
  void end_handshake ();
  void resume_ways ();

  // line_renewal.cpp
  bool in_band () const;
  bool can_signal () const;
  void doubt_line ();
  void renew ();
  void renew_alone ();
  void drop_fruitless ();
  void renew_later ();
  void look_for_direct ();
  bool is_dead (const Generation &generation) const;
  void see_network (const NetworkView &now);
  void note_bases ();
  void move_relays ();

  const std::string session_;
  const bool client_;
  Scheduler &clock_;
  Host &host_;
  NetworkView network_;
  bool cut_off_ = false;  // this machine had a network, and has none
  Negotiation negotiation_;
  std::vector<std::unique_ptr<Generation>> generations_;  // whose ways are in the carrier
  std::unique_ptr<Carrier> carrier_;                      // retired before them; null: it has ended
  LineWatch watch_;
  std::vector<WayEntry> ways_;  // of carrier_
  Standby standby_;
  // Attempts of this side: of the generation that is kept ready, and of the one that is built for
  // it.
  std::string standby_id_, standby_building_;
  std::vector<std::string> building_without_;
  std::vector<std::string> without_relays_;  // of what is built inside of this call, if it is one
  bool live_ = false, broken_ = false, over_ = false;
  bool transport_ended_ = false;   // and no other one carries the session yet
  bool transport_wanted_ = false;  // and this side asks the peer for one, over the ways there are
  bool want_again_ = false;        // after a handshake that failed
  std::uint64_t transport_name_ = 0;  // of the last one that either side asked for
  // Of the one that there is; 0 when it was not asked for by pings.
  std::uint64_t transport_here_ = 0;
  TimeUs attach_until_ = 0;                        // until then, nobody shall take its place
  std::unique_ptr<TransportHandshake> handshake_;  // uses the ways of carrier_: retired before it
  std::optional<Memory> memory_;                   // of the time before this process
  bool pair_resumed_ = false;                      // its pair was tried
  bool new_transport_asked_ = false;               // by the peer, in the hello that is being read
  TimeUs broken_at_ = 0;
  std::string break_detail_;
  TimeUs wanted_at_ = 0;      // when this side asked for a way last
  TimeUs doubted_until_ = 0;  // by the peer
  bool following_ = false;
  TimeUs follow_until_ = 0, go_back_at_ = 0;
  const std::unique_ptr<Scheduler::Timer> upkeep_, renewal_, transport_timer_;
  bool renewal_wanted_ = false;  // because of the network, also while nothing is broken
  bool for_direct_ = false;      // what is being built is for a direct way alone
  unsigned renewals_left_ = 0;
  TimeUs renew_wait_ = 0, direct_wait_ = 0;
};

}  // namespace p2p
