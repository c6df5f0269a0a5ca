// QUIC (RFC 9000) with TLS 1.3, mutual authentication by pinned certificates, ALPN "p2p/1", over a
// Path. The files quic_*.cpp behind quic_connection.hpp are the only ones that know ngtcp2.
// Core thread only.
#pragma once
#include <memory>
#include <string>

#include "path/path.hpp"
#include "transport/identity.hpp"
#include "transport/transport.hpp"

namespace p2p {

enum class CongestionControl { bbr, cubic };

// A stream's receive window before it grows: what one that is never read may hold.
constexpr std::uint64_t kInitialStreamWindowBytes = 1024 * 1024;

struct QuicConfig {
  bool client = false;
  std::shared_ptr<Identity> identity;
  std::string peer_fingerprint;  // normalized; the handshake fails on any other certificate
  std::string alpn = "p2p/1";    // changed only by tests
  // Of a server: what the client gets with the handshake, at most 1 KiB; empty for nothing.
  std::string greeting;
  CongestionControl congestion_control = CongestionControl::bbr;
  // What the peer may send on one stream before it is consumed, once it has grown.
  std::uint64_t max_stream_window_bytes = 16 * 1024 * 1024;
  // Bounds what is under way, not what waits: bytes leave it when they arrive, so that a channel
  // that is not read cannot starve the others.
  std::uint64_t max_connection_window_bytes = 24 * 1024 * 1024;
  std::uint32_t max_streams = 256;  // that the peer may have open at once
  TimeUs handshake_timeout_us = 10 * kSecond;
  TimeUs idle_timeout_us = 30 * kSecond;
  TimeUs keep_alive_us = 10 * kSecond;
  // Before there is a sample. RFC 9002 section 6.2.2 has 333 ms for want of anything better, but
  // here the way has been checked, or is being: a first packet that comes too early is sent again
  // after 0.3 s, not 1 s.
  TimeUs initial_rtt_us = 100 * kMillisecond;
};

// A client starts its handshake at once; a server waits for the client's first packet. The path's
// receiver is taken over and given back (set to nullptr) at destruction. Wrong certificate:
// transport_closed with P2P_ERROR_NOT_AUTHORIZED on both sides.
std::unique_ptr<Transport> make_quic_transport (const QuicConfig &config, Path &path);

}  // namespace p2p
