// What ngtcp2 tells and asks while it reads and writes packets.
#include <gnutls/crypto.h>

#include "transport/quic_connection.hpp"

namespace p2p {

namespace {

constexpr std::uint8_t kAlertUnexpectedMessage = 10;  // RFC 8446 section 6

void
random_bytes (std::uint8_t *dest, std::size_t size, const ngtcp2_rand_ctx *) {
  gnutls_rnd (GNUTLS_RND_NONCE, dest, size);
  // ngtcp2 0.12 draws one byte to decide whether to clear the fixed bit, which would make our
  // packets look like STUN to those who demultiplex by the first byte (RFC 9443). Even: never.
  if (size == 1) dest[0] &= 0xfe;
}

constexpr char kExporterLabel[] = "EXPORTER-gst-p2p-session";

SharedSecret
export_secret (gnutls_session_t session) {
  SharedSecret secret{};
  gnutls_prf_rfc5705 (session, sizeof kExporterLabel - 1, kExporterLabel, 0, nullptr,
                      secret.size (), reinterpret_cast<char *> (secret.data ()));
  return secret;
}

}  // namespace

// ngtcp2 does not say which connection decrypts: the one that reads on this thread.
thread_local QuicTransport *QuicTransport::reading_ = nullptr;

int
QuicTransport::decrypt (std::uint8_t *dest, const ngtcp2_crypto_aead *aead,
                        const ngtcp2_crypto_aead_ctx *context, const std::uint8_t *text,
                        std::size_t text_bytes, const std::uint8_t *nonce, std::size_t nonce_bytes,
                        const std::uint8_t *data, std::size_t data_bytes) {
  const int code = ngtcp2_crypto_decrypt_cb (dest, aead, context, text, text_bytes, nonce,
                                             nonce_bytes, data, data_bytes);
  if (code != 0 || !reading_) return code;
  reading_->opened_ = true;
  return reading_->takes ({dest, text_bytes - aead->max_overhead}) ? 0 : NGTCP2_ERR_DECRYPT;
}

// A packet that would tear one hole too many into a stream counts as lost, and so comes again.
bool
QuicTransport::takes (ByteView packet) {
  StreamFrames frames (packet);
  while (const auto frame = frames.next ()) {
    const Stream *stream = find (frame->id);
    if (stream && stream->holes.count () >= kMaxStreamHoles &&
        stream->holes.would_add_one (frame->begin, frame->end)) {
      ++counters_.packets_dropped;
      return false;
    }
  }
  frames = StreamFrames (packet);
  while (const auto frame = frames.next ())
    if (Stream *stream = find (frame->id)) stream->holes.add (frame->begin, frame->end);
  return true;
}

void
QuicTransport::fill_callbacks (ngtcp2_callbacks &callbacks) {
  callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
  callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  callbacks.recv_crypto_data = [] (ngtcp2_conn *conn, ngtcp2_crypto_level level,
                                   std::uint64_t offset, const std::uint8_t *data, size_t size,
                                   void *user_data) {
    // No peer of ours says anything in TLS after its handshake: there are no tickets.
    if (!self (user_data).tls_) {
      ngtcp2_conn_set_tls_alert (conn, kAlertUnexpectedMessage);
      return static_cast<int> (NGTCP2_ERR_CRYPTO);
    }
    return ngtcp2_crypto_recv_crypto_data_cb (conn, level, offset, data, size, user_data);
  };
  callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
  callbacks.decrypt = decrypt;
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
    t.cipher_ = t.tls_->cipher ();
    t.greeting_ = t.tls_->greeting ();
    t.tls_done_ = !t.config_.client;
    t.handshake_us_ = t.scheduler_.now () - t.started_us_;
    t.shared_secret_ = export_secret (t.tls_->session ());
    // Not earlier: ngtcp2 0.12 would send the PING in the middle of the handshake.
    if (t.config_.keep_alive_us > 0) {
      ngtcp2_conn_set_keep_alive_timeout (conn, to_ns (t.config_.keep_alive_us));
    }
    if (t.talking ()) t.observer_->transport_ready ();
    return 0;
  };
  callbacks.handshake_confirmed = [] (ngtcp2_conn *, void *user_data) {
    self (user_data).tls_done_ = true;
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
    QuicTransport &t = self (user_data);
    // A stream that was reset before anything else of it came is none to the observer.
    if (t.find (id)) t.events_.push_back ({Event::was_reset, id, code});
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
    if (!ngtcp2_conn_is_local_stream (conn, id)) {
      ngtcp2_conn_extend_max_streams_bidi (conn, 1);
      t.news_ = true;
    }
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
    const bool probe = size > 0 && data[0] == kProbeByte;
    if (t.talking () && !probe) t.observer_->transport_datagram ({data, size});
    return 0;
  };
  callbacks.ack_datagram = [] (ngtcp2_conn *, std::uint64_t tag, void *user_data) {
    QuicTransport &t = self (user_data);
    t.settled (tag);
    if (!(tag & kProbeTag)) t.events_.push_back ({Event::acked, 0, tag});
    if (t.mtu_.acked (tag, t.now_us ()))
      g_debug ("quic: packets of %zu bytes from now on", t.packet_limit ());
    return 0;
  };
  callbacks.lost_datagram = [] (ngtcp2_conn *, std::uint64_t tag, void *user_data) {
    QuicTransport &t = self (user_data);
    if (tag & kProbeTag) {
      t.mtu_.lost (tag, t.now_us ());
      return 0;
    }
    t.settled (tag);
    ++t.datagrams_lost_;
    t.events_.push_back ({Event::lost, 0, tag});
    return 0;
  };
}

}  // namespace p2p
