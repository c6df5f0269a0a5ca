// The server side of TURN, as far as one ICE agent on the same machine needs it: to that agent it
// looks like a TURN server, behind it is an allocation of ours at a real one. Packets in, packets
// out (RFC 8656); it lives as long as the allocation and grants it to one client, for ever. No
// XOR-MAPPED-ADDRESS is told: what is seen here is the agent's host address, and the real server
// sees the address of another socket.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "turn/credentials.hpp"
#include "turn/message.hpp"

namespace p2p::turn {

struct FrontStats {
  std::uint64_t malformed = 0;      // packets that made no sense
  std::uint64_t unauthorized = 0;   // requests without the right credentials, challenges included
  std::uint64_t dropped = 0;        // data without a permission, a channel or an allocation
  std::uint64_t refused_peers = 0;  // by whoever has the relay
};

class FrontServer {
 public:
  // Called from inside of the server; may not destroy it.
  class Host {
   public:
    virtual ~Host () = default;
    virtual void front_send (const Address &client, ByteView packet) = 0;
    // The client wants to reach the peer, over a channel of its own if it is to carry data.
    virtual Status front_peer (const Address &peer, bool channel) = 0;
    virtual void front_relay (const Address &peer, ByteView data) = 0;
    virtual void front_granted () = 0;  // the client has been told its relayed address
  };

  static constexpr std::size_t kMaxPermissions = 256, kMaxChannels = 256;

  // Others than `client_ip` may ask, and get no allocation; its port does not count.
  FrontServer (Host &host, const Address &client_ip, const Address &relayed);
  FrontServer (const FrontServer &) = delete;
  FrontServer &operator= (const FrontServer &) = delete;

  const Credentials &credentials () const { return credentials_; }  // random ones

  void receive (const Address &from, ByteView packet);
  // To the client: by channel where it has one for the peer.
  void deliver (const Address &peer, ByteView data);

  const Address &relayed () const { return relayed_; }
  bool granted () const { return client_.has_value (); }
  const FrontStats &stats () const { return stats_; }

 private:
  void receive_channel_data (const Address &from, ByteView packet);
  void receive_indication (const Address &from, const Message &message);
  void receive_request (const Address &from, const Message &request);
  bool authentic (const Address &from, const Message &request);
  void challenge (const Address &to, Method method, const TransactionId &id, int code);
  void allocate (const Address &from, const Message &request);
  void grant (const Address &from, const TransactionId &id);
  void refresh (const Address &from, const Message &request);
  void create_permission (const Address &from, const Message &request);
  void bind_channel (const Address &from, const Message &request);
  int permit (const Address &peer, bool channel);
  void succeed (const Address &to, MessageWriter *answer);
  void fail (const Address &to, Method method, const TransactionId &id, int code);

  Host &host_;
  const Address client_ip_;
  const Credentials credentials_;
  const std::string nonce_;
  const Key key_;
  const Address relayed_;
  std::optional<Address> client_;  // who has the allocation
  TransactionId granted_by_{};
  std::set<Address> permissions_;  // without ports
  std::map<std::uint16_t, Address> channels_;
  std::map<Address, std::uint16_t> channel_of_;
  std::vector<std::uint8_t> packet_;
  FrontStats stats_;
};

}  // namespace p2p::turn
