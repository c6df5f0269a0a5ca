// Two QUIC transports over a memory link on a virtual clock, with observers that keep everything.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "path/memory_path.hpp"
#include "transport/quic_transport.hpp"

namespace p2p {

inline Ref<GBytes>
make_bytes (const std::string &text) {
  return Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
}

// Repeatable bytes in which any swap or loss shows.
inline std::string
pattern (std::size_t size, std::uint32_t salt) {
  std::string text (size, '\0');
  std::uint32_t state = salt * 2654435761u + 1;
  for (char &c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char> (state >> 24);
  }
  return text;
}

struct Closed {
  Error error;
  bool by_peer;
  std::uint64_t code;
};

// Consumes what it receives unless `consuming` is off.
struct Recorder : Transport::Observer {
  struct Received {
    std::string bytes;
    bool fin = false, closed = false;
    std::size_t held = 0, sent = 0;
    std::optional<std::uint64_t> reset, stopped;
  };

  explicit Recorder (Transport &t) : transport (t) { t.set_observer (this); }
  void transport_ready () override {
    ready = true;
    ready_at = transport.scheduler ().now ();
    if (on_ready) on_ready ();
  }
  void transport_stream_opened (StreamId id) override {
    opened.push_back (id);
    if (on_opened) on_opened (id);
  }
  void transport_stream_data (StreamId id, ByteView bytes, bool fin) override {
    EXPECT_FALSE (closed) << "called after the last call";
    Received &stream = streams[id];
    EXPECT_FALSE (stream.fin);
    stream.bytes += bytes.to_string ();
    stream.fin = fin;
    if (consuming) {
      transport.consume (id, bytes.size);
    } else {
      stream.held += bytes.size;
    }
    if (on_data) on_data (id);
  }
  void transport_stream_reset (StreamId id, std::uint64_t code) override {
    streams[id].reset = code;
  }
  void transport_stream_stopped (StreamId id, std::uint64_t code) override {
    streams[id].stopped = code;
  }
  void transport_stream_sent (StreamId id, std::size_t bytes) override {
    streams[id].sent += bytes;
  }
  void transport_stream_closed (StreamId id) override { streams[id].closed = true; }
  void transport_streams_available () override { ++available; }
  void transport_datagram (ByteView bytes) override {
    datagrams.push_back (bytes.to_string ());
    if (on_datagram) on_datagram ();
  }
  void transport_datagram_acked (std::uint64_t tag) override { acked.push_back (tag); }
  void transport_datagram_lost (std::uint64_t tag) override { lost.push_back (tag); }
  void transport_closed (const Error &error, bool by_peer, std::uint64_t code) override {
    EXPECT_FALSE (closed) << "closed twice";
    closed = Closed{error, by_peer, code};
    closed_at = transport.scheduler ().now ();
    if (on_closed) on_closed ();
  }

  Transport &transport;
  bool consuming = true, ready = false;
  TimeUs ready_at = 0, closed_at = 0;
  int available = 0;
  std::vector<StreamId> opened;
  std::map<StreamId, Received> streams;
  std::vector<std::string> datagrams;
  std::vector<std::uint64_t> acked, lost;
  std::optional<Closed> closed;
  std::function<void ()> on_ready, on_datagram, on_closed;
  std::function<void (StreamId)> on_opened, on_data;
};

// A path that shows, changes or refuses what passes through it.
class TapPath final : public Path, private Path::Receiver {
 public:
  explicit TapPath (Path &inner) : inner_ (inner) { inner_.set_receiver (this); }
  ~TapPath () override { inner_.set_receiver (nullptr); }

  void set_receiver (Path::Receiver *receiver) override { receiver_ = receiver; }
  Sent send (ByteView burst, std::size_t segment_bytes) override {
    EXPECT_GT (segment_bytes, 0u);
    EXPECT_LE (burst.size, max_burst_bytes ());
    EXPECT_LE (segment_bytes, max_datagram_bytes ());
    if (refuse && refuse ()) return Sent::would_block;
    if (segment_bytes > refuses_above) return Sent::too_long;
    ++bursts;
    for (std::size_t at = 0; at < burst.size; at += segment_bytes) {
      const ByteView datagram = burst.sub (at, segment_bytes);
      if (on_send) on_send (datagram);
      if (!drop || !drop ()) (void)inner_.send (datagram, datagram.size);
    }
    return Sent::all;
  }
  std::size_t max_datagram_bytes () const override { return inner_.max_datagram_bytes (); }
  std::size_t max_burst_bytes () const override { return inner_.max_burst_bytes (); }
  PathInfo info () const override { return inner_.info (); }
  Scheduler &scheduler () override { return inner_.scheduler (); }

  void deliver (ByteView datagram) {
    if (!receiver_) return;
    receiver_->path_received (*this, datagram);
    if (receiver_) receiver_->path_batch_done (*this);
  }
  void tell_writable () {
    if (receiver_) receiver_->path_writable (*this);
  }
  void tell_changed () {
    if (receiver_) receiver_->path_changed (*this);
  }
  void tell_failed (const Error &error) {
    if (receiver_) receiver_->path_failed (*this, error);
  }

  std::function<bool ()> refuse;  // asked for each burst
  std::function<bool ()> drop;    // asked for each datagram
  std::function<void (ByteView)> on_send, on_receive;
  std::size_t refuses_above = SIZE_MAX;  // as a system does that knows a smaller MTU
  int bursts = 0;

 private:
  void path_received (Path &, ByteView datagram) override {
    if (on_receive) on_receive (datagram);
    if (receiver_) receiver_->path_received (*this, datagram);
  }
  void path_batch_done (Path &) override {
    if (receiver_) receiver_->path_batch_done (*this);
  }
  void path_writable (Path &) override { tell_writable (); }
  void path_changed (Path &) override { tell_changed (); }
  void path_failed (Path &, const Error &error) override { tell_failed (error); }

  Path &inner_;
  Path::Receiver *receiver_ = nullptr;
};

struct QuicBench {
  explicit QuicBench (std::uint64_t seed = 1) : link (MemoryLink::create (scheduler, seed)) {
    // One pair for all tests: making a key takes longer than most of them.
    static const std::shared_ptr<Identity> kClient = *Identity::create_ephemeral ();
    static const std::shared_ptr<Identity> kServer = *Identity::create_ephemeral ();
    client_config.client = true;
    client_config.identity = kClient;
    client_config.peer_fingerprint = kServer->fingerprint ();
    server_config.identity = kServer;
    server_config.peer_fingerprint = kClient->fingerprint ();
    client_path = std::make_unique<TapPath> (link->a ());
    server_path = std::make_unique<TapPath> (link->b ());
  }

  void set_delay (TimeUs one_way) {
    options.delay = one_way;
    link->set_options (options);
  }
  void start_server () {
    server_transport = make_quic_transport (server_config, *server_path);
    server = std::make_unique<Recorder> (*server_transport);
  }
  void start_client () {
    client_transport = make_quic_transport (client_config, *client_path);
    client = std::make_unique<Recorder> (*client_transport);
  }
  void start () {
    start_server ();
    start_client ();
  }
  bool run_until (const std::function<bool ()> &done, TimeUs limit = 60 * kSecond) {
    return scheduler.run_until_true (done, limit);
  }
  void connect () {
    start ();
    ASSERT_TRUE (run_until ([&] { return client->ready && server->ready; }))
        << (client->closed ? client->closed->error.message : "client open") << " / "
        << (server->closed ? server->closed->error.message : "server open");
  }
  StreamId open () {
    auto id = client_transport->open_stream ({});
    EXPECT_TRUE (id) << (id ? "" : id.error ().message);
    return id ? *id : -1;
  }

  VirtualScheduler scheduler;
  LinkOptions options;
  std::unique_ptr<MemoryLink> link;
  QuicConfig client_config, server_config;
  std::unique_ptr<TapPath> client_path, server_path;
  std::unique_ptr<Transport> client_transport, server_transport;
  std::unique_ptr<Recorder> client, server;
};

}  // namespace p2p
