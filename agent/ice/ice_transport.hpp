// One NiceAgent: one generation of candidates, checks and a selected pair (RFC 8445). Owned and
// called on the core thread; libnice's timers run on the ICE thread, its datagrams arrive on core.
//
// A peer that has got another address does not need a new generation on this side: whoever has its
// ufrag and pwd speaks for it, be it the old socket behind a new NAT mapping or a new NiceAgent
// with the same credentials. libnice learns such an address from a check, but stays with its pair;
// follow_peer() goes along.
//
// libnice never gives up a UDP pair that was selected, however long the peer is silent: whether it
// lives is for the layers above to say. Nor does it check a selected pair by itself again.
#pragma once
#include <gio/gio.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/ptr.hpp"
#include "ice/fast_udp_abilities.hpp"
#include "ice/ice_servers.hpp"
#include "path/path.hpp"

namespace p2p {

struct IceCredentials {
  std::string ufrag, pwd;
};

// A pair of UDP addresses, ours without a NAT.
struct IceResume {
  std::string local_address, remote_address;
  std::uint16_t local_port = 0, remote_port = 0;
};

struct IceConfig {
  bool controlling = false;
  bool tcp = true;                           // RFC 6544 candidates
  bool relay_only = false;                   // ice-transport-policy=relay
  std::vector<std::string> local_addresses;  // empty: all of this machine
  std::uint16_t port_min = 0, port_max = 0;  // 0: any
  std::vector<StunServer> stun_servers;
  std::vector<turn::Server> turn_servers;
  bool one_relay = false;  // of the servers only the first that answers is used
  // IP addresses of relays that are not used; their servers are asked, and released.
  std::vector<std::string> without_relays;
  Ref<GTlsDatabase> turn_tls_database;  // whom to trust; none: the system's
  FastUdpWish fast_udp = FastUdpAbilities ();
  // Of an earlier generation, whose other side still lives at the peer. Not set: new ones.
  std::optional<IceCredentials> credentials;
  // The pair of that generation, to be used at once and without a check: only its local address and
  // port are bound. Nothing else of the addresses, ports and servers above counts then.
  std::optional<IceResume> resume;
};

struct IcePair {
  std::string local_sdp, remote_sdp;    // "candidate:…" lines
  std::string local, remote;            // for people: "srflx 203.0.113.1:4711/udp"
  std::string local_type, remote_type;  // host, srflx, prflx, relay
  bool relayed = false, tcp = false;
  // This machine's own address below the local candidate, also below a relayed one. When it has
  // gone from the machine, so has the way.
  std::string local_base_address;
  std::uint16_t local_base_port = 0;
  sockaddr_storage remote_address{};

  // As text and port; nothing when it is of no kind that we know.
  std::optional<std::pair<std::string, std::uint16_t>> remote_endpoint () const;
};

// Addresses from which authenticated checks came after a pair was in use, and what became of them.
struct IceMoves {
  std::uint32_t learned = 0;
  std::uint32_t followed = 0, returned = 0;  // pairs that were selected because of them
  std::uint32_t ignored = 0;                 // beyond kMaxLearnedAddresses, or nothing leads there
};

constexpr std::uint32_t kMaxLearnedAddresses = 16;  // of a generation

// Goes forward only; from failed back to connected or ready when there is a way again. Once there
// was a pair, failed means that a TCP connection to the peer has ended, or that the relay in use is
// lost (local_type "relay"); whatever is silent without an end is not failed.
enum class IceState { gathering, connecting, connected, ready, failed };

struct TurnRelayState;

class IceTransport {
 public:
  // Called on core, never from inside of a call to the transport. May destroy the transport.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void ice_candidate (const std::string &sdp) = 0;  // a new local one
    virtual void ice_gathering_done () = 0;
    virtual void ice_state (IceState state) = 0;  // send from `connected` on
    // After send_before_checks(), unless there is a pair already: the path takes a first datagram
    // or two, of which nobody knows whether they arrive.
    virtual void ice_unproven_path () = 0;
    virtual void ice_selected_pair (const IcePair &pair) = 0;
    // A server that could not be used, or a relay that was lost and is not in use.
    virtual void ice_warning (const Error &warning) = 0;
    // After the loss of a relay, there may be one for another generation.
    virtual void ice_relay_back () = 0;
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
  // The path may send before a pair is proved (RFC 8445 section 12.1.1 forbids it for data): half a
  // round trip less for a handshake. Two datagrams to four of the peer's addresses at most, none of
  // them a relay's; none with relays only.
  virtual void send_before_checks () = 0;
  // What was said of the peer so far: candidates as they were given, without those ignored.
  virtual std::optional<IceCredentials> remote_credentials () const = 0;
  virtual std::vector<std::string> remote_candidates () const = 0;
  virtual IceState state () const = 0;
  virtual std::optional<IcePair> selected_pair () const = 0;

  // Sends one connectivity check (RFC 8445 section 7.2.2) over the pair in use, now: so that the
  // peer hears of a new NAT mapping of ours, or a controlled peer that began anew at its old
  // address is nominated. One datagram, its answer is not waited for: to be repeated while the peer
  // is silent. Does nothing without a pair and over TCP. Of a relay in use the server is asked as
  // well whether it still has it.
  virtual void check_pair () = 0;
  // While on, a new address from which the peer's authenticated check comes is the selected remote
  // at once. Switched on, it follows also the newest one of the last 10 s. A pair that was chosen
  // so stays until the next is, or until go_back(): libnice's own preferences count no more. Not to
  // be left on: whoever can record a check of the peer and send it from elsewhere would draw the
  // traffic there until go_back(). To be switched on while nothing comes from the peer.
  virtual void follow_peer (bool on) = 0;
  // To the pair from which it followed, and further back with each call. False when there is none.
  virtual bool go_back () = 0;
  virtual IceMoves moves () const = 0;

  // After a change of this machine's network: relays go along where their servers let them. The
  // base of a pair in use that does is then the address from which its relay is reached now.
  virtual void move_relays () = 0;
  // Those of this side, also lost ones.
  virtual std::vector<TurnRelayState> relays () const = 0;

  // Datagrams over the selected pair, whatever it is at the time. Lives as long as this object.
  virtual Path &path () = 0;
};

}  // namespace p2p
