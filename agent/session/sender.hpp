// The sending direction of a channel: accepts messages, puts them onto the transport in bounded
// amounts, and keeps what may have to be sent again.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/fifo.hpp"
#include "base/packed_memory.hpp"
#include "session/wire.hpp"

namespace p2p {

// Bytes of one channel that lie unsent in the transport: enough for a burst, little enough for
// the messages of other channels to get in between.
constexpr std::size_t kMaxUnsentBytes = 1024 * 1024;
// Message streams of one channel at once; the peer's limit is for all of its channels together.
constexpr std::size_t kMaxMessageStreams = 64;

inline ByteView
view_of (const Ref<GBytes> &bytes) {
  gsize size = 0;
  if (!bytes) return {};
  const void *data = g_bytes_get_data (bytes.get (), &size);
  return {data, size};
}
inline std::uint64_t
bytes_of (const Message &message) {
  return view_of (message.payload).size + view_of (message.attributes).size;
}

// What a sender needs of its session.
class SenderHost {
 public:
  virtual ~SenderHost () = default;
  virtual Transport *transport () = 0;  // null while detached
  virtual Scheduler *scheduler () = 0;  // null before the first attach
  virtual std::optional<StreamId> open_sender_stream (std::uint64_t channel_id, bool message) = 0;
  virtual std::uint64_t register_datagram (std::uint64_t channel_id) = 0;  // answers the tag
  virtual void unregister_datagram (std::uint64_t tag) = 0;
  virtual void sender_wants_pump (std::uint64_t channel_id) = 0;  // from a timer
  virtual void sender_released (std::uint64_t channel_id) = 0;
};

class Sender : public Packed {
 public:
  Sender (SenderHost &host, wire::Open open, ChannelStats &stats);
  virtual ~Sender () = default;
  Sender (const Sender &) = delete;
  Sender &operator= (const Sender &) = delete;

  std::uint64_t id () const { return open_.id; }
  const wire::Open &open () const { return open_; }
  std::optional<StreamId> stream () const { return stream_; }
  // The session's own is flow 0.
  Flow flow () const { return {open_.id + 1, open_.options.priority}; }
  void set_max_buffered_bytes (std::uint64_t bytes) { open_.options.max_buffered_bytes = bytes; }

  bool room () const;
  void push (const Message &message);
  void finish () { finished_ = true; }
  bool finished () const { return finished_; }
  bool ended () const { return ended_; }  // the peer has taken the end
  bool announced () const { return announced_; }
  bool known_by_peer () const { return known_by_peer_; }
  std::uint64_t buffered_bytes () const { return buffered_bytes_; }
  std::uint64_t longest_waiting_bytes () const;  // payload of the longest that is still to be sent

  // A new transport: `known` is what the peer's HELLO says about this direction, or null.
  Status attach (const wire::HelloIncoming *known);
  // Adds what attach() has found must be sent again.
  void count_replay (Session::Replay &replay) const;
  virtual void detach ();
  // Announces the direction and writes as much as is allowed.
  void pump ();
  bool flushed () const { return waiting ().empty () && (!finished_ || ended_); }
  virtual Status confirm (const RangeSet &confirmed) = 0;
  virtual void message_stream_sent (StreamId, std::size_t) {}
  virtual void message_stream_done (StreamId) {}
  virtual void datagram_done (std::uint64_t /*tag*/, bool /*lost*/) {}
  virtual void abandon () {}  // closed: gives up the message streams

  // Of a kept session. Nothing leaves before its item is durable, of a durable one no message
  // before it is durable itself.
  void hold () { held_ = true; }
  void note_captured () { captured_seq_ = next_seq_; }
  void note_kept ();
  bool durable () const { return open_.options.durable; }
  std::uint64_t next_seq () const { return next_seq_; }
  std::uint64_t kept_seq () const { return kept_seq_; }
  virtual std::uint64_t base_seq () const { return 0; }  // all below is confirmed
  void each_uncaptured (const std::function<void (const Message &)> &take) const;
  // From its item; messages follow by push_restored(). One that is not durable knows only from the
  // peer where it was: resume_seq().
  void restore (std::uint64_t base_seq, std::uint64_t next_seq, bool finished, bool ended);
  virtual void push_restored (const Message &message) { push (message); }
  std::optional<std::uint64_t> resume_seq () const { return resume_seq_; }

 protected:
  struct Item {
    Message message;
    bool received = false;   // the peer has it, but its application has not taken it
    bool confirmed = false;  // taken, but an earlier one is not
    bool written = false;
    TimeUs deadline = kNever;
    std::uint64_t tries_left = 0;
  };

  virtual void resume (const wire::HelloIncoming *known) = 0;
  // The first that is still to be sent; the peer may have some up to `peer_end` already.
  virtual void place (std::uint64_t seq, std::uint64_t peer_end);
  virtual void pump_messages () = 0;  // the direction is announced
  virtual std::uint64_t first_seq () const = 0;
  virtual const Fifo<Item> &waiting () const = 0;
  virtual void enqueue (Item item) = 0;
  virtual std::uint64_t held_bytes () const = 0;  // with overhead, for room()
  void write_end_once ();
  void write_message (StreamId stream, const wire::Writer &head, const Message &message, bool fin);
  void release (std::uint64_t bytes);
  void set_ended ();

  SenderHost &host_;
  wire::Open open_;
  ChannelStats &stats_;
  std::optional<StreamId> stream_;
  std::uint64_t next_seq_ = 0;
  std::uint64_t buffered_bytes_ = 0;
  bool finished_ = false, end_written_ = false, end_ever_written_ = false, ended_ = false;
  bool announced_ = false, known_by_peer_ = false;
  bool held_ = false;
  bool restored_ = false, unplaced_ = false;
  std::uint64_t placed_seq_ = 0;  // by what the peer had received when this side was restored
  std::optional<std::uint64_t> resume_seq_;
  std::uint64_t peer_end_ = 0;  // above what the peer has of the time before this process
  std::uint64_t captured_seq_ = 0, kept_seq_ = 0;
};

// Of a channel that is reliable, ordered or not. Keeps each message until the peer's application
// has taken it.
class ReliableSender final : public Sender {
 public:
  using Sender::Sender;
  void detach () override;
  Status confirm (const RangeSet &confirmed) override;
  void message_stream_sent (StreamId stream, std::size_t bytes) override;
  void message_stream_done (StreamId stream) override;
  void abandon () override;
  std::uint64_t base_seq () const override { return base_seq_; }
  void push_restored (const Message &message) override;

 private:
  void resume (const wire::HelloIncoming *known) override;
  void place (std::uint64_t seq, std::uint64_t peer_end) override;
  bool may_leave (const Item &item) const { return !durable () || item.message.seq < kept_seq_; }
  void pump_messages () override;
  void pump_ordered ();
  void pump_unordered ();
  std::uint64_t first_seq () const override;
  const Fifo<Item> &waiting () const override { return items_; }
  void enqueue (Item item) override;
  std::uint64_t held_bytes () const override;

  Fifo<Item> items_;  // in order of sequence numbers, from base_seq_ on
  std::uint64_t base_seq_ = 0;
  std::size_t cursor_ = 0;                                     // the next to write
  std::uint64_t sent_end_ = 0;                                 // above all that was ever written
  std::unordered_map<StreamId, std::size_t> message_streams_;  // to the bytes that are unsent
  std::size_t unsent_bytes_ = 0;
};

// Of a channel that gives up on messages: datagrams where they fit, else a stream that is reset.
class UnreliableSender final : public Sender {
 public:
  UnreliableSender (SenderHost &host, wire::Open open, ChannelStats &stats);
  ~UnreliableSender () override;
  void detach () override;
  Status confirm (const RangeSet &confirmed) override;
  void message_stream_sent (StreamId stream, std::size_t bytes) override;
  void message_stream_done (StreamId stream) override;
  void datagram_done (std::uint64_t tag, bool lost) override;
  void abandon () override;

 private:
  struct StreamItem {
    Item item;
    std::size_t unsent_bytes = 0;
    TimeUs expires = kNever;
  };
  void resume (const wire::HelloIncoming *known) override;
  void pump_messages () override;
  std::uint64_t first_seq () const override { return 0; }
  const Fifo<Item> &waiting () const override { return waiting_; }
  void enqueue (Item item) override;
  std::uint64_t held_bytes () const override { return held_bytes_; }

  enum class Sent { yes, not_now };
  Sent send_first ();
  Sent send_on_stream (Item &item);
  bool send_again (Item item);  // false when it is given up
  void drop (const Item &item, bool was_waiting);
  void unhold (const Item &item);
  void expire ();
  void arm_timer ();
  TimeUs now () const { return host_.scheduler () ? host_.scheduler ()->now () : 0; }

  Fifo<Item> waiting_;                    // in order of sequence numbers
  std::map<std::uint64_t, Item> flying_;  // datagrams by tag
  std::map<StreamId, StreamItem> message_streams_;
  std::uint64_t held_bytes_ = 0;
  TimeUs retry_at_ = kNever;
  std::unique_ptr<Scheduler::Timer> timer_;
};

std::unique_ptr<Sender> make_sender (SenderHost &host, wire::Open open, ChannelStats &stats);

}  // namespace p2p
