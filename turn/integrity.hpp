// The sums and keys of STUN (RFC 8489 sections 9.2 and 14.5 to 14.7, 18.5).
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "turn/message.hpp"

namespace p2p::turn {

enum class PasswordAlgorithm : std::uint16_t { md5 = 1, sha256 = 2 };

// Of kMessageIntegrity and kMessageIntegritySha256.
constexpr std::size_t
integrity_bytes (std::uint16_t which) {
  return which == kMessageIntegritySha256 ? 32 : 20;
}
// `bytes` is the message up to the attribute, its length already that with the attribute.
std::vector<std::uint8_t> integrity (std::uint16_t which, const Key &key, ByteView bytes);
std::uint32_t fingerprint (ByteView bytes);

// User and password go through the OpaqueString profile (RFC 8265) as far as normalization.
Key long_term_key (PasswordAlgorithm algorithm, const std::string &user, const std::string &realm,
                   const std::string &password);
std::array<std::uint8_t, 32> user_hash (const std::string &user, const std::string &realm);
std::string opaque_string (const std::string &text);

}  // namespace p2p::turn
