// The meeting point without its sockets: who holds which id, who asked for whom, who may talk.
// Pure logic on a Scheduler. A front end (local hub, rendezvous server) connects clients to it.
#pragma once
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "base/bytes.hpp"
#include "base/scheduler.hpp"
#include "signaling/frame.hpp"
#include "signaling/token_bucket.hpp"

namespace p2p {

struct BrokerConfig {
  // With proof an id belongs to a key (key_proof.hpp). Without, the front end vouches for its
  // clients, and `key` is an arbitrary token of the client: an id belongs to one running client.
  bool require_proof = true;
  std::uint16_t stun_port = 0;  // told to clients; 0: no STUN server
  std::uint32_t heartbeat_s = 25;

  TimeUs hold_us = 24 * 3600 * kSecond;  // how long an id stays its owner's after it has gone
  std::size_t max_held = 100000;
  std::size_t max_clients = 10000;
  std::size_t max_clients_per_source = 128;  // 0: no limit
  std::size_t max_ids_per_client = 8;
  std::size_t max_asks_per_id = 256;
  std::size_t max_memory_bytes = 256 * 1024 * 1024;
  std::size_t max_unacked_bytes = 256 * 1024;  // a client above it is closed
  Rate frames{100, 400};  // a client that comes back asks for all its peers at once
  Rate bytes{256 * 1024, 1024 * 1024};
  Rate registrations{2, 16};  // a signature costs as much CPU as hundreds of other frames
  Rate bad_frames{1, 16};     // a client that exceeds it is closed
  TimeUs register_within_us = 30 * kSecond;
};

struct BrokerStats {
  std::size_t clients = 0, ids = 0, held = 0, memory_bytes = 0;
  std::uint64_t messages = 0, messages_dropped = 0, bad_frames = 0, closed = 0;
};

class Broker {
 public:
  using ClientId = std::uint64_t;
  enum class CloseReason { abuse, slow, silent, replaced, full };

  class FrontEnd {
   public:
    virtual ~FrontEnd () = default;
    // Neither may call the broker from inside. What is for a client that has gone is ignored.
    virtual void broker_send (ClientId client, const std::string &frame) = 0;
    // The broker has forgotten the client already.
    virtual void broker_close (ClientId client, CloseReason reason) = 0;
  };

  Broker (const BrokerConfig &config, Scheduler &scheduler, FrontEnd &front_end);
  ~Broker ();

  // Welcomes the client; or sends it an error, closes it and answers false. `source` is what
  // connections are counted by, such as an address.
  bool connect (ClientId client, const std::string &source);
  void disconnect (ClientId client);  // no effect on a client that it does not know
  void receive (ClientId client, ByteView frame);
  // The front end threw away a frame that was longer than it may be, or not text.
  void receive_bad (ClientId client, const FrameError &error);
  void set_stun_port (std::uint16_t port) { config_.stun_port = port; }
  BrokerStats stats () const;

 private:
  struct Client;
  struct Registration;
  struct Held;

  void on_frame (Client &client, const Frame &frame);
  void on_register (Client &client, const Frame &frame);
  void on_ask (Client &client, const Frame &frame);
  void on_unask (Client &client, const Frame &frame);
  void on_message (Client &client, const Frame &frame);
  void on_pong (Client &client, const Frame &frame);
  void tick ();

  bool owner_of (const Client &client, const Frame &frame, std::string &owner);
  Registration *own (Client &client, const std::string &id, const char *code);
  void drop_registration (const std::string &id);
  void hold (const std::string &id, const std::string &owner);
  void release_expired ();
  bool wants (const Registration &one, const Registration &other) const;
  void update_pair (Registration &one, Registration &other);
  void present (const Registration &to, const std::string &peer, bool present);
  void send (Client &client, const Frame &frame);
  void probe (Client &client);
  void deliver (Client &client, const std::string &text);
  void refuse (Client &client, const std::string &code, const std::string &text,
               const Frame &about = {}, const std::string &field = {});
  void strike (Client &client);
  void close_later (Client &client, CloseReason reason);
  void close_doomed ();
  void forget (ClientId id);
  bool has_room (std::size_t bytes) const;

  BrokerConfig config_;
  Scheduler &scheduler_;
  FrontEnd &front_end_;
  std::unordered_map<ClientId, std::unique_ptr<Client>> clients_;
  std::unordered_map<std::string, std::size_t> sources_;
  std::unordered_map<std::string, std::unique_ptr<Registration>> ids_;
  std::unordered_map<std::string, std::set<std::string>> asked_by_;  // peer -> ids asking for it
  std::list<Held> held_order_;  // the one that went first is in front
  std::unordered_map<std::string, std::list<Held>::iterator> held_;
  std::map<ClientId, CloseReason> doomed_;
  std::size_t memory_bytes_ = 0;
  BrokerStats totals_;
  std::unique_ptr<Scheduler::Timer> timer_;
};

}  // namespace p2p
