// Packets out: whose turn it is, how large a packet may be, how fast bursts leave.
#include "transport/quic_connection.hpp"

namespace p2p {

namespace {

constexpr std::size_t kMaxSegments = 64;         // UDP_MAX_SEGMENTS of Linux
constexpr std::size_t kMaxSlices = 64;           // iovecs offered for one packet
constexpr int kMaxRoundsPerFlush = 16;           // then the loop's other sources have their turn
constexpr TimeUs kPacingSlack = kMillisecond;    // ngtcp2 sends this early; GLib's timers need it
constexpr std::size_t kShortReceiptBytes = 600;  // less than half a packet: not a bulk transfer
constexpr TimeUs kBurstTime = kPacingSlack;      // that one burst takes at the paced rate
constexpr TimeUs kPacingCredit = 2 * kMillisecond;  // what such a timer may come too late
// Short header: flags, packet number at its longest, AEAD tag (RFC 9001).
constexpr std::size_t kShortPacketOverheadBytes = 1 + 4 + 16;
// Type and length of a DATAGRAM frame (RFC 9221 section 4), the latter a varint.
constexpr std::size_t
datagram_frame_head_bytes (std::size_t payload_bytes) {
  return 1 + (payload_bytes < 64 ? 1 : payload_bytes < 16384 ? 2 : 4);
}
// An empty STREAM frame (finish_with_anchor).
constexpr std::size_t kAnchorBytes = 13;
constexpr std::size_t kDatagramOverheadBytes =
    kShortPacketOverheadBytes + datagram_frame_head_bytes (BurstBuffer::kBytes) + kAnchorBytes;
// RFC 8899 section 4.3: so many timeouts in a row at a large size mean a black hole.
constexpr std::size_t kBlackHoleTimeouts = 3;
// A larger size is worth its probe when so many packets wait at least.
constexpr std::size_t kProbeWhenPacketsWait = 8;
// PROBE_TIMER of RFC 8899 section 5.1.1 is at least a second.
constexpr TimeUs kMinProbeTimeout = kSecond;
constexpr TimeUs kProbeTimeoutRoundTrips = 3;

}  // namespace

void
QuicTransport::rearm () {
  if (kicked_) return;
  if (ended_ || !conn_ || suspended_at_) {
    timer_->disarm ();
    return;
  }
  const TimeUs now = now_us ();
  const ngtcp2_tstamp expiry = ngtcp2_conn_get_expiry (conn_.get ());
  TimeUs when = kNever;
  if (expiry != UINT64_MAX) when = static_cast<TimeUs> (expiry / NGTCP2_MICROSECONDS + 1);
  if (!anchored_.empty ()) when = std::min (when, anchored_.front ().lost_at);
  // The pacing deadline counts even with nothing to send: never arm in the past, that would spin.
  if (when <= now) when = now + kMillisecond;
  timer_->arm (when == kNever ? kNever : when + skipped_us_);
}

// How long the fate of a packet may stay unknown.
TimeUs
QuicTransport::give_up_after () const {
  const auto rtt = static_cast<TimeUs> (conn_stat ().smoothed_rtt / NGTCP2_MICROSECONDS);
  return std::max (kMinProbeTimeout, kProbeTimeoutRoundTrips * rtt);
}

void
QuicTransport::settled (std::uint64_t tag) {
  anchored_.erase (std::remove_if (anchored_.begin (), anchored_.end (),
                                   [tag] (const Anchored &a) { return a.tag == tag; }),
                   anchored_.end ());
}

void
QuicTransport::give_up_anchored () {
  const TimeUs now = now_us ();
  auto end = anchored_.begin ();
  for (; end != anchored_.end () && end->lost_at <= now; ++end) {
    ++datagrams_lost_;
    events_.push_back ({Event::lost, 0, end->tag});
  }
  anchored_.erase (anchored_.begin (), end);
}

// Whether there is nothing to send but the acknowledgement of something short. It waits for more
// (RFC 9000 section 13.2.2), for something to go with, or for ngtcp2's timer: an answer often
// follows at once, and would be a second packet.
bool
QuicTransport::answer_can_wait () {
  return ready_ && !ended_ && !news_ && received_since_flush_bytes_ < kShortReceiptBytes &&
         turns_.empty () && parked_.empty () && give_ups_.empty () && outbox_.empty () && !kicked_;
}

void
QuicTransport::flush () {
  if (flushing_ || inside_ > 0) return;
  flushing_ = true;
  kicked_ = false;
  clock_left_ = 0;
  news_ = false;
  received_since_flush_bytes_ = consumed_since_flush_bytes_ = 0;
  if (conn_ && !ended_) {
    for (const GiveUp &request : give_ups_) apply (request);
    give_ups_.clear ();
    check_size ();
    give_up_anchored ();
    if (!ended_ && !blocked_ && !suspended_at_ && send_outbox ()) write_packets ();
  }
  flushing_ = false;
  settle ();
}

void
QuicTransport::settle () {
  clock_left_ = 0;
  graveyard_.clear ();
  dispatch ();
  rearm ();
}

void
QuicTransport::write_packets () {
  for (const StreamId id : parked_) {
    Stream *stream = find (id);
    if (!stream) continue;
    if (peer_stopped (id)) stopped_by_peer (id, *stream);
    turns_.add_stream (stream->flow, id);
  }
  parked_.clear ();
  const Inside inside (inside_);
  const std::size_t room =
      std::clamp (path_.max_burst_bytes (), kMinDatagramBytes, BurstBuffer::kBytes);
  for (int round = 0; round < kMaxRoundsPerFlush; ++round) {
    const std::size_t limit = packet_limit ();
    if (!write_probe (room)) return;
    const double rate = pacing_rate ();
    // What a timer lets leave at once anyway goes in one burst.
    const double quantum = std::min (rate * static_cast<double> (to_ns (kBurstTime)), 1e9);
    const std::size_t cap = std::clamp (static_cast<std::size_t> (quantum), limit, room);
    std::uint8_t *const buffer = buffer_.data ();
    std::size_t used = 0;
    bool idle = false;
    while (used + limit <= cap) {
      const ngtcp2_ssize n = write_packet (buffer + used, limit);
      if (n < 0) {
        outbox_.clear ();
        buffer_.give_back ();
        library_error (static_cast<int> (n));
        return;
      }
      if (n == 0) {
        idle = true;
        break;
      }
      append_packet (used, static_cast<std::size_t> (n));
      used += static_cast<std::size_t> (n);
    }
    if (used > 0) {
      // ngtcp2 only knows the last burst; a running total keeps the rate although it sends early.
      const auto now = static_cast<double> (now_ns ());
      // Lateness of a timer is made up for, idleness is not.
      pace_ns_ = std::clamp (pace_ns_, now - 1e3 * kPacingCredit, now + 1e3 * kPacingSlack);
      ngtcp2_conn_update_pkt_tx_time (conn_.get (), static_cast<ngtcp2_tstamp> (pace_ns_));
      pace_ns_ += static_cast<double> (used) / rate;
    }
    if (!send_outbox () || idle || ended_) return;
  }
  wake ();  // more to send, after the others
}

// In bytes per nanosecond.
double
QuicTransport::pacing_rate () const {
  const ngtcp2_conn_stat stat = conn_stat ();
  if (stat.pacing_rate > 0) return stat.pacing_rate;
  // RFC 9002 section 7.7: a window in a round trip, and a quarter more.
  return 1.25 * static_cast<double> (stat.cwnd) /
         static_cast<double> (std::max<ngtcp2_duration> (stat.smoothed_rtt, 1));
}

// Adds to the open burst where the size allows: all segments equal, only the last one shorter.
void
QuicTransport::append_packet (std::size_t offset, std::size_t size) {
  ++counters_.packets_sent;
  counters_.bytes_sent += size;
  if (!outbox_.empty ()) {
    Burst &last = outbox_.back ();
    if (last.size == last.segment * last.count && size <= last.segment &&
        last.count < kMaxSegments) {
      last.size += size;
      ++last.count;
      return;
    }
  }
  outbox_.push_back ({offset, size, size, 1});
}

// False when the path takes no more; the rest waits for path_writable.
bool
QuicTransport::send_outbox () {
  std::size_t done = 0;
  for (const Burst &burst : outbox_) {
    const ByteView bytes (buffer_.data () + burst.offset, burst.size);
    const Path::Sent sent = path_.send (bytes, burst.segment);
    if (sent == Path::Sent::would_block) {
      blocked_ = true;
      break;
    }
    ++done;
    // A probe that is too long fails by itself; a packet of a size that passed tells of a change.
    if (sent == Path::Sent::too_long && burst.segment <= mtu_.packet_bytes ())
      mtu_.black_hole (now_us ());
  }
  outbox_.erase (outbox_.begin (), outbox_.begin () + static_cast<std::ptrdiff_t> (done));
  if (outbox_.empty ()) buffer_.give_back ();
  return !blocked_;
}

// Whether larger packets may pay: many are waiting for their turn, or datagrams, which are bounded
// by a packet.
bool
QuicTransport::larger_pays () const {
  if (turns_.datagrams () > 0) return true;
  const std::size_t enough = kProbeWhenPacketsWait * packet_limit ();
  std::size_t waiting = 0;
  return turns_.any_stream ([&] (StreamId id) {
    waiting += unsent_bytes (id);
    return waiting >= enough;
  });
}

// A probe of the packet size (RFC 8899 section 4.1) is a DATAGRAM of padding, whose fate ngtcp2
// tells: its own probes end at 1444 bytes. False when the path takes no more.
bool
QuicTransport::write_probe (std::size_t room) {
  if (!ready_) return true;
  const TimeUs now = now_us ();
  const std::optional<std::size_t> size = mtu_.due (now);
  if (!size || *size > room || !larger_pays ()) return true;
  const bool anchored = may_be_last_in_flight (*size);
  const std::size_t overhead = kShortPacketOverheadBytes + datagram_frame_head_bytes (*size) +
                               (anchored ? kAnchorBytes : 0) +
                               ngtcp2_conn_get_dcid (conn_.get ())->datalen;
  std::vector<std::uint8_t> payload (*size - overhead);
  payload.front () = kProbeByte;
  const std::uint64_t tag = kProbeTag | ++probes_sent_;
  const ngtcp2_vec vector = {payload.data (), payload.size ()};
  ngtcp2_pkt_info info;
  int accepted = 0;
  ngtcp2_ssize n = ngtcp2_conn_writev_datagram (
      conn_.get (), nullptr, &info, buffer_.data (), *size, &accepted,
      anchored ? NGTCP2_WRITE_DATAGRAM_FLAG_MORE : NGTCP2_WRITE_DATAGRAM_FLAG_NONE, tag, &vector, 1,
      now_ns ());
  if (n == NGTCP2_ERR_WRITE_MORE) n = finish_with_anchor (buffer_.data (), *size);
  if (n <= 0) return true;
  // What does not fit beside other frames is tried again with the next burst.
  if (accepted) {
    mtu_.sent (tag, static_cast<std::size_t> (n), now + give_up_after ());
  }
  append_packet (0, static_cast<std::size_t> (n));
  return send_outbox ();
}

ngtcp2_ssize
QuicTransport::write_packet (std::uint8_t *dest, std::size_t limit) {
  while (TurnQueue::Turn *turn = ready_ ? turns_.next () : nullptr) {
    const bool datagram =
        turn->streams.empty () || (turn->datagram_next && !turn->datagrams.empty ());
    bool tried = false;
    const ngtcp2_ssize n = datagram ? write_datagram (*turn, dest, limit, tried)
                                    : write_stream (*turn, dest, limit, tried);
    if (!tried) continue;
    turn->datagram_next = !datagram;
    turns_.sent (n > 0 ? static_cast<std::size_t> (n) : 0);
    return n;
  }
  ngtcp2_pkt_info info;
  return ngtcp2_conn_writev_stream (conn_.get (), nullptr, &info, dest, limit, nullptr,
                                    NGTCP2_WRITE_STREAM_FLAG_NONE, -1, nullptr, 0, now_ns ());
}

ngtcp2_ssize
QuicTransport::write_datagram (TurnQueue::Turn &turn, std::uint8_t *dest, std::size_t limit,
                               bool &tried) {
  while (!turn.datagrams.empty ()) {
    const QueuedDatagram &next = turn.datagrams.front ();
    int accepted = 0;
    ngtcp2_ssize n = NGTCP2_ERR_INVALID_ARGUMENT;
    if (next.bytes.size () <= max_datagram_payload_bytes ()) {
      ngtcp2_pkt_info info;
      const ngtcp2_vec vector = {const_cast<std::uint8_t *> (next.bytes.data ()),
                                 next.bytes.size ()};
      const std::uint32_t flags = may_be_last_in_flight (limit) ? NGTCP2_WRITE_DATAGRAM_FLAG_MORE
                                                                : NGTCP2_WRITE_DATAGRAM_FLAG_NONE;
      n = ngtcp2_conn_writev_datagram (conn_.get (), nullptr, &info, dest, limit, &accepted, flags,
                                       next.tag, &vector,
                                       next.bytes.empty () ? 0 : 1,  // an empty vector would assert
                                       now_ns ());
      if (n == NGTCP2_ERR_WRITE_MORE) {
        n = finish_with_anchor (dest, limit);
        anchored_.push_back ({next.tag, now_us () + give_up_after ()});
      }
    }
    // The packets may have become smaller since it was queued.
    const bool too_large = n == NGTCP2_ERR_INVALID_ARGUMENT || n == NGTCP2_ERR_INVALID_STATE;
    if (too_large) events_.push_back ({Event::lost, 0, next.tag});
    if (too_large || accepted) turns_.take_datagram (turn);
    if (too_large) continue;
    tried = true;
    return n;
  }
  return 0;
}

// A packet with nothing but a DATAGRAM starts no probe timeout in ngtcp2 0.12 (RFC 9002
// section 6.2.1 says that it should): if all packets after the last acknowledged one were such and
// were lost, with the congestion window full of them, nothing would ever leave again. So the last
// one in flight, whichever it turns out to be, must carry something that does.
bool
QuicTransport::may_be_last_in_flight (std::size_t limit) const {
  const ngtcp2_conn_stat stat = conn_stat ();
  return turns_.datagrams () == 1 || stat.bytes_in_flight + 2 * limit >= stat.cwnd;
}

// Ends the packet that was begun, with an empty STREAM frame of any stream that still sends. Never
// of one that has sent nothing: ngtcp2 0.12 would send such a frame again, and asserts in
// conn_recv_ack when two of them, both at offset 0, are lost.
ngtcp2_ssize
QuicTransport::finish_with_anchor (std::uint8_t *dest, std::size_t limit) {
  ngtcp2_pkt_info info;
  for (auto &[id, stream] : streams_) {
    if (stream.write_ended || stream.fin_queued || !stream.queue.any_sent ()) continue;
    ngtcp2_ssize written = -1;
    const ngtcp2_ssize n =
        ngtcp2_conn_writev_stream (conn_.get (), nullptr, &info, dest, limit, &written,
                                   NGTCP2_WRITE_STREAM_FLAG_NONE, id, nullptr, 0, now_ns ());
    if (n != NGTCP2_ERR_STREAM_SHUT_WR && n != NGTCP2_ERR_STREAM_NOT_FOUND) return n;
  }
  return ngtcp2_conn_writev_stream (conn_.get (), nullptr, &info, dest, limit, nullptr,
                                    NGTCP2_WRITE_STREAM_FLAG_NONE, -1, nullptr, 0, now_ns ());
}

ngtcp2_ssize
QuicTransport::write_stream (TurnQueue::Turn &turn, std::uint8_t *dest, std::size_t limit,
                             bool &tried) {
  while (!turn.streams.empty ()) {
    const StreamId id = turn.streams.front ();
    Stream *stream = find (id);
    if (!stream || !stream->has_work ()) {
      if (stream) stream->scheduled = false;
      turn.streams.pop_front ();
      continue;
    }
    const bool has_bytes = stream->queue.unsent_bytes () > 0;
    // Asked before, and not left to an error: a blocked stream must not hold up the others.
    if (has_bytes && (ngtcp2_conn_get_max_data_left (conn_.get ()) == 0 ||
                      ngtcp2_conn_get_max_stream_data_left (conn_.get (), id) == 0)) {
      turn.streams.pop_front ();
      parked_.push_back (id);
      continue;
    }
    const bool all = stream->queue.peek (slices_, kMaxSlices, limit);
    vectors_.clear ();
    std::size_t total = 0;
    for (const ByteView &slice : slices_) {
      vectors_.push_back ({const_cast<std::uint8_t *> (slice.data), slice.size});
      total += slice.size;
    }
    const bool fin = stream->fin_queued && all;
    ngtcp2_pkt_info info;
    ngtcp2_ssize written = -1;
    const ngtcp2_ssize n = ngtcp2_conn_writev_stream (
        conn_.get (), nullptr, &info, dest, limit, &written,
        fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE, id, vectors_.data (),
        vectors_.size (), now_ns ());
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      turn.streams.pop_front ();
      parked_.push_back (id);
      continue;
    }
    if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
      stopped_by_peer (id, *stream);
      continue;
    }
    tried = true;
    if (n >= 0 && written >= 0) {
      const auto bytes = static_cast<std::size_t> (written);
      stream->queue.mark_sent (bytes);
      if (fin && bytes == total) stream->fin_sent = true;
      if (bytes > 0) {
        if (stream->newly_sent == 0) events_.push_back ({Event::sent, id, 0});
        stream->newly_sent += bytes;
      }
      turn.streams.pop_front ();
      stream->scheduled = stream->has_work ();
      if (stream->scheduled) turn.streams.push_back (id);
    }
    return n;
  }
  return 0;
}

// ngtcp2 0.12 has no callback for a received STOP_SENDING, but refuses to write afterwards. A
// length that no stream can have is refused as well, after that check and before anything is done.
bool
QuicTransport::peer_stopped (StreamId id) {
  if constexpr (sizeof (std::size_t) < sizeof (std::uint64_t)) return false;
  ngtcp2_pkt_info info;
  const ngtcp2_vec impossible = {nullptr, SIZE_MAX};
  std::uint8_t nothing = 0;
  return ngtcp2_conn_writev_stream (conn_.get (), nullptr, &info, &nothing, 0, nullptr,
                                    NGTCP2_WRITE_STREAM_FLAG_NONE, id, &impossible, 1,
                                    now_ns ()) == NGTCP2_ERR_STREAM_SHUT_WR;
}

void
QuicTransport::stopped_by_peer (StreamId id, Stream &stream) {
  if (stream.write_ended) return;
  stream.write_ended = true;
  stream.queue.drop_unsent ();
  events_.push_back ({Event::stopped, id, 0});
}

std::size_t
QuicTransport::max_datagram_payload_bytes () const {
  if (!ready_ || ended_) return 0;
  const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params (conn_.get ());
  const std::uint64_t frame = peer ? peer->max_datagram_frame_size : 0;
  if (frame <= 3) return 0;
  const std::size_t packet = packet_limit ();
  const std::size_t overhead =
      kDatagramOverheadBytes + ngtcp2_conn_get_dcid (conn_.get ())->datalen;
  return static_cast<std::size_t> (std::min<std::uint64_t> (packet - overhead, frame - 3));
}

// RFC 8899 section 4.3: silence, and nothing but full packets under way.
void
QuicTransport::check_size () {
  if (packet_limit () > kMinDatagramBytes && conn_stat ().pto_count >= kBlackHoleTimeouts)
    mtu_.black_hole (now_us ());
}

}  // namespace p2p
