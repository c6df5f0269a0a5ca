// A TURN server as it is named by users, and as it is reached.
#pragma once
#include <cstdint>
#include <string>

#include "turn/credentials.hpp"

namespace p2p::turn {

enum class Protocol { udp, tcp, tls, dtls };
const char *protocol_name (Protocol protocol);
constexpr bool
is_secure (Protocol protocol) {
  return protocol == Protocol::tls || protocol == Protocol::dtls;
}
// Of datagrams, which are lost, and with which an allocation can move to another five-tuple.
constexpr bool
is_datagram (Protocol protocol) {
  return protocol == Protocol::udp || protocol == Protocol::dtls;
}

struct Server {
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 3478;
  Protocol protocol = Protocol::udp;
  Credentials credentials;
};

// What a five-tuple leads to: a server, or where that one sent us.
struct Target {
  std::string host;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::udp;
  std::string tls_name;  // whose certificate it must show

  bool operator== (const Target &o) const {
    return host == o.host && port == o.port && protocol == o.protocol;
  }
};

}  // namespace p2p::turn
