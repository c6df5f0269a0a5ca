// One connection to one peer: from the first message over signaling to an established session.
// The handle that the façade holds; every method may be called from any thread.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "core/channel_port.hpp"
#include "core/network_config.hpp"
#include "p2p/p2p-types.h"
#include "path/path.hpp"
#include "session/ping_log.hpp"
#include "transport/transport.hpp"

namespace p2p {

// What is known of a connection at one moment.
struct ConnectionSnapshot {
  P2pConnectionState state = P2P_CONNECTION_STATE_CONNECTING;
  std::string reason;  // of the state, for people: "waiting for bob to come", "closed by the peer"
  P2pBreakReason break_reason = P2P_BREAK_REASON_NONE;  // while it is broken
  // Of the last break that has ended; `breaks` counts those that have begun.
  struct Restored {
    TimeUs outage_us = 0;
    // Messages that the session had to send again, over a new transport. 0: the transport lived,
    // and sent again what it had under way.
    std::uint64_t replayed_messages = 0, replayed_bytes = 0;
    bool new_transport = false;
  };
  Restored restored;
  std::uint64_t breaks = 0;
  Status error;  // why it was removed; empty after an orderly close
  bool removed_by_peer = false;
  P2pAuthentication authentication = P2P_AUTHENTICATION_SIGNALING;
  std::string peer_fingerprint;
  std::optional<NetworkConfig> local_config, remote_config;
  std::optional<PathInfo> path;            // the one in use
  std::vector<std::string> path_attempts;  // one sentence per path that was tried
};

struct ConnectionStats {
  ConnectionSnapshot snapshot;
  TransportStats transport;
  TimeUs connected_for_us = 0, connect_took_us = 0;
  std::uint64_t signals_rejected = 0;  // malformed, unauthentic or untimely signaling messages
  std::uint64_t path_datagrams_dropped = 0;  // by the ways below it, on this side
  // Of this side's relays, of generations that live.
  std::uint64_t relay_datagrams_dropped = 0, relay_peers_refused = 0;
  std::uint64_t relays_allocated = 0, relays_lost = 0;
  bool relay_standby = false;  // one is ready for the one in use
  std::uint64_t relay_standbys_built = 0, relay_standbys_lost = 0, relay_standbys_failed = 0;
  PingStats pings;
};

class ConnectionCore {
 public:
  // Called on the core thread, in order; must not block.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void connection_changed (const ConnectionSnapshot &now) = 0;  // state, path or config
    virtual void connection_channel_opened (std::shared_ptr<ChannelPort> port) = 0;  // by the peer
    virtual void connection_channel_closed (const std::string &name) = 0;
    virtual void connection_warning (const Error &warning) = 0;
  };

  virtual ~ConnectionCore () = default;
  virtual const std::string &peer () const = 0;
  // What happened before is told at once: a snapshot, then each channel that the peer opened.
  virtual void set_observer (std::weak_ptr<Observer> observer) = 0;
  virtual ConnectionSnapshot snapshot () const = 0;
  virtual ConnectionStats stats () const = 0;  // asks the core and waits for its answer

  // What is kept of its session, as JSON without the secrets; empty when it is not kept. Waits too.
  virtual std::string session_state () const = 0;

  virtual void accept () = 0;  // an incoming one; no effect on others
  virtual void refuse (const std::string &reason) = 0;
  // The peer's configuration, or more of its candidates, got by other ways than signaling.
  virtual Status update_remote_config (const NetworkConfig &config) = 0;
  // Opens, or finds, the channel of that name; works before the connection is up.
  virtual Result<std::shared_ptr<ChannelPort>> open_channel (const std::string &name,
                                                             const ChannelOptions &options) = 0;
  virtual std::shared_ptr<ChannelPort> lookup_channel (const std::string &name) const = 0;
  // Orderly; the state becomes removed with no error. What is not flushed is dropped.
  virtual void close () = 0;
};

}  // namespace p2p
