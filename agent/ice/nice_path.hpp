// Datagrams over the selected pair of a NiceAgent. A direct UDP pair gets a fast lane, one of a
// relay of this side goes straight to the TURN client; every other one, and whatever these cannot
// do, goes through libnice's own calls.
#pragma once
#include <nice/agent.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ptr.hpp"
#include "ice/early_sends.hpp"
#include "ice/fast_udp.hpp"
#include "ice/ice_transport.hpp"
#include "ice/turn_front.hpp"
#include "path/path.hpp"

namespace p2p {

// A train of datagrams this long is answered before it has ended: libnice hands them over one by
// one, without an end, until its socket is empty.
constexpr unsigned kBatchDatagrams = 32;

// The largest datagram worth trying on a pair.
//   direct UDP    what fills the route's MTU: an upper bound, QUIC finds out what really passes
//                 (RFC 8899). Ethernet's, where the system tells of none.
//   relayed, TCP  1200: a relay adds 4 to 36 bytes; on TCP the size makes no difference.
std::size_t max_datagram_bytes_on (const IcePair &pair, std::size_t route_mtu_bytes);

class NicePath final : public Path, private FastUdp::Receiver {
 public:
  NicePath (NiceAgent *agent, guint stream, Scheduler &scheduler, GMainContext *context,
            const FastUdpWish &fast_wish);
  ~NicePath () override;

  // What the owner tells it, on the core thread.
  // `relay`: whose relayed address the local candidate is; it outlives the path.
  void pair_selected (const IcePair &pair, TurnFront *relay = nullptr);
  // Until a pair is selected, datagrams go this way.
  void send_early (std::unique_ptr<EarlySends> sends) { early_sends_ = std::move (sends); }
  // IP addresses; true when they are others than before.
  bool set_relays (const std::vector<std::string> &relays) {
    return std::exchange (relays_, relays) != relays;
  }
  void received (ByteView datagram);
  void failed (const Error &error);
  void recovered ();
  // One datagram by libnice's own means, beside whatever waits to be sent.
  void send_beside (ByteView datagram);

  void set_receiver (Path::Receiver *receiver) override { receiver_ = receiver; }
  Sent send (ByteView burst, std::size_t segment_bytes) override;
  std::size_t max_datagram_bytes () const override;
  std::size_t max_burst_bytes () const override;
  PathInfo info () const override;
  Scheduler &scheduler () override { return scheduler_; }

  std::uint64_t dropped_received () const { return dropped_received_; }  // for want of a receiver
  std::uint64_t failed_bursts () const { return failed_bursts_; }

 private:
  struct Pushed {
    std::size_t bytes;  // that have left, whole datagrams
    Sent outcome;
  };
  Pushed push (ByteView burst, std::size_t segment_bytes);
  Pushed push_to_relay (ByteView burst, std::size_t segment_bytes);
  Pushed hand_to_relay (ByteView burst, std::size_t segment_bytes);
  void watch_writable ();
  void on_writable ();
  void on_batch_end ();
  void open_fast_lane (const IcePair &pair, GSocket *socket);
  void repeat_early_sends ();
  void fast_received (ByteView datagram) override;
  void fast_batch_done () override;
  void fast_writable () override;

  NiceAgent *const agent_;  // outlives the path
  const guint stream_;
  const FastUdpWish fast_wish_;
  Scheduler &scheduler_;
  GMainContext *const context_;
  Path::Receiver *receiver_ = nullptr;
  std::optional<IcePair> pair_;
  std::size_t max_datagram_bytes_ = kMinDatagramBytes;  // of pair_
  std::vector<std::string> relays_;                     // that it takes, by IP address
  std::unique_ptr<FastUdp> fast_;  // of pair_, when it is a direct one over UDP

  TurnFront *relay_ = nullptr;  // of pair_, when its local candidate is a relayed one

  // The tail of a burst of which the socket took only the head. At most one burst.
  std::vector<std::uint8_t> rest_;
  std::size_t rest_segment_bytes_ = 0;
  bool failed_ = false;   // sends are refused until it recovers
  bool blocked_ = false;  // the caller waits for path_writable
  UniqueSource writable_source_;
  std::unique_ptr<Scheduler::Timer> writable_timer_;

  std::unique_ptr<EarlySends> early_sends_;  // at most until there is a pair
  // What came before there was a pair: nothing could answer it yet.
  std::vector<std::vector<std::uint8_t>> early_;
  unsigned in_batch_ = 0;
  std::unique_ptr<Scheduler::Timer> batch_end_;
  std::uint64_t dropped_received_ = 0, failed_bursts_ = 0;
};

}  // namespace p2p
