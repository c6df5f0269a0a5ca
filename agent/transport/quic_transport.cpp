#include "transport/quic_transport.hpp"

#include <gnutls/crypto.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "transport/quic_error.hpp"
#include "transport/send_queue.hpp"
#include "transport/tls_session.hpp"

namespace p2p {

namespace {

constexpr std::size_t kConnectionIdBytes = 8;
constexpr std::uint64_t kInitialStreamWindowBytes = 256 * 1024;
constexpr std::uint64_t kInitialConnectionWindowBytes = 512 * 1024;
constexpr std::size_t kMaxDatagramsQueued = 256;
constexpr std::size_t kMaxDatagramBytesQueued = 1024 * 1024;
constexpr std::size_t kMaxUdpPayloadBytes = 65507;
constexpr std::size_t kMaxSegments = 64;  // UDP_MAX_SEGMENTS of Linux
constexpr std::size_t kMaxReasonBytes = 256;
constexpr std::size_t kMaxSlices = 64;         // iovecs offered for one packet
constexpr int kMaxRoundsPerFlush = 16;         // then the loop's other sources have their turn
constexpr TimeUs kPacingSlack = kMillisecond;  // ngtcp2 sends this early; GLib's timers need it
// Short header: flags, packet number at its longest, AEAD tag (RFC 9001), DATAGRAM type + length.
constexpr std::size_t kDatagramOverheadBytes = 1 + 4 + 16 + 3;
// RFC 8899 section 4.3: so many timeouts in a row at a large size mean a black hole.
constexpr std::size_t kBlackHoleTimeouts = 3;
constexpr TimeUs kRaiseAfterChange = 5 * kSecond;
constexpr TimeUs kRaiseAfterBlackHole = 600 * kSecond;  // PMTU_RAISE_TIMER of RFC 8899

ngtcp2_tstamp
to_ns (TimeUs us) {
  return static_cast<ngtcp2_tstamp> (us) * NGTCP2_MICROSECONDS;
}

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

void
random_bytes (std::uint8_t *dest, std::size_t size, const ngtcp2_rand_ctx *) {
  gnutls_rnd (GNUTLS_RND_NONCE, dest, size);
  // ngtcp2 0.12 draws one byte to decide whether to clear the fixed bit, which would make our
  // packets look like STUN to those who demultiplex by the first byte (RFC 9443). Even: never.
  if (size == 1) dest[0] &= 0xfe;
}

class QuicTransport final : public Transport, private Path::Receiver {
 public:
  QuicTransport (const QuicConfig &config, Path &path)
      : config_ (config),
        path_ (path),
        scheduler_ (path.scheduler ()),
        timer_ (scheduler_.make_timer ([this] { on_timer (); })),
        started_us_ (scheduler_.now ()),
        buffer_ (std::clamp (path.max_burst_bytes (), kMinDatagramBytes, kMaxUdpPayloadBytes)) {
    if (auto normal = normalize_fingerprint (config_.peer_fingerprint)) {
      config_.peer_fingerprint = *normal;
    }
    conn_ref_.get_conn = [] (ngtcp2_crypto_conn_ref *ref) {
      return static_cast<QuicTransport *> (ref->user_data)->conn_.get ();
    };
    conn_ref_.user_data = this;
    // ICE owns mobility: QUIC sees one pair of addresses, which means nothing and never changes.
    address_.sin_family = AF_INET;
    auto *address = reinterpret_cast<ngtcp2_sockaddr *> (&address_);
    dummy_path_ = {{address, sizeof address_}, {address, sizeof address_}, nullptr};
    path_.set_receiver (this);
    if (config_.client) start (nullptr);
    wake ();
  }

  ~QuicTransport () override {
    path_.set_receiver (nullptr);
    conn_.reset ();  // before what its frames point to
  }

  // Transport
  void set_observer (Observer *observer) override {
    observer_ = observer;
    if (final_) wake ();
  }
  Scheduler &scheduler () override { return scheduler_; }
  bool is_client () const override { return config_.client; }
  Result<StreamId> open_stream () override;
  void write (StreamId id, const Ref<GBytes> &bytes, bool fin) override;
  std::size_t unsent_bytes (StreamId id) const override;
  void consume (StreamId id, std::size_t bytes) override;
  void reset (StreamId id, std::uint64_t code) override { give_up (id, code, true); }
  void stop (StreamId id, std::uint64_t code) override { give_up (id, code, false); }
  bool send_datagram (ByteView head, ByteView body, std::uint64_t tag) override;
  std::size_t max_datagram_payload_bytes () const override;
  void close (std::uint64_t code, const std::string &reason) override;
  TransportStats stats () const override;

 private:
  struct ConnDelete {
    void operator() (ngtcp2_conn *conn) const { ngtcp2_conn_del (conn); }
  };
  struct Stream {
    SendQueue queue;
    bool fin_queued = false, fin_sent = false, write_ended = false, stopped = false;
    bool scheduled = false;        // stands in turns_ or parked_
    std::uint64_t unconsumed = 0;  // received, and not yet given back to the window
    std::size_t newly_sent = 0;    // not yet told to the observer
    bool has_work () const {
      return !write_ended && (queue.unsent_bytes () > 0 || (fin_queued && !fin_sent));
    }
  };
  struct Datagram {
    std::vector<std::uint8_t> bytes;
    std::uint64_t tag;
  };
  struct Burst {
    std::size_t offset, size, segment, count;
  };
  struct Event {
    enum Kind { reset, stopped, sent, closed, streams_available, acked, lost } kind;
    StreamId id;
    std::uint64_t value;
  };
  struct GiveUp {
    StreamId id;
    std::uint64_t code;
    bool writing;
  };
  struct Final {
    Error error;
    bool by_peer;
    std::uint64_t code;
  };
  // Marks that ngtcp2 is on the stack: it must not be entered for writing then.
  struct Inside {
    explicit Inside (int &depth) : depth_ (depth) { ++depth_; }
    ~Inside () { --depth_; }
    int &depth_;
  };

  // Path::Receiver
  void path_received (Path &, ByteView datagram) override { receive (datagram); }
  void path_batch_done (Path &) override { flush (); }
  void path_writable (Path &) override {
    blocked_ = false;
    flush ();
  }
  void path_changed (Path &) override {
    // The new way may carry less, and nothing tells.
    shrink (kRaiseAfterChange);
    flush ();
  }
  void path_failed (Path &, const Error &error) override {
    end ({error, false, 0});
    dispatch ();
  }

  bool start (const ngtcp2_pkt_hd *initial);
  void fill_callbacks (ngtcp2_callbacks &callbacks);
  void receive (ByteView datagram);
  void on_timer ();
  void wake ();
  void rearm ();
  void flush ();
  void write_packets ();
  bool send_outbox ();
  void append_packet (std::size_t offset, std::size_t size);
  ngtcp2_ssize write_packet (std::uint8_t *dest, std::size_t limit);
  ngtcp2_ssize write_datagram (std::uint8_t *dest, std::size_t limit, bool &tried);
  ngtcp2_ssize write_stream (std::uint8_t *dest, std::size_t limit, bool &tried);
  ngtcp2_ssize write_anchor (std::uint8_t *dest, std::size_t limit);
  void schedule (StreamId id, Stream &stream);
  void give_up (StreamId id, std::uint64_t code, bool writing);
  void apply (const GiveUp &request);
  void library_error (int code);
  void peer_closed ();
  void send_close (const ngtcp2_connection_close_error &error);
  void end (Final final);
  void dispatch ();
  void shrink (TimeUs raise_after);
  void check_size (TimeUs now);
  std::size_t packet_limit () const;
  ngtcp2_conn_stat conn_stat () const;
  bool talking () const { return observer_ && !ended_; }
  ngtcp2_tstamp now_ns () const { return to_ns (scheduler_.now ()); }
  Stream *find (StreamId id) {
    const auto it = streams_.find (id);
    return it == streams_.end () ? nullptr : &it->second;
  }
  static QuicTransport &self (void *user_data) { return *static_cast<QuicTransport *> (user_data); }

  QuicConfig config_;
  Path &path_;
  Scheduler &scheduler_;
  Observer *observer_ = nullptr;
  std::unique_ptr<Scheduler::Timer> timer_;
  const TimeUs started_us_;
  TimeUs handshake_us_ = 0;
  bool ready_ = false, ended_ = false, close_pending_ = false, kicked_ = false, flushing_ = false,
       dispatching_ = false, silent_ = false, stateless_reset_ = false;
  int inside_ = 0;

  sockaddr_in address_{};
  ngtcp2_path dummy_path_{};
  ngtcp2_crypto_conn_ref conn_ref_{};
  std::vector<SendQueue> graveyard_;  // queues of closed streams, until ngtcp2 has returned
  std::unordered_map<StreamId, Stream> streams_;
  std::deque<StreamId> turns_;    // streams with something to send, in the order of their turn
  std::vector<StreamId> parked_;  // out of window; they return with the next flush
  std::deque<Datagram> datagrams_;
  std::size_t datagram_bytes_ = 0;
  bool datagram_turn_ = true;
  TimeUs anchored_us_ = -kNever / 2;
  bool anchor_wanted_ = false;
  std::unique_ptr<TlsSession> tls_;
  std::unique_ptr<ngtcp2_conn, ConnDelete> conn_;

  std::vector<std::uint8_t> buffer_;
  std::vector<Burst> outbox_;  // bursts in buffer_ that the path has not taken yet
  bool blocked_ = false;
  double pace_ns_ = 0;  // when what was written so far should have left
  TimeUs raise_at_ = kNever;
  bool shrunk_ = false;
  std::vector<ByteView> slices_;
  std::vector<ngtcp2_vec> vectors_;

  std::vector<Event> events_;
  std::vector<GiveUp> give_ups_;
  std::optional<Final> final_;
  ngtcp2_connection_close_error close_error_{};
  std::string close_reason_;
  std::vector<std::uint8_t> close_packet_;  // sent again while the peer has not understood
  std::uint64_t packets_after_close_ = 0;
  std::uint64_t closed_streams_lost_ = 0, datagrams_lost_ = 0;
  TransportStats counters_;
};

bool
QuicTransport::start (const ngtcp2_pkt_hd *initial) {
  auto tls =
      TlsSession::create (config_.client, config_.identity, config_.peer_fingerprint, config_.alpn);
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
  settings.cc_algo = config_.congestion_control == CongestionControl::bbr ? NGTCP2_CC_ALGO_BBR
                                                                          : NGTCP2_CC_ALGO_CUBIC;
  settings.max_tx_udp_payload_size =
      std::clamp (path_.max_datagram_bytes (), kMinDatagramBytes, kMaxUdpPayloadBytes);
  settings.max_window =
      std::min<std::uint64_t> (config_.max_connection_window_bytes, G_MAXINT64 / 4);
  settings.max_stream_window =
      std::min<std::uint64_t> (config_.max_stream_window_bytes, G_MAXINT64 / 4);
  settings.handshake_timeout = timeout_ns (config_.handshake_timeout_us, UINT64_MAX);

  ngtcp2_transport_params params;
  ngtcp2_transport_params_default (&params);
  const std::uint64_t stream_window =
      std::min (kInitialStreamWindowBytes, settings.max_stream_window);
  params.initial_max_stream_data_bidi_local = stream_window;
  params.initial_max_stream_data_bidi_remote = stream_window;
  params.initial_max_data = std::min (kInitialConnectionWindowBytes, settings.max_window);
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
                                   &callbacks, &settings, &params, nullptr, this);
  } else {
    params.original_dcid = initial->dcid;
    code = ngtcp2_conn_server_new (&conn, &initial->scid, &scid, &dummy_path_, initial->version,
                                   &callbacks, &settings, &params, nullptr, this);
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
QuicTransport::fill_callbacks (ngtcp2_callbacks &callbacks) {
  callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
  callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
  callbacks.decrypt = ngtcp2_crypto_decrypt_cb;
  callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb;
  callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb;
  callbacks.rand = random_bytes;
  callbacks.update_key = ngtcp2_crypto_update_key_cb;
  callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  callbacks.get_new_connection_id = [] (ngtcp2_conn *, ngtcp2_cid *cid, std::uint8_t *token,
                                        size_t size, void *) {
    std::uint8_t bytes[NGTCP2_MAX_CIDLEN];
    if (gnutls_rnd (GNUTLS_RND_RANDOM, bytes, size) < 0 ||
        gnutls_rnd (GNUTLS_RND_RANDOM, token, NGTCP2_STATELESS_RESET_TOKENLEN) < 0) {
      return static_cast<int> (NGTCP2_ERR_CALLBACK_FAILURE);
    }
    ngtcp2_cid_init (cid, bytes, size);
    return 0;
  };
  callbacks.handshake_completed = [] (ngtcp2_conn *conn, void *user_data) {
    QuicTransport &t = self (user_data);
    t.ready_ = true;
    t.handshake_us_ = t.scheduler_.now () - t.started_us_;
    // Not earlier: ngtcp2 0.12 would send the PING in the middle of the handshake.
    if (t.config_.keep_alive_us > 0) {
      ngtcp2_conn_set_keep_alive_timeout (conn, to_ns (t.config_.keep_alive_us));
    }
    if (t.talking ()) t.observer_->transport_ready ();
    return 0;
  };
  callbacks.recv_stateless_reset = [] (ngtcp2_conn *, const ngtcp2_pkt_stateless_reset *,
                                       void *user_data) {
    self (user_data).stateless_reset_ = true;
    return 0;
  };
  callbacks.stream_open = [] (ngtcp2_conn *, std::int64_t id, void *user_data) {
    QuicTransport &t = self (user_data);
    t.streams_.try_emplace (id);
    if (t.talking ()) t.observer_->transport_stream_opened (id);
    return 0;
  };
  callbacks.recv_stream_data = [] (ngtcp2_conn *conn, std::uint32_t flags, std::int64_t id,
                                   std::uint64_t, const std::uint8_t *data, size_t size,
                                   void *user_data, void *) {
    QuicTransport &t = self (user_data);
    // The connection's window opens at receipt, the stream's at consume(): a channel that is not
    // read holds back its own sender and no other. What waits unread is then bounded by the
    // window of each stream, and a window that is not consumed never grows beyond its first size.
    ngtcp2_conn_extend_max_offset (conn, size);
    Stream *stream = t.find (id);
    if (!stream || stream->stopped) return 0;
    stream->unconsumed += size;
    const bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    if (t.talking ()) t.observer_->transport_stream_data (id, {data, size}, fin);
    return 0;
  };
  callbacks.acked_stream_data_offset = [] (ngtcp2_conn *, std::int64_t id, std::uint64_t offset,
                                           std::uint64_t size, void *user_data, void *) {
    if (Stream *stream = self (user_data).find (id)) stream->queue.mark_acked (offset + size);
    return 0;
  };
  callbacks.stream_reset = [] (ngtcp2_conn *, std::int64_t id, std::uint64_t, std::uint64_t code,
                               void *user_data, void *) {
    self (user_data).events_.push_back ({Event::reset, id, code});
    return 0;
  };
  callbacks.stream_stop_sending = [] (ngtcp2_conn *, std::int64_t id, std::uint64_t code,
                                      void *user_data, void *) {
    QuicTransport &t = self (user_data);
    if (Stream *stream = t.find (id)) {
      stream->write_ended = true;
      stream->queue.drop_unsent ();
    }
    t.events_.push_back ({Event::stopped, id, code});
    return 0;
  };
  callbacks.stream_close = [] (ngtcp2_conn *conn, std::uint32_t, std::int64_t id, std::uint64_t,
                               void *user_data, void *) {
    QuicTransport &t = self (user_data);
    t.closed_streams_lost_ += ngtcp2_conn_get_stream_loss_count (conn, id);
    if (const auto it = t.streams_.find (id); it != t.streams_.end ()) {
      t.graveyard_.push_back (std::move (it->second.queue));
      t.streams_.erase (it);
    }
    if (!ngtcp2_conn_is_local_stream (conn, id)) ngtcp2_conn_extend_max_streams_bidi (conn, 1);
    t.events_.push_back ({Event::closed, id, 0});
    return 0;
  };
  callbacks.extend_max_local_streams_bidi = [] (ngtcp2_conn *, std::uint64_t, void *user_data) {
    self (user_data).events_.push_back ({Event::streams_available, 0, 0});
    return 0;
  };
  callbacks.recv_datagram = [] (ngtcp2_conn *, std::uint32_t, const std::uint8_t *data, size_t size,
                                void *user_data) {
    QuicTransport &t = self (user_data);
    if (t.talking ()) t.observer_->transport_datagram ({data, size});
    return 0;
  };
  callbacks.ack_datagram = [] (ngtcp2_conn *, std::uint64_t tag, void *user_data) {
    self (user_data).events_.push_back ({Event::acked, 0, tag});
    return 0;
  };
  callbacks.lost_datagram = [] (ngtcp2_conn *, std::uint64_t tag, void *user_data) {
    QuicTransport &t = self (user_data);
    ++t.datagrams_lost_;
    t.events_.push_back ({Event::lost, 0, tag});
    return 0;
  };
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
    const ngtcp2_pkt_info info{};
    code = ngtcp2_conn_read_pkt (conn_.get (), &dummy_path_, &info, datagram.data, datagram.size,
                                 now_ns ());
  }
  graveyard_.clear ();
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
  const TimeUs now = scheduler_.now ();
  if (!ended_ && conn_ && ngtcp2_conn_get_expiry (conn_.get ()) <= to_ns (now)) {
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

void
QuicTransport::rearm () {
  if (kicked_) return;
  if (ended_ || !conn_) {
    timer_->disarm ();
    return;
  }
  const TimeUs now = scheduler_.now ();
  const ngtcp2_tstamp expiry = ngtcp2_conn_get_expiry (conn_.get ());
  if (expiry == UINT64_MAX) {
    timer_->disarm ();
    return;
  }
  const auto when = static_cast<TimeUs> (expiry / NGTCP2_MICROSECONDS + 1);
  // The pacing deadline counts even with nothing to send: never arm in the past, that would spin.
  timer_->arm (when > now ? when : now + kMillisecond);
}

void
QuicTransport::flush () {
  if (flushing_) return;
  flushing_ = true;
  kicked_ = false;
  if (conn_ && !ended_) {
    for (const GiveUp &request : give_ups_) apply (request);
    give_ups_.clear ();
    check_size (scheduler_.now ());
    if (!ended_ && !blocked_ && send_outbox ()) write_packets ();
  }
  flushing_ = false;
  graveyard_.clear ();
  dispatch ();
  rearm ();
}

void
QuicTransport::write_packets () {
  for (const StreamId id : parked_) turns_.push_back (id);
  parked_.clear ();
  const Inside inside (inside_);
  for (int round = 0; round < kMaxRoundsPerFlush; ++round) {
    const std::size_t limit = packet_limit ();
    const std::size_t quantum = ngtcp2_conn_get_send_quantum (conn_.get ());
    const std::size_t cap = std::min (std::max (quantum, limit), buffer_.size ());
    std::size_t used = 0;
    bool idle = false;
    while (used + limit <= buffer_.size () && (used == 0 || used + limit <= cap)) {
      const ngtcp2_ssize n = write_packet (buffer_.data () + used, limit);
      if (n < 0) {
        outbox_.clear ();
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
      const ngtcp2_conn_stat stat = conn_stat ();
      const auto now = static_cast<double> (now_ns ());
      const double rate =  // bytes per ns; 1.25 as in RFC 9002 section 7.7
          stat.pacing_rate > 0
              ? stat.pacing_rate
              : 1.25 * static_cast<double> (stat.cwnd) /
                    static_cast<double> (std::max<ngtcp2_duration> (stat.smoothed_rtt, 1));
      pace_ns_ = std::max (now, std::min (pace_ns_, now + 1e3 * kPacingSlack));
      ngtcp2_conn_update_pkt_tx_time (conn_.get (), static_cast<ngtcp2_tstamp> (pace_ns_));
      pace_ns_ += static_cast<double> (used) / rate;
    }
    if (!send_outbox () || idle || ended_) return;
  }
  wake ();  // more to send, after the others
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
    if (path_.send (bytes, burst.segment) == Path::Sent::would_block) {
      blocked_ = true;
      break;
    }
    ++done;
  }
  outbox_.erase (outbox_.begin (), outbox_.begin () + static_cast<std::ptrdiff_t> (done));
  return !blocked_;
}

ngtcp2_ssize
QuicTransport::write_packet (std::uint8_t *dest, std::size_t limit) {
  bool tried = false;
  if (ready_) {
    if (anchor_wanted_) {
      const ngtcp2_ssize n = write_anchor (dest, limit);
      if (n != 0) return n;
    }
    datagram_turn_ = !datagram_turn_;  // packet by packet, so that neither starves the other
    ngtcp2_ssize n =
        datagram_turn_ ? write_datagram (dest, limit, tried) : write_stream (dest, limit, tried);
    if (tried) return n;
    n = datagram_turn_ ? write_stream (dest, limit, tried) : write_datagram (dest, limit, tried);
    if (tried) return n;
  }
  ngtcp2_pkt_info info;
  return ngtcp2_conn_writev_stream (conn_.get (), nullptr, &info, dest, limit, nullptr,
                                    NGTCP2_WRITE_STREAM_FLAG_NONE, -1, nullptr, 0, now_ns ());
}

ngtcp2_ssize
QuicTransport::write_datagram (std::uint8_t *dest, std::size_t limit, bool &tried) {
  while (!datagrams_.empty ()) {
    Datagram &next = datagrams_.front ();
    int accepted = 0;
    ngtcp2_ssize n = NGTCP2_ERR_INVALID_ARGUMENT;
    if (next.bytes.size () <= max_datagram_payload_bytes ()) {
      ngtcp2_pkt_info info;
      const ngtcp2_vec vector = {next.bytes.data (), next.bytes.size ()};
      n = ngtcp2_conn_writev_datagram (conn_.get (), nullptr, &info, dest, limit, &accepted,
                                       NGTCP2_WRITE_DATAGRAM_FLAG_NONE, next.tag, &vector, 1,
                                       now_ns ());
    }
    // The packets may have become smaller since it was queued.
    const bool too_large = n == NGTCP2_ERR_INVALID_ARGUMENT || n == NGTCP2_ERR_INVALID_STATE;
    if (too_large) events_.push_back ({Event::lost, 0, next.tag});
    if (too_large || accepted) {
      datagram_bytes_ -= next.bytes.size ();
      datagrams_.pop_front ();
    }
    if (too_large) continue;
    if (accepted) {
      // A packet with nothing but a DATAGRAM starts no retransmission timer in ngtcp2 0.12: after
      // an outage with a full congestion window nothing would ever leave again.
      const auto rtt = static_cast<TimeUs> (conn_stat ().smoothed_rtt / NGTCP2_MICROSECONDS);
      anchor_wanted_ = scheduler_.now () - anchored_us_ >= rtt;
    }
    tried = true;
    return n;
  }
  return 0;
}

// An empty STREAM frame, which does start that timer; at most one in a round trip.
ngtcp2_ssize
QuicTransport::write_anchor (std::uint8_t *dest, std::size_t limit) {
  anchor_wanted_ = false;
  for (auto &[id, stream] : streams_) {
    if (stream.write_ended || stream.fin_queued) continue;
    ngtcp2_pkt_info info;
    ngtcp2_ssize written = -1;
    const ngtcp2_ssize n =
        ngtcp2_conn_writev_stream (conn_.get (), nullptr, &info, dest, limit, &written,
                                   NGTCP2_WRITE_STREAM_FLAG_NONE, id, nullptr, 0, now_ns ());
    if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) continue;
    if (written >= 0) anchored_us_ = scheduler_.now ();
    return n;
  }
  return 0;
}

ngtcp2_ssize
QuicTransport::write_stream (std::uint8_t *dest, std::size_t limit, bool &tried) {
  while (!turns_.empty ()) {
    const StreamId id = turns_.front ();
    Stream *stream = find (id);
    if (!stream || !stream->has_work ()) {
      if (stream) stream->scheduled = false;
      turns_.pop_front ();
      continue;
    }
    const bool has_bytes = stream->queue.unsent_bytes () > 0;
    // Asked before, and not left to an error: a blocked stream must not hold up the others.
    if (has_bytes && (ngtcp2_conn_get_max_data_left (conn_.get ()) == 0 ||
                      ngtcp2_conn_get_max_stream_data_left (conn_.get (), id) == 0)) {
      turns_.pop_front ();
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
      turns_.pop_front ();
      parked_.push_back (id);
      continue;
    }
    if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
      stream->write_ended = true;
      stream->queue.drop_unsent ();
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
      turns_.pop_front ();
      stream->scheduled = stream->has_work ();
      if (stream->scheduled) turns_.push_back (id);
    }
    return n;
  }
  return 0;
}

Result<StreamId>
QuicTransport::open_stream () {
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
  streams_.try_emplace (id);
  return id;
}

void
QuicTransport::schedule (StreamId id, Stream &stream) {
  if (!stream.scheduled && stream.has_work ()) {
    stream.scheduled = true;
    turns_.push_back (id);
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
  ngtcp2_conn_extend_max_stream_offset (conn_.get (), id, freed);
  wake ();
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
QuicTransport::send_datagram (ByteView head, ByteView body, std::uint64_t tag) {
  const std::size_t size = head.size + body.size;
  if (ended_ || !ready_ || size > max_datagram_payload_bytes () ||
      datagrams_.size () >= kMaxDatagramsQueued ||
      datagram_bytes_ + size > kMaxDatagramBytesQueued) {
    ++counters_.datagrams_dropped;
    return false;
  }
  Datagram datagram{{}, tag};
  datagram.bytes.reserve (size);
  datagram.bytes.insert (datagram.bytes.end (), head.begin (), head.end ());
  datagram.bytes.insert (datagram.bytes.end (), body.begin (), body.end ());
  datagrams_.push_back (std::move (datagram));
  datagram_bytes_ += size;
  wake ();
  return true;
}

std::size_t
QuicTransport::max_datagram_payload_bytes () const {
  if (!ready_ || ended_) return 0;
  const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params (conn_.get ());
  const std::uint64_t frame = peer ? peer->max_datagram_frame_size : 0;
  if (frame <= 3) return 0;
  const std::size_t packet =
      std::min (packet_limit (), ngtcp2_conn_get_path_max_tx_udp_payload_size (conn_.get ()));
  const std::size_t overhead =
      kDatagramOverheadBytes + ngtcp2_conn_get_dcid (conn_.get ())->datalen;
  return static_cast<std::size_t> (std::min<std::uint64_t> (packet - overhead, frame - 3));
}

void
QuicTransport::close (std::uint64_t code, const std::string &reason) {
  silent_ = true;
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
  stats.packet_bytes =
      std::min (packet_limit (), ngtcp2_conn_get_path_max_tx_udp_payload_size (conn_.get ()));
  if (ready_) stats.cipher = tls_->cipher ();
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
    error = error_of_own_alert (alert, tls_->refused_fingerprint (), config_.peer_fingerprint);
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
      case Event::reset:
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

void
QuicTransport::shrink (TimeUs raise_after) {
  shrunk_ = true;
  raise_at_ = scheduler_.now () + raise_after;
}

// RFC 8899: goes down when large packets seem to vanish, and tries again later. ngtcp2 finds the
// size once, by probes, but has no way back.
void
QuicTransport::check_size (TimeUs now) {
  if (shrunk_ && now >= raise_at_) shrunk_ = false;
  if (!shrunk_ && conn_stat ().pto_count >= kBlackHoleTimeouts &&
      ngtcp2_conn_get_path_max_tx_udp_payload_size (conn_.get ()) > kMinDatagramBytes) {
    shrink (kRaiseAfterBlackHole);
  }
}

std::size_t
QuicTransport::packet_limit () const {
  if (shrunk_) return kMinDatagramBytes;
  return std::clamp (path_.max_datagram_bytes (), kMinDatagramBytes, buffer_.size ());
}

ngtcp2_conn_stat
QuicTransport::conn_stat () const {
  ngtcp2_conn_stat stat;
  ngtcp2_conn_get_conn_stat (conn_.get (), &stat);
  return stat;
}

}  // namespace

std::unique_ptr<Transport>
make_quic_transport (const QuicConfig &config, Path &path) {
  return std::make_unique<QuicTransport> (config, path);
}

}  // namespace p2p
