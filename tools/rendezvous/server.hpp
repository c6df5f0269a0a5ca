// The rendezvous server: WebSockets and STUN on the same ports, in front of a Broker. Runs on the
// thread-default GMainContext of the thread that makes it.
#pragma once
#include <libsoup/soup.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"
#include "rendezvous/redis_backplane.hpp"
#include "rendezvous/stun_responder.hpp"
#include "signaling/broker.hpp"

namespace p2p {

struct ServerConfig {
  BrokerConfig broker;
  Ref<GTlsCertificate> certificate;  // null: plain ws
  bool stun = true;
  std::optional<RedisAddress> backplane;  // what it shares with other servers
};

class RendezvousServer final : private Broker::FrontEnd {
 public:
  explicit RendezvousServer (const ServerConfig &config);
  ~RendezvousServer () override;

  // "host:port" or "[v6]:port", an address of this machine; port 0 takes a free one. Answers the
  // address in use.
  Result<std::string> listen (const std::string &address);
  void set_certificate (const Ref<GTlsCertificate> &certificate);  // for connections from now on
  // Sends every client a close frame 1001 and takes no new ones; `done` comes when all have gone,
  // or after a short while.
  void shut_down (std::function<void ()> done);

 private:
  struct Port;        // what it listens on
  struct Connection;  // TCP
  struct Peer;        // a WebSocket on it

  void resume (Port &port);
  void on_connection (Port &port);
  bool admit (const std::string &source);
  void sweep ();
  void on_request (SoupServerMessage *message);
  void on_upgraded (SoupServerMessage *message);
  void on_closed (Peer &peer);
  void on_healthz (SoupServerMessage *message) const;
  void on_tick ();
  void close (Peer &peer, unsigned short code, const char *reason);
  void cut_soon (Peer &peer) const;

  void broker_send (Broker::ClientId client, const std::string &frame) override;
  void broker_close (Broker::ClientId client, Broker::CloseReason reason) override;
  void broker_backplane (bool up, const std::string &reason) override;

  ServerConfig config_;
  LoopScheduler scheduler_;
  const std::unique_ptr<RedisBackplane> backplane_;  // null: it is alone
  Broker broker_;
  Ref<SoupServer> soup_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::unordered_map<std::string, std::size_t> sources_;  // connections by source
  Broker::ClientId next_client_ = 1;
  std::unordered_map<Broker::ClientId, std::unique_ptr<Peer>> peers_;
  std::unique_ptr<Scheduler::Timer> tick_;
  std::function<void ()> done_;  // while it shuts down
  TimeUs done_by_ = kNever;
};

}  // namespace p2p
