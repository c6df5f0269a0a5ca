#include "signaling/key_proof.hpp"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

namespace p2p {

namespace {

constexpr char kContext[] = "gst-p2p rendezvous registration v1";  // signed with its final zero

struct PrivkeyDeinit {
  void operator() (gnutls_privkey_t key) const { gnutls_privkey_deinit (key); }
};
struct PubkeyDeinit {
  void operator() (gnutls_pubkey_t key) const { gnutls_pubkey_deinit (key); }
};
using UniquePrivkey = std::unique_ptr<gnutls_privkey_st, PrivkeyDeinit>;
using UniquePubkey = std::unique_ptr<gnutls_pubkey_st, PubkeyDeinit>;

gnutls_datum_t
datum (const void *data, std::size_t size) {
  return {static_cast<unsigned char *> (const_cast<void *> (data)), static_cast<unsigned> (size)};
}

std::string
take (gnutls_datum_t &bytes) {
  std::string copy (reinterpret_cast<char *> (bytes.data), bytes.size);
  gnutls_free (bytes.data);
  bytes = {};
  return copy;
}

UniquePubkey
new_pubkey () {
  gnutls_pubkey_t key = nullptr;
  return UniquePubkey (gnutls_pubkey_init (&key) == 0 ? key : nullptr);
}

class EphemeralKey final : public SigningKey {
 public:
  EphemeralKey (UniquePrivkey key, std::string der)
      : key_ (std::move (key)), der_ (std::move (der)) {}
  std::string public_key_der () const override { return der_; }
  Result<std::string> sign (ByteView bytes) const override {
    const gnutls_datum_t data = datum (bytes.data, bytes.size);
    gnutls_datum_t signature{};
    if (const int rc =
            gnutls_privkey_sign_data (key_.get (), GNUTLS_DIG_SHA256, 0, &data, &signature))
      return Error{P2P_ERROR_IDENTITY,
                   std::string ("The identity key cannot sign: ") + gnutls_strerror (rc) + "."};
    return take (signature);
  }

 private:
  UniquePrivkey key_;
  std::string der_;
};

bool
is_p256 (gnutls_pubkey_t key) {
  if (gnutls_pubkey_get_pk_algorithm (key, nullptr) != GNUTLS_PK_ECDSA) return false;
  gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
  return gnutls_pubkey_export_ecc_raw (key, &curve, nullptr, nullptr) == 0 &&
         curve == GNUTLS_ECC_CURVE_SECP256R1;
}

}  // namespace

Result<std::shared_ptr<SigningKey>>
make_ephemeral_signing_key () {
  gnutls_privkey_t raw = nullptr;
  gnutls_datum_t der{};
  int rc = gnutls_privkey_init (&raw);
  UniquePrivkey key (rc == 0 ? raw : nullptr);
  const UniquePubkey pubkey = new_pubkey ();
  if (rc == 0)
    rc = gnutls_privkey_generate (key.get (), GNUTLS_PK_ECDSA,
                                  GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0);
  if (rc == 0 && pubkey) rc = gnutls_pubkey_import_privkey (pubkey.get (), key.get (), 0, 0);
  if (rc == 0 && pubkey) rc = gnutls_pubkey_export2 (pubkey.get (), GNUTLS_X509_FMT_DER, &der);
  if (rc != 0 || !pubkey)
    return Error{P2P_ERROR_IDENTITY,
                 std::string ("A signing key cannot be made: ") + gnutls_strerror (rc) + "."};
  return std::shared_ptr<SigningKey> (std::make_shared<EphemeralKey> (std::move (key), take (der)));
}

std::string
registration_proof_text (const std::string &challenge, const std::string &id) {
  return std::string (kContext, sizeof kContext) + challenge + id;
}

Result<std::string>
verify_registration (const std::string &challenge, const std::string &id,
                     const std::string &key_der, const std::string &signature) {
  const UniquePubkey key = new_pubkey ();
  const gnutls_datum_t der = datum (key_der.data (), key_der.size ());
  if (!key || gnutls_pubkey_import (key.get (), &der, GNUTLS_X509_FMT_DER) != 0 ||
      !is_p256 (key.get ()))
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The field \"key\" must be a P-256 public key (SubjectPublicKeyInfo in DER)."};
  const std::string text = registration_proof_text (challenge, id);
  const gnutls_datum_t data = datum (text.data (), text.size ());
  const gnutls_datum_t proof = datum (signature.data (), signature.size ());
  if (gnutls_pubkey_verify_data2 (key.get (), GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &proof) < 0)
    return Error{P2P_ERROR_NOT_AUTHORIZED,
                 "The field \"signature\" does not fit the key, the challenge and the id."};
  // Of the re-encoded key, so that two encodings of one key are one owner.
  gnutls_datum_t canonical{};
  unsigned char digest[32];
  if (gnutls_pubkey_export2 (key.get (), GNUTLS_X509_FMT_DER, &canonical) != 0)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The field \"key\" cannot be encoded again."};
  const std::string canonical_der = take (canonical);
  gnutls_hash_fast (GNUTLS_DIG_SHA256, canonical_der.data (), canonical_der.size (), digest);
  return std::string (reinterpret_cast<char *> (digest), sizeof digest);
}

}  // namespace p2p
