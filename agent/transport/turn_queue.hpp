// Whose turn it is to send. Flows (channels) share what may leave by weight, whatever number of
// streams and datagrams each of them has waiting: start-time fair queueing. Flow 0 is the session's
// own, confirmations and the like, and goes first. Core thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/fifo.hpp"
#include "transport/transport.hpp"

namespace p2p {

struct QueuedDatagram {
  std::vector<std::uint8_t> bytes;
  std::uint64_t tag;
};

class TurnQueue {
 public:
  // Datagrams of one flow, and of all of them.
  static constexpr std::size_t kMaxFlowDatagrams = 256;
  static constexpr std::size_t kMaxFlowDatagramBytes = 1024 * 1024;
  static constexpr std::size_t kMaxDatagramBytes = 16 * 1024 * 1024;

  // What one flow has to send.
  struct Turn {
    Fifo<StreamId> streams;
    Fifo<QueuedDatagram> datagrams;
    std::size_t datagram_bytes = 0;
    bool datagram_next = false;  // they take turns with the streams, packet by packet
    bool empty () const { return streams.empty () && datagrams.empty (); }

   private:
    friend class TurnQueue;
    std::uint64_t flow = 0;
    std::uint32_t weight = 1;
    double start = 0;  // virtual time at which its next packet is due
  };

  void add_stream (const Flow &flow, StreamId id);
  bool add_datagram (const Flow &flow, QueuedDatagram datagram);  // false: no room
  // The flow that is next; nullptr when nothing waits. The caller takes from it, and says what it
  // has sent, 0 when that is nothing; then the answer is void.
  Turn *next ();
  void sent (std::size_t bytes);
  QueuedDatagram take_datagram (Turn &turn);

  bool empty () { return next () == nullptr; }
  std::size_t datagrams () const { return datagrams_; }
  // In no order; for looking, not for taking.
  template <class Look>
  bool any_stream (Look look) const {
    for (const auto &[id, turn] : turns_)
      for (const StreamId stream : turn->streams)
        if (look (stream)) return true;
    return false;
  }

 private:
  Turn &turn_of (const Flow &flow);
  static bool later (const Turn *a, const Turn *b);

  std::unordered_map<std::uint64_t, std::unique_ptr<Turn>> turns_;  // of flows that wait
  std::vector<Turn *> heap_;  // the same; the earliest is at the front
  double now_ = 0;            // virtual time: the start of what was sent last
  std::size_t datagrams_ = 0, datagram_bytes_ = 0;
};

}  // namespace p2p
