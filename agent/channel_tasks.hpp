// The asynchronous side of a channel: pending sends, flushes and receives, each in order, moved on
// whenever the port says that something may have changed. Thread-safe.
#pragma once
#include <memory>
#include <mutex>
#include <optional>

#include "base/fifo.hpp"
#include "core/channel_port.hpp"
#include "pending_task.hpp"
#include "source_alarm.hpp"

namespace p2p {

class ChannelTasks : public std::enable_shared_from_this<ChannelTasks> {
 public:
  explicit ChannelTasks (std::shared_ptr<ChannelPort> port) : port_ (std::move (port)) {}
  ~ChannelTasks ();

  void send (Ref<GTask> task, Message message);
  void flush (Ref<GTask> task);  // after the sends that wait already
  void end ();                   // the same
  void receive (Ref<GTask> task);

  // Rings whenever the channel may have become readable or writable.
  std::shared_ptr<SourceAlarm> alarm ();

 private:
  struct Operation {
    enum class Kind { send, keep, flush, end, receive } kind;
    std::shared_ptr<PendingTask> task;  // null for end
    Message message;
    std::uint64_t ticket = 0;  // of a message that was sent and is to be durable
  };
  using Queue = Fifo<Operation>;

  std::shared_ptr<PendingTask> pend (Ref<GTask> task);
  void add (Queue &queue, Operation operation);
  void listen ();
  void pump ();
  void pump_queue (Queue &queue);
  bool attempt (Operation &operation);
  void drop_ended ();

  const std::shared_ptr<ChannelPort> port_;
  const std::shared_ptr<SourceAlarm> alarm_ = std::make_shared<SourceAlarm> ();
  std::once_flag listening_;
  std::mutex mutex_;
  // All below is guarded by mutex_. Only the one thread that set pumping_ takes from the queues.
  Queue outgoing_, unkept_, incoming_;
  bool pumping_ = false, again_ = false;
};

}  // namespace p2p
