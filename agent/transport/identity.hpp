// Who we are: a self-signed P-256 certificate with its key, known by the SHA-256 of its DER form.
// Immutable and shared between threads after it was made.
#pragma once
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace p2p {

class Identity {
 public:
  virtual ~Identity () = default;
  // "sha-256 AB:CD:…" as in RFC 8122 section 5, upper case.
  virtual const std::string &fingerprint () const = 0;
  // SubjectPublicKeyInfo in DER (RFC 5480 section 2); empty when the library fails.
  virtual std::string public_key_der () const = 0;
  // ECDSA with SHA-256, signature in DER (RFC 3279 section 2.2.3).
  virtual Result<std::string> sign (ByteView bytes) const = 0;

  // From a PEM file with key and certificate; makes the file (mode 0600, parents 0700) when it
  // does not exist. A file that others can read or that is malformed is an error that names it.
  // Two processes that start at once end with the same identity.
  static Result<std::shared_ptr<Identity>> load_or_create (const std::string &path);
  static Result<std::shared_ptr<Identity>> create_ephemeral ();
  // $XDG_DATA_HOME/gst-p2p/identity.pem
  static std::string default_path ();
};

// Accepts "sha-256 AB:CD…", with or without the prefix, colons and case; answers the form above.
Result<std::string> normalize_fingerprint (const std::string &text);

}  // namespace p2p
