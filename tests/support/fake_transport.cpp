#include "support/fake_transport.hpp"

#include <algorithm>

namespace p2p::test {

FakeLink::FakeLink (Scheduler &scheduler, FakeNetwork network)
    : client (std::make_shared<FakeTransport> (scheduler, network, true)),
      server (std::make_shared<FakeTransport> (scheduler, network, false)) {
  client->join (server);
  server->join (client);
}

FakeLink::~FakeLink () {
  client->set_observer (nullptr);
  server->set_observer (nullptr);
}

void
FakeLink::connect () {
  client->become_ready ();
  server->become_ready ();
}

void
FakeLink::cut () {
  client->lose ();
  server->lose ();
}

FakeTransport::FakeTransport (Scheduler &scheduler, FakeNetwork network, bool client)
    : scheduler_ (scheduler),
      network_ (std::move (network)),
      client_ (client),
      random_ (network_.seed + (client ? 0 : 1)) {}

// An event that dies with this end, and that a closed end does not see.
void
FakeTransport::later (TimeUs delay, std::function<void (FakeTransport &)> work) {
  const std::uint64_t key = next_event_++;
  auto timer = scheduler_.make_timer ([this, key, work = std::move (work)] {
    const auto keep = shared_from_this ();
    const auto mine = std::move (events_[key]);
    events_.erase (key);
    if (!closed_) work (*this);
  });
  timer->arm (scheduler_.now () + delay);
  events_[key] = std::move (timer);
}

// Arrives at the peer after the delay, in order within the stream.
void
FakeTransport::to_peer (StreamId id, std::function<void (FakeTransport &)> work) {
  const auto peer = peer_.lock ();
  if (!peer) return;
  TimeUs arrival = scheduler_.now () + network_.delay_us;
  if (network_.stream_jitter_us > 0)
    arrival += std::uniform_int_distribution<TimeUs> (0, network_.stream_jitter_us) (random_);
  Half *half = find (id);
  if (half) arrival = half->last_arrival = std::max (arrival, half->last_arrival);
  peer->later (arrival - scheduler_.now (), std::move (work));
}

void
FakeTransport::become_ready () {
  later (network_.delay_us, [] (FakeTransport &self) {
    self.ready_ = true;
    if (self.observer_) self.observer_->transport_ready ();
  });
}

void
FakeTransport::lose () {
  if (closed_) return;
  const auto keep = shared_from_this ();
  closed_ = true;
  if (Observer *observer = std::exchange (observer_, nullptr))
    observer->transport_closed ({P2P_ERROR_TIMED_OUT, "The link was cut."}, false, 0);
}

FakeTransport::Half *
FakeTransport::find (StreamId id) {
  auto found = streams_.find (id);
  return found == streams_.end () ? nullptr : &found->second;
}

FakeTransport::Half &
FakeTransport::make (StreamId id) {
  Half &half = streams_[id];
  half.credit = network_.stream_window_bytes;
  return half;
}

Result<StreamId>
FakeTransport::open_stream (const Flow &) {
  if (!ready_ || closed_ || own_open_ >= network_.max_streams) {
    blocked_ = true;
    return Error{P2P_ERROR_WOULD_BLOCK, "The peer allows no more streams."};
  }
  ++own_open_;
  const StreamId id = static_cast<StreamId> (next_stream_++ * 4 + (client_ ? 0 : 1));
  make (id);
  return id;
}

void
FakeTransport::write (StreamId id, const Ref<GBytes> &bytes, bool fin) {
  Half *half = find (id);
  if (!half || half->reset || half->fin_queued || closed_) return;
  const std::size_t size = g_bytes_get_size (bytes.get ());
  if (size > 0) half->queue.push_back (bytes);
  half->unsent += size;
  half->fin_queued = fin;
  pump (id);
}

void
FakeTransport::pump (StreamId id) {
  later (0, [id] (FakeTransport &self) { self.send_piece (id); });
}

void
FakeTransport::send_piece (StreamId id) {
  Half *half = find (id);
  if (!half || half->reset || half->fin_sent) return;
  const std::size_t count = std::min ({half->unsent, half->credit, network_.piece_bytes});
  const bool fin = half->fin_queued && count == half->unsent;
  if (count == 0 && !fin) return;
  GByteArray *piece = g_byte_array_new ();
  while (piece->len < count) {
    gsize size = 0;
    const auto *data =
        static_cast<const guint8 *> (g_bytes_get_data (half->queue.front ().get (), &size));
    const std::size_t part = std::min (count - piece->len, size - half->queue_offset);
    g_byte_array_append (piece, data + half->queue_offset, static_cast<guint> (part));
    half->queue_offset += part;
    if (half->queue_offset == size) {
      half->queue.pop_front ();
      half->queue_offset = 0;
    }
  }
  half->unsent -= count;
  half->credit -= count;
  half->fin_sent = fin;
  const Ref<GBytes> bytes = Ref<GBytes>::adopt (g_byte_array_free_to_bytes (piece));
  to_peer (id, [id, bytes, fin] (FakeTransport &peer) { peer.receive (id, bytes, fin); });
  if (half->unsent > 0 || (half->fin_queued && !fin)) pump (id);
  if (count > 0 && observer_) observer_->transport_stream_sent (id, count);
  maybe_closed (id);
}

void
FakeTransport::receive (StreamId id, const Ref<GBytes> &bytes, bool fin) {
  const bool ours = (id % 4 == 0) == client_;
  if (!find (id)) {
    if (ours) return;
    make (id);
    if (observer_) observer_->transport_stream_opened (id);
  }
  Half *half = find (id);
  if (!half) return;
  gsize size = 0;
  const void *data = g_bytes_get_data (bytes.get (), &size);
  half->unconsumed += size;
  if (fin) half->received_all = true;
  if (observer_) observer_->transport_stream_data (id, {data, size}, fin);
  maybe_closed (id);
}

void
FakeTransport::maybe_closed (StreamId id) {
  Half *half = find (id);
  if (!half || !half->received_all || !(half->fin_sent || half->reset)) return;
  // Acknowledgements need a round trip.
  later (2 * network_.delay_us + network_.stream_jitter_us, [id] (FakeTransport &self) {
    if (!self.find (id)) return;
    self.streams_.erase (id);
    if (self.observer_) self.observer_->transport_stream_closed (id);
    if ((id % 4 == 0) != self.client_) return;
    --self.own_open_;
    if (std::exchange (self.blocked_, false) && self.observer_)
      self.observer_->transport_streams_available ();
  });
}

std::size_t
FakeTransport::unsent_bytes (StreamId id) const {
  auto found = streams_.find (id);
  return found == streams_.end () ? 0 : found->second.unsent;
}

void
FakeTransport::consume (StreamId id, std::size_t bytes) {
  Half *half = find (id);
  if (!half) return;
  g_assert (bytes <= half->unconsumed);
  half->unconsumed -= bytes;
  const auto peer = peer_.lock ();
  if (!peer) return;
  peer->later (network_.delay_us, [id, bytes] (FakeTransport &self) {
    if (Half *sending = self.find (id)) {
      sending->credit += bytes;
      self.send_piece (id);
    }
  });
}

void
FakeTransport::reset (StreamId id, std::uint64_t code) {
  Half *half = find (id);
  if (!half || half->reset || half->fin_sent) return;
  half->reset = true;
  half->queue.clear ();
  half->unsent = 0;
  to_peer (id, [id, code] (FakeTransport &peer) {
    if (!peer.find (id)) {
      if ((id % 4 == 0) == peer.client_) return;
      peer.make (id);
      if (peer.observer_) peer.observer_->transport_stream_opened (id);
    }
    Half *receiving = peer.find (id);
    if (!receiving) return;
    receiving->received_all = true;
    if (peer.observer_) peer.observer_->transport_stream_reset (id, code);
    peer.maybe_closed (id);
  });
  maybe_closed (id);
}

void
FakeTransport::stop (StreamId id, std::uint64_t code) {
  to_peer (id, [id, code] (FakeTransport &peer) {
    if (peer.find (id) && peer.observer_) peer.observer_->transport_stream_stopped (id, code);
  });
}

bool
FakeTransport::send_datagram (const Flow &, ByteView head, ByteView body, std::uint64_t tag) {
  const auto peer = peer_.lock ();
  if (closed_ || !ready_ || !peer || datagrams_in_flight_ >= network_.max_datagrams_in_flight ||
      head.size + body.size > network_.max_datagram_bytes) {
    ++datagrams_dropped_;
    return false;
  }
  ++datagrams_in_flight_;
  ++datagrams_sent_;
  std::vector<std::uint8_t> bytes (head.begin (), head.end ());
  bytes.insert (bytes.end (), body.begin (), body.end ());
  const bool lost = network_.lose_datagram && network_.lose_datagram (bytes);
  if (!lost)
    peer->later (network_.delay_us, [bytes] (FakeTransport &self) {
      if (self.observer_) self.observer_->transport_datagram (bytes);
    });
  later ((lost ? 3 : 2) * network_.delay_us, [tag, lost] (FakeTransport &self) {
    --self.datagrams_in_flight_;
    if (!self.observer_) return;
    if (lost)
      self.observer_->transport_datagram_lost (tag);
    else
      self.observer_->transport_datagram_acked (tag);
  });
  return true;
}

void
FakeTransport::close (std::uint64_t code, const std::string &reason) {
  if (closed_) return;
  closed_ = true;
  close_code_ = code;
  observer_ = nullptr;
  if (const auto peer = peer_.lock ())
    peer->later (network_.delay_us, [code, reason] (FakeTransport &self) {
      self.closed_ = true;
      if (Observer *observer = std::exchange (self.observer_, nullptr))
        observer->transport_closed ({P2P_ERROR_CLOSED, reason}, true, code);
    });
}

TransportStats
FakeTransport::stats () const {
  TransportStats stats;
  stats.smoothed_rtt_us = 2 * network_.delay_us;
  stats.datagrams_dropped = datagrams_dropped_;
  return stats;
}

std::size_t
FakeTransport::unconsumed_bytes () const {
  std::size_t bytes = 0;
  for (const auto &[id, half] : streams_) bytes += half.unconsumed;
  return bytes;
}

std::size_t
FakeTransport::unconsumed_bytes (StreamId id) const {
  auto found = streams_.find (id);
  return found == streams_.end () ? 0 : found->second.unconsumed;
}

void
FakeTransport::inject_stream_data (StreamId id, ByteView bytes, bool fin) {
  receive (id, Ref<GBytes>::adopt (g_bytes_new (bytes.data, bytes.size)), fin);
}

void
FakeTransport::inject_datagram (ByteView bytes) {
  if (observer_) observer_->transport_datagram (bytes);
}

}  // namespace p2p::test
