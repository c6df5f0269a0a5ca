// The socket of a front (turn/front_server.hpp), on a host address of this machine. Only packets
// of the machine's own addresses are looked at. Core thread only.
#pragma once
#include <memory>
#include <set>

#include "base/fd_watch.hpp"
#include "turn/front_server.hpp"

namespace p2p {

class FrontSocket final : private turn::FrontServer::Host {
 public:
  // Called from inside of the socket, which must outlive the call.
  class Owner {
   public:
    virtual ~Owner () = default;
    virtual Status front_peer (const turn::Address &peer, bool channel) = 0;
    virtual void front_relay (const turn::Address &peer, ByteView data) = 0;
    virtual void front_granted () = 0;
  };

  struct Config {
    turn::Address host;             // whose packets are served
    std::set<turn::Address> known;  // that libnice may send from as well, without ports
    turn::Address relayed;
  };
  static Result<std::unique_ptr<FrontSocket>> open (GMainContext *context, const Config &config,
                                                    Owner &owner);
  FrontSocket (GMainContext *context, int fd, const turn::Address &bound, const Config &config,
               Owner &owner);  // for open() alone
  ~FrontSocket () override;
  FrontSocket (const FrontSocket &) = delete;
  FrontSocket &operator= (const FrontSocket &) = delete;

  const turn::Address &bound () const { return bound_; }
  turn::FrontServer &server () { return server_; }
  const turn::FrontServer &server () const { return server_; }
  // Packets of others, and those for which the kernel had no room.
  std::uint64_t strangers () const { return strangers_; }
  std::uint64_t unsent () const { return unsent_; }

 private:
  void receive ();
  void front_send (const turn::Address &client, ByteView packet) override;
  Status front_peer (const turn::Address &peer, bool channel) override;
  void front_relay (const turn::Address &peer, ByteView data) override;
  void front_granted () override;

  const int fd_;
  const turn::Address bound_;
  const std::set<turn::Address> known_;
  Owner &owner_;
  turn::FrontServer server_;
  FdWatch watch_;
  std::uint64_t strangers_ = 0, unsent_ = 0;
};

}  // namespace p2p
