// What is kept of a session beside its channels: who the two sides are, the secret that they share,
// and how the line was found last. Text (JSON) with a version, so that later ones can read it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/network_config.hpp"
#include "ice/ice_transport.hpp"
#include "ice/turn_front.hpp"
#include "session/session.hpp"
#include "transport/transport.hpp"

namespace p2p {

struct SessionRecord {
  std::string peer, peer_fingerprint, own_fingerprint;
  SessionId session{};
  SharedSecret secret{};
  std::uint64_t epoch = 0;         // of the process that wrote it
  std::uint64_t memory_epoch = 0;  // of the one that began to keep it
  bool incoming = false;           // the peer asked for it
  NetworkConfig local, remote;     // as last said
  std::optional<IceResume> pair;   // in use, where it is of UDP and without a relay of this side
  std::string local_candidate, remote_candidate;  // of it, for people
  std::uint64_t transport_name = 0;
};

enum class Secrets { shown, hidden };
// "session" without its secrets, "relays" without passwords, and "channels": options, and numbers
// of the next messages.
std::string session_state_to_json (const SessionRecord &record, const Session &session,
                                   const std::vector<TurnRelayState> &relays);
std::string session_record_to_json (const SessionRecord &record, Secrets secrets);
Result<SessionRecord> session_record_from_json (const std::string &json);

}  // namespace p2p
