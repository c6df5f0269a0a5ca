// Two transports joined in memory on a virtual clock, with settable faults. It keeps the contract
// of transport.hpp: bytes of a stream in order, windows that consume() opens, stream limits,
// no observer call from inside a call.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "base/scheduler.hpp"
#include "transport/transport.hpp"

namespace p2p::test {

struct FakeNetwork {
  TimeUs delay_us = 10 * kMillisecond;
  TimeUs stream_jitter_us = 0;  // each stream's pieces may be this much later than other streams'
  std::size_t stream_window_bytes = 256 * 1024;
  std::size_t piece_bytes = 16 * 1024;  // of stream data per delivery
  std::uint64_t max_streams = 256;      // open at once, per opener
  std::size_t max_datagram_bytes = 1200;
  std::size_t max_datagrams_in_flight = 256;
  std::uint32_t seed = 1;
  // Answers whether the datagram is lost; null loses none.
  std::function<bool (ByteView)> lose_datagram;
};

class FakeTransport;

// Both ends; they may be destroyed in any order, and cut() ends both.
struct FakeLink {
  FakeLink (Scheduler &scheduler, FakeNetwork network);
  ~FakeLink ();
  void connect ();  // both become ready
  // The connection is lost: both ends hear of it, now.
  void cut ();
  std::shared_ptr<FakeTransport> client, server;
};

class FakeTransport final : public Transport, public std::enable_shared_from_this<FakeTransport> {
 public:
  FakeTransport (Scheduler &scheduler, FakeNetwork network, bool client);
  void join (const std::shared_ptr<FakeTransport> &peer) { peer_ = peer; }
  void become_ready ();
  void lose ();

  void set_observer (Observer *observer) override { observer_ = observer; }
  Scheduler &scheduler () override { return scheduler_; }
  bool is_client () const override { return client_; }
  Result<StreamId> open_stream (const Flow &flow) override;
  void flush () override {}
  void write (StreamId id, const Ref<GBytes> &bytes, bool fin) override;
  std::size_t unsent_bytes (StreamId id) const override;
  void consume (StreamId id, std::size_t bytes) override;
  void reset (StreamId id, std::uint64_t code) override;
  void stop (StreamId id, std::uint64_t code) override;
  bool send_datagram (const Flow &flow, ByteView head, ByteView body, std::uint64_t tag) override;
  std::size_t max_datagram_payload_bytes () const override {
    return ready_ ? network_.max_datagram_bytes : 0;
  }
  void close (std::uint64_t code, const std::string &reason) override;
  void suspend () override {}
  void resume () override {}
  TimeUs last_heard_us () const override { return 0; }
  SharedSecret shared_secret () const override { return {}; }
  std::string take_greeting () override { return std::exchange (greeting, {}); }
  TransportStats stats () const override;

  std::string greeting;  // set on both ends, before they become ready

  FakeNetwork &network () { return network_; }
  bool closed () const { return closed_; }
  std::uint64_t close_code () const { return close_code_; }
  std::size_t unconsumed_bytes () const;  // received, and consume() was not called
  std::size_t unconsumed_bytes (StreamId id) const;
  std::uint64_t datagrams_sent () const { return datagrams_sent_; }
  std::size_t open_streams () const { return streams_.size (); }
  // As if the peer's session had sent it; for hostile input.
  void inject_stream_data (StreamId id, ByteView bytes, bool fin);
  void inject_datagram (ByteView bytes);

 private:
  struct Half {
    std::deque<Ref<GBytes>> queue;
    std::size_t queue_offset = 0, unsent = 0;
    std::size_t credit = 0;  // what the peer allows to be sent now
    bool fin_queued = false, fin_sent = false, reset = false;
    std::size_t unconsumed = 0;
    bool received_all = false;
    TimeUs last_arrival = 0;
  };
  Half *find (StreamId id);
  Half &make (StreamId id);
  void later (TimeUs delay, std::function<void (FakeTransport &)> work);
  void to_peer (StreamId id, std::function<void (FakeTransport &)> work);
  void pump (StreamId id);
  void send_piece (StreamId id);
  void receive (StreamId id, const Ref<GBytes> &bytes, bool fin);
  void maybe_closed (StreamId id);

  Scheduler &scheduler_;
  FakeNetwork network_;
  const bool client_;
  bool ready_ = false, closed_ = false;
  std::uint64_t close_code_ = 0;
  Observer *observer_ = nullptr;
  std::weak_ptr<FakeTransport> peer_;
  std::map<StreamId, Half> streams_;
  std::uint64_t next_stream_ = 0, own_open_ = 0;
  bool blocked_ = false;
  std::size_t datagrams_in_flight_ = 0;
  std::uint64_t datagrams_sent_ = 0, datagrams_dropped_ = 0;
  std::mt19937 random_;
  std::map<std::uint64_t, std::unique_ptr<Scheduler::Timer>> events_;
  std::uint64_t next_event_ = 0;
};

}  // namespace p2p::test
