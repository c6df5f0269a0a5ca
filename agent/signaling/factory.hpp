// Makes signaling clients by URI.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "signaling/key_proof.hpp"
#include "signaling/signaling.hpp"

namespace p2p {

struct SignalingUri {
  enum class Kind { local, rendezvous };
  Kind kind = Kind::local;
  std::string socket_path;  // local; empty: the default one
  bool tls = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string text;                  // as handed to HTTP: "ws://host:port/path"
  std::vector<SignalingUri> others;  // rendezvous servers to go to when this one is away
};

constexpr std::uint16_t kRendezvousPort = 7480;

// "local", "local:/path/to.sock", "ws://host[:port][/path]" or "wss://host[:port][/path]"; several
// of the last two with commas between them are servers that share a backplane. The error names the
// part that is wrong. Thread-safe.
Result<SignalingUri> parse_signaling_uri (const std::string &uri);

struct SignalingOptions {
  std::string tls_ca_file;  // PEM; whom to trust instead of the system's authorities
};

// `key` owns the id at a rendezvous server; it may be null for "local". Core thread only, as all
// of the Signaling that comes back.
Result<std::unique_ptr<Signaling>> make_signaling (const std::string &uri,
                                                   std::shared_ptr<const SigningKey> key,
                                                   const SignalingOptions &options = {});

}  // namespace p2p
