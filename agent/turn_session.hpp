// What stands between a P2pTurnClient, which any thread may call, and its relay on the core thread:
// datagrams both ways, what happens to the allocation, and those who wait for it.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "p2p/p2p-turn-client.h"
#include "pending_task.hpp"
#include "turn/relay.hpp"

namespace p2p {

class TurnSession final : public turn::Relay::Observer,
                          public std::enable_shared_from_this<TurnSession> {
 public:
  // Where the events end, in the context; a P2pTurnClient is told only while it lives.
  struct Handlers {
    void (*event) (P2pTurnClient *client, const turn::Event &event);
    void (*received) (P2pTurnClient *client, const turn::Address &peer, GBytes *datagram);
    void (*credentials_wanted) (P2pTurnClient *client, const std::string &uri);
  };
  struct Counters {
    turn::ClientStats relay;
    std::uint64_t dropped_sends = 0, dropped_receives = 0, dropped_pulls = 0;
    std::uint64_t refused_peers = 0;  // by policy
    std::string server;               // host, port and protocol of the one in use
  };

  TurnSession (P2pTurnClient *client, Ref<GMainContext> context, const Handlers &handlers)
      : client_ (client), context_ (std::move (context)), handlers_ (handlers) {}

  // Thread-safe, all of them.
  void start (turn::RelayConfig config);  // once
  void wait_allocated (Ref<GTask> task);
  void reset ();
  void close (Ref<GTask> task);
  void set_credentials (turn::Credentials credentials);
  void keep_credentials ();
  Status add_peer (const turn::Address &peer);
  void remove_peer (const turn::Address &peer);
  Status send (const turn::Address &peer, GBytes *datagram);
  void receive (Ref<GTask> task);
  // The oldest datagram that a task of receive() ended with: (transfer full) pieces of it.
  struct Datagram {
    turn::Address peer;
    Ref<GBytes> bytes;
  };
  std::vector<turn::Address> relayed () const;
  bool allocated () const;
  std::size_t max_datagram_bytes () const;
  Counters counters ();
  // Lets the relay go before anything else happens: the process may end.
  void shut_down ();

  void relay_event (const turn::Event &event) override;
  void relay_received (const turn::Address &peer, ByteView data) override;
  void relay_credentials_wanted (const turn::Server &server) override;

 private:
  using Waiting = std::vector<std::shared_ptr<PendingTask>>;
  void post_core (std::function<void (TurnSession &)> work);
  void drain_outbox ();
  void drain_inbox ();
  void serve_pulls ();
  void end_pulls (const Error &error);
  static void finish (const Waiting &waiting, const Status &outcome);

  const WeakObject<P2pTurnClient> client_;
  const Ref<GMainContext> context_;
  const Handlers handlers_;
  std::unique_ptr<turn::Relay> relay_;  // core thread only

  mutable Mutex mutex_;
  bool allocated_ P2P_GUARDED_BY (mutex_) = false;
  Status ended_ P2P_GUARDED_BY (mutex_);  // nothing is sent any more, and why
  std::vector<turn::Address> relayed_ P2P_GUARDED_BY (mutex_);
  std::size_t max_datagram_bytes_ P2P_GUARDED_BY (mutex_) = 0;
  turn::PeerPolicy policy_ P2P_GUARDED_BY (mutex_);
  std::set<turn::Address> peers_ P2P_GUARDED_BY (mutex_);
  std::map<turn::Address, std::string> refused_ P2P_GUARDED_BY (mutex_);  // by address, no port
  Waiting allocating_ P2P_GUARDED_BY (mutex_), closing_ P2P_GUARDED_BY (mutex_);
  std::deque<Datagram> outbox_ P2P_GUARDED_BY (mutex_), inbox_ P2P_GUARDED_BY (mutex_),
      pullable_ P2P_GUARDED_BY (mutex_);
  std::size_t outbox_bytes_ P2P_GUARDED_BY (mutex_) = 0, inbox_bytes_ P2P_GUARDED_BY (mutex_) = 0,
                                           pullable_bytes_ P2P_GUARDED_BY (mutex_) = 0;
  std::deque<std::shared_ptr<PendingTask>> pulls_ P2P_GUARDED_BY (mutex_);
  bool pulled_ P2P_GUARDED_BY (mutex_) = false;  // somebody has asked once
  std::uint64_t dropped_sends_ P2P_GUARDED_BY (mutex_) = 0,
                                              dropped_receives_ P2P_GUARDED_BY (mutex_) = 0,
                                              dropped_pulls_ P2P_GUARDED_BY (mutex_) = 0,
                                              refused_peers_ P2P_GUARDED_BY (mutex_) = 0;
};

// (transfer full)
GSocketAddress *turn_socket_address (const turn::Address &address);
// Nothing for anything but IPv4 and IPv6.
std::optional<turn::Address> turn_address (GSocketAddress *address);

}  // namespace p2p
