// The items of session_memory.hpp as bytes. Each value begins with the version of its form.
#pragma once
#include <optional>
#include <string>

#include "session/session_memory.hpp"
#include "session/wire.hpp"

namespace p2p::memory {

// Keys: "progress", "r/ID" for the directions of the peer, "s/ID" for the own ones, "m/ID/SEQ" for
// the messages of a durable one; numbers as 16 hexadecimal digits, so that they sort.
constexpr const char *kProgressKey = "progress";
std::string receiver_key (std::uint64_t id);
std::string sender_key (std::uint64_t id);
std::string message_key (std::uint64_t sender, std::uint64_t seq);

struct Progress {
  std::uint64_t peer_epoch = 0;
  std::uint64_t next_channel_id = 0;
  std::uint64_t peer_max_message_bytes = 0;
  RangeSet seen_ids;
};

struct ReceiverItem {
  wire::Open open;
  wire::DirectionState state = wire::DirectionState::open;
  bool has_channel = false;
  RangeSet taken;
  std::uint64_t next_seq = 0;        // of an unreliable one
  std::optional<std::uint64_t> end;  // delivered and taken: the direction is over
};

struct SenderItem {
  wire::Open open;
  bool durable = false, manual_confirm = false;
  bool finished = false, ended = false;
  std::uint64_t base_seq = 0;  // durable: all below is confirmed
  std::uint64_t next_seq = 0;  // durable: above all that was ever kept
};

Ref<GBytes> encode (const Progress &progress);
Ref<GBytes> encode (const ReceiverItem &item);
Ref<GBytes> encode (const SenderItem &item);
Ref<GBytes> encode (const Message &message);

// Any of the kinds, by its key.
struct Decoded {
  std::optional<Progress> progress;
  std::optional<ReceiverItem> receiver;
  std::optional<SenderItem> sender;
  std::optional<Message> message;  // with its seq
  std::uint64_t sender_id = 0;     // of the message
};
// P2P_ERROR_PROTOCOL, naming the key, when it is malformed or of a version that is not known.
Result<Decoded> decode (const MemoryItem &item);

}  // namespace p2p::memory
