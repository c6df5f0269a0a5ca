// The asynchronous side of a channel: pending sends, flushes and receives, each in order, moved on
// whenever the port says that something may have changed. Thread-safe.
#pragma once
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/channel_port.hpp"
#include "pending_task.hpp"

namespace p2p {

class ChannelTasks : public std::enable_shared_from_this<ChannelTasks> {
 public:
  explicit ChannelTasks (std::shared_ptr<ChannelPort> port) : port_ (std::move (port)) {}
  ~ChannelTasks ();

  void send (Ref<GTask> task, Message message);
  void flush (Ref<GTask> task);  // after the sends that wait already
  void end ();                   // the same
  void receive (Ref<GTask> task);

  // A source whose ready time is set to "now" whenever the channel may have become readable or
  // writable. Unwatched from its dispose function.
  void watch (GSource *source);
  void unwatch (GSource *source);

 private:
  struct Operation {
    enum class Kind { send, flush, end, receive } kind;
    std::shared_ptr<PendingTask> task;  // null for end
    Message message;
  };
  using Queue = std::deque<Operation>;

  std::shared_ptr<PendingTask> pend (Ref<GTask> task);
  void add (Queue &queue, Operation operation);
  void activity ();
  void pump ();
  void pump_queue (Queue &queue);
  bool attempt (Operation &operation);
  void drop_ended ();

  const std::shared_ptr<ChannelPort> port_;
  std::mutex mutex_;
  // All below is guarded by mutex_. Only the one thread that set pumping_ takes from the queues.
  Queue outgoing_, incoming_;
  std::vector<GSource *> watchers_;
  bool listening_ = false, pumping_ = false, again_ = false;
};

}  // namespace p2p
