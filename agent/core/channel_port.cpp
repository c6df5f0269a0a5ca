#include "core/channel_port.hpp"

#include <algorithm>

namespace p2p {

namespace {

// Wakes the waiters of a port when the cancellable is cancelled. Made and destroyed unlocked:
// connecting may call back at once, and disconnecting waits for a running callback.
class CancelWatch {
 public:
  CancelWatch (GCancellable *cancellable, std::mutex &mutex, std::condition_variable &changed)
      : cancellable_ (cancellable), mutex_ (mutex), changed_ (changed) {
    if (cancellable_)
      id_ = g_cancellable_connect (cancellable_, G_CALLBACK (cancelled), this, nullptr);
  }
  ~CancelWatch () {
    if (cancellable_) g_cancellable_disconnect (cancellable_, id_);
  }
  CancelWatch (const CancelWatch &) = delete;
  CancelWatch &operator= (const CancelWatch &) = delete;

 private:
  static void cancelled (GCancellable *, gpointer data) {
    auto *self = static_cast<CancelWatch *> (data);
    // Under the lock, so that it cannot fall between a waiter's look and its wait.
    const std::lock_guard lock (self->mutex_);
    self->changed_.notify_all ();
  }

  GCancellable *cancellable_;
  std::mutex &mutex_;
  std::condition_variable &changed_;
  gulong id_ = 0;
};

bool
would_block (const Status &status) {
  return status && status->code == P2P_ERROR_WOULD_BLOCK;
}

template <class T>
bool
would_block (const Result<T> &result) {
  return !result && result.error ().code == P2P_ERROR_WOULD_BLOCK;
}

Error
closed_here (const std::string &name) {
  return {P2P_ERROR_CLOSED, "The channel \"" + name + "\" was closed on this side."};
}

}  // namespace

ChannelPort::ChannelPort (std::string name, const ChannelOptions &options,
                          std::uint64_t max_message_bytes, Opener opener)
    : name_ (std::move (name)),
      options_ (options),
      opener_ (opener),
      max_message_bytes_ (max_message_bytes) {}

ChannelOptions
ChannelPort::options () const {
  const std::lock_guard lock (mutex_);
  return options_;
}

bool
ChannelPort::take_over (const ChannelOptions &options) {
  const std::lock_guard lock (mutex_);
  const bool began = accepted_ > 0 || end_asked_;
  if (std::exchange (opener_, Opener::application) == Opener::application || began) return false;
  options_ = options;
  return true;
}

void
ChannelPort::notify (std::condition_variable *changed, Lock lock) {
  const auto activity = activity_;
  // Unlocked first: who is woken wants the lock.
  lock.unlock ();
  if (changed != &outgoing_changed_) incoming_changed_.notify_all ();
  if (changed != &incoming_changed_) outgoing_changed_.notify_all ();
  if (activity) activity ();
}

void
ChannelPort::ask_for_turn (Lock lock) {
  if (turn_asked_ || !turn_) return;
  // The core looks for what was taken by itself while a message was delivered not long ago.
  const bool taken_due =
      !confirmed_ahead_.empty () ||
      (!taken_.empty () && (!taken_watched_ || taken_bytes_ >= kTakenBytesPerTurn));
  if (outgoing_.empty () && !end_asked_ && !close_asked_ && !taken_due) return;
  turn_asked_ = true;
  const auto turn = turn_;
  lock.unlock ();
  turn ();
}

template <class Attempt>
auto
ChannelPort::retry (std::condition_variable &changed, GCancellable *cancellable, bool *cancelled,
                    Attempt attempt) {
  *cancelled = false;
  {
    // Most calls need not wait, and a watch costs more than the rest of them.
    Lock lock (mutex_);
    auto answer = attempt ();
    if (!would_block (answer)) {
      ask_for_turn (std::move (lock));
      return answer;
    }
  }
  const CancelWatch watch (cancellable, mutex_, changed);
  Lock lock (mutex_);
  for (;;) {
    if (g_cancellable_is_cancelled (cancellable)) *cancelled = true;
    auto answer = attempt ();
    if (!would_block (answer)) {
      *cancelled = false;
      ask_for_turn (std::move (lock));
      return answer;
    }
    if (*cancelled) return answer;
    changed.wait (lock);
  }
}

Status
ChannelPort::send_locked (const Message &message) {
  if (closed_) return closed_;
  if (close_asked_) return closed_here (name_);
  if (end_asked_)
    return Error{P2P_ERROR_CLOSED,
                 "The channel \"" + name_ + "\" was ended on this side; open it again to send."};
  const std::uint64_t size = g_bytes_get_size (message.payload.get ());
  if (size > max_message_bytes_)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE, "A message of " + std::to_string (size) +
                                                  " bytes is above the limit of " +
                                                  std::to_string (max_message_bytes_) +
                                                  " bytes; send it through the channel's stream."};
  const std::uint64_t waiting = outgoing_bytes_ + buffered_bytes_;
  if (waiting > 0 && waiting + message_cost (message) > options_.max_buffered_bytes)
    return Error{P2P_ERROR_WOULD_BLOCK, "The channel \"" + name_ + "\" has no room now."};
  outgoing_.push_back (message);
  outgoing_bytes_ += message_cost (message);
  ++accepted_;
  return {};
}

Status
ChannelPort::try_send (const Message &message, std::uint64_t *ticket) {
  Lock lock (mutex_);
  Status status = send_locked (message);
  if (ticket) *ticket = accepted_;
  ask_for_turn (std::move (lock));
  return status;
}

Status
ChannelPort::kept_locked (std::uint64_t ticket) const {
  if (!options_.durable || kept_ >= ticket) return {};
  if (closed_) return closed_;
  if (close_asked_) return closed_here (name_);
  return Error{P2P_ERROR_WOULD_BLOCK, "The message is not durable yet."};
}

Status
ChannelPort::try_kept (std::uint64_t ticket) const {
  const std::lock_guard lock (mutex_);
  return kept_locked (ticket);
}

Status
ChannelPort::send (const Message &message, GCancellable *cancellable, bool *cancelled) {
  std::uint64_t ticket = 0;
  Status status = retry (outgoing_changed_, cancellable, cancelled, [&] {
    Status sent = send_locked (message);
    ticket = accepted_;
    return sent;
  });
  if (status || !options ().durable) return status;
  return retry (outgoing_changed_, cancellable, cancelled, [&] { return kept_locked (ticket); });
}

void
ChannelPort::confirm (std::uint64_t seq) {
  Lock lock (mutex_);
  bool here = false;
  unconfirmed_.remove_if ([&] (Message &message) {
    if (message.seq != seq && !(options_.ordered && message.seq < seq)) return false;
    here |= message.seq == seq;
    taken_bytes_ += message_cost (message);
    taken_.push_back (std::move (message));
    return true;
  });
  if (!here && options_.ordered && !confirmed_ahead_.empty ())
    confirmed_ahead_.back () = std::max (confirmed_ahead_.back (), seq);
  else if (!here && confirmed_ahead_.size () < kMaxConfirmedAhead)
    confirmed_ahead_.push_back (seq);
  ask_for_turn (std::move (lock));
}

Result<std::uint64_t>
ChannelPort::resume_seq () const {
  const std::lock_guard lock (mutex_);
  if (resume_seq_) return *resume_seq_;
  if (closed_) return *closed_;
  if (attached_ && !restored_)
    return Error{P2P_ERROR_NOT_FOUND,
                 "The channel \"" + name_ + "\" is new: its first message has number 0."};
  return Error{P2P_ERROR_WOULD_BLOCK,
               "Where channel \"" + name_ + "\" goes on is known when the peer is there."};
}

Result<Message>
ChannelPort::receive_locked () {
  if (!incoming_.empty () && !close_asked_) {
    Message message = std::move (incoming_.front ());
    incoming_.pop_front ();
    incoming_bytes_ -= message_cost (message);
    if (options_.manual_confirm) {
      unconfirmed_.push_back (message);
      return message;
    }
    taken_bytes_ += message_cost (message);
    taken_.push_back (message);
    return message;
  }
  if (close_asked_) return closed_here (name_);
  if (ended_by_peer_)
    return Error{P2P_ERROR_END_OF_STREAM, "The peer has ended the channel \"" + name_ + "\"."};
  if (closed_) return *closed_;
  return Error{P2P_ERROR_WOULD_BLOCK, "The channel \"" + name_ + "\" has no message now."};
}

Result<Message>
ChannelPort::try_receive () {
  Lock lock (mutex_);
  Result<Message> message = receive_locked ();
  ask_for_turn (std::move (lock));
  return message;
}

Result<Message>
ChannelPort::receive (GCancellable *cancellable, bool *cancelled) {
  return retry (incoming_changed_, cancellable, cancelled, [&] { return receive_locked (); });
}

Status
ChannelPort::flush_locked () const {
  if (outgoing_.empty () && flushed_) return {};
  if (closed_) return closed_;
  if (close_asked_) return closed_here (name_);
  return Error{P2P_ERROR_WOULD_BLOCK, "The channel \"" + name_ + "\" still has data to send."};
}

Status
ChannelPort::try_flush () {
  const std::lock_guard lock (mutex_);
  return flush_locked ();
}

Status
ChannelPort::flush (GCancellable *cancellable, bool *cancelled) {
  return retry (outgoing_changed_, cancellable, cancelled, [&] { return flush_locked (); });
}

void
ChannelPort::end () {
  Lock lock (mutex_);
  if (end_asked_) return;
  end_asked_ = true;
  flushed_ = false;  // the end itself has to arrive as well
  ask_for_turn (std::move (lock));
}

void
ChannelPort::close () {
  Lock lock (mutex_);
  close_asked_ = true;
  outgoing_.clear ();
  outgoing_bytes_ = 0;
  incoming_.clear ();
  incoming_bytes_ = 0;
  unconfirmed_.clear ();
  incoming_changed_.notify_all ();
  outgoing_changed_.notify_all ();
  const auto activity = activity_;
  ask_for_turn (std::move (lock));
  if (activity) activity ();
}

bool
ChannelPort::is_open () const {
  const std::lock_guard lock (mutex_);
  return !closed_ && !close_asked_;
}

ChannelStats
ChannelPort::stats () const {
  const std::lock_guard lock (mutex_);
  ChannelStats stats = stats_;
  stats.buffered_bytes = outgoing_bytes_ + buffered_bytes_;
  return stats;
}

std::size_t
ChannelPort::incoming_bytes () const {
  const std::lock_guard lock (mutex_);
  return incoming_bytes_;
}

std::uint64_t
ChannelPort::waiting_bytes () const {
  const std::lock_guard lock (mutex_);
  return outgoing_bytes_ + buffered_bytes_;
}

std::uint64_t
ChannelPort::max_message_bytes () const {
  const std::lock_guard lock (mutex_);
  return max_message_bytes_;
}

void
ChannelPort::set_activity (std::function<void ()> activity) {
  const std::lock_guard lock (mutex_);
  activity_ = std::move (activity);
}

}  // namespace p2p
