// The key of an identity outside of TLS: it proves at a meeting point whose an id is.
#include <gnutls/abstract.h>

#include "transport/x509_identity.hpp"

namespace p2p {

namespace {

struct PrivateKeyFree {
  void operator() (gnutls_privkey_t p) const { gnutls_privkey_deinit (p); }
};
using UniquePrivateKey = std::unique_ptr<std::remove_pointer_t<gnutls_privkey_t>, PrivateKeyFree>;

struct X509KeyFree {
  void operator() (gnutls_x509_privkey_t p) const { gnutls_x509_privkey_deinit (p); }
};
using UniqueX509Key = std::unique_ptr<std::remove_pointer_t<gnutls_x509_privkey_t>, X509KeyFree>;

struct PublicKeyFree {
  void operator() (gnutls_pubkey_t p) const { gnutls_pubkey_deinit (p); }
};
using UniquePublicKey = std::unique_ptr<std::remove_pointer_t<gnutls_pubkey_t>, PublicKeyFree>;

std::string
take (gnutls_datum_t &datum) {
  std::string bytes (reinterpret_cast<const char *> (datum.data), datum.size);
  gnutls_free (datum.data);
  return bytes;
}

UniquePrivateKey
private_key (gnutls_certificate_credentials_t credentials) {
  gnutls_x509_privkey_t raw = nullptr;
  if (gnutls_certificate_get_x509_key (credentials, 0, &raw) < 0) return nullptr;
  const UniqueX509Key x509 (raw);
  gnutls_privkey_t key = nullptr;
  if (gnutls_privkey_init (&key) < 0) return nullptr;
  UniquePrivateKey owned (key);
  if (gnutls_privkey_import_x509 (key, x509.get (), GNUTLS_PRIVKEY_IMPORT_COPY) < 0) return nullptr;
  return owned;
}

}  // namespace

std::string
X509Identity::public_key_der () const {
  const UniquePrivateKey key = private_key (credentials ());
  gnutls_pubkey_t raw = nullptr;
  if (!key || gnutls_pubkey_init (&raw) < 0) return {};
  const UniquePublicKey pubkey (raw);
  gnutls_datum_t der{};
  if (gnutls_pubkey_import_privkey (raw, key.get (), 0, 0) < 0 ||
      gnutls_pubkey_export2 (raw, GNUTLS_X509_FMT_DER, &der) < 0)
    return {};
  return take (der);
}

Result<std::string>
X509Identity::sign (ByteView bytes) const {
  const UniquePrivateKey key = private_key (credentials ());
  const gnutls_datum_t text = {const_cast<unsigned char *> (bytes.data),
                               static_cast<unsigned> (bytes.size)};
  gnutls_datum_t signature{};
  const int status =
      key ? gnutls_privkey_sign_data2 (key.get (), GNUTLS_SIGN_ECDSA_SHA256, 0, &text, &signature)
          : GNUTLS_E_INTERNAL_ERROR;
  if (status < 0)
    return Error{P2P_ERROR_IDENTITY, std::string ("The identity's key could not sign: ") +
                                         gnutls_strerror (status) + "."};
  return take (signature);
}

}  // namespace p2p
