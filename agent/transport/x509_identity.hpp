// An Identity as GnuTLS wants it, for tls_session.cpp only.
#pragma once
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <memory>
#include <string>
#include <type_traits>

#include "base/bytes.hpp"
#include "transport/identity.hpp"

namespace p2p {

struct CredentialsFree {
  void operator() (gnutls_certificate_credentials_t p) const {
    gnutls_certificate_free_credentials (p);
  }
};
using UniqueCredentials =
    std::unique_ptr<std::remove_pointer_t<gnutls_certificate_credentials_t>, CredentialsFree>;

class X509Identity final : public Identity {
 public:
  X509Identity (UniqueCredentials credentials, std::string fingerprint)
      : credentials_ (std::move (credentials)), fingerprint_ (std::move (fingerprint)) {}
  const std::string &fingerprint () const override { return fingerprint_; }
  std::string public_key_der () const override;
  Result<std::string> sign (ByteView bytes) const override;
  // Never changed after construction, which is what GnuTLS asks for of shared credentials.
  gnutls_certificate_credentials_t credentials () const { return credentials_.get (); }

 private:
  UniqueCredentials credentials_;
  std::string fingerprint_;
};

// "sha-256 AB:CD:…" of a certificate in DER form.
std::string fingerprint_of_der (ByteView der);

}  // namespace p2p
