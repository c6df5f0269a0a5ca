#include "transport/turn_queue.hpp"

#include <algorithm>

namespace p2p {

bool
TurnQueue::later (const Turn *a, const Turn *b) {
  return a->start > b->start;
}

TurnQueue::Turn &
TurnQueue::turn_of (const Flow &flow) {
  std::unique_ptr<Turn> &turn = turns_[flow.id];
  if (!turn) {
    turn = std::make_unique<Turn> ();
    turn->flow = flow.id;
    // Who was quiet starts with the others: it has not saved up any right to send.
    turn->start = flow.id == 0 ? -1 : now_;
    heap_.push_back (turn.get ());
    std::push_heap (heap_.begin (), heap_.end (), later);
  }
  turn->weight = std::max<std::uint32_t> (flow.weight, 1);
  return *turn;
}

void
TurnQueue::add_stream (const Flow &flow, StreamId id) {
  turn_of (flow).streams.push_back (id);
}

bool
TurnQueue::add_datagram (const Flow &flow, QueuedDatagram datagram) {
  const std::size_t size = datagram.bytes.size ();
  if (datagram_bytes_ + size > kMaxDatagramBytes) return false;
  if (const auto found = turns_.find (flow.id); found != turns_.end ()) {
    const Turn &turn = *found->second;
    if (turn.datagrams.size () >= kMaxFlowDatagrams ||
        turn.datagram_bytes + size > kMaxFlowDatagramBytes)
      return false;
  }
  Turn &turn = turn_of (flow);
  turn.datagrams.push_back (std::move (datagram));
  turn.datagram_bytes += size;
  datagram_bytes_ += size;
  ++datagrams_;
  return true;
}

TurnQueue::Turn *
TurnQueue::next () {
  while (!heap_.empty () && heap_.front ()->empty ()) {
    std::pop_heap (heap_.begin (), heap_.end (), later);
    turns_.erase (heap_.back ()->flow);
    heap_.pop_back ();
  }
  return heap_.empty () ? nullptr : heap_.front ();
}

void
TurnQueue::sent (std::size_t bytes) {
  if (bytes == 0 || heap_.empty ()) return;
  std::pop_heap (heap_.begin (), heap_.end (), later);
  Turn &turn = *heap_.back ();
  if (turn.flow != 0) {
    now_ = turn.start;
    turn.start += static_cast<double> (bytes) / turn.weight;
  }
  std::push_heap (heap_.begin (), heap_.end (), later);
}

QueuedDatagram
TurnQueue::take_datagram (Turn &turn) {
  QueuedDatagram datagram = std::move (turn.datagrams.front ());
  turn.datagrams.pop_front ();
  turn.datagram_bytes -= datagram.bytes.size ();
  datagram_bytes_ -= datagram.bytes.size ();
  --datagrams_;
  return datagram;
}

}  // namespace p2p
