// The session: named channels with sequence numbers that outlive any transport under them.
// Pure logic: it decides, a Transport carries; time comes from the transport's scheduler.
// All transports of a session have the same scheduler, which outlives the session.
// The observer may call any method from inside a callback, but not destroy the session; what such
// a call causes comes when the callback has returned. Core thread only. docs/wire-format.md
// describes what it puts on the wire.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ptr.hpp"
#include "session/session_memory.hpp"
#include "transport/transport.hpp"

namespace p2p {

constexpr std::uint32_t kNormalPriority = 256, kMaxPriority = 65535;

struct ChannelOptions {
  bool ordered = true;
  // At most one of the two; either makes the channel unreliable, as in WebRTC (RFC 8831
  // section 6.6).
  std::optional<std::uint32_t> max_packet_lifetime_ms;
  std::optional<std::uint32_t> max_retransmits;
  // The share of this channel when there is more to send than may leave, as in RFC 8832 section
  // 5.1: 128 is below normal, 512 high, 1024 extra high. 1 to kMaxPriority.
  std::uint32_t priority = kNormalPriority;
  std::string protocol;  // free text for the far end, at most 255 bytes
  std::uint64_t max_buffered_bytes = 16 * 1024 * 1024;
  // Of this side alone, and only where the session is kept (SessionConfig::kept). Reliable
  // channels.
  bool durable = false;         // messages are kept before they leave, until they are confirmed
  bool manual_confirm = false;  // for whoever calls consumed(): the session does not look at it

  bool reliable () const { return !max_packet_lifetime_ms && !max_retransmits; }
};

// One message: a payload of any size up to the receiver's limit, and optional attributes that
// travel with it (at most kMaxAttributesBytes; the elements keep timestamps and caps there).
struct Message {
  Ref<GBytes> payload;
  Ref<GBytes> attributes;   // null when there are none
  std::uint64_t seq = 0;    // set by the session: 0, 1, 2 … in one direction of a channel
  bool gap_before = false;  // received: an unreliable channel lost something right before this one
};
constexpr std::size_t kMaxAttributesBytes = 65535;
constexpr std::size_t kMaxChannelNameBytes = 255;

// What a message counts in every bounded queue: its bytes, and something for itself, so that
// empty messages have a bound as well.
constexpr std::uint64_t kMessageOverheadBytes = 128;
inline std::uint64_t
message_cost (const Message &message) {
  return kMessageOverheadBytes + g_bytes_get_size (message.payload.get ()) +
         (message.attributes ? g_bytes_get_size (message.attributes.get ()) : 0);
}

struct ChannelStats {
  std::uint64_t messages_sent = 0, messages_received = 0, bytes_sent = 0, bytes_received = 0;
  std::uint64_t messages_dropped = 0;  // outgoing, too old or out of retransmits
  std::uint64_t messages_lost = 0;     // incoming, known by a gap in the sequence
  std::uint64_t messages_retransmitted = 0;
  std::uint64_t buffered_bytes = 0;  // accepted for sending and not yet released
};

// The numbers of the next messages of both directions of a channel.
struct ChannelPositions {
  std::uint64_t sent = 0, sent_confirmed = 0;  // all below is taken by the peer, and durable there
  std::uint64_t received = 0, received_confirmed = 0;
  bool received_all = false;  // the peer's direction is over, and all of it taken
};

class Session;

class Channel {
 public:
  virtual ~Channel () = default;
  virtual const std::string &name () const = 0;
  virtual const ChannelOptions &options () const = 0;
  // Takes the message, or answers false when max_buffered_bytes are waiting already (a message is
  // always taken when nothing waits). Fails when the message is above the peer's limit or the
  // sending direction was finished.
  virtual Result<bool> send (const Message &message) = 0;
  // What was sent leaves now, as far as it may, and not at the next turn of the loop.
  virtual void push_out () = 0;
  // No more messages in this direction; the peer sees the end after the last one.
  virtual void finish () = 0;
  // The application has taken this received message: confirms it to the peer, and opens the window.
  virtual void consumed (const Message &message) = 0;
  // Everything that was sent before is confirmed by the peer (reliable) or has left (unreliable);
  // after finish() the peer has confirmed the end as well.
  virtual bool flushed () const = 0;
  // A restored direction that is not durable: its next message has this number, as the peer has all
  // before it. Not set until the session is established, and nothing is sent until then.
  virtual std::optional<std::uint64_t> resume_seq () const = 0;
  // The application has the effect of all messages up to `seq`, also of those that did not come yet
  // (ordered), or of that one (unordered). False when the channel has no such direction.
  virtual bool confirm (std::uint64_t seq) = 0;
  // How many messages of a durable channel are taken and not durable yet.
  virtual std::uint64_t unkept_messages () const = 0;
  virtual bool by_peer () const = 0;  // who opened it first
  // Both directions end now; what is unsent is dropped. session_channel_closed comes from inside of
  // the call, unless that is made in a callback, and the channel is gone after it.
  virtual void close () = 0;
  virtual ChannelStats stats () const = 0;
  virtual ChannelPositions positions () const = 0;
};

using SessionId = std::array<std::uint8_t, 16>;
constexpr std::size_t kMaxSessionSignalBytes = 64 * 1024;

struct SessionConfig {
  SessionId id{};
  std::uint64_t epoch = 1;
  // The first epoch of this side of which it remembers everything; 0: this one.
  std::uint64_t memory_epoch = 0;
  // Positions are confirmed only once a SessionKeeper has made them durable.
  bool kept = false;
  std::uint64_t max_message_bytes = 16 * 1024 * 1024;  // of what we receive
  std::size_t max_channels = 1024;
};

class Session {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    // The peer's hello is in; messages flow. May come from inside of attach().
    virtual void session_established () = 0;
    // By the peer, and no open_channel() made it before.
    virtual void session_channel_opened (Channel &channel) = 0;
    virtual void session_message (Channel &channel, Message message) = 0;
    virtual void session_end_of_stream (Channel &channel) = 0;  // the peer finished its direction
    virtual void session_released (Channel &channel) = 0;  // buffered_bytes went down: room again
    virtual void session_channel_closed (Channel &channel, const Status &reason) = 0;  // then gone
    // What the peer's send_signal() carried.
    virtual void session_signal (const std::string &text) = 0;
    // The transport under it ended, or attach() found a hello that it cannot take; the session and
    // its channels stay until it is destroyed.
    virtual void session_detached (const Error &error, bool by_peer, std::uint64_t code) = 0;
  };

  static std::unique_ptr<Session> create (const SessionConfig &config, Observer &observer);
  // The hello of a session that is not there yet: a server's transport tells it with its handshake
  // (Transport::take_greeting()), and the client need not wait for another one.
  static std::string greeting (const SessionConfig &config);
  // One that goes on from what was kept of it; `config.id` is the kept one's. Nothing is told of
  // the channels that it has. Fails when the items contradict each other.
  static Result<std::unique_ptr<Session>> restore (const SessionConfig &config, Observer &observer,
                                                   const std::vector<MemoryItem> &items);
  virtual ~Session () = default;

  // Goes on over this transport, which the session does not own and which must be ready or about
  // to become so: hellos are exchanged, then what the peer has not confirmed is sent again.
  virtual void attach (Transport &transport) = 0;
  virtual void detach () = 0;  // session_detached does not come
  virtual bool established () const = 0;
  // The longest message that the peer takes; ours until it has told.
  virtual std::uint64_t peer_max_message_bytes () const = 0;
  virtual const SessionConfig &config () const = 0;

  // The existing channel of that name when the peer opened it before (or we did).
  virtual Result<Channel *> open_channel (const std::string &name,
                                          const ChannelOptions &options) = 0;
  virtual std::vector<Channel *> channels () const = 0;
  // Carries signaling beside the channels, before everything else. False when there is no
  // transport, too much waits already, or the text is above kMaxSessionSignalBytes.
  virtual bool send_signal (const std::string &text) = 0;
  // What the last attach() had sent again, because the peer did not say that it has it.
  struct Replay {
    std::uint64_t messages = 0, bytes = 0;
  };
  virtual Replay last_replay () const = 0;
  virtual std::uint64_t peer_epoch () const = 0;  // the highest that was seen; 0: none

  // Of a session that is kept. The keeper outlives the session, or is taken away.
  virtual void set_keeper (SessionKeeper *keeper) = 0;
  // What has changed since the last call. To be made durable whole and in order; the next call
  // comes after changes_kept().
  virtual std::vector<MemoryChange> take_changes () = 0;
  virtual void changes_kept () = 0;
};

}  // namespace p2p
