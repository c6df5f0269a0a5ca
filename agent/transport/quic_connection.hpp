// The QUIC transport's private parts, shared by quic_transport.cpp (set-up, packets in, API),
// quic_callbacks.cpp (what ngtcp2 tells) and quic_writer.cpp (packets out). They and
// quic_memory.cpp are the only ones that know ngtcp2.
#pragma once
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/packed_memory.hpp"
#include "transport/burst_buffer.hpp"
#include "transport/mtu_search.hpp"
#include "transport/quic_transport.hpp"
#include "transport/send_queue.hpp"
#include "transport/stream_frames.hpp"
#include "transport/stream_holes.hpp"
#include "transport/tls_session.hpp"
#include "transport/turn_queue.hpp"

namespace p2p {

constexpr unsigned kPacketsPerClock = 32;
// In the tags of datagrams: a probe of the packet size, which is nobody's but the transport's.
constexpr std::uint64_t kProbeTag = std::uint64_t{1} << 63;
constexpr std::uint8_t kProbeByte = 0xff;  // the first of its payload
// ngtcp2 0.12 ends a connection when a stream has 1000.
constexpr std::size_t kMaxStreamHoles = 900;

inline ngtcp2_tstamp
to_ns (TimeUs us) {
  return static_cast<ngtcp2_tstamp> (us) * NGTCP2_MICROSECONDS;
}

class QuicTransport final : public Packed, public Transport, private Path::Receiver {
 public:
  QuicTransport (const QuicConfig &config, Path &path)
      : config_ (config),
        path_ (path),
        scheduler_ (path.scheduler ()),
        timer_ (scheduler_.make_timer ([this] { on_timer (); })),
        started_us_ (scheduler_.now ()),
        mtu_ (kMinDatagramBytes, kMinDatagramBytes) {
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
  Result<StreamId> open_stream (const Flow &flow) override;
  void flush () override;
  void write (StreamId id, const Ref<GBytes> &bytes, bool fin) override;
  std::size_t unsent_bytes (StreamId id) const override;
  void consume (StreamId id, std::size_t bytes) override;
  void reset (StreamId id, std::uint64_t code) override { give_up (id, code, true); }
  void stop (StreamId id, std::uint64_t code) override { give_up (id, code, false); }
  bool send_datagram (const Flow &flow, ByteView head, ByteView body, std::uint64_t tag) override;
  std::size_t max_datagram_payload_bytes () const override;
  void close (std::uint64_t code, const std::string &reason) override;
  void suspend () override;
  void resume () override;
  TimeUs last_heard_us () const override { return last_heard_us_; }
  SharedSecret shared_secret () const override { return shared_secret_; }
  std::string take_greeting () override { return std::exchange (greeting_, {}); }
  TransportStats stats () const override;

 private:
  struct ConnDelete {
    void operator() (ngtcp2_conn *conn) const { ngtcp2_conn_del (conn); }
  };
  struct Stream {
    Flow flow;
    SendQueue queue;
    bool fin_queued = false, fin_sent = false, write_ended = false, stopped = false;
    bool scheduled = false;          // stands in turns_ or parked_
    std::uint64_t unconsumed = 0;    // received, and not yet given back to the window
    std::uint64_t window_bytes = 0;  // 0: none was used yet
    std::uint64_t consumed_bytes = 0, round_bytes = 0;  // of all, of the round trip that began then
    TimeUs round_began_us = 0;
    bool grew_in_round = false;
    std::size_t newly_sent = 0;  // not yet told to the observer
    StreamHoles holes;
    bool has_work () const {
      return !write_ended && (queue.unsent_bytes () > 0 || (fin_queued && !fin_sent));
    }
  };
  // A datagram whose packet ngtcp2 may take for retransmitted after a timeout: it forgets the
  // datagram then, and tells no loss.
  struct Anchored {
    std::uint64_t tag;
    TimeUs lost_at;
  };
  struct Burst {
    std::size_t offset, size, segment, count;
  };
  struct Event {
    enum Kind { was_reset, stopped, sent, closed, streams_available, acked, lost } kind;
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
  // Marks whose packet ngtcp2 reads.
  struct Reading {
    explicit Reading (QuicTransport &transport) { reading_ = &transport; }
    ~Reading () { reading_ = nullptr; }
  };

  // Path::Receiver
  void path_received (Path &, ByteView datagram) override { receive (datagram); }
  void path_batch_done (Path &) override {
    if (answer_can_wait ())
      settle ();
    else
      flush ();
  }
  void path_writable (Path &) override {
    blocked_ = false;
    flush ();
  }
  void path_changed (Path &) override {
    mtu_.reset (std::min (path_.max_datagram_bytes (), ceiling_bytes_));
    flush ();
  }
  void path_failed (Path &, const Error &error) override {
    // It may come back; whether the peer is gone is not for the transport to say.
    blocked_ = false;
    if (ready_) return;
    end ({error, false, 0});
    dispatch ();
  }

  bool start (const ngtcp2_pkt_hd *initial);
  void fill_callbacks (ngtcp2_callbacks &callbacks);
  static int decrypt (std::uint8_t *dest, const ngtcp2_crypto_aead *aead,
                      const ngtcp2_crypto_aead_ctx *context, const std::uint8_t *text,
                      std::size_t text_bytes, const std::uint8_t *nonce, std::size_t nonce_bytes,
                      const std::uint8_t *data, std::size_t data_bytes);
  bool takes (ByteView packet);
  void receive (ByteView datagram);
  void on_timer ();
  void wake ();
  void rearm ();
  bool answer_can_wait ();
  void settle ();
  void write_packets ();
  bool send_outbox ();
  double pacing_rate () const;
  void append_packet (std::size_t offset, std::size_t size);
  ngtcp2_ssize write_packet (std::uint8_t *dest, std::size_t limit);
  ngtcp2_ssize write_datagram (TurnQueue::Turn &turn, std::uint8_t *dest, std::size_t limit,
                               bool &tried);
  ngtcp2_ssize write_stream (TurnQueue::Turn &turn, std::uint8_t *dest, std::size_t limit,
                             bool &tried);
  bool may_be_last_in_flight (std::size_t limit) const;
  ngtcp2_ssize finish_with_anchor (std::uint8_t *dest, std::size_t limit);
  bool peer_stopped (StreamId id);
  void stopped_by_peer (StreamId id, Stream &stream);
  void schedule (StreamId id, Stream &stream);
  std::uint64_t window_growth (Stream &stream, std::uint64_t consumed_bytes);
  void give_up (StreamId id, std::uint64_t code, bool writing);
  void apply (const GiveUp &request);
  void library_error (int code);
  void peer_closed ();
  void send_close (const ngtcp2_connection_close_error &error);
  void end (Final final);
  void dispatch ();
  void check_size ();
  bool write_probe (std::size_t room);
  bool larger_pays () const;
  TimeUs give_up_after () const;
  void give_up_anchored ();
  void settled (std::uint64_t tag);
  std::size_t packet_limit () const { return mtu_.packet_bytes (); }
  ngtcp2_conn_stat conn_stat () const;
  bool talking () const { return observer_ && !ended_; }
  void skip_to_loss_timer ();
  // The clock of this connection, which stands still while it is suspended.
  TimeUs now_us () const { return suspended_at_.value_or (scheduler_.now ()) - skipped_us_; }
  // Read once for some packets of a train: the clock is a part of a packet's cost.
  ngtcp2_tstamp now_ns () {
    if (clock_left_ == 0) {
      clock_us_ = now_us ();
      clock_left_ = kPacketsPerClock;
    }
    --clock_left_;
    return to_ns (clock_us_);
  }
  Stream *find (StreamId id) {
    const auto it = streams_.find (id);
    return it == streams_.end () ? nullptr : &it->second;
  }
  static QuicTransport &self (void *user_data) { return *static_cast<QuicTransport *> (user_data); }

  static thread_local QuicTransport *reading_;

  QuicConfig config_;
  Path &path_;
  Scheduler &scheduler_;
  Observer *observer_ = nullptr;
  std::unique_ptr<Scheduler::Timer> timer_;
  const TimeUs started_us_;
  TimeUs clock_us_ = 0;
  std::optional<TimeUs> suspended_at_;  // by the scheduler's clock
  TimeUs skipped_us_ = 0;               // by which this connection's clock is behind that one
  TimeUs last_heard_us_ = 0;            // by the scheduler's clock
  SharedSecret shared_secret_{};
  std::string greeting_;
  bool opened_ = false;  // the packet that is read is genuine
  bool news_ = false;    // of ngtcp2 for the peer, other than acknowledgements
  std::uint64_t received_since_flush_bytes_ = 0, consumed_since_flush_bytes_ = 0;
  unsigned clock_left_ = 0;  // uses of clock_us_; none at the beginning and end of every flush
  TimeUs handshake_us_ = 0;
  bool ready_ = false, ended_ = false, close_pending_ = false, kicked_ = false, flushing_ = false,
       dispatching_ = false, silent_ = false, stateless_reset_ = false;
  int inside_ = 0;

  sockaddr_in address_{};
  ngtcp2_path dummy_path_{};
  ngtcp2_crypto_conn_ref conn_ref_{};
  std::vector<SendQueue> graveyard_;  // queues of closed streams, until ngtcp2 has returned
  std::unordered_map<StreamId, Stream, std::hash<StreamId>, std::equal_to<StreamId>,
                     PackedAllocator<std::pair<const StreamId, Stream>>>
      streams_;
  std::uint64_t initial_stream_window_bytes_ = 0;
  TurnQueue turns_;                  // what has something to send
  std::vector<StreamId> parked_;     // out of window; they return with the next flush
  std::unique_ptr<TlsSession> tls_;  // until both sides have done the handshake: 14 KiB
  bool tls_done_ = false;
  std::string cipher_;
  std::unique_ptr<ngtcp2_conn, ConnDelete> conn_;

  std::size_t ceiling_bytes_ =
      kMinDatagramBytes;  // of a packet; ngtcp2 takes it once, at the start
  MtuSearch mtu_;
  std::uint64_t probes_sent_ = 0;
  std::vector<Anchored> anchored_;  // in order of time, some at most
  BurstBuffer buffer_;              // held while the outbox is not empty
  std::vector<Burst> outbox_;       // bursts in buffer_ that the path has not taken yet
  bool blocked_ = false;
  double pace_ns_ = 0;  // when what was written so far should have left
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

}  // namespace p2p
