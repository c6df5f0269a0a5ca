#include "transport/identity.hpp"

#include <glib.h>
#include <gnutls/crypto.h>

#include <array>
#include <cctype>
#include <ctime>

#include "base/private_file.hpp"
#include "base/ptr.hpp"
#include "transport/x509_identity.hpp"

namespace p2p {

namespace {

constexpr FileRole kIdentityFile = {"identity file", P2P_ERROR_IDENTITY};

constexpr std::size_t kSha256Bytes = 32;
constexpr char kPrefix[] = "sha-256";

struct CrtFree {
  void operator() (gnutls_x509_crt_t p) const { gnutls_x509_crt_deinit (p); }
};
struct KeyFree {
  void operator() (gnutls_x509_privkey_t p) const { gnutls_x509_privkey_deinit (p); }
};
using UniqueCrt = std::unique_ptr<std::remove_pointer_t<gnutls_x509_crt_t>, CrtFree>;
using UniqueKey = std::unique_ptr<std::remove_pointer_t<gnutls_x509_privkey_t>, KeyFree>;

// Bytes that GnuTLS allocated; wiped, because some of them are a private key.
struct Datum {
  gnutls_datum_t value{};
  Datum () = default;
  Datum (const Datum &) = delete;
  Datum &operator= (const Datum &) = delete;
  ~Datum () {
    if (value.data) gnutls_memset (value.data, 0, value.size);
    gnutls_free (value.data);
  }
  std::string to_string () const { return {reinterpret_cast<char *> (value.data), value.size}; }
};

Error
tls_error (const std::string &what, int code) {
  return {P2P_ERROR_IDENTITY, what + ": " + gnutls_strerror (code) + "."};
}

std::string
format (const std::uint8_t *digest) {
  std::string text = std::string (kPrefix) + " ";
  for (std::size_t i = 0; i < kSha256Bytes; ++i) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    if (i > 0) text += ':';
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

Result<std::shared_ptr<Identity>>
from_parts (gnutls_x509_crt_t crt, gnutls_x509_privkey_t key) {
  Datum der;
  int code = gnutls_x509_crt_export2 (crt, GNUTLS_X509_FMT_DER, &der.value);
  if (code < 0) return tls_error ("The certificate cannot be encoded", code);
  gnutls_certificate_credentials_t raw = nullptr;
  code = gnutls_certificate_allocate_credentials (&raw);
  if (code < 0) return tls_error ("TLS credentials cannot be made", code);
  UniqueCredentials credentials (raw);
  code = gnutls_certificate_set_x509_key (raw, &crt, 1, key);
  if (code < 0) return tls_error ("The certificate and its key cannot be used together", code);
  std::shared_ptr<Identity> identity = std::make_shared<X509Identity> (
      std::move (credentials), fingerprint_of_der ({der.value.data, der.value.size}));
  return identity;
}

struct Made {
  UniqueCrt crt;
  UniqueKey key;
};

Result<Made>
generate () {
  gnutls_x509_privkey_t raw_key = nullptr;
  int code = gnutls_x509_privkey_init (&raw_key);
  UniqueKey key (raw_key);
  if (code >= 0) {
    code = gnutls_x509_privkey_generate (raw_key, GNUTLS_PK_ECDSA,
                                         GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0);
  }
  if (code < 0) return tls_error ("A private key cannot be made", code);

  gnutls_x509_crt_t crt = nullptr;
  code = gnutls_x509_crt_init (&crt);
  UniqueCrt keep_crt (crt);
  // RFC 5280 section 4.1.2.2: positive and at most 20 octets.
  std::array<std::uint8_t, 16> serial{};
  if (code >= 0) code = gnutls_rnd (GNUTLS_RND_NONCE, serial.data (), serial.size ());
  serial[0] = static_cast<std::uint8_t> ((serial[0] & 0x7f) | 0x40);
  // Clocks of peers differ, and the validity of a pinned certificate means nothing.
  constexpr time_t kDay = 24 * 60 * 60;
  static constexpr char kName[] = "gst-p2p";
  if (code >= 0) code = gnutls_x509_crt_set_version (crt, 3);
  if (code >= 0) code = gnutls_x509_crt_set_serial (crt, serial.data (), serial.size ());
  if (code >= 0) code = gnutls_x509_crt_set_activation_time (crt, time (nullptr) - kDay);
  if (code >= 0) {
    code = gnutls_x509_crt_set_expiration_time (crt, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION);
  }
  if (code >= 0) {
    code = gnutls_x509_crt_set_dn_by_oid (crt, GNUTLS_OID_X520_COMMON_NAME, 0, kName,
                                          sizeof kName - 1);
  }
  if (code >= 0) code = gnutls_x509_crt_set_key_usage (crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
  if (code >= 0) code = gnutls_x509_crt_set_key (crt, raw_key);
  if (code >= 0) code = gnutls_x509_crt_sign2 (crt, crt, raw_key, GNUTLS_DIG_SHA256, 0);
  if (code < 0) return tls_error ("A certificate cannot be made", code);
  return Made{std::move (keep_crt), std::move (key)};
}

Result<std::string>
to_pem (const Made &made) {
  Datum key, crt;
  int code = gnutls_x509_privkey_export2_pkcs8 (made.key.get (), GNUTLS_X509_FMT_PEM, nullptr,
                                                GNUTLS_PKCS_PLAIN, &key.value);
  if (code >= 0) code = gnutls_x509_crt_export2 (made.crt.get (), GNUTLS_X509_FMT_PEM, &crt.value);
  if (code < 0) return tls_error ("The new identity cannot be encoded", code);
  return key.to_string () + crt.to_string ();
}

Result<std::shared_ptr<Identity>>
from_pem (const std::string &pem, const std::string &path) {
  const auto malformed = [&path] (const char *part, int code) {
    return Error{P2P_ERROR_IDENTITY, "The identity file " + path + " holds no usable " + part +
                                         " (" + gnutls_strerror (code) +
                                         "). Restore it from a backup, or move it away to get a "
                                         "new identity."};
  };
  const gnutls_datum_t datum = {reinterpret_cast<std::uint8_t *> (const_cast<char *> (pem.data ())),
                                static_cast<unsigned> (pem.size ())};
  gnutls_x509_privkey_t key = nullptr;
  int code = gnutls_x509_privkey_init (&key);
  UniqueKey keep_key (key);
  if (code >= 0) code = gnutls_x509_privkey_import (key, &datum, GNUTLS_X509_FMT_PEM);
  if (code < 0) return malformed ("private key", code);
  gnutls_x509_crt_t crt = nullptr;
  code = gnutls_x509_crt_init (&crt);
  UniqueCrt keep_crt (crt);
  if (code >= 0) code = gnutls_x509_crt_import (crt, &datum, GNUTLS_X509_FMT_PEM);
  if (code < 0) return malformed ("certificate", code);
  auto identity = from_parts (crt, key);
  if (!identity) {
    return Error{P2P_ERROR_IDENTITY,
                 "The identity file " + path + " cannot be used. " + identity.error ().message};
  }
  return identity;
}

}  // namespace

std::string
fingerprint_of_der (ByteView der) {
  std::array<std::uint8_t, kSha256Bytes> digest{};
  if (gnutls_hash_fast (GNUTLS_DIG_SHA256, der.data, der.size, digest.data ()) < 0) return {};
  return format (digest.data ());
}

Result<std::shared_ptr<Identity>>
Identity::create_ephemeral () {
  auto made = generate ();
  if (!made) return made.error ();
  return from_parts (made->crt.get (), made->key.get ());
}

Result<std::shared_ptr<Identity>>
Identity::load_or_create (const std::string &path) {
  auto present = read_private_file (kIdentityFile, path);
  if (!present) return present.error ();
  if (!present->has_value ()) {
    auto made = generate ();
    if (!made) return made.error ();
    auto pem = to_pem (*made);
    if (!pem) return pem.error ();
    const Status created = create_private_file (kIdentityFile, path, *pem);
    gnutls_memset (pem->data (), 0, pem->size ());
    if (created) return *created;
    // Read back: another process may have been first.
    present = read_private_file (kIdentityFile, path);
    if (!present) return present.error ();
    if (!present->has_value ()) {
      return Error{P2P_ERROR_IDENTITY, "The identity file " + path +
                                           " was removed while it was being made. Try again."};
    }
  }
  std::string &pem = **present;
  auto identity = from_pem (pem, path);
  gnutls_memset (pem.data (), 0, pem.size ());
  return identity;
}

std::string
Identity::default_path () {
  const UniqueChars path (
      g_build_filename (g_get_user_data_dir (), "gst-p2p", "identity.pem", nullptr));
  return path.get ();
}

Result<std::string>
normalize_fingerprint (const std::string &text) {
  const Error malformed{P2P_ERROR_INVALID_ARGUMENT,
                        "The fingerprint is malformed: write \"sha-256\" and 32 bytes in "
                        "hexadecimal, as in \"sha-256 AB:CD:…\"."};
  std::size_t at = 0;
  const std::size_t prefix = sizeof kPrefix - 1;
  if (g_ascii_strncasecmp (text.c_str (), kPrefix, prefix) == 0) {
    at = prefix;
    while (at < text.size () && (text[at] == ' ' || text[at] == ':')) ++at;
    if (at == prefix) return malformed;
  }
  std::array<std::uint8_t, kSha256Bytes> digest{};
  for (std::size_t i = 0; i < kSha256Bytes; ++i) {
    if (i > 0 && at < text.size () && text[at] == ':') ++at;
    if (at + 2 > text.size ()) return malformed;
    const int high = g_ascii_xdigit_value (text[at]);
    const int low = g_ascii_xdigit_value (text[at + 1]);
    if (high < 0 || low < 0) return malformed;
    digest[i] = static_cast<std::uint8_t> (high * 16 + low);
    at += 2;
  }
  if (at != text.size ()) return malformed;
  return format (digest.data ());
}

}  // namespace p2p
