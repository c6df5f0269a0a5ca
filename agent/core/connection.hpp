// The connection as it lives on the core thread: attempts until one carries, then the session.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.hpp"
#include "core/agent_link.hpp"
#include "core/attempt.hpp"
#include "core/channel_pump.hpp"
#include "core/connection_core.hpp"
#include "session/session.hpp"

namespace p2p {

class Connection final : public ConnectionCore,
                         public std::enable_shared_from_this<Connection>,
                         private Attempt::Observer,
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
  void fail (const Error &error);
  // Orderly: tells the peer, ends everything.
  void shut_down (const std::string &reason);
  bool removed () const { return removed_; }
  bool established () const { return session_ && session_->established (); }

 private:
  // Attempt::Observer
  void attempt_candidate (const std::string &sdp) override;
  void attempt_gathered () override;
  void attempt_path_message (const std::string &source, ByteView message) override;
  void attempt_warning (const Error &warning) override;
  void attempt_won (Transport &transport, Path &path) override;
  void attempt_lost (const Error &error) override;
  void attempt_path_changed () override;
  // Session::Observer
  void session_established () override;
  void session_channel_opened (Channel &channel) override;
  void session_message (Channel &channel, Message message) override;
  void session_end_of_stream (Channel &channel) override;
  void session_released (Channel &channel) override;
  void session_channel_closed (Channel &channel, const Status &reason) override;
  void session_detached (const Error &error, bool by_peer, std::uint64_t code) override;

  bool is_client () const;
  bool waiting_for_config () const;
  bool new_attempt ();
  void drop_attempt ();
  std::string remote_attempt () const;
  void say_hello (const std::string &in_reply_to);
  void offer ();
  void repeat_offer ();
  void say_bye (P2pError code, const std::string &text, const std::string &in_reply_to = {});
  void receive_hello (const PeerSignal &hello);
  void retry_or_fail (const Error &error, bool worth_it);
  void receive_bye (const PeerSignal &bye);
  bool start_attempt (const NetworkConfig &remote, bool out_of_band);
  SessionConfig session_config (const std::string &remote_attempt) const;
  void use_channels ();
  void confirm_taken ();
  void use_channel (const std::shared_ptr<ChannelPump> &pump);
  std::shared_ptr<ChannelPump> add_pump (const std::shared_ptr<ChannelPort> &port, bool by_peer);
  std::shared_ptr<ChannelPump> find_pump (const Channel &channel) const;
  void forget_pump (std::shared_ptr<ChannelPump> pump, const Status &reason);
  void remove (const Status &error, const std::string &reason, bool by_peer);
  void change (const std::function<void (ConnectionSnapshot &)> &edit);
  void publish_local_config ();
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
  std::unique_ptr<Attempt> attempt_;
  std::unique_ptr<Session> session_;
  Transport *transport_ = nullptr;  // the attempt's that won
  Path *path_ = nullptr;
  struct Entry {
    std::shared_ptr<ChannelPump> pump;
    Channel *channel = nullptr;
    bool by_peer = false;
  };
  std::vector<Entry> entries_;
  std::optional<PeerSignal> waiting_hello_;  // of an incoming one that is not accepted yet
  std::string newest_remote_;                // of the peer's attempts that were followed
  std::unique_ptr<Scheduler::Timer> repeat_;
  TimeUs repeat_after_ = 0;
  unsigned retries_left_ = 2;
  bool incoming_ = false, removed_ = false, out_of_band_ = false;
  std::uint64_t signals_rejected_ = 0;
  TimeUs asked_at_ = 0, established_at_ = 0;
};

}  // namespace p2p
