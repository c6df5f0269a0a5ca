// What two peers derive from the secret that they share, and the seal that it puts on signaling.
#pragma once
#include <array>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace p2p {

// A key derived from a secret. A secret from generate_secret() carries 160 bits and is hashed
// (HKDF, RFC 5869); any other is taken for a password and stretched first (PBKDF2, RFC 8018), which
// takes some 70 ms: a hostile server can try passwords offline, at that price each.
class SecretKey {
 public:
  static Result<SecretKey> derive (const std::string &secret);

  // Seals `text` from `sender` to `receiver` (AES-256-GCM with a random nonce; both ids are
  // authenticated with it). Base64.
  std::string seal (const std::string &sender, const std::string &receiver,
                    const std::string &text) const;
  // P2P_ERROR_NOT_AUTHORIZED when it was sealed with another secret or for others, or was changed.
  Result<std::string> open (const std::string &sender, const std::string &receiver,
                            const std::string &sealed) const;
  bool operator== (const SecretKey &other) const { return master_ == other.master_; }

 private:
  std::array<std::uint8_t, 32> master_{};
};

// "p2p-" and 32 characters of base32: 160 random bits.
std::string generate_secret ();

}  // namespace p2p
