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
#include "signaling/federation.hpp"
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

class Broker final : private Federation::Host {
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
    // Whether ids of other servers can be reached; `reason` why not.
    virtual void broker_backplane (bool up, const std::string &reason) {
      (void)up;
      (void)reason;
    }
  };

  // With a backplane it shares its ids with other servers.
  Broker (const BrokerConfig &config, Scheduler &scheduler, FrontEnd &front_end,
          Backplane *backplane = nullptr);
  ~Broker () override;

  // Welcomes the client; or sends it an error, closes it and answers false. `source` is what
  // connections are counted by, such as an address.
  bool connect (ClientId client, const std::string &source);
  void disconnect (ClientId client);  // no effect on a client that it does not know
  void receive (ClientId client, ByteView frame);
  // The front end threw away a frame that was longer than it may be, or not text.
  void receive_bad (ClientId client, const FrameError &error);
  void set_stun_port (std::uint16_t port) { config_.stun_port = port; }
  BrokerStats stats () const;
  FederationStats backplane_stats () const;

 private:
  struct Client;
  struct Registration;
  struct Held;
  enum class Goes { away, to_another_client, to_another_owner };

  void on_frame (Client &client, const Frame &frame);
  void on_register (Client &client, const Frame &frame);
  void on_ask (Client &client, const Frame &frame);
  void on_unask (Client &client, const Frame &frame);
  void on_message (Client &client, const Frame &frame);
  void on_pong (Client &client, const Frame &frame);
  void tick ();

  bool owner_of (const Client &client, const Frame &frame, std::string &owner);
  Registration *own (Client &client, const std::string &id, const char *code);
  void enroll (Client &client, const std::string &id, const std::string &owner, bool claimed);
  void drop_registration (const std::string &id, Goes where);
  void hold (const std::string &id, const std::string &owner);
  void release_expired ();
  bool wants (const Registration &one, const Registration &other) const;
  void update_pair (Registration &one, Registration &other);
  void update_named_pair (Registration &one, const std::string &peer);
  void update_remote_pair (Registration &one, const std::string &peer);
  void update_remote_pairs (Registration &one);
  void present (const Registration &to, const std::string &peer, bool present);
  void send (Client &client, const Frame &frame);
  void probe (Client &client);
  void deliver (Client &client, const std::string &text);
  void refuse (Client &client, const std::string &code, const std::string &text,
               const Frame &about = {}, const std::string &field = {});
  void refuse_id (Client &client, const std::string &id, Verdict verdict);
  void refuse_message (Client &client, const std::string &id, const std::string &peer,
                       const std::string &code);
  const char *pass_on (Registration &to, const std::string &from, const std::string &data);
  void strike (Client &client);
  void close_later (Client &client, CloseReason reason);
  void close_doomed ();
  void forget (ClientId id);
  std::size_t memory_in_use () const;
  bool has_room (std::size_t bytes) const;

  void claim_decided (const Federation::Enrollment &enrollment, Verdict verdict) override;
  void registration_lost (const std::string &id, Verdict verdict) override;
  Wish wish_of (const std::string &id, const std::string &peer) const override;
  void remote_wish_changed (const std::string &id, const std::string &peer) override;
  const char *remote_message (const std::string &id, const std::string &peer,
                              const std::string &data) override;
  void remote_refused (const std::string &id, const std::string &peer,
                       const std::string &code) override;
  std::vector<std::string> askers_of (const std::string &peer) const override;
  std::vector<std::string> asked_peers () const override;
  std::vector<Claim> kept_ids () const override;
  bool has_room_for (std::size_t bytes) const override { return has_room (bytes); }
  void backplane_changed (bool up, const std::string &reason) override;

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
  std::unique_ptr<Federation> federation_;  // null: this server is alone
};

}  // namespace p2p
