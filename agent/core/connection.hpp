// The connection as it lives on the core thread: generations until one carries, then the session,
// with a line below it that breaks, moves and comes back.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.hpp"
#include "base/packed_memory.hpp"
#include "core/agent_link.hpp"
#include "core/channel_pump.hpp"
#include "core/connection_core.hpp"
#include "core/keeper.hpp"
#include "core/line.hpp"
#include "core/negotiation.hpp"
#include "session/session.hpp"

namespace p2p {

class Connection final : public Packed,
                         public ConnectionCore,
                         public std::enable_shared_from_this<Connection>,
                         private Generation::Host,
                         private Negotiation::Host,
                         private Line::Host,
                         private Session::Observer {
 public:
  Connection (std::string peer, std::weak_ptr<AgentLink> agent, std::uint64_t max_message_bytes,
              Scheduler &clock);
  ~Connection () override;

  // ConnectionCore: any thread.
  const std::string &peer () const override { return peer_; }
  void set_observer (std::weak_ptr<ConnectionCore::Observer> observer) override;
  ConnectionSnapshot snapshot () const override;
  ConnectionStats stats () const override;
  std::string session_state () const override;
  void accept () override;
  void refuse (const std::string &reason) override;
  Status update_remote_config (const NetworkConfig &config) override;
  Result<std::shared_ptr<ChannelPort>> open_channel (const std::string &name,
                                                     const ChannelOptions &options) override;
  std::shared_ptr<ChannelPort> lookup_channel (const std::string &name) const override;
  void close () override;

  // Core thread, called by the agent.
  void start_outgoing (const std::optional<NetworkConfig> &remote);
  // A predecessor is the living connection whose place this one is to take.
  void start_incoming (const PeerSignal &hello, bool accepted, const Connection *predecessor);
  void peer_present (bool present);
  void signaling_lost (const Error &reason);
  // True when the signal opens a session that follows the living one, and so is not for this one.
  bool signal_is_for_successor (const PeerSignal &signal) const;
  void receive_signal (const PeerSignal &signal);
  void signal_rejected () { ++signals_rejected_; }
  void network_changed (const NetworkView &now, const NetworkChange &change);
  void network_lost (const NetworkView &now);
  void look_at_once ();  // the line may have died while nobody looked
  void settings_changed ();
  // The transport has ended, and the session is to go on over another one.
  void lose_transport (const Error &error);
  void fail (const Error &error);
  // From what was kept of it: broken, until the peer is found again.
  Status restore (const SessionRecord &record, const std::vector<MemoryItem> &items);
  // Without a word to the peer, and leaving what is kept alone: somebody else goes on with it.
  void abandon (const Error &error);
  // Orderly: tells the peer, ends everything.
  void shut_down (const std::string &reason);
  bool removed () const { return removed_; }  // any thread
  // From the first hellos on, through every break.
  bool established () const { return session_ && line_ && established_at_ > 0; }
  // Of the session, on the wire; empty before there is one.
  const std::string &session_name () const { return session_name_; }
  // Whether it has that session, or the attempt that is under way will be that.
  bool knows_session (const std::string &name) const;

 private:
  // Generation::Host, before the session is up
  void generation_says (const PeerSignal &signal) override;
  void generation_config_changed (Generation &generation) override;
  void generation_connected (Generation &generation, Carrier carrier) override;
  void generation_path (Generation &, Path &) override {}
  void generation_lost (Generation &generation, const Error &error) override;
  void generation_pair_changed (Generation &generation) override;
  void generation_relay_back (Generation &) override {}
  void generation_warning (const Error &warning) override;
  // Negotiation::Host, before the session is up
  std::unique_ptr<Generation> negotiation_generation () override;
  void negotiation_hello (PeerSignal hello) override;
  bool negotiation_peer_there () const override;
  bool negotiation_start (const PeerSignal &hello) override;
  // Line::Host
  Result<std::unique_ptr<Attempt>> line_attempt (Attempt::Observer *observer,
                                                 const NetworkConfig *twin,
                                                 const IceResume *resume) override;
  Result<std::unique_ptr<Attempt>> line_standby_attempt (
      Attempt::Observer *observer, const std::vector<std::string> &without_relays) override;
  bool line_peer_present () const override;
  void line_signal (const PeerSignal &signal) override;
  bool line_signal_in_band (const PeerSignal &signal) override;
  Status line_check (const NetworkConfig &remote) const override;
  void line_config_changed (const NetworkConfig &local) override;
  void line_remote_config (const NetworkConfig &remote) override;
  void line_path_changed () override;
  void line_warning (const Error &warning) override;
  void line_broken (BreakReason reason, const std::string &detail) override;
  void line_detach () override;
  void line_transport (Transport &transport) override;
  void line_restored (const Line::Restored &restored) override;
  void line_over (const Error &error) override;
  // Session::Observer
  void session_established () override;
  void session_channel_opened (Channel &channel) override;
  void session_message (Channel &channel, Message message) override;
  void session_end_of_stream (Channel &channel) override;
  void session_released (Channel &channel) override;
  void session_channel_closed (Channel &channel, const Status &reason) override;
  void session_signal (const std::string &text) override;
  void session_detached (const Error &error, bool by_peer, std::uint64_t code) override;

  // connection_kept.cpp
  void begin_keeping ();
  void update_record ();

  bool is_client () const;
  bool waiting_for_config () const;
  void drop_session ();
  void drop_all ();
  void say_bye (P2pError code, const std::string &text, const std::string &in_reply_to = {});
  void receive_hello (const PeerSignal &hello);
  void receive_bye (const PeerSignal &bye);
  bool ends_session (const PeerSignal &bye) const;
  bool ends_attempt (const PeerSignal &bye) const;
  bool is_genuine (const PeerSignal &bye) const;
  Error ended_by_peer (const PeerSignal &bye) const;
  void retry_or_fail (const Error &error, bool worth_it);
  bool start_generation (const NetworkConfig &remote, bool out_of_band);
  SessionConfig session_config (const Generation &generation,
                                const std::string &remote_attempt) const;
  void use_channels ();
  void confirm_taken ();
  void use_channel (const std::shared_ptr<ChannelPump> &pump);
  std::shared_ptr<ChannelPump> add_pump (const std::shared_ptr<ChannelPort> &port, bool by_peer);
  std::shared_ptr<ChannelPump> find_pump (const Channel &channel) const;
  void forget_pump (std::shared_ptr<ChannelPump> pump, const Status &reason);
  void remove (const Status &error, const std::string &reason, bool by_peer);
  void change (const std::function<void (ConnectionSnapshot &)> &edit);
  P2pAuthentication authentication (bool out_of_band) const;

  const std::string peer_;
  const std::weak_ptr<AgentLink> agent_;
  const std::uint64_t max_message_bytes_;
  Scheduler &clock_;

  mutable Mutex mutex_;
  ConnectionSnapshot snapshot_ P2P_GUARDED_BY (mutex_);
  std::map<std::string, std::shared_ptr<ChannelPort>> ports_ P2P_GUARDED_BY (mutex_);

  // All below belongs to the core thread.
  std::weak_ptr<ConnectionCore::Observer> observer_;
  Negotiation negotiation_;  // until the session is up; then the line has its own
  std::unique_ptr<Session> session_;
  std::string session_name_, attempt_;  // what it is called, and this side's first attempt of it
  std::unique_ptr<Line> line_;          // below the session
  std::unique_ptr<Keeper> keeper_;      // of the session, where the agent has a store
  SharedSecret secret_{};               // of the session
  struct Entry {
    std::shared_ptr<ChannelPump> pump;
    Channel *channel = nullptr;
    bool by_peer = false;
  };
  std::vector<Entry> entries_;
  std::optional<PeerSignal> waiting_hello_;  // of an incoming one that is not accepted yet
  unsigned retries_left_ = 2;
  bool incoming_ = false, out_of_band_ = false;
  bool peer_left_ = false;  // while the two were about to connect
  std::atomic<bool> removed_{false};
  std::uint64_t signals_rejected_ = 0;
  TimeUs asked_at_ = 0, established_at_ = 0;
  std::uint64_t peer_epoch_ = 0;   // of the peer's process that was heard last
  TimeUs transport_ended_at_ = 0;  // last, and how often soon after it had begun
  unsigned short_transports_ = 0;
};

}  // namespace p2p
