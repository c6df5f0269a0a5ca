#include "channel_tasks.hpp"

#include "boxes.hpp"

namespace p2p {

ChannelTasks::~ChannelTasks () {
  port_->set_activity ({});
}

std::shared_ptr<PendingTask>
ChannelTasks::pend (Ref<GTask> task) {
  return PendingTask::create (std::move (task), [weak = weak_from_this ()] {
    if (const auto self = weak.lock ()) self->drop_ended ();
  });
}

void
ChannelTasks::send (Ref<GTask> task, Message message) {
  add (outgoing_, {Operation::Kind::send, pend (std::move (task)), std::move (message), 0});
}

void
ChannelTasks::flush (Ref<GTask> task) {
  add (outgoing_, {Operation::Kind::flush, pend (std::move (task)), {}, 0});
}

void
ChannelTasks::end () {
  add (outgoing_, {Operation::Kind::end, nullptr, {}, 0});
}

void
ChannelTasks::receive (Ref<GTask> task) {
  add (incoming_, {Operation::Kind::receive, pend (std::move (task)), {}, 0});
}

std::shared_ptr<SourceAlarm>
ChannelTasks::alarm () {
  listen ();
  return alarm_;
}

void
ChannelTasks::add (Queue &queue, Operation operation) {
  listen ();
  {
    const std::lock_guard lock (mutex_);
    queue.push_back (std::move (operation));
  }
  pump ();
}

// Listening begins with the first use, so that blocking callers pay nothing for it.
void
ChannelTasks::listen () {
  std::call_once (listening_, [this] {
    port_->set_activity ([weak = weak_from_this ()] {
      const auto self = weak.lock ();
      if (!self) return;
      self->alarm_->ring ();
      self->pump ();
    });
  });
}

void
ChannelTasks::pump () {
  {
    const std::lock_guard lock (mutex_);
    again_ = true;
    if (pumping_) return;
    pumping_ = true;
  }
  for (;;) {
    {
      const std::lock_guard lock (mutex_);
      if (!again_) {
        pumping_ = false;
        return;
      }
      again_ = false;
    }
    pump_queue (outgoing_);
    pump_queue (unkept_);
    pump_queue (incoming_);
  }
}

void
ChannelTasks::pump_queue (Queue &queue) {
  for (;;) {
    std::optional<Operation> front;
    {
      const std::lock_guard lock (mutex_);
      if (queue.empty ()) return;
      front = std::move (queue.front ());
      queue.pop_front ();
    }
    if (attempt (*front)) continue;
    const std::lock_guard lock (mutex_);
    queue.push_front (std::move (*front));
    return;
  }
}

// False when the operation has to wait on.
bool
ChannelTasks::attempt (Operation &operation) {
  if (operation.kind == Operation::Kind::end) {
    port_->end ();
    return true;
  }
  if (!operation.task->claim ()) return true;
  if (operation.kind == Operation::Kind::receive) {
    Result<Message> message = port_->try_receive ();
    if (message.ok ()) {
      operation.task->finish ([message = std::move (message.value ())] (GTask *task) {
        g_task_return_pointer (task, message_box_new (message),
                               reinterpret_cast<GDestroyNotify> (p2p_message_unref));
      });
      return true;
    }
    if (message.error ().code == P2P_ERROR_WOULD_BLOCK) {
      operation.task->release ();
      return operation.task->ended ();
    }
    operation.task->finish ([error = message.error ()] (GTask *task) {
      g_task_return_error (task, error.to_gerror ());
    });
    return true;
  }
  Status status;
  if (operation.kind == Operation::Kind::flush)
    status = port_->try_flush ();
  else if (operation.kind == Operation::Kind::keep)
    status = port_->try_kept (operation.ticket);
  else
    status = port_->try_send (operation.message, &operation.ticket);
  if (!status && operation.kind == Operation::Kind::send && port_->options ().durable) {
    // The next ones need not wait until it is durable.
    operation.task->release ();
    const std::lock_guard lock (mutex_);
    unkept_.push_back ({Operation::Kind::keep, operation.task, {}, operation.ticket});
    again_ = true;
    return true;
  }
  if (status && status->code == P2P_ERROR_WOULD_BLOCK) {
    operation.task->release ();
    return operation.task->ended ();
  }
  operation.task->finish ([status] (GTask *task) {
    if (status)
      g_task_return_error (task, status->to_gerror ());
    else
      g_task_return_boolean (task, TRUE);
  });
  return true;
}

void
ChannelTasks::drop_ended () {
  {
    const std::lock_guard lock (mutex_);
    for (Queue *queue : {&outgoing_, &unkept_, &incoming_})
      queue->remove_if (
          [] (const Operation &operation) { return operation.task && operation.task->ended (); });
  }
  pump ();
}

}  // namespace p2p
