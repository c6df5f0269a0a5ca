// Watches one transport until it is ready or has failed. Core thread only; it may be calling, and
// so is destroyed by retire() only, or where no callback can be running.
#pragma once
#include <functional>
#include <memory>

#include "transport/transport.hpp"

namespace p2p {

class TransportHandshake final : private Transport::Observer {
 public:
  // Called once, one of the two. `ready` may take() the transport.
  using Ready = std::function<void ()>;
  using Failed = std::function<void (const Error &error, bool by_peer)>;

  TransportHandshake (std::unique_ptr<Transport> transport, Ready ready, Failed failed)
      : transport_ (std::move (transport)),
        ready_ (std::move (ready)),
        failed_ (std::move (failed)) {
    transport_->set_observer (this);
  }
  ~TransportHandshake () override {
    if (transport_) transport_->set_observer (nullptr);
  }
  TransportHandshake (const TransportHandshake &) = delete;
  TransportHandshake &operator= (const TransportHandshake &) = delete;

  // Nothing is told any more.
  void stop () {
    if (transport_) transport_->set_observer (nullptr);
  }
  Transport &transport () { return *transport_; }
  std::unique_ptr<Transport> take () { return std::move (transport_); }

 private:
  void transport_ready () override {
    transport_->set_observer (nullptr);
    ready_ ();
  }
  void transport_closed (const Error &error, bool by_peer, std::uint64_t) override {
    failed_ (error, by_peer);
  }
  // Streams and datagrams do not exist before the handshake is done.
  void transport_stream_opened (StreamId) override {}
  void transport_stream_data (StreamId, ByteView, bool) override {}
  void transport_stream_reset (StreamId, std::uint64_t) override {}
  void transport_stream_stopped (StreamId, std::uint64_t) override {}
  void transport_stream_sent (StreamId, std::size_t) override {}
  void transport_stream_closed (StreamId) override {}
  void transport_streams_available () override {}
  void transport_datagram (ByteView) override {}
  void transport_datagram_acked (std::uint64_t) override {}
  void transport_datagram_lost (std::uint64_t) override {}

  std::unique_ptr<Transport> transport_;
  const Ready ready_;
  const Failed failed_;
};

}  // namespace p2p
