// The remote side's candidates and credentials as text (RFC 8839), checked before libnice sees
// them: it takes what it is given, and aborts the process on some of it.
#pragma once
#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "ice/ice_transport.hpp"

namespace p2p {

struct RemoteCandidate {
  // What is to be done with it: `resolve` is an mDNS name (".local") instead of an address;
  // `ignore` is correct, but of a kind that we don't use, and `ignored_because` says which.
  enum class Use { check, resolve, ignore };
  Use use = Use::check;
  std::string ignored_because;

  std::string foundation;
  std::string transport;  // "UDP" or "TCP"
  std::string tcp_type;   // "active", "passive" or "so"; empty for UDP
  std::uint32_t priority = 0;
  std::string address;  // of IP, or a name
  std::uint16_t port = 0;
  std::string type;             // "host", "srflx" or "relay"
  std::string related_address;  // empty if there is none that means something
  std::uint16_t related_port = 0;

  // The line as nice_agent_parse_remote_candidate_sdp() reads it, made of the checked fields only.
  std::string to_nice_sdp () const;
};

// "candidate:…" with or without "a=" before it.
Result<RemoteCandidate> parse_remote_candidate (const std::string &sdp);
// A local "candidate:…" line that no longer tells the address behind it.
std::string without_related_address (const std::string &sdp);
// An address that a candidate may have as its peer: neither unspecified, nor multicast or
// broadcast.
bool is_peer_address (const std::string &address);
// Lengths and characters as RFC 8839 section 5.4 has them. `whose`: "remote", for the message.
Status check_ice_credentials (const IceCredentials &credentials, const char *whose);

}  // namespace p2p
