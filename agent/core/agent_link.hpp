// What a connection needs of its agent. Core thread only.
#pragma once
#include <memory>
#include <string>

#include "core/agent_core.hpp"
#include "core/attempt.hpp"
#include "core/peer_signal.hpp"
#include "net/network_snapshot.hpp"
#include "session/liveness.hpp"
#include "store/session_store.hpp"

namespace p2p {

class Connection;

class AgentLink {
 public:
  virtual ~AgentLink () = default;
  virtual const std::string &id () const = 0;
  virtual PeerCredentials credentials (const std::string &peer) const = 0;
  virtual std::uint64_t max_message_bytes () const = 0;
  virtual bool has_signaling () const = 0;
  virtual bool peer_present (const std::string &peer) const = 0;
  virtual Status send_signal (const std::string &peer, const PeerSignal &signal) = 0;
  // The one that create_network_config() prepared for this peer, or a new one.
  virtual Result<std::unique_ptr<Attempt>> make_attempt (const std::string &peer, bool prepared,
                                                         Attempt::Observer *observer) = 0;
  // One without the relays at these IP addresses.
  virtual Result<std::unique_ptr<Attempt>> make_standby (
      const std::string &peer, const std::vector<std::string> &without_relays,
      Attempt::Observer *observer) = 0;
  // One that speaks as the attempt of `twin` does, from the addresses that there are now or, with
  // `resume`, at that pair alone.
  virtual Result<std::unique_ptr<Attempt>> make_twin (const std::string &peer,
                                                      const NetworkConfig &twin,
                                                      const IceResume *resume,
                                                      Attempt::Observer *observer) = 0;
  virtual LivenessSettings liveness_settings () const = 0;
  virtual bool builds_standby () const = 0;  // there are servers for it, and it is wished
  virtual NetworkView network () const = 0;
  // Where sessions are kept, and the epoch of this process there; null, and 1, without a store.
  virtual std::weak_ptr<SessionStore> store () const = 0;
  virtual bool keeps () const = 0;
  virtual std::uint64_t epoch () const = 0;
  virtual std::string own_fingerprint () = 0;
  virtual void connection_established (Connection &connection) = 0;
  virtual void connection_removed (Connection &connection) = 0;
};

}  // namespace p2p
