// A TURN client with its sockets: the core of turn/client.hpp on a main context.
#pragma once
#include <memory>
#include <vector>

#include "turn/client.hpp"
#include "turn/connector.hpp"

namespace p2p::turn {

struct RelayConfig {
  ClientConfig client;
  ConnectorOptions connector;
};

class Relay final : private Client::Host, private Connection::Observer {
 public:
  // Called from inside of the relay, which must outlive the call.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void relay_event (const Event &event) = 0;
    virtual void relay_received (const Address &peer, ByteView data) = 0;
    // Client::set_credentials() or keep_credentials() answers, now or later.
    virtual void relay_credentials_wanted (const Server &server) = 0;
  };

  // All of it on the context's thread, where the context is the thread's default.
  Relay (GMainContext *context, Scheduler &scheduler, RelayConfig config, Observer &observer);
  ~Relay () override;  // releases the allocation without waiting for an answer
  Relay (const Relay &) = delete;
  Relay &operator= (const Relay &) = delete;

  Client &client () { return *client_; }
  const Client &client () const { return *client_; }
  // As Connection::hold() and release(); nothing of the client's may be called in between but
  // send().
  void hold ();
  std::size_t release ();
  // Of a datagram to a peer; a guess for Ethernet while there is no connection.
  std::size_t max_datagram_bytes () const;

 private:
  void open_transport (const Target &target) override;
  void close_transport () override;
  bool send_packet (ByteView packet) override;
  void turn_event (const Event &event) override;
  void turn_received (const Address &peer, ByteView data) override;
  void credentials_wanted (const Server &server) override;
  void connection_received (ByteView packet) override;
  void connection_doubtful () override;
  void connection_ended (const std::string &why) override;
  void drop_connection (TimeUs after);

  const Ref<GMainContext> context_;
  Scheduler &scheduler_;
  const ConnectorOptions options_;
  Observer &observer_;
  std::unique_ptr<Connector> connector_;
  std::shared_ptr<Connection> connection_;
  // Stopped ones, which may still be in a call.
  std::vector<std::shared_ptr<void>> leaving_;
  std::unique_ptr<Scheduler::Timer> sweep_;
  std::unique_ptr<Client> client_;
};

}  // namespace p2p::turn
