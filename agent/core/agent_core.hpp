// An agent: an id with its identity, registered at a meeting point, and its connections.
// The handle that the façade holds; every method may be called from any thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/connection_core.hpp"
#include "core/path_source.hpp"
#include "core/secret_key.hpp"
#include "ice/fast_udp_abilities.hpp"
#include "ice/ice_servers.hpp"
#include "session/liveness.hpp"
#include "signaling/signaling.hpp"
#include "store/session_store.hpp"
#include "transport/identity.hpp"
#include "transport/quic_transport.hpp"

namespace p2p {

// How a peer proves who it is; what is empty is not asked for.
struct PeerCredentials {
  std::optional<SecretKey> secret;
  std::string fingerprint;  // normalized
};

struct AgentSettings {
  std::string id;
  std::string identity_path;    // empty: Identity::default_path()
  PeerCredentials credentials;  // for peers that have none of their own
  std::map<std::string, PeerCredentials> peers;
  P2pAcceptPolicy accept_policy = P2P_ACCEPT_POLICY_NONE;
  std::vector<StunServer> stun_servers;  // beside the rendezvous server's own
  std::vector<turn::Server> turn_servers;
  bool turn_standby = true;  // a relay at another server is kept ready for the one in use
  bool relay_only = false, ice_tcp = true;
  FastUdpWish fast_udp = FastUdpAbilities ();
  std::vector<std::string> local_addresses;
  std::uint16_t port_min = 0, port_max = 0;
  CongestionControl congestion_control = CongestionControl::bbr;
  std::uint64_t max_message_bytes = 16 * 1024 * 1024;
  LivenessSettings liveness;
  // Where sessions are kept, so that they outlive this process; called once, on the core thread.
  std::function<Result<std::unique_ptr<SessionStore>> ()> make_store;
  std::vector<std::string> path_order;  // names of sources and "ice"; empty: "ice", then sources
};

class AgentCore {
 public:
  // Called on the core thread, in order; must not block.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void agent_signaling_state (Signaling::State state, const Status &reason) = 0;
    // A connection that this side did not ask for; waits for accept() unless the policy is ALL, or
    // it was accepted before and comes from the store.
    virtual void agent_incoming (std::shared_ptr<ConnectionCore> connection) = 0;
    virtual void agent_connection_removed (std::shared_ptr<ConnectionCore> connection) = 0;
    // An incoming attempt that was turned away before it became a connection.
    virtual void agent_rejected (const std::string &peer, const Error &reason) = 0;
    virtual void agent_warning (const Error &warning) = 0;
    // Whether this machine has any address but loopback ones; told when it changes.
    virtual void agent_network_available (bool available) = 0;
  };
  // Makes the signaling client on the core thread, once; null: there is no signaling.
  using MakeSignaling = std::function<Result<std::unique_ptr<Signaling>> (Identity &identity)>;
  using Done = std::function<void (const Status &)>;
  using ConfigDone = std::function<void (const Result<NetworkConfig> &)>;

  static std::shared_ptr<AgentCore> create (const AgentSettings &settings);
  virtual ~AgentCore () = default;

  virtual void set_observer (std::weak_ptr<Observer> observer) = 0;
  // Takes effect for connections that are opened afterwards; the id only before start().
  virtual void configure (const AgentSettings &settings) = 0;
  virtual void add_path_source (std::shared_ptr<PathSource> source) = 0;
  virtual Result<std::string> fingerprint () = 0;  // loads or makes the identity (file access)

  // Loads the identity and registers. `registered` is called on the core thread once the id is
  // registered or refused; an unreachable server is tried again, and told to the observer.
  virtual void start (MakeSignaling make, Done registered) = 0;
  // Gathers all candidates for one attempt, for `peer` or, when it is empty, for whoever comes.
  // The next open_connection() to that peer uses it. Called back on the core thread.
  virtual void create_network_config (const std::string &peer, ConfigDone done) = 0;
  // The living connection to the peer, or a new one that starts to connect. start() is implied to
  // have been called, unless `remote` says all that is needed.
  virtual Result<std::shared_ptr<ConnectionCore>> open_connection (
      const std::string &peer, const std::optional<NetworkConfig> &remote) = 0;
  virtual std::vector<std::shared_ptr<ConnectionCore>> connections () const = 0;
  // Closes every connection and leaves the meeting point; called back on the core thread, once the
  // paths are closed as well.
  virtual void close (Done closed) = 0;
};

}  // namespace p2p
