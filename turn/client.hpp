// A TURN client without a socket: packets and time in, packets and events out (RFC 8656). Whatever
// happens to its allocation it says why, and gets another one, from another server if need be,
// until its attempts are used up.
#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "turn/allocation.hpp"
#include "turn/peers.hpp"
#include "turn/server.hpp"

namespace p2p::turn {

struct ClientConfig {
  std::vector<Server> servers;  // at least one, in the order of preference
  AllocationWishes wishes;
  PeerPolicy policy;
  bool channels = true;
  std::string software = "gst-p2p";  // empty: none is told
  TransactionTimes times;
  // Nothing came from the server for so long: it is asked whether the allocation is still there,
  // which keeps the NAT's mapping as well. Shorter where something was sent since.
  TimeUs quiet_check = 15 * kSecond, busy_check = 5 * kSecond;
};

struct Event {
  enum class Kind {
    allocated,      // the relayed addresses are there
    network_bad,    // and are no longer; another allocation is under way
    recovered,      // it is there: the addresses may be others
    redirected,     // the server sent us to another one, which is asked
    server_failed,  // another one is tried, or the same one later
    failed,         // nothing is tried any more; reset() begins anew
    peer_granted,
    peer_refused,
    closed,
  };
  Kind kind;
  P2pTurnReason reason = P2P_TURN_REASON_NONE;
  int code = 0;                 // the server's, if it is one of its errors
  std::string message;          // a sentence
  std::optional<Address> peer;  // for peer_granted and peer_refused; a granted one has no port
};

struct ClientStats {
  PeerStats peers;
  std::uint64_t allocations = 0, losses = 0;
  std::uint64_t repeated_requests = 0, rejected_answers = 0;
  std::uint64_t malformed = 0;  // packets of the server that made no sense
};

class Client final : private Peers::Owner {
 public:
  // Called from inside of the client, also of its timers; may call any method, but not destroy it.
  class Host {
   public:
    virtual ~Host () = default;
    // A new five-tuple to the target; the one that there was ends. transport_opened() or
    // transport_failed() answers, never from inside.
    virtual void open_transport (const Target &target) = 0;
    virtual void close_transport () = 0;
    // Whole packets. False: no room, it is lost.
    virtual bool send_packet (ByteView packet) = 0;
    virtual void turn_event (const Event &event) = 0;
    virtual void turn_received (const Address &peer, ByteView data) = 0;
    // The server has refused these. set_credentials() or keep_credentials() answers.
    virtual void credentials_wanted (const Server &server) = 0;
  };
  enum class State { idle, opening, allocating, allocated, waiting, failed, closing, closed };

  static constexpr int kMaxTuples = 3;     // in a row, before the server is held for broken
  static constexpr int kMaxRedirects = 1;  // of one server
  static constexpr int kMaxSimplified = 4;
  static constexpr int kMaxQuickLosses = 3;
  static constexpr int kMaxRounds = 8;  // through all servers; the waits between add up to a minute
  static constexpr TimeUs kFirstWait = 500 * kMillisecond;
  static constexpr TimeUs kLongestWait = 16 * kSecond;
  static constexpr TimeUs kQuickLoss = 10 * kSecond;
  static constexpr TimeUs kCloseLimit = kSecond;
  static constexpr TimeUs kCredentialsLimit = 30 * kSecond;

  Client (Scheduler &scheduler, Host &host, ClientConfig config);
  ~Client () override;
  Client (const Client &) = delete;
  Client &operator= (const Client &) = delete;

  void start ();
  // Another five-tuple, and the same allocation where the server moves it (RFC 8016): after a
  // change of the network.
  void move ();
  void reset ();  // everything anew, from the first server
  void close ();  // releases the allocation; `closed` follows within kCloseLimit

  void transport_opened (bool reliable);
  void transport_failed (const std::string &why);  // not opened, or ended
  void receive (ByteView packet);
  // The kernel says that nobody listens there (ICMP): asked at once instead of believed.
  void transport_doubtful ();
  void set_credentials (Credentials credentials);
  void keep_credentials ();  // there are no others

  // Without a channel data goes by Send indications, until it is added again with one.
  Status add_peer (const Address &peer, bool channel = true);
  void remove_peer (const Address &peer) { peers_.remove (peer); }
  // To a peer that was added.
  Sent send (const Address &peer, ByteView data);

  State state () const { return state_; }
  const std::vector<Address> &relayed () const { return allocation_.relayed (); }
  const std::optional<Address> &mapped () const { return allocation_.mapped (); }
  const Allocation &allocation () const { return allocation_; }
  const Target &target () const { return target_; }
  const std::string &realm () const { return requester_.authenticator ().realm (); }
  ClientStats stats () const;

 private:
  const Server &server () const { return config_.servers[server_]; }
  void enter (std::size_t server);
  void open ();
  void allocate ();
  void allocate_answered (const Reply &reply);
  void granted ();
  bool follow (const Reply &reply);
  void leave_tuple (const Reply &reply);
  void refresh ();
  void refresh_answered (const Reply &reply);
  void resume_answered (const Reply &reply);
  enum class Tuple { same, other };
  void lost (P2pTurnReason reason, int code, const std::string &text, Tuple tuple);
  void lost (const Reply &reply, Tuple tuple);
  void fail_server (P2pTurnReason reason, int code, const std::string &text, bool exclude);
  void fail_server (const Reply &reply, bool exclude);
  void ask_credentials (const Reply &reply);
  void credentials_known (bool others);
  void finish_close ();
  void timer_due ();
  void rearm ();
  void tell (Event::Kind kind, P2pTurnReason reason, int code, const std::string &what,
             const std::string &text);

  bool send_packet (ByteView packet) override;
  void peer_received (const Address &peer, ByteView data) override;
  void peer_granted (const Address &peer) override;
  void peer_refused (const Address &peer, const Reply &reply) override;
  void peer_trouble (PeerStep step, const Reply &reply) override;

  Scheduler &scheduler_;
  Host &host_;
  const ClientConfig config_;
  State state_ = State::idle;
  std::vector<Credentials> credentials_;  // by server, as last told
  Requester requester_;
  Allocation allocation_;
  Peers peers_;

  std::size_t server_ = 0;
  Target target_;
  int redirects_ = 0, tuples_ = 0, simplified_ = 0, rounds_ = 0, quick_losses_ = 0;
  bool reliable_ = false, resuming_ = false, refreshing_ = false, had_one_ = false;
  std::set<std::size_t> excluded_, failed_in_round_;
  std::optional<Reply> wanting_;    // what the credentials are wanted for; its message is gone
  bool credentials_asked_ = false;  // since the last success
  TimeUs allocated_at_ = 0, heard_at_ = 0, sent_at_ = 0, wait_until_ = kNever;
  std::uint64_t malformed_ = 0, allocations_ = 0, losses_ = 0;
  std::unique_ptr<Scheduler::Timer> timer_;
};

}  // namespace p2p::turn
