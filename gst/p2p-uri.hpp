// The URI of an element: p2p://HOST[:PORT]/PEER[/CHANNEL]?id=ME, with p2ps:// for a rendezvous
// server over TLS, and p2p:///PEER for peers of the same machine. Other parameters of the query are
// properties of the element.
#pragma once
#include <map>
#include <string>

#include "base/error.hpp"

namespace p2p {

constexpr int kDefaultRendezvousPort = 7480;
constexpr char kLocalRendezvous[] = "local";
constexpr char kDefaultChannel[] = "default";

struct P2pUri {
  std::string rendezvous = kLocalRendezvous;  // as in the property: local, ws://… or wss://…
  std::string peer;                           // empty: whoever comes
  std::string channel = kDefaultChannel;
  std::map<std::string, std::string> settings;  // property -> its value as text
};

// P2P_ERROR_INVALID_ARGUMENT names the part that is wrong. A URI ends in logs and histories, so one
// with a secret in it is refused.
Result<P2pUri> parse_uri (const char *text);

// The same URI in its canonical form: what parse_uri() reads back to the same parts.
std::string format_uri (const P2pUri &uri);

}  // namespace p2p
