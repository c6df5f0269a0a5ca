// What meeting points that share a backplane say to each other: a line of words, then data.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace p2p {

struct ServerMessage {
  enum class Kind {
    beat,     // I am there
    here,     // ids: I hold them now
    tell,     // what `id` of mine wants of `peer` of yours
    gone,     // `id` of mine is no longer there
    absent,   // `id`, of which you told me something, is not there
    message,  // data from `id` of mine to `peer` of yours
    refused,  // the message from `peer` of yours to `id` of mine was dropped, with this code
    forget,   // I have forgotten what you told me
  };
  Kind kind = Kind::beat;
  std::string from;  // server
  std::string id, peer, code, data;
  std::vector<std::string> ids;
  bool asks = false, any = false, answer = false;  // tell: by name; for everyone; tell me yours
};

std::string to_text (const ServerMessage &message);
// Nothing for what is malformed.
std::optional<ServerMessage> parse_server_message (const std::string &text);

}  // namespace p2p
