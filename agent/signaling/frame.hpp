// The JSON frames between a signaling client and its meeting point (docs/rendezvous-protocol.md).
// Pure: bytes in, a checked Frame or the name of the bad field out.
#pragma once
#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.hpp"
#include "signaling/signaling.hpp"

namespace p2p {

constexpr int kSignalVersion = 1;
constexpr std::size_t kMaxIdBytes = 128;
// A message of kMaxSignalBytes in base64 (4/3), with two ids and the punctuation around it.
constexpr std::size_t kMaxFrameBytes = 96 * 1024;

// 1 to 128 characters of [A-Za-z0-9._@:+-].
bool valid_signal_id (const std::string &id);

// In every frame `id` is an id of the client at this end, `peer` one of somebody else.
enum class FrameType {
  welcome,     // server: version, challenge, stun_port, heartbeat_s
  enroll,      // client ("register"): id, key, signature
  resign,      // client ("unregister"): id
  registered,  // server: id
  ask,         // client: id, peer
  unask,       // client: id, peer
  peer,        // server: id, peer, present
  message,     // both: id, peer, data
  error,       // server: code, text, and field, id, peer where they apply
  ping,        // both: seq
  pong,        // both: seq
};

struct Frame {
  FrameType type = FrameType::error;
  std::string id, peer;
  std::string data;                       // bytes; base64 on the wire
  std::string key, signature, challenge;  // bytes; base64 on the wire
  std::string code, text, field;
  bool present = false;
  std::uint64_t seq = 0;
  std::uint32_t version = 0, stun_port = 0, heartbeat_s = 0;
};

struct FrameError {
  std::string code;   // "bad-json", "bad-field", "unknown-type" or "too-long"
  std::string field;  // empty when the whole text is bad
  std::string text;
};

std::string to_json (const Frame &frame);
// Fields that the type does not have are ignored; what it has must be there and right.
std::variant<Frame, FrameError> parse_frame (ByteView text);

}  // namespace p2p
