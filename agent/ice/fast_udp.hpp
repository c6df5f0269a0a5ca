// The fast lane of a direct UDP pair: a second socket on the address and port of libnice's, which
// sends trains of datagrams in one system call (UDP_SEGMENT) and receives them the same way
// (UDP_GRO). The kernel steers between the two sockets. Each ability is tried when it is needed and
// given up alone. Core thread only.
#pragma once
#include <gio/gio.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd_watch.hpp"
#include "base/packed_memory.hpp"
#include "base/ptr.hpp"
#include "ice/fast_udp_abilities.hpp"
#include "path/path.hpp"

namespace p2p {

class FastUdp : public Packed {
 public:
  class Receiver {
   public:
    virtual ~Receiver () = default;
    virtual void fast_received (ByteView datagram) = 0;
    virtual void fast_batch_done () = 0;
    virtual void fast_writable () = 0;
  };

  // `socket`: libnice's, bound to one address. Null when not even sending works, for instance
  // because the socket's address is of another family than the remote's.
  static std::unique_ptr<FastUdp> open (GSocket *socket, const sockaddr_storage &remote,
                                        const FastUdpAbilities &wanted, GMainContext *context,
                                        Receiver &receiver);
  FastUdp (GSocket *socket, const sockaddr_storage &remote, GMainContext *context,
           Receiver &receiver);  // for open() alone
  ~FastUdp ();
  FastUdp (const FastUdp &) = delete;
  FastUdp &operator= (const FastUdp &) = delete;

  // As Path::send().
  Path::Sent send (ByteView burst, std::size_t segment_bytes);
  const FastUdpAbilities &abilities () const { return abilities_; }
  std::string describe () const;  // "segmentation, coalescing, own socket"

  std::uint64_t stray_datagrams () const { return stray_; }  // of others than the remote
  std::uint64_t swallowed_stun () const { return stun_; }    // glued to a train by the kernel

 private:
  bool open_own_socket (const FastUdpAbilities &wanted);
  int sending_fd () const { return own_fd_ >= 0 ? own_fd_ : g_socket_get_fd (socket_.get ()); }
  Path::Sent send_train (ByteView burst, std::size_t segment_bytes);
  Path::Sent send_singly (ByteView burst, std::size_t segment_bytes);
  Path::Sent judge (int error);
  void wait_for_room (bool is_in_socket);
  bool waiting () const { return waiting_for_socket_ || retry_; }
  void on_events (GIOCondition there);
  void on_writable ();
  void on_readable ();
  void deliver (ByteView train, std::size_t segment_bytes);

  const Ref<GSocket> socket_;
  const sockaddr_storage remote_;
  const socklen_t remote_bytes_;
  GMainContext *const context_;
  Receiver &receiver_;
  FastUdpAbilities abilities_;
  int own_fd_ = -1;
  std::unique_ptr<FdWatch> watch_;  // of the socket that sends
  bool waiting_for_socket_ = false;
  UniqueSource retry_;  // waits for room below the socket, which nothing tells
  unsigned retry_ms_ = 0;
  std::int64_t retried_at_us_ = 0;
  std::uint64_t stray_ = 0, stun_ = 0;
  // The tail of a burst of which the socket took only the head. At most one burst.
  std::vector<std::uint8_t> rest_;
  std::size_t rest_segment_bytes_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

}  // namespace p2p
