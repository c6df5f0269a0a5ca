// One five-tuple to a TURN server: whole packets in and out. It belongs to the thread of the main
// context that it was made for.
#pragma once
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"
#include "turn/address.hpp"

namespace p2p::turn {

class Connection {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    // Called from inside of the connection, which must outlive the call: stop() ends it.
    virtual void connection_received (ByteView packet) = 0;
    virtual void connection_doubtful () = 0;  // the kernel heard that nobody listens there
    virtual void connection_ended (const std::string &why) = 0;
  };

  virtual ~Connection () = default;
  // Nothing is received before; called once.
  virtual void start (Observer &observer) = 0;
  virtual void stop () = 0;  // the observer hears no more
  virtual bool send (ByteView packet) = 0;
  // What is sent from hold() to release() may wait for it, to leave together. The answer: how many
  // of those packets, the last ones, had no room.
  virtual void hold () {}
  virtual std::size_t release () { return 0; }
  virtual bool reliable () const = 0;
  // Of data in one packet, with all that TURN may write around it.
  virtual std::size_t max_data_bytes () const = 0;
};

// What surrounds data in a Send indication for an IPv6 peer, with DONT-FRAGMENT and padding.
constexpr std::size_t kMaxOverheadBytes = 20 + 24 + 4 + 4 + 4;

// Takes over a connected datagram socket.
std::unique_ptr<Connection> make_udp_connection (GMainContext *context, Scheduler &scheduler,
                                                 Ref<GSocket> socket);
struct Losses;
struct DtlsSocket {
  Ref<GSocket> udp;
  Ref<GDatagramBased> dtls;  // on the above, its handshake done
  std::shared_ptr<Losses> losses;
};
std::unique_ptr<Connection> make_dtls_connection (GMainContext *context, Scheduler &scheduler,
                                                  DtlsSocket socket);
// Takes over a connected stream with pollable ends; its TCP connection below, for its options.
std::unique_ptr<Connection> make_stream_connection (GMainContext *context, Scheduler &scheduler,
                                                    Ref<GIOStream> stream);

}  // namespace p2p::turn
