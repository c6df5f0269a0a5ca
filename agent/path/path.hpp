// A path carries datagrams between two peers, unreliably and in any order. Paths come and go
// below a living session. A path, its scheduler and its receiver belong to the core thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/scheduler.hpp"

namespace p2p {

// Smallest datagram that a path must carry (RFC 9000 section 14).
constexpr std::size_t kMinDatagramBytes = 1200;

struct PathInfo {
  std::string kind;    // "ice", "memory", or the name of the application's factory
  std::string local;   // candidate type and address, for people: "host 10.0.0.2:4711/udp"
  std::string remote;  // the same for the far end
  bool relayed = false;
  // IP addresses of the relays that it takes, that of this side first: what it falls with.
  std::vector<std::string> relays;
  bool own_relay = false;  // by a relay of this side: path_failed means that it was lost
  std::string engine;      // how datagrams are moved: "segmentation, coalescing, own socket"
};

class Path {
 public:
  class Receiver {
   public:
    virtual ~Receiver () = default;
    // The bytes are valid only inside of the call.
    virtual void path_received (Path &path, ByteView datagram) = 0;
    // After a train of datagrams was handed over: the moment to answer.
    virtual void path_batch_done (Path &path) = 0;
    // After send() said would_block.
    virtual void path_writable (Path &path) = 0;
    // The way may now lead elsewhere (another pair, another size); what was learned about it is
    // stale.
    virtual void path_changed (Path &path) = 0;
    // Nothing passes now, and send() says so; it may come back, which path_changed tells. Whoever
    // was told would_block waits no longer.
    virtual void path_failed (Path &path, const Error &error) = 0;
  };

  enum class Sent { all, would_block, failed, too_long };

  virtual ~Path () = default;

  // One receiver at a time; nullptr drops what arrives, but for the first few datagrams before
  // there was any receiver, which should wait for it: a peer may open its end earlier. The receiver
  // may be replaced at any moment, and may destroy the path from inside of a callback only through
  // a posted task.
  virtual void set_receiver (Receiver *receiver) = 0;

  // Sends `burst` as datagrams of `segment_bytes`, the last one possibly shorter. All or nothing:
  // on would_block the caller keeps the burst and sends it again at path_writable.
  // `failed` means that this burst is lost, as on a wire; the path itself may still live. So is it
  // with `too_long`, but shorter datagrams may pass.
  virtual Sent send (ByteView burst, std::size_t segment_bytes) = 0;

  virtual std::size_t max_datagram_bytes () const = 0;  // at least kMinDatagramBytes
  virtual std::size_t max_burst_bytes () const = 0;     // at least max_datagram_bytes
  virtual PathInfo info () const = 0;
  // What was lost on this side for want of room, in both directions.
  virtual std::uint64_t dropped_datagrams () const { return 0; }
  virtual Scheduler &scheduler () = 0;  // the clock by which this path lives
};

}  // namespace p2p
