// The agent as it lives on the core thread: signaling, and who is connected to whom.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop_thread.hpp"
#include "base/mutex.hpp"
#include "core/agent_core.hpp"
#include "core/agent_link.hpp"
#include "core/connection.hpp"
#include "core/preparation.hpp"
#include "net/network_monitor.hpp"

namespace p2p {

// "1 to 128 letters, digits or characters of …"; `whose` begins the sentence.
Status check_agent_id (const std::string &id, const char *whose);

class Agent final : public AgentCore,
                    public AgentLink,
                    public std::enable_shared_from_this<Agent>,
                    private Signaling::Observer,
                    private SessionStore::Observer,
                    private NetworkMonitor::Observer {
 public:
  // `clock` belongs to the core thread; tests give one that they move themselves.
  explicit Agent (const AgentSettings &settings, Scheduler &clock = core_loop ().scheduler ());
  ~Agent () override;

  // AgentCore: any thread.
  void set_observer (std::weak_ptr<AgentCore::Observer> observer) override;
  void configure (const AgentSettings &settings) override;
  void add_path_source (std::shared_ptr<PathSource> source) override;
  Result<std::string> fingerprint () override;
  void start (MakeSignaling make, Done registered) override;
  void create_network_config (const std::string &peer, ConfigDone done) override;
  Result<std::shared_ptr<ConnectionCore>> open_connection (
      const std::string &peer, const std::optional<NetworkConfig> &remote) override;
  std::vector<std::shared_ptr<ConnectionCore>> connections () const override;
  void close (Done closed) override;

 private:
  // AgentLink
  const std::string &id () const override { return id_; }
  PeerCredentials credentials (const std::string &peer) const override;
  std::uint64_t max_message_bytes () const override;
  bool has_signaling () const override;
  bool peer_present (const std::string &peer) const override { return present_.count (peer) > 0; }
  Status send_signal (const std::string &peer, const PeerSignal &signal) override;
  Result<std::unique_ptr<Attempt>> make_attempt (const std::string &peer, bool prepared,
                                                 Attempt::Observer *observer) override;
  Result<std::unique_ptr<Attempt>> make_standby (const std::string &peer,
                                                 const std::vector<std::string> &without_relays,
                                                 Attempt::Observer *observer) override;
  Result<std::unique_ptr<Attempt>> make_twin (const std::string &peer, const NetworkConfig &twin,
                                              const IceResume *resume,
                                              Attempt::Observer *observer) override;
  LivenessSettings liveness_settings () const override;
  bool builds_standby () const override;
  NetworkView network () const override { return seen_; }
  std::weak_ptr<SessionStore> store () const override { return store_; }
  bool keeps () const override { return store_ != nullptr; }
  std::uint64_t epoch () const override { return epoch_; }
  std::string own_fingerprint () override;
  void connection_established (Connection &connection) override;
  void connection_removed (Connection &connection) override;
  // SessionStore::Observer
  void store_lost (const Error &error) override;
  // Signaling::Observer
  void signaling_state (Signaling::State state, const Error *reason) override;
  void signaling_peer (const std::string &peer, bool present) override;
  void signaling_message (const std::string &from, const std::string &message) override;
  // NetworkMonitor::Observer
  void network_changed (const NetworkSnapshot &now, const NetworkChange &change) override;
  void network_lost (const NetworkSnapshot &now) override;
  void network_woke () override;

  AgentSettings settings () const;
  void watch_network ();
  Result<std::shared_ptr<Identity>> identity ();
  Result<AttemptConfig> attempt_config (const std::string &peer);
  std::vector<StunServer> stun_servers (const AgentSettings &settings) const;
  void ask_for_peers ();
  void receive_hello (const std::string &from, const PeerSignal &hello);
  void reject (const std::string &from, const Error &reason);
  void disown_session (const std::string &from, const PeerSignal &hello);
  std::shared_ptr<Connection> find (const std::string &peer) const;
  std::vector<std::shared_ptr<Connection>> living () const;
  void apply_accept_policy ();
  void give_up (const Error &error, const Done &done);
  void start_connection (Connection &connection, const std::optional<NetworkConfig> &remote);
  void begin (const MakeSignaling &make, const Done &registered);
  // agent_store.cpp
  void open_store (std::function<void (const Status &)> done);
  void restore (const std::vector<StoreItem> &items);
  void when_restored (std::function<void ()> work);
  void close_store (std::function<void ()> done);

  mutable Mutex mutex_;
  AgentSettings settings_ P2P_GUARDED_BY (mutex_);
  std::shared_ptr<Identity> identity_ P2P_GUARDED_BY (mutex_);  // never changes once it is there
  bool starting_ P2P_GUARDED_BY (mutex_) = false;               // there is or will be signaling
  // The living one for each peer; changed on the core thread and by open_connection().
  std::map<std::string, std::shared_ptr<Connection>> connections_ P2P_GUARDED_BY (mutex_);

  // All below belongs to the core thread.
  const std::string id_;
  Scheduler &clock_;
  const std::string instance_;
  std::uint32_t attempts_ = 0;
  std::weak_ptr<AgentCore::Observer> observer_;
  std::shared_ptr<NetworkMonitor> network_;
  NetworkView seen_;  // what it told last
  const std::unique_ptr<Scheduler::Timer> sleep_check_;
  std::unique_ptr<Signaling> signaling_;
  std::shared_ptr<SessionStore> store_;
  bool store_opening_ = false;
  std::uint64_t epoch_ = 1;
  std::vector<std::function<void ()>> after_restore_;
  Status refused_;  // why the meeting point will not have us, for good
  bool listening_ = false, closed_ = false;
  Done registered_;
  std::set<std::string> present_;
  std::map<std::string, std::shared_ptr<Connection>> successors_;  // until they are established
  std::vector<std::shared_ptr<PathSource>> sources_;
  std::map<std::string, std::shared_ptr<Preparation>> preparations_;  // by peer; "" for any
};

}  // namespace p2p
