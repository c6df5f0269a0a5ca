// One meeting point among several behind a backplane: the leases of its own ids, which ids of
// others its own ones deal with, and what both want of each other. Pure logic on a Scheduler.
//
// Two servers tell each other what an id of theirs wants of one of the other's ("tell"), so that
// both know whether the two may talk. Nothing of that outlives a doubt: when a server cannot be
// heard, or may have missed something, all of it is forgotten, presence ends, and it is told anew.
#pragma once
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/scheduler.hpp"
#include "signaling/backplane.hpp"
#include "signaling/server_message.hpp"

namespace p2p {

// What one id wants of another.
struct Wish {
  bool asks = false;  // it asked for the other by name
  bool any = false;   // it talks to whoever asks for it by name
};

struct FederationStats {
  bool up = false;
  std::size_t servers = 0;  // others
  std::size_t contacts = 0;
  std::uint64_t sent = 0, received = 0;  // messages of clients
  std::uint64_t dropped = 0;             // of them, for whatever reason
  std::uint64_t malformed = 0;           // what came from the backplane and is no message
};

class Federation final : private Backplane::Observer {
 public:
  struct Enrollment {
    std::uint64_t client = 0;
    std::string id, owner;
  };

  // The meeting point. Each call may call back into the Federation.
  class Host {
   public:
    virtual ~Host () = default;
    virtual void claim_decided (const Enrollment &enrollment, Verdict verdict) = 0;
    // Another server has it now; the meeting point drops it.
    virtual void registration_lost (const std::string &id, Verdict verdict) = 0;
    virtual Wish wish_of (const std::string &id, const std::string &peer) const = 0;
    virtual void remote_wish_changed (const std::string &id, const std::string &peer) = 0;
    // Null, or the code of the error for the one who sent it.
    virtual const char *remote_message (const std::string &id, const std::string &peer,
                                        const std::string &data) = 0;
    virtual void remote_refused (const std::string &id, const std::string &peer,
                                 const std::string &code) = 0;
    virtual std::vector<std::string> askers_of (const std::string &peer) const = 0;
    virtual std::vector<std::string> asked_peers () const = 0;
    // Ids that are kept for their owners; of each `id`, `owner` and for how long it has been gone.
    virtual std::vector<Claim> kept_ids () const = 0;
    virtual bool has_room_for (std::size_t bytes) const = 0;
    virtual void backplane_changed (bool up, const std::string &reason) = 0;
  };

  Federation (Backplane &backplane, Scheduler &scheduler, Host &host, TimeUs hold_us);
  ~Federation () override;

  bool up () const { return up_; }
  // Asks whether this client may have this id. False: it cannot be asked now.
  bool claim (const Enrollment &enrollment);
  // The id is registered here without having been claimed; that is made good when it is up.
  void adopt (const std::string &id, const std::string &owner);
  // It is registered by another client of this server from now on.
  void detach (const std::string &id);
  void resign (const std::string &id);
  // It is registered here from now on; answers the local ids that dealt with it elsewhere.
  std::vector<std::string> arrived (const std::string &id);

  void wish_changed (const std::string &id, const std::string &peer);
  void any_changed (const std::string &id);
  // What `peer`, which is elsewhere, wants of `id`.
  Wish remote_wish (const std::string &id, const std::string &peer) const;
  std::set<std::string> contacts_of (const std::string &id) const;
  // Null, or the code of the error for the one who sends it.
  const char *send (const std::string &id, const std::string &peer, const std::string &data);

  std::size_t memory_bytes () const;
  FederationStats stats () const;

 private:
  struct Lease {
    std::string owner, token;
    TimeUs since = 0, renewed = 0;
    bool announced = false;
    std::list<std::string>::iterator order;
  };
  struct Contact {
    std::string server;
    std::map<std::string, Wish> wishes;  // of it, by local id
  };

  void backplane_up () override;
  void backplane_down (const Error &reason) override;
  void backplane_message (const std::string &text) override;
  void backplane_lost (const std::string &id, const std::string &token, Verdict verdict) override;
  void backplane_unreachable (const std::string &server) override;

  void on_tick ();
  void on_claimed (const std::string &token, Verdict verdict);
  void renew_leases ();
  void on_renewed (const std::vector<Claim> &claims, const std::vector<Verdict> &verdicts);
  void keep_ids ();
  void announce (const std::vector<std::string> &ids);
  void find (const std::vector<std::string> &peers);
  void on_here (const std::string &id, const std::string &server);
  void on_server (const ServerMessage &message);
  void on_tell (const ServerMessage &message);
  void on_client_message (const ServerMessage &message);
  void tell (const std::string &id, const std::string &peer, const std::string &server,
             bool answer);
  bool say (const std::string &server, ServerMessage message);
  Wish &remember (const std::string &id, const std::string &peer, const std::string &server);
  Wish *wish (const std::string &id, const std::string &peer);
  void forget_wish (const std::string &id, const std::string &peer);
  void forget_contact (const std::string &peer);
  void forget_server (const std::string &server);
  void add_lease (const std::string &id, Lease lease);
  std::string new_token ();

  Backplane &backplane_;
  Scheduler &scheduler_;
  Host &host_;
  const TimeUs hold_us_;
  const std::string token_prefix_;  // no two servers make the same
  bool up_ = false;
  std::uint64_t next_token_ = 1;
  std::map<std::string, Enrollment> claims_;  // under way, by token
  std::unordered_map<std::string, Lease> leases_;
  std::list<std::string> renewals_;  // ids; the one that was renewed first is in front
  bool renewing_ = false;
  std::vector<Claim> to_keep_;
  std::map<std::string, TimeUs> servers_;  // when each was last heard
  std::set<std::string> lost_servers_;     // were not heard for a while, and may come back
  std::unordered_map<std::string, Contact> contacts_;
  std::unordered_map<std::string, std::set<std::string>> peers_of_;  // local id -> contacts
  std::size_t wishes_ = 0;
  TimeUs last_tick_ = 0;
  FederationStats totals_;
  std::unique_ptr<Scheduler::Timer> timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

}  // namespace p2p
