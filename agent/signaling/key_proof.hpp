// Proof that a client holds the key that owns its id at the meeting point.
#pragma once
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace p2p {

// A P-256 key that can sign. Thread-safe after it was made.
class SigningKey {
 public:
  virtual ~SigningKey () = default;
  // SubjectPublicKeyInfo in DER (RFC 5480 section 2).
  virtual std::string public_key_der () const = 0;
  // ECDSA with SHA-256, signature in DER (RFC 3279 section 2.2.3).
  virtual Result<std::string> sign (ByteView bytes) const = 0;
};

Result<std::shared_ptr<SigningKey>> make_ephemeral_signing_key ();

constexpr std::size_t kChallengeBytes = 32;

// What is signed: a context string of its own, so that no other use of the key can be mistaken for
// this one, then the challenge (of fixed length) and the id.
std::string registration_proof_text (const std::string &challenge, const std::string &id);

// The owner of an id: the SHA-256 of the public key, when the signature fits; an error that names
// the field otherwise.
Result<std::string> verify_registration (const std::string &challenge, const std::string &id,
                                         const std::string &key_der, const std::string &signature);

}  // namespace p2p
