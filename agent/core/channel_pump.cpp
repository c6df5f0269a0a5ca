#include "core/channel_pump.hpp"

#include <algorithm>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

constexpr TimeUs kTakenWatch = 5 * kMillisecond;
constexpr std::uint64_t kRoomPart = 4;  // of the buffer is free before a waiting sender is woken

}  // namespace

ChannelPump::ChannelPump (std::shared_ptr<ChannelPort> port)
    : port_ (std::move (port)),
      turn_end_ (core_loop ().scheduler ().make_timer ([this] {
        readers_woken_ = false;
        if (std::exchange (readers_wait_, false)) wake_readers ();
      })),
      taken_watch_ (core_loop ().scheduler ().make_timer ([this] {
        {
          const std::lock_guard lock (port_->mutex_);
          port_->taken_watched_ = false;
        }
        confirm_taken ();
      })) {}

ChannelPump::~ChannelPump () {
  const std::lock_guard lock (port_->mutex_);
  port_->turn_ = nullptr;
}

void
ChannelPump::start () {
  const std::lock_guard lock (port_->mutex_);
  port_->turn_ = [weak = weak_from_this ()] {
    core_loop ().post ([weak] {
      if (const auto self = weak.lock ()) self->turn ();
    });
  };
}

void
ChannelPump::restored () {
  const std::lock_guard lock (port_->mutex_);
  port_->restored_ = true;
}

void
ChannelPump::attach (Channel &channel, std::uint64_t peer_limit_bytes) {
  channel_ = &channel;
  {
    const std::lock_guard lock (port_->mutex_);
    port_->max_message_bytes_ = peer_limit_bytes;
    port_->attached_ = true;
  }
  turn ();
}

bool
ChannelPump::close_asked () const {
  const std::lock_guard lock (port_->mutex_);
  return port_->close_asked_;
}

void
ChannelPump::confirm_taken () {
  const auto keep = shared_from_this ();
  Fifo<Message> taken;
  Fifo<std::uint64_t> ahead;
  {
    const std::lock_guard lock (port_->mutex_);
    taken.swap (port_->taken_);
    port_->taken_bytes_ = 0;
    if (channel_) ahead.swap (port_->confirmed_ahead_);
  }
  // An application that takes on is watched on; one that rests will ask for a turn.
  if (!taken.empty ()) watch_taken ();
  for (const Message &message : taken)
    if (channel_) channel_->consumed (message);
  for (const std::uint64_t seq : ahead)
    if (channel_) (void)channel_->confirm (seq);
}

// When nobody looks into it later, or it is much.
void
ChannelPump::confirm_taken_if_due () {
  {
    const std::lock_guard lock (port_->mutex_);
    if (port_->taken_watched_ && port_->taken_bytes_ < kTakenBytesPerTurn &&
        port_->confirmed_ahead_.empty ())
      return;
  }
  confirm_taken ();
}

void
ChannelPump::watch_taken () {
  {
    const std::lock_guard lock (port_->mutex_);
    if (std::exchange (port_->taken_watched_, true)) return;
  }
  Scheduler &scheduler = core_loop ().scheduler ();
  taken_watch_->arm (scheduler.now () + kTakenWatch);
}

void
ChannelPump::send_outgoing () {
  while (channel_) {
    Message message;
    {
      const std::lock_guard lock (port_->mutex_);
      if (port_->outgoing_.empty ()) break;
      message = port_->outgoing_.front ();
    }
    Result<bool> sent = channel_->send (message);
    if (!sent) {
      // Only a limit that was not known when the application sent can get here.
      Channel *channel = std::exchange (channel_, nullptr);
      channel->close ();
      closed (sent.error ());
      return;
    }
    if (!*sent) return;
    const std::uint64_t buffered = channel_->stats ().buffered_bytes;
    const std::lock_guard lock (port_->mutex_);
    if (port_->outgoing_.empty ()) continue;  // the port was closed meanwhile
    const std::uint64_t waiting = port_->outgoing_bytes_ + port_->buffered_bytes_;
    port_->outgoing_.pop_front ();
    ++port_->passed_;
    port_->outgoing_bytes_ -= message_cost (message);
    port_->buffered_bytes_ = buffered;
    room_made_ |= port_->outgoing_bytes_ + buffered < waiting;
    port_->flushed_ = false;
  }
}

void
ChannelPump::turn () {
  // The session may call back from inside of a turn; a nested one would send a message twice.
  turn_again_ = true;
  if (in_turn_) return;
  const auto keep = shared_from_this ();
  in_turn_ = true;
  while (std::exchange (turn_again_, false)) take_turn ();
  in_turn_ = false;
}

void
ChannelPump::take_turn () {
  bool close_asked, end_asked;
  {
    const std::lock_guard lock (port_->mutex_);
    port_->turn_asked_ = false;
    close_asked = port_->close_asked_;
    end_asked = port_->end_asked_;
  }
  if (!channel_) return;
  if (close_asked) {
    confirm_taken ();
    if (!channel_) return;
    std::exchange (channel_, nullptr)->close ();
    return;
  }
  confirm_taken_if_due ();
  send_outgoing ();
  if (!channel_) return;
  bool drained;
  {
    const std::lock_guard lock (port_->mutex_);
    drained = port_->outgoing_.empty ();
  }
  if (end_asked && drained && !end_sent_) {
    end_sent_ = true;
    channel_->finish ();
  }
  channel_->push_out ();
  publish ();
}

void
ChannelPump::publish () {
  if (!channel_) return;
  const ChannelStats stats = channel_->stats ();
  const bool flushed = channel_->flushed ();
  const std::uint64_t unkept = channel_->unkept_messages ();
  const std::optional<std::uint64_t> resume_seq = channel_->resume_seq ();
  ChannelPort::Lock lock (port_->mutex_);
  const std::uint64_t kept = port_->passed_ - std::min (port_->passed_, unkept);
  const bool more_kept = port_->options_.durable && kept > port_->kept_;
  const bool placed = resume_seq && !port_->resume_seq_;
  port_->kept_ = kept;
  port_->resume_seq_ = resume_seq;
  port_->stats_ = stats;
  room_made_ |= stats.buffered_bytes < port_->buffered_bytes_;
  port_->buffered_bytes_ = stats.buffered_bytes;
  const bool was_flushed =
      std::exchange (port_->flushed_, flushed && (end_sent_ || !port_->end_asked_));
  // Whoever waits for room is woken for a good part of it at once, and not for every message.
  const std::uint64_t waiting = port_->outgoing_bytes_ + stats.buffered_bytes;
  const std::uint64_t most = port_->options_.max_buffered_bytes;
  const bool room = room_made_ && waiting <= most - most / kRoomPart;
  if (!room && !more_kept && !placed && (was_flushed || !port_->flushed_)) return;
  room_made_ = false;
  port_->notify (&port_->outgoing_changed_, std::move (lock));
}

void
ChannelPump::received (Message message) {
  ChannelPort::Lock lock (port_->mutex_);
  if (port_->close_asked_) return;
  port_->incoming_bytes_ += message_cost (message);
  port_->incoming_.push_back (std::move (message));
  if (channel_) port_->stats_ = channel_->stats ();
  const TimeUs now = core_loop ().scheduler ().now ();
  if (!std::exchange (port_->taken_watched_, true)) taken_watch_->arm (now + kTakenWatch);
  if (std::exchange (readers_woken_, true)) {
    readers_wait_ = true;
    return;
  }
  turn_end_->arm (now);
  port_->notify (&port_->incoming_changed_, std::move (lock));
}

void
ChannelPump::wake_readers () {
  port_->notify (&port_->incoming_changed_, ChannelPort::Lock (port_->mutex_));
}

void
ChannelPump::ended_by_peer () {
  ChannelPort::Lock lock (port_->mutex_);
  port_->ended_by_peer_ = true;
  port_->notify (nullptr, std::move (lock));
}

void
ChannelPump::closed (const Status &reason) {
  if (channel_) publish ();
  channel_ = nullptr;
  ChannelPort::Lock lock (port_->mutex_);
  if (!port_->closed_)
    port_->closed_ =
        reason ? *reason
               : Error{P2P_ERROR_CLOSED, "The channel \"" + port_->name_ + "\" is closed."};
  port_->notify (nullptr, std::move (lock));
}

}  // namespace p2p
