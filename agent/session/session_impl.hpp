// The session behind session.hpp. session.cpp is about channels, session_hello.cpp about the hello,
// session_streams.cpp about the bytes of streams, session_events.cpp about the life of streams and
// about datagrams, session_kept.cpp about what outlives the process.
//
// Every way in (a call of the application, of the transport, of a timer) holds an Entry. What a
// call changes only marks channels as dirty; when the outermost Entry ends, settle() does the
// work. So the observer may call anything from inside a callback, and no loop of the session is
// ever entered twice.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "base/fifo.hpp"
#include "base/packed_memory.hpp"
#include "session/memory_codec.hpp"
#include "session/receiver.hpp"
#include "session/sender.hpp"
#include "session/session.hpp"

namespace p2p {

class SessionImpl;

class ChannelImpl final : public Packed, public Channel {
 public:
  ChannelImpl (SessionImpl &session, std::string name, ChannelOptions options);
  const std::string &name () const override { return name_; }
  const ChannelOptions &options () const override { return options_; }
  Result<bool> send (const Message &message) override;
  void push_out () override;
  void finish () override;
  void consumed (const Message &message) override;
  bool flushed () const override;
  std::optional<std::uint64_t> resume_seq () const override;
  bool confirm (std::uint64_t seq) override;
  std::uint64_t unkept_messages () const override;
  bool by_peer () const override;
  void close () override;
  ChannelStats stats () const override;
  ChannelPositions positions () const override;

 private:
  friend class SessionImpl;
  SessionImpl &session_;
  std::string name_;
  ChannelOptions options_;
  ChannelStats stats_;
  std::unique_ptr<Sender> sender_;
  Receiver *receiver_ = nullptr;  // owned by the session, which remembers it longer
  bool dirty_ = false, released_ = false, closing_ = false;
  Status close_reason_;
};

// One stream of the transport, and what was read of it.
struct Stream {
  enum class Kind { unknown, control, channel, message, own_channel, own_message, ignored };
  StreamId id = 0;
  Kind kind = Kind::unknown;
  bool dead = false;  // the session is done with it
  bool fin = false, fin_handled = false;
  bool opened = false;             // channel: OPEN was read
  bool waits_for_open = false;     // message: of a channel that is not known yet
  bool reading = false;            // its bytes are being looked at
  bool listed = false;             // is in one of the lists of paused streams
  bool was_reset = false;          // by the peer
  std::vector<std::uint8_t> head;  // the beginning of a frame whose rest is still to come
  std::vector<std::uint8_t> held;  // bytes that are not read yet, because the stream is paused
  std::size_t held_read = 0;
  std::size_t uncredited_bytes = 0;  // read, and not given back to the window
  std::uint64_t channel_id = 0, seq = 0;
  Assembler assembler;
};

class SessionImpl final : public Packed,
                          public Session,
                          private Transport::Observer,
                          private SenderHost {
 public:
  SessionImpl (const SessionConfig &config, p2p::Session::Observer &observer);
  ~SessionImpl () override;
  void attach (Transport &transport) override;
  void detach () override;
  bool established () const override { return established_; }
  std::uint64_t peer_max_message_bytes () const override { return peer_max_message_bytes_; }
  const SessionConfig &config () const override { return config_; }
  Result<Channel *> open_channel (const std::string &name, const ChannelOptions &options) override;
  std::vector<Channel *> channels () const override;
  bool send_signal (const std::string &text) override;
  Replay last_replay () const override { return replay_; }
  std::uint64_t peer_epoch () const override { return peer_epoch_; }
  void set_keeper (SessionKeeper *keeper) override;
  std::vector<MemoryChange> take_changes () override;
  void changes_kept () override;
  Status restore (const std::vector<MemoryItem> &items);

 private:
  friend class ChannelImpl;
  class Entry {
   public:
    explicit Entry (SessionImpl &session) : session_ (session) { ++session_.depth_; }
    ~Entry () {
      if (session_.depth_ == 1) session_.settle ();
      --session_.depth_;
    }
    Entry (const Entry &) = delete;
    Entry &operator= (const Entry &) = delete;

   private:
    SessionImpl &session_;
  };

  // Transport::Observer
  void transport_ready () override;
  void transport_stream_opened (StreamId id) override;
  void transport_stream_data (StreamId id, ByteView bytes, bool fin) override;
  void transport_stream_reset (StreamId id, std::uint64_t code) override;
  void transport_stream_stopped (StreamId id, std::uint64_t code) override;
  void transport_stream_sent (StreamId id, std::size_t bytes) override;
  void transport_stream_closed (StreamId id) override;
  void transport_streams_available () override;
  void transport_datagram (ByteView bytes) override;
  void transport_datagram_acked (std::uint64_t tag) override;
  void transport_datagram_lost (std::uint64_t tag) override;
  void transport_closed (const Error &error, bool by_peer, std::uint64_t code) override;

  // SenderHost
  Transport *transport () override { return established_ ? transport_ : nullptr; }
  Scheduler *scheduler () override { return scheduler_; }
  std::optional<StreamId> open_sender_stream (std::uint64_t channel_id, bool message) override;
  std::uint64_t register_datagram (std::uint64_t channel_id) override;
  void unregister_datagram (std::uint64_t tag) override { datagram_tags_.erase (tag); }
  void sender_wants_pump (std::uint64_t channel_id) override;
  void sender_released (std::uint64_t channel_id) override;

  // session.cpp
  void mark_dirty (ChannelImpl &channel);
  void settle ();
  void service (ChannelImpl &channel);
  void bury (ChannelImpl &channel);
  void close_channel (ChannelImpl &channel, Status reason);
  void end_transport ();
  void fail (wire::Code code, const Error &error);
  void fail_field (const std::string &field);
  void open_sender (ChannelImpl &channel);
  ChannelImpl *find_channel (const std::string &name) const;
  ChannelImpl &make_channel (const std::string &name, const ChannelOptions &options);
  ChannelImpl *channel_of_sender (std::uint64_t id) const;
  Receiver *find_receiver (std::uint64_t id) const;
  void deliver_end_if_due (Receiver &receiver, bool grace_over);
  void confirm_taken (Receiver &receiver);
  void confirm (Receiver &receiver);
  void note_taken (Receiver &receiver);

  // session_hello.cpp
  void start_hello ();
  void send_hello (StreamId stream);
  Status check_hello (const wire::Hello &hello);
  void greeted (ByteView greeting);
  void hello_frame (ByteView body);
  void hello_arrived (const wire::Hello &hello);
  Status resume_senders (const wire::Hello &hello);
  void resume_receivers (const wire::Hello &hello);
  void forget_receiver (Receiver &receiver);
  void peer_restarted ();

  // session_kept.cpp
  void receiver_changed (std::uint64_t id);
  void sender_changed (std::uint64_t id);
  void sender_confirmed (std::uint64_t id);  // the store may forget messages, in time
  void progress_changed ();
  void tell_keeper ();
  MemoryChange receiver_change (std::uint64_t id);
  void add_sender_changes (std::uint64_t id, std::vector<MemoryChange> &changes);
  Status restore_sender (const memory::SenderItem &item);
  void restore_receiver (const memory::ReceiverItem &item);

  // session_streams.cpp
  std::shared_ptr<Stream> find_stream (StreamId id) const;
  void feed (const std::shared_ptr<Stream> &stream, ByteView bytes);
  void drain (const std::shared_ptr<Stream> &stream);
  std::size_t read (const std::shared_ptr<Stream> &stream, ByteView bytes);
  std::size_t step (const std::shared_ptr<Stream> &stream, ByteView bytes);
  bool paused (const std::shared_ptr<Stream> &stream);
  void list (const std::shared_ptr<Stream> &stream);
  void credit (const std::shared_ptr<Stream> &stream, std::size_t bytes);
  void resume_held (Receiver &receiver);
  void resume_assembling ();
  void stream_finished (const std::shared_ptr<Stream> &stream);
  template <class Decode, class Apply>
  std::size_t read_frame (Stream &stream, ByteView bytes, std::size_t max_bytes, Decode decode,
                          Apply apply);
  void control_frame (const std::shared_ptr<Stream> &stream, const wire::ControlFrame &frame);
  void open_arrived (const std::shared_ptr<Stream> &stream, wire::Open open);
  void resume_receiver (const std::shared_ptr<Stream> &stream, Receiver &receiver,
                        std::uint64_t first_seq);
  void new_receiver (const std::shared_ptr<Stream> &stream, wire::Open open);
  void refuse (Stream &stream, wire::Code code);
  void adopt_early (Receiver &receiver);
  void record_arrived (Stream &stream, const wire::Record &record);
  void message_head_arrived (const std::shared_ptr<Stream> &stream, const wire::MessageHead &head);
  bool begin_message (Stream &stream, const wire::Record &record);  // false when it failed
  void message_complete (Stream &stream);
  void deliver (Receiver &receiver, std::uint64_t seq, Message message);
  void reply_arrived (Stream &stream, const wire::Reply &reply);
  void direction_stopped (std::uint64_t channel_id, wire::Code code);
  void ignore (Stream &stream);
  void forget_stream (Stream &stream);
  void end_own_half (StreamId id);
  void handle_datagram (ByteView bytes, bool may_keep);
  void drain_early ();

  const SessionConfig config_;
  p2p::Session::Observer &observer_;
  Transport *transport_ = nullptr;
  Scheduler *scheduler_ = nullptr;
  bool established_ = false;
  int depth_ = 0;
  std::optional<StreamId> control_stream_;
  std::uint64_t peer_epoch_ = 0;
  Replay replay_;
  std::uint64_t peer_max_message_bytes_;

  std::vector<std::unique_ptr<ChannelImpl>> channels_, graveyard_;
  std::unordered_map<std::string, ChannelImpl *> by_name_;
  std::unordered_map<std::uint64_t, ChannelImpl *> by_sender_;
  std::vector<ChannelImpl *> dirty_;
  std::uint64_t next_channel_id_ = 0;

  std::map<std::uint64_t, std::unique_ptr<Receiver>> receivers_;  // by the peer's channel id
  RangeSet seen_ids_;
  std::unordered_map<StreamId, std::shared_ptr<Stream>> streams_;
  std::vector<std::shared_ptr<Stream>> early_streams_;  // before the hello, or before their OPEN
  Fifo<std::vector<std::uint8_t>> early_datagrams_;
  std::size_t early_datagram_bytes_ = 0;
  std::uint64_t early_datagrams_dropped_ = 0;
  bool early_due_ = false;  // something that waited may be read now
  // Bytes of incomplete messages, of all channels. Above the budget one stream goes on at a time.
  std::uint64_t assembling_bytes_ = 0;
  std::weak_ptr<Stream> elected_;
  Fifo<std::shared_ptr<Stream>> budget_waiting_;

  std::unordered_map<std::uint64_t, std::uint64_t> datagram_tags_;  // to the channel id
  std::uint64_t next_tag_ = 0;

  // Of a kept session: what the keeper has not got yet, and what it has and is not durable yet.
  SessionKeeper *keeper_ = nullptr;
  bool progress_dirty_ = false, keeper_told_ = false, keeper_urged_ = false;
  std::set<std::uint64_t> receivers_dirty_, senders_dirty_, senders_confirmed_;
  std::set<std::uint64_t> receivers_captured_, senders_captured_;
};

}  // namespace p2p
