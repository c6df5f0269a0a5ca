// The peers of an allocation: their permissions and channels, kept alive, and the data to and from
// them. What waits for a permission, or for a new allocation, waits here.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <set>

#include "turn/channel_binding.hpp"
#include "turn/permission.hpp"
#include "turn/policy.hpp"
#include "turn/recovery.hpp"

namespace p2p::turn {

enum class Sent {
  sent,
  waiting,  // it goes when the permission, or the allocation, is there
  refused,  // the server does not permit this peer
  full,     // too much is waiting; or the connection to the server is full
  too_long,
};

struct PeerStats {
  std::uint64_t sent = 0, received = 0;  // datagrams
  std::uint64_t sent_bytes = 0, received_bytes = 0;
  std::uint64_t dropped_sends =
      0;  // refused, also after they had waited; Sent::full is no drop yet
  std::uint64_t dropped_receives = 0;  // from nobody that was added
  std::uint64_t malformed = 0;
  std::uint64_t refused_peers = 0;  // by policy
};

class Peers {
 public:
  class Owner {
   public:
    virtual ~Owner () = default;
    virtual bool send_packet (ByteView packet) = 0;
    virtual void peer_received (const Address &peer, ByteView data) = 0;
    virtual void peer_granted (const Address &peer) = 0;
    virtual void peer_refused (const Address &peer, const Reply &reply) = 0;
    // Concerns more than a peer: anything but refuse and retry.
    virtual void peer_trouble (PeerStep step, const Reply &reply) = 0;
  };

  static constexpr std::size_t kMaxPeers = 1024;
  static constexpr std::size_t kMaxWaiting = 256, kMaxWaitingBytes = 512 * 1024;
  static constexpr int kMaxFailures = 4;  // in a row, of what may work later

  Peers (Scheduler &scheduler, Requester &requester, Owner &owner, bool channels,
         bool dont_fragment);

  // Adding one that was refused asks once more, and one that is there may get its channel. The
  // policy is the client's.
  Status add (const Address &peer, bool channel);
  void remove (const Address &peer);
  bool known (const Address &peer) const { return peers_.count (peer) > 0; }
  std::size_t count () const { return peers_.size (); }
  Sent send (const Address &peer, ByteView data);

  void allocated (bool padded);  // all is asked for anew, what waits is sent
  void resumed (bool padded);    // the same allocation on another five-tuple
  void lost ();                  // nothing can be sent
  void verified ();              // the allocation was there after all
  void retry_soon ();            // after new credentials

  void receive_channel_data (ByteView packet);
  void receive_indication (const Message &message);

  PeerStats &stats () { return stats_; }
  const PeerStats &stats () const { return stats_; }
  std::size_t waiting_bytes () const { return waiting_bytes_; }

 private:
  struct Waiting {
    Address peer;
    std::vector<std::uint8_t> data;
  };
  void work ();
  void ask_permissions (const std::vector<Address> &ips);
  void ask_channel (const Address &peer);
  void permission_failed (const std::vector<Address> &ips, const Reply &reply);
  void channel_failed (const Address &peer, const Reply &reply);
  void refuse (const Address &ip, const Reply &reply);
  void flush ();
  bool send_now (const Address &peer, ByteView data);
  Sent wait (const Address &peer, ByteView data);
  template <class Keep>
  void drop_waiting (Keep keep);
  void rearm ();

  Scheduler &scheduler_;
  Requester &requester_;
  Owner &owner_;
  const bool use_channels_, dont_fragment_;
  bool ready_ = false, padded_ = false;
  std::set<Address> peers_;
  std::map<Address, int> ips_;  // how many peers have it
  PermissionTable permissions_;
  ChannelTable channels_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::vector<std::uint8_t> packet_;
  PeerStats stats_;
  std::unique_ptr<Scheduler::Timer> timer_;
};

}  // namespace p2p::turn
