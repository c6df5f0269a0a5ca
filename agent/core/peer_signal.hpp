// What two agents say to each other over signaling, sealed when they share a secret.
// docs/wire-format.md describes the JSON.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/network_config.hpp"
#include "core/secret_key.hpp"

namespace p2p {

struct PeerSignal {
  enum class Kind {
    hello,      // here is my configuration, for this attempt
    candidate,  // one more candidate of mine
    candidates_done,
    path,  // a message from one path source to its counterpart
    bye,   // this attempt ends
  };
  Kind kind = Kind::hello;
  std::string attempt;      // the sender's
  std::string in_reply_to;  // the receiver's attempt as the sender knows it; may be empty
  std::optional<NetworkConfig> config;  // hello
  // hello: of the living session that is to get another way, 32 hexadecimal digits; empty for a new
  // one. bye: of the session that is over.
  std::string session;
  bool new_transport = false;   // hello: the sender's transport has ended
  std::uint64_t transport = 0;  // and this is the name of the one that it asks for by pings
  // hello: the way is for the time when the relays at these IP addresses are gone.
  std::vector<std::string> without_relays;
  std::string candidate;             // candidate
  std::string source, data;          // path: the source's name, and bytes
  P2pError code = P2P_ERROR_CLOSED;  // bye
  std::string text;                  // bye: for people
  bool sealed = false;               // as it was received
};

// `secret` null: in clear. `from` and `to` are ids.
std::string encode_peer_signal (const PeerSignal &signal, const SecretKey *secret,
                                const std::string &from, const std::string &to);
// P2P_ERROR_NOT_AUTHORIZED when the seal does not fit to `secret`, or when only one side has one. A
// bye is taken in clear as well: it can only end an attempt, which the server in between could
// anyway.
Result<PeerSignal> decode_peer_signal (const std::string &text, const SecretKey *secret,
                                       const std::string &from, const std::string &to);

}  // namespace p2p
