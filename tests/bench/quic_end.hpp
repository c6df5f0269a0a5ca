// One end of a transport in a benchmark: what it is not interested in goes by.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "transport/quic_transport.hpp"

namespace p2p {

struct QuicEnd : Transport::Observer {
  void transport_ready () override {}
  void transport_stream_opened (StreamId) override {}
  void transport_stream_reset (StreamId, std::uint64_t) override {}
  void transport_stream_stopped (StreamId, std::uint64_t) override {}
  void transport_stream_sent (StreamId, std::size_t) override {}
  void transport_stream_closed (StreamId) override {}
  void transport_streams_available () override {}
  void transport_datagram (ByteView) override {}
  void transport_datagram_acked (std::uint64_t) override {}
  void transport_datagram_lost (std::uint64_t) override {}
  void transport_closed (const Error &error, bool, std::uint64_t) override {
    std::fprintf (stderr, "%s\n", error.message.c_str ());
    std::exit (1);
  }

  std::unique_ptr<Transport> transport;
  std::uint64_t received = 0;
};

}  // namespace p2p
