#include "transport/quic_transport.hpp"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "transport/quic_connection.hpp"
#include "transport/quic_error.hpp"
#include "transport/quic_memory.hpp"

namespace p2p {

namespace {

constexpr std::size_t kConnectionIdBytes = 8;
// How many round trips of what the application takes fit into a stream's window: half of one waits
// until it is announced, behind a lost packet nothing can be taken for a round trip or two, and a
// start doubles in another.
constexpr std::uint64_t kWindowRoundTrips = 8;
constexpr std::uint64_t kConsumedBytesPerWake = 64 * 1024;
constexpr std::size_t kMaxReasonBytes = 256;
// What a path that carries less at first, such as a relay, may carry when it leads elsewhere.
constexpr std::size_t kEthernetPayloadBytes = 1472;

// ngtcp2 takes 0 for "no idle timeout" and UINT64_MAX for "no handshake timeout".
ngtcp2_duration
timeout_ns (TimeUs us, ngtcp2_duration none) {
  return us <= 0 || us >= kNever / 1000 ? none : to_ns (us);
}

ngtcp2_cid
random_cid () {
  std::uint8_t bytes[kConnectionIdBytes];
  gnutls_rnd (GNUTLS_RND_RANDOM, bytes, sizeof bytes);
  ngtcp2_cid cid;
  ngtcp2_cid_init (&cid, bytes, sizeof bytes);
  return cid;
}

}  // namespace

bool
QuicTransport::start (const ngtcp2_pkt_hd *initial) {
  auto tls = TlsSession::create (config_.client, config_.identity, config_.peer_fingerprint,
                                 config_.alpn, config_.greeting);
  if (!tls) {
    end ({tls.error (), false, 0});
    return false;
  }
  tls_ = std::move (*tls);

  ngtcp2_callbacks callbacks{};
  fill_callbacks (callbacks);
  ngtcp2_settings settings;
  ngtcp2_settings_default (&settings);
  settings.initial_ts = now_ns ();
  settings.initial_rtt = to_ns (config_.initial_rtt_us);
  settings.cc_algo = config_.congestion_control == CongestionControl::bbr ? NGTCP2_CC_ALGO_BBR
                                                                          : NGTCP2_CC_ALGO_CUBIC;
  // The size of every packet is ours to choose (MtuSearch).
  ceiling_bytes_ =
      std::clamp (path_.max_datagram_bytes (), kEthernetPayloadBytes, BurstBuffer::kBytes);
  mtu_.reset (std::min (path_.max_datagram_bytes (), ceiling_bytes_));
  settings.max_tx_udp_payload_size = ceiling_bytes_;
  settings.no_tx_udp_payload_size_shaping = 1;
  settings.no_pmtud = 1;
  settings.max_window =
      std::min<std::uint64_t> (config_.max_connection_window_bytes, G_MAXINT64 / 4);
  // The streams' windows grow by our own rule (window_growth). ngtcp2 0.12's tuning announces a
  // doubled window in a frame that may not fit into its packet any more, sends it later all the
  // same, and then takes a peer that uses it for one that breaks the rules.
  settings.max_stream_window = 0;
  settings.handshake_timeout = timeout_ns (config_.handshake_timeout_us, UINT64_MAX);

  ngtcp2_transport_params params;
  ngtcp2_transport_params_default (&params);
  const std::uint64_t stream_window =
      std::min (kInitialStreamWindowBytes, config_.max_stream_window_bytes);
  initial_stream_window_bytes_ = stream_window;
  params.initial_max_stream_data_bidi_local = stream_window;
  params.initial_max_stream_data_bidi_remote = stream_window;
  params.initial_max_data = settings.max_window;
  params.initial_max_streams_bidi = config_.max_streams;
  params.initial_max_streams_uni = 0;  // remote ones never close in ngtcp2 0.12
  params.max_idle_timeout = timeout_ns (config_.idle_timeout_us, 0);
  params.max_datagram_frame_size = 65535;
  params.disable_active_migration = 1;

  const ngtcp2_cid scid = random_cid ();
  ngtcp2_conn *conn = nullptr;
  int code = 0;
  if (config_.client) {
    const ngtcp2_cid dcid = random_cid ();
    code = ngtcp2_conn_client_new (&conn, &dcid, &scid, &dummy_path_, NGTCP2_PROTO_VER_V1,
                                   &callbacks, &settings, &params, quic_memory (), this);
  } else {
    params.original_dcid = initial->dcid;
    code = ngtcp2_conn_server_new (&conn, &initial->scid, &scid, &dummy_path_, initial->version,
                                   &callbacks, &settings, &params, quic_memory (), this);
  }
  if (code == 0) {
    conn_.reset (conn);
    gnutls_session_set_ptr (tls_->session (), &conn_ref_);
    code = config_.client ? ngtcp2_crypto_gnutls_configure_client_session (tls_->session ())
                          : ngtcp2_crypto_gnutls_configure_server_session (tls_->session ());
    ngtcp2_conn_set_tls_native_handle (conn, tls_->session ());
  }
  if (code != 0) {
    conn_.reset ();
    end ({{P2P_ERROR_FAILED, "A QUIC connection cannot be set up; is memory short?"}, false, 0});
    return false;
  }
  return true;
}

void
QuicTransport::receive (ByteView datagram) {
  ++counters_.packets_received;
  counters_.bytes_received += datagram.size;
  if (ended_) {
    // RFC 9000 section 10.2.1: repeat the close, ever more rarely.
    const std::uint64_t n = ++packets_after_close_;
    if (!close_packet_.empty () && (n & (n - 1)) == 0) {
      (void)path_.send (close_packet_, close_packet_.size ());
    }
    return;
  }
  if (datagram.empty ()) return;
  const bool first = !conn_;
  if (first) {
    ngtcp2_pkt_hd header{};
    if (config_.client || ngtcp2_accept (&header, datagram.data, datagram.size) != 0 ||
        header.version != NGTCP2_PROTO_VER_V1 || !start (&header)) {
      return;
    }
  }
  int code = 0;
  {
    const Inside inside (inside_);
    const Reading reading (*this);
    const ngtcp2_pkt_info info{};
    code = ngtcp2_conn_read_pkt (conn_.get (), &dummy_path_, &info, datagram.data, datagram.size,
                                 now_ns ());
  }
  // A replayed packet opens as well; but whoever can replay here can drop just as well.
  if (std::exchange (opened_, false)) last_heard_us_ = clock_us_ + skipped_us_;
  received_since_flush_bytes_ += datagram.size;
  graveyard_.clear ();
  if (tls_done_ && tls_ && code == 0) {
    // The keys are ngtcp2's, and the next ones come of them (RFC 9001 section 6).
    ngtcp2_conn_set_tls_native_handle (conn_.get (), nullptr);
    tls_.reset ();
  }
  if (close_pending_) {
    send_close (close_error_);
  } else if (code == NGTCP2_ERR_DRAINING) {
    peer_closed ();
  } else if (code == NGTCP2_ERR_RETRY || code == NGTCP2_ERR_DROP_CONN ||
             (first && code != 0 && code != NGTCP2_ERR_CRYPTO)) {
    // It only looked like a client's first packet: go on waiting.
    if (!config_.client && !ready_) {
      conn_.reset ();
      tls_.reset ();
    }
  } else if (code != 0) {
    library_error (code);
  }
}

void
QuicTransport::on_timer () {
  kicked_ = false;
  clock_left_ = 0;
  const TimeUs now = now_us ();
  if (!ended_ && !suspended_at_ && conn_ && ngtcp2_conn_get_expiry (conn_.get ()) <= to_ns (now)) {
    int code = 0;
    {
      const Inside inside (inside_);
      code = ngtcp2_conn_handle_expiry (conn_.get (), to_ns (now));
    }
    if (code == NGTCP2_ERR_IDLE_CLOSE || code == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
      const char *text = ready_ ? "Nothing came from the peer for the whole idle timeout."
                                : "The peer did not answer the QUIC handshake in time.";
      end ({{P2P_ERROR_TIMED_OUT, text}, false, 0});
    } else if (code != 0) {
      library_error (code);
    }
  }
  flush ();
}

void
QuicTransport::wake () {
  if (kicked_) return;
  kicked_ = true;
  timer_->arm (scheduler_.now ());
}

Result<StreamId>
QuicTransport::open_stream (const Flow &flow) {
  if (ended_) return Error{P2P_ERROR_CLOSED, "The connection to the peer is closed."};
  if (!ready_) {
    return Error{P2P_ERROR_NOT_CONNECTED, "The connection to the peer is not up yet."};
  }
  StreamId id = 0;
  const int code = ngtcp2_conn_open_bidi_stream (conn_.get (), &id, nullptr);
  if (code == NGTCP2_ERR_STREAM_ID_BLOCKED) {
    return Error{P2P_ERROR_WOULD_BLOCK,
                 "The peer allows no more streams at the moment. Close some, or wait."};
  }
  if (code != 0) {
    return Error{P2P_ERROR_FAILED,
                 std::string ("A stream cannot be opened: ") + ngtcp2_strerror (code) + "."};
  }
  streams_.try_emplace (id).first->second.flow = flow;
  return id;
}

void
QuicTransport::schedule (StreamId id, Stream &stream) {
  if (!stream.scheduled && stream.has_work ()) {
    stream.scheduled = true;
    turns_.add_stream (stream.flow, id);
  }
  wake ();
}

void
QuicTransport::write (StreamId id, const Ref<GBytes> &bytes, bool fin) {
  Stream *stream = find (id);
  if (ended_ || !stream || stream->write_ended || stream->fin_queued) return;
  stream->queue.push (bytes);
  stream->fin_queued = fin;
  schedule (id, *stream);
}

std::size_t
QuicTransport::unsent_bytes (StreamId id) const {
  const auto it = streams_.find (id);
  return it == streams_.end () ? 0 : it->second.queue.unsent_bytes ();
}

void
QuicTransport::consume (StreamId id, std::size_t bytes) {
  Stream *stream = find (id);
  if (ended_ || !stream) return;
  const std::uint64_t freed = std::min<std::uint64_t> (bytes, stream->unconsumed);
  if (freed == 0) return;
  stream->unconsumed -= freed;
  ngtcp2_conn_extend_max_stream_offset (conn_.get (), id, freed + window_growth (*stream, freed));
  // ngtcp2 tells the peer once it is half of a window.
  consumed_since_flush_bytes_ += freed;
  if (consumed_since_flush_bytes_ >= kConsumedBytesPerWake) wake ();
}

// Doubles the window within each round trip in which it turns out too small, and not only once all
// of it was used up: a sender that starts doubles as fast, and one that waits for the window looks
// to BBR like one that has no more to send.
std::uint64_t
QuicTransport::window_growth (Stream &stream, std::uint64_t consumed_bytes) {
  if (stream.window_bytes == 0) stream.window_bytes = initial_stream_window_bytes_;
  const TimeUs now = scheduler_.now ();
  const auto rtt = static_cast<TimeUs> (conn_stat ().smoothed_rtt / NGTCP2_MICROSECONDS);
  if (now - stream.round_began_us >= rtt) {
    stream.round_began_us = now;
    stream.round_bytes = 0;
    stream.grew_in_round = false;
  }
  stream.round_bytes += consumed_bytes;
  stream.consumed_bytes += consumed_bytes;
  // So much, and the message at which it stops, the session takes also of a stream that no
  // application reads.
  if (stream.consumed_bytes < initial_stream_window_bytes_ + initial_stream_window_bytes_ / 4)
    return 0;
  const std::uint64_t most = config_.max_stream_window_bytes;
  if (stream.grew_in_round || stream.window_bytes >= most ||
      kWindowRoundTrips * stream.round_bytes < stream.window_bytes)
    return 0;
  stream.grew_in_round = true;
  const std::uint64_t growth = std::min (stream.window_bytes, most - stream.window_bytes);
  stream.window_bytes += growth;
  return growth;
}

void
QuicTransport::give_up (StreamId id, std::uint64_t code, bool writing) {
  Stream *stream = find (id);
  if (ended_ || !stream) return;
  if (writing) {
    if (stream->write_ended) return;
    stream->write_ended = true;
    stream->queue.drop_unsent ();
  } else {
    if (stream->stopped) return;
    stream->stopped = true;
  }
  give_ups_.push_back ({id, std::min<std::uint64_t> (code, NGTCP2_MAX_VARINT), writing});
  wake ();
}

void
QuicTransport::apply (const GiveUp &request) {
  const int code = request.writing
                       ? ngtcp2_conn_shutdown_stream_write (conn_.get (), request.id, request.code)
                       : ngtcp2_conn_shutdown_stream_read (conn_.get (), request.id, request.code);
  if (code != 0 && ngtcp2_err_is_fatal (code)) library_error (code);
}

bool
QuicTransport::send_datagram (const Flow &flow, ByteView head, ByteView body, std::uint64_t tag) {
  const std::size_t size = head.size + body.size;
  bool queued = false;
  if (!ended_ && ready_ && size <= max_datagram_payload_bytes ()) {
    QueuedDatagram datagram{{}, tag};
    datagram.bytes.reserve (size);
    datagram.bytes.insert (datagram.bytes.end (), head.begin (), head.end ());
    datagram.bytes.insert (datagram.bytes.end (), body.begin (), body.end ());
    queued = turns_.add_datagram (flow, std::move (datagram));
  }
  if (queued)
    wake ();
  else
    ++counters_.datagrams_dropped;
  return queued;
}

void
QuicTransport::close (std::uint64_t code, const std::string &reason) {
  silent_ = true;
  // What was written before still goes, as far as the window allows: the last confirmations.
  if (inside_ == 0) flush ();
  events_.clear ();
  final_.reset ();
  if (ended_) return;
  ended_ = true;
  close_reason_ = reason.substr (0, kMaxReasonBytes);
  ngtcp2_connection_close_error_default (&close_error_);
  ngtcp2_connection_close_error_set_application_error (
      &close_error_, std::min<std::uint64_t> (code, NGTCP2_MAX_VARINT),
      reinterpret_cast<const std::uint8_t *> (close_reason_.data ()), close_reason_.size ());
  if (inside_ > 0) {
    close_pending_ = true;
  } else {
    send_close (close_error_);
  }
}

void
QuicTransport::suspend () {
  if (suspended_at_ || ended_) return;
  clock_left_ = 0;
  suspended_at_ = scheduler_.now ();
  rearm ();
}

void
QuicTransport::resume () {
  if (!suspended_at_) return;
  clock_left_ = 0;
  skipped_us_ += scheduler_.now () - *suspended_at_;
  suspended_at_.reset ();
  skip_to_loss_timer ();
  wake ();
}

// ngtcp2 sends nothing beyond its window but when its probe timeout (RFC 9002 section 6.2) is over;
// so time jumps to there.
void
QuicTransport::skip_to_loss_timer () {
  if (ended_ || !conn_) return;
  const ngtcp2_tstamp due = conn_stat ().loss_detection_timer;
  if (due == UINT64_MAX) return;
  const auto due_us = static_cast<TimeUs> (due / NGTCP2_MICROSECONDS + 1);
  if (due_us > now_us ()) skipped_us_ -= due_us - now_us ();
}

TransportStats
QuicTransport::stats () const {
  TransportStats stats = counters_;
  stats.handshake_us = handshake_us_;
  stats.congestion_control = config_.congestion_control == CongestionControl::bbr ? "bbr" : "cubic";
  stats.packets_lost = closed_streams_lost_ + datagrams_lost_;
  if (!conn_) return stats;
  // ngtcp2 0.12 tells lost packets by stream only: those with control frames alone are missing.
  for (const auto &[id, stream] : streams_) {
    stats.packets_lost += ngtcp2_conn_get_stream_loss_count (conn_.get (), id);
  }
  const ngtcp2_conn_stat stat = conn_stat ();
  if (stat.min_rtt != UINT64_MAX) {
    stats.smoothed_rtt_us = static_cast<TimeUs> (stat.smoothed_rtt / NGTCP2_MICROSECONDS);
    stats.min_rtt_us = static_cast<TimeUs> (stat.min_rtt / NGTCP2_MICROSECONDS);
  }
  stats.congestion_window_bytes = stat.cwnd;
  stats.bytes_in_flight = stat.bytes_in_flight;
  stats.packet_bytes = packet_limit ();
  stats.cipher = cipher_;
  return stats;
}

void
QuicTransport::library_error (int code) {
  if (ended_) return;
  ngtcp2_connection_close_error close_error;
  ngtcp2_connection_close_error_default (&close_error);
  Error error;
  if (code == NGTCP2_ERR_CRYPTO) {
    const std::uint8_t alert = ngtcp2_conn_get_tls_alert (conn_.get ());
    ngtcp2_connection_close_error_set_transport_error_tls_alert (&close_error, alert, nullptr, 0);
    error = error_of_own_alert (alert, tls_ ? tls_->refused_fingerprint () : "",
                                config_.peer_fingerprint);
  } else {
    ngtcp2_connection_close_error_set_transport_error_liberr (&close_error, code, nullptr, 0);
    error = {
        ngtcp2_err_is_fatal (code) ? P2P_ERROR_FAILED : P2P_ERROR_PROTOCOL,
        std::string ("The QUIC connection to the peer failed: ") + ngtcp2_strerror (code) + "."};
  }
  const std::uint64_t wire_code = close_error.error_code;
  send_close (close_error);
  end ({std::move (error), false, wire_code});
}

void
QuicTransport::peer_closed () {
  ngtcp2_connection_close_error received;
  ngtcp2_conn_get_connection_close_error (conn_.get (), &received);
  if (stateless_reset_) {
    end ({{P2P_ERROR_CLOSED, "The peer has lost the connection; it was probably restarted."},
          true,
          NGTCP2_INTERNAL_ERROR});
    return;
  }
  const bool by_application = received.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
  end ({error_of_peer_close (by_application, received.error_code,
                             {received.reason, received.reasonlen}),
        true, received.error_code});
}

void
QuicTransport::send_close (const ngtcp2_connection_close_error &error) {
  close_pending_ = false;
  if (!conn_) return;
  std::vector<std::uint8_t> packet (packet_limit ());
  ngtcp2_pkt_info info;
  const ngtcp2_ssize n = ngtcp2_conn_write_connection_close (
      conn_.get (), nullptr, &info, packet.data (), packet.size (), &error, now_ns ());
  if (n <= 0) return;
  packet.resize (static_cast<std::size_t> (n));
  close_packet_ = std::move (packet);
  outbox_.clear ();
  buffer_.give_back ();
  ++counters_.packets_sent;
  counters_.bytes_sent += close_packet_.size ();
  (void)path_.send (close_packet_, close_packet_.size ());
}

void
QuicTransport::end (Final final) {
  if (ended_) return;
  ended_ = true;
  final_ = std::move (final);
  wake ();
}

void
QuicTransport::dispatch () {
  if (inside_ > 0 || flushing_ || dispatching_) return;
  dispatching_ = true;
  std::vector<Event> events;
  events.swap (events_);
  for (const Event &event : events) {
    if (!observer_ || silent_) break;
    switch (event.kind) {
      case Event::was_reset:
        observer_->transport_stream_reset (event.id, event.value);
        break;
      case Event::stopped:
        observer_->transport_stream_stopped (event.id, event.value);
        break;
      case Event::sent:
        if (Stream *stream = find (event.id)) {
          observer_->transport_stream_sent (event.id, std::exchange (stream->newly_sent, 0));
        }
        break;
      case Event::closed:
        observer_->transport_stream_closed (event.id);
        break;
      case Event::streams_available:
        observer_->transport_streams_available ();
        break;
      case Event::acked:
        observer_->transport_datagram_acked (event.value);
        break;
      case Event::lost:
        observer_->transport_datagram_lost (event.value);
        break;
    }
  }
  if (observer_ && final_ && !silent_) {
    const Final final = std::move (*final_);
    final_.reset ();
    silent_ = true;
    observer_->transport_closed (final.error, final.by_peer, final.code);
  }
  dispatching_ = false;
}

ngtcp2_conn_stat
QuicTransport::conn_stat () const {
  ngtcp2_conn_stat stat;
  ngtcp2_conn_get_conn_stat (conn_.get (), &stat);
  return stat;
}

std::unique_ptr<Transport>
make_quic_transport (const QuicConfig &config, Path &path) {
  return std::make_unique<QuicTransport> (config, path);
}

}  // namespace p2p
