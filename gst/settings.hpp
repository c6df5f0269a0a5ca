// What the properties of an element say. A plain value: the element keeps it under its object lock
// and takes a copy when it starts.
#pragma once
#include <p2p/p2p.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ptr.hpp"
#include "p2p-uri.hpp"

namespace p2p {

constexpr std::uint64_t kDefaultQueueBytes = 16 * 1024 * 1024;
constexpr auto kWholeDataPath = static_cast<P2pDataPath> (
    P2P_DATA_PATH_STEERING | P2P_DATA_PATH_SEGMENTATION | P2P_DATA_PATH_COALESCING);
constexpr guint kDefaultDrainTimeoutMs = 10000;
// As in the library.
constexpr guint kMinPingIntervalMs = 10, kDefaultPingIntervalMs = 1000;
constexpr guint kDefaultPeerComebackTimeoutMs = 30000, kMaxSpanMs = 60 * 60 * 1000;
constexpr guint kNormalPriority = 256, kMaxPriority = 65535;  // of a channel, as in the library

// Of the agent, which elements of one id share; nothing where this element was not told.
struct LivenessWishes {
  std::optional<guint> ping_interval_ms, ping_timeout_ms, peer_comeback_timeout_ms, idle_timeout_ms;
};

struct ElementSettings {
  std::string id;    // empty: a random one
  std::string peer;  // empty: the first that comes
  std::string channel = kDefaultChannel;
  std::string rendezvous = kLocalRendezvous;
  std::string secret, peer_fingerprint, identity, stun_server;
  std::vector<std::string> turn_servers;
  bool turn_standby = true;
  P2pIceTransportPolicy ice_transport_policy = P2P_ICE_TRANSPORT_POLICY_ALL;
  P2pDataPath data_path = kWholeDataPath;
  std::uint64_t max_queue_bytes = kDefaultQueueBytes;
  Ref<P2pAgent> agent;  // the application's own
  LivenessWishes liveness;

  bool resume = false;  // the stream, in bytes, after either side was started again
  std::string session_store, session_store_key;

  bool keep_listening = false;  // p2psrc only

  // p2psink only.
  bool wait_for_connection = true, reliable = true, ordered = true;
  int max_packet_lifetime_ms = -1;
  guint priority = kNormalPriority;
  guint drain_timeout_ms = kDefaultDrainTimeoutMs;

  // The end of a session is not that of the stream.
  bool outlives_sessions () const { return keep_listening || resume; }
  // A buffer arrives exactly once and in its place.
  bool lossless () const { return reliable && max_packet_lifetime_ms < 0 && ordered; }
};

}  // namespace p2p
