// One encrypted, authenticated connection over a path: ordered byte streams and datagrams. What
// the session needs of QUIC, and nothing that is QUIC's alone. Core thread only.
// An observer may call every method from inside of its callbacks, but destroy the transport only
// through a posted task.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"

namespace p2p {

using StreamId = std::int64_t;

// What shares the way by weight when there is more to send than may leave. Flow 0 goes first.
struct Flow {
  std::uint64_t id = 0;
  std::uint32_t weight = 256;
};

struct TransportStats {
  std::uint64_t bytes_sent = 0, bytes_received = 0;  // UDP payload
  // Lost: those that carried stream data or datagrams.
  std::uint64_t packets_sent = 0, packets_received = 0, packets_lost = 0;
  // Received, and treated as lost: a stream had as many holes as it may have.
  std::uint64_t packets_dropped = 0;
  std::uint64_t datagrams_dropped = 0;  // QUIC datagrams that found the send queue full
  TimeUs smoothed_rtt_us = 0, min_rtt_us = 0, handshake_us = 0;
  std::uint64_t congestion_window_bytes = 0, bytes_in_flight = 0;
  std::size_t packet_bytes = 0;  // size of a full packet in use
  std::string cipher, congestion_control;
};

// What both ends of a connection know and nobody else: its TLS exporter (RFC 8446 section 7.5) with
// the label "EXPORTER-gst-p2p-session".
using SharedSecret = std::array<std::uint8_t, 32>;

class Transport {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    // The handshake is complete on this side and the peer's certificate is the expected one. A
    // client may still hear, one round trip later, that the server refuses its own.
    virtual void transport_ready () = 0;
    virtual void transport_stream_opened (StreamId id) = 0;  // by the peer
    // Bytes of a stream in order, valid only inside of the call. They count against the stream's
    // receive window until consume() is called. `fin` may come with no bytes.
    virtual void transport_stream_data (StreamId id, ByteView bytes, bool fin) = 0;
    virtual void transport_stream_reset (StreamId id,
                                         std::uint64_t code) = 0;  // peer gave up sending
    // The peer won't read; noticed with the next bytes to send. `code` is 0 where QUIC hides it.
    virtual void transport_stream_stopped (StreamId id, std::uint64_t code) = 0;
    // `bytes` more of what was written have left into packets for the first time.
    virtual void transport_stream_sent (StreamId id, std::size_t bytes) = 0;
    virtual void transport_stream_closed (StreamId id) = 0;  // both directions are done
    virtual void transport_streams_available () = 0;         // open_stream() may work again
    virtual void transport_datagram (ByteView bytes) = 0;
    virtual void transport_datagram_acked (std::uint64_t tag) = 0;
    // Declared lost by the loss detection; an acknowledgement may still follow.
    virtual void transport_datagram_lost (std::uint64_t tag) = 0;
    // The last call of all. `by_peer` with code 0 is an orderly close.
    virtual void transport_closed (const Error &error, bool by_peer, std::uint64_t code) = 0;
  };

  virtual ~Transport () = default;
  virtual void set_observer (Observer *observer) = 0;
  virtual Scheduler &scheduler () = 0;
  virtual bool is_client () const = 0;

  // None of these calls the observer from inside, but close() and destruction end its calls.
  // Bidirectional stream; P2P_ERROR_NOT_CONNECTED before ready, P2P_ERROR_WOULD_BLOCK while the
  // peer allows no more of them. Streams that the peer opens are of flow 0 on this side.
  virtual Result<StreamId> open_stream (const Flow &flow) = 0;
  // What was written leaves now, as far as it may, and not at the next turn of the loop.
  virtual void flush () = 0;
  // Queues `bytes` by reference until the peer's stack acknowledged them. Never refuses: the
  // session bounds what it queues by unsent_bytes() and its own accounting.
  virtual void write (StreamId id, const Ref<GBytes> &bytes, bool fin) = 0;
  virtual std::size_t unsent_bytes (StreamId id) const = 0;
  virtual void consume (StreamId id, std::size_t bytes) = 0;  // opens the receive window again
  virtual void reset (StreamId id, std::uint64_t code) = 0;   // gives up sending
  virtual void stop (StreamId id, std::uint64_t code) = 0;    // asks the peer to stop sending
  // Sends one datagram of `head` + `body` when the congestion window allows; false when the flow's
  // queue is full (dropped and counted). `tag`, below 2^63, comes back in acked or lost. The first
  // byte is never 0xff: that marks the transport's own datagrams, its probes of the packet size.
  virtual bool send_datagram (const Flow &flow, ByteView head, ByteView body,
                              std::uint64_t tag) = 0;
  virtual std::size_t max_datagram_payload_bytes () const = 0;  // 0 before ready
  // Sends what may leave at once, then CONNECTION_CLOSE; no observer call follows. Code 0 is an
  // orderly end.
  virtual void close (std::uint64_t code, const std::string &reason) = 0;
  // Also before it is ready. Nothing passes for now, as somebody above knows better: nothing is
  // sent, and time stands still for every timeout, so that an outage costs neither the state of the
  // congestion control nor a timeout that has doubled for all of it. What arrives is still read.
  virtual void suspend () = 0;
  // Goes on from there; what was under way is asked for at once.
  virtual void resume () = 0;
  virtual TimeUs last_heard_us () const = 0;        // when the peer's last genuine packet came
  virtual SharedSecret shared_secret () const = 0;  // from ready on
  // What the server said with its handshake, from ready on: to a client what came, to a server what
  // it knows to have told. Empty when there was nothing, and when it was taken before.
  virtual std::string take_greeting () = 0;
  virtual TransportStats stats () const = 0;
};

}  // namespace p2p
