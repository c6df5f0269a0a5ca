// One NiceAgent: one generation of candidates, checks and a selected pair (RFC 8445). Owned and
// called on the core thread; libnice's timers run on the ICE thread, its datagrams arrive on core.
#pragma once
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "ice/fast_udp_abilities.hpp"
#include "ice/ice_servers.hpp"
#include "path/path.hpp"

namespace p2p {

struct IceConfig {
  bool controlling = false;
  bool tcp = true;                           // RFC 6544 candidates
  bool relay_only = false;                   // ice-transport-policy=relay
  std::vector<std::string> local_addresses;  // empty: all of this machine
  std::uint16_t port_min = 0, port_max = 0;  // 0: any
  std::vector<StunServer> stun_servers;
  std::vector<TurnServer> turn_servers;
  FastUdpWish fast_udp = FastUdpAbilities ();
};

struct IceCredentials {
  std::string ufrag, pwd;
};

struct IcePair {
  std::string local_sdp, remote_sdp;    // "candidate:…" lines
  std::string local, remote;            // for people: "srflx 203.0.113.1:4711/udp"
  std::string local_type, remote_type;  // host, srflx, prflx, relay
  bool relayed = false, tcp = false;
  sockaddr_storage remote_address{};
};

// Goes forward only; from failed back to connected or ready when the peer is heard again.
enum class IceState { gathering, connecting, connected, ready, failed };

class IceTransport {
 public:
  // Called on core, never from inside of a call to the transport. May destroy the transport.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void ice_candidate (const std::string &sdp) = 0;  // a new local one
    virtual void ice_gathering_done () = 0;
    virtual void ice_state (IceState state) = 0;  // send from `connected` on
    virtual void ice_selected_pair (const IcePair &pair) = 0;
    virtual void ice_warning (const Error &warning) = 0;  // a server that could not be used
  };

  // Starts gathering at once, or as soon as the servers' names are looked up (3 s at most). Fails
  // when no socket at all can be had; after a look-up that is a warning and `failed` instead.
  static Result<std::unique_ptr<IceTransport>> create (const IceConfig &config, Observer &observer);
  // Detaches from libnice with a barrier, then lets the agent close by itself (a relay is
  // released).
  virtual ~IceTransport () = default;

  virtual IceCredentials local_credentials () const = 0;
  virtual std::vector<std::string> local_candidates () const = 0;
  virtual bool gathering_done () const = 0;
  // What the peer said; candidates are kept until the credentials are there. Malformed ones are
  // an error, ones of a kind that we don't use are ignored.
  virtual Status set_remote_credentials (const IceCredentials &credentials) = 0;
  virtual Status add_remote_candidate (const std::string &sdp) = 0;
  virtual void remote_gathering_done () = 0;
  virtual IceState state () const = 0;
  virtual std::optional<IcePair> selected_pair () const = 0;
  // Datagrams over the selected pair, whatever it is at the time. Lives as long as this object.
  virtual Path &path () = 0;
};

}  // namespace p2p
