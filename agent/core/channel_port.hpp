// Where application threads and the core meet: the two bounded queues of one channel. Everything
// here is thread-safe, and nothing here waits for the core thread. The core's side is
// ChannelPump (channel_pump.hpp).
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/fifo.hpp"
#include "session/session.hpp"

namespace p2p {

// So much of what was taken is told to the core at once: well below what throttles a receiver.
constexpr std::uint64_t kTakenBytesPerTurn = 256 * 1024;
// Numbers of an unordered channel that were confirmed without their messages, until the core looks;
// a message whose number finds no room comes again, with the same number.
constexpr std::size_t kMaxConfirmedAhead = 65536;

class ChannelPort {
 public:
  enum class Opener { application, peer };
  // Lengths above `max_message_bytes` are refused until the peer has told its own limit.
  ChannelPort (std::string name, const ChannelOptions &options, std::uint64_t max_message_bytes,
               Opener opener = Opener::application);

  const std::string &name () const { return name_; }
  ChannelOptions options () const;
  // The application opens what the peer has opened: from now on its own options hold. False when
  // they cannot any more, because it has opened it before, or sent something.
  bool take_over (const ChannelOptions &options);

  // Queues the message; P2P_ERROR_WOULD_BLOCK while max_buffered_bytes are waiting already.
  // `ticket` is for try_kept().
  Status try_send (const Message &message, std::uint64_t *ticket = nullptr);
  // Whether that message, and so all before it, is durable, on a durable channel; at once on
  // others.
  Status try_kept (std::uint64_t ticket) const;
  // Waits for room and, on a durable channel, until the message is durable. `cancelled` is set when
  // the wait ended by the cancellable.
  Status send (const Message &message, GCancellable *cancellable, bool *cancelled);
  // The next message; P2P_ERROR_WOULD_BLOCK when there is none yet, P2P_ERROR_END_OF_STREAM after
  // the last one, the channel's error once it was closed and everything received was taken.
  Result<Message> try_receive ();
  Result<Message> receive (GCancellable *cancellable, bool *cancelled);
  // With manual_confirm: the application has the effect of that message and of all before it
  // (ordered), or of that one; also of one that this process has not received.
  void confirm (std::uint64_t seq);
  // The number of the next message of a restored channel; P2P_ERROR_NOT_FOUND where it is not
  // restored, P2P_ERROR_WOULD_BLOCK before either is known.
  Result<std::uint64_t> resume_seq () const;
  // Nothing waits to be sent or confirmed any more; P2P_ERROR_WOULD_BLOCK otherwise.
  Status try_flush ();
  Status flush (GCancellable *cancellable, bool *cancelled);
  void end ();    // no more messages from us; the peer sees the end after the last one
  void close ();  // both directions, now; waiting calls return P2P_ERROR_CLOSED
  bool is_open () const;

  ChannelStats stats () const;           // as of the core's last turn
  std::size_t incoming_bytes () const;   // received and not yet taken
  std::uint64_t waiting_bytes () const;  // sent and not yet confirmed
  std::uint64_t max_message_bytes () const;

  // Called, from any thread and with no lock held, whenever one of the try_ calls may have a new
  // answer. Replaces the one before; an empty function removes it.
  void set_activity (std::function<void ()> activity);

 private:
  friend class ChannelPump;
  using Lock = std::unique_lock<std::mutex>;

  template <class Attempt>
  auto retry (std::condition_variable &changed, GCancellable *cancellable, bool *cancelled,
              Attempt attempt);
  Status send_locked (const Message &message);
  Result<Message> receive_locked ();
  Status flush_locked () const;
  Status kept_locked (std::uint64_t ticket) const;
  // These take the lock and give it back open: what they call must not run under it.
  void notify (std::condition_variable *changed, Lock lock);  // null: everybody
  void ask_for_turn (Lock lock);

  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable incoming_changed_, outgoing_changed_;
  // All below is guarded by mutex_.
  ChannelOptions options_;
  Opener opener_;
  Fifo<Message> outgoing_, incoming_;
  Fifo<Message> taken_;                    // by the application, to be confirmed by the core
  Fifo<Message> unconfirmed_;              // taken, with manual_confirm
  Fifo<std::uint64_t> confirmed_ahead_;    // by their numbers, of what never came here
  std::uint64_t accepted_ = 0, kept_ = 0;  // messages: taken from the application, and durable
  std::uint64_t passed_ = 0;               // to the session
  bool restored_ = false, attached_ = false;
  std::optional<std::uint64_t> resume_seq_;
  std::uint64_t outgoing_bytes_ = 0, incoming_bytes_ = 0, taken_bytes_ = 0;
  std::uint64_t buffered_bytes_ = 0;  // what the session holds for us
  std::uint64_t max_message_bytes_;
  bool end_asked_ = false, close_asked_ = false, ended_by_peer_ = false;
  bool flushed_ = true;  // as far as the session knows
  Status closed_;
  ChannelStats stats_;
  std::function<void ()> activity_;
  std::function<void ()> turn_;  // posts the core's turn
  bool turn_asked_ = false;
  bool taken_watched_ = false;  // the core will look into taken_ before long
};

}  // namespace p2p
