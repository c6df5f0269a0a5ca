// Where application threads and the core meet: the two bounded queues of one channel. Everything
// here is thread-safe, and nothing here waits for the core thread. The core's side is in
// ChannelPortCore (channel_port_core.hpp).
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.hpp"
#include "session/session.hpp"

namespace p2p {

class ChannelPort : public std::enable_shared_from_this<ChannelPort> {
 public:
  ChannelPort (std::string name, const ChannelOptions &options);

  const std::string &name () const { return name_; }
  ChannelOptions options () const;

  // Queues the message; P2P_ERROR_WOULD_BLOCK while max_buffered_bytes are waiting already.
  Status try_send (const Message &message);
  // The same, but waits for room. G_IO_ERROR_CANCELLED is reported as `cancelled`.
  Status send (const Message &message, GCancellable *cancellable, bool *cancelled);
  // The next message; P2P_ERROR_WOULD_BLOCK when there is none yet, P2P_ERROR_END_OF_STREAM after
  // the last one, the channel's error after it was closed otherwise.
  Result<Message> try_receive ();
  Result<Message> receive (GCancellable *cancellable, bool *cancelled);
  // Nothing is waiting to be sent or to be confirmed any more; P2P_ERROR_WOULD_BLOCK otherwise.
  Status try_flush ();
  Status flush (GCancellable *cancellable, bool *cancelled);
  void end ();    // no more messages from us; the peer sees the end after the last one
  void close ();  // both directions, now; waiting calls return P2P_ERROR_CLOSED
  bool is_open () const;
  // From the last turn of the core; queue figures are current.
  ChannelStats stats () const;
  std::size_t incoming_bytes () const;
  // Messages that were refused by drop_message, counted for stats.
  std::uint64_t progress () const;  // grows whenever the peer takes something: for bounded flushes

  // Called, from any thread and with no lock held, whenever one of the try_ calls may have a new
  // answer. Replaces the one before; an empty function removes it.
  void set_activity (std::function<void ()> activity);

 private:
  friend class ChannelPortCore;
  using Lock = std::unique_lock<std::mutex>;

  Status send_locked (const Message &message);
  Result<Message> receive_locked ();
  Status flush_locked () const;
  Status wait (Lock &lock, GCancellable *cancellable, bool *cancelled,
               const std::function<bool ()> &ready);
  void notify (Lock &lock);  // wakes waiters, then calls the activity function, unlocked
  void kick (Lock &lock);    // asks the core for a turn, once until it has had it

  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All below is guarded by mutex_.
  ChannelOptions options_;
  std::deque<Message> outgoing_, incoming_;
  std::deque<Message> consumed_;  // taken by the application, to be confirmed by the core
  std::size_t outgoing_bytes_ = 0, incoming_bytes_ = 0;
  std::uint64_t buffered_bytes_ = 0;  // what the session holds for us
  std::uint64_t peer_limit_bytes_;    // the longest message that the peer takes
  bool end_asked_ = false, close_asked_ = false, ended_by_peer_ = false, flushed_ = true;
  Status closed_;
  ChannelStats stats_;
  std::uint64_t progress_ = 0;
  std::function<void ()> activity_;
  std::function<void ()> core_turn_;  // posts the core's turn
  bool kicked_ = false;
};

}  // namespace p2p
