#include "core/secret_key.hpp"

#include <glib.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/ptr.hpp"

namespace p2p {

namespace {

constexpr char kGeneratedPrefix[] = "p2p-";
constexpr std::size_t kGeneratedBytes = 20;                     // 160 bits: 32 characters of base32
constexpr char kBase32[] = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648 section 6, lower case
constexpr char kSalt[] = "gst-p2p secret 1";
// About 70 ms of one core: the price of each guess at a password.
constexpr unsigned kPasswordIterations = 600000;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;  // RFC 5116 section 5.3
constexpr std::size_t kTagBytes = 16;

gnutls_datum_t
datum (const void *data, std::size_t size) {
  // GnuTLS takes what it only reads as non-const.
  return {static_cast<unsigned char *> (const_cast<void *> (data)), static_cast<unsigned> (size)};
}

bool
is_generated (const std::string &secret) {
  const std::size_t prefix = sizeof kGeneratedPrefix - 1;
  if (secret.size () != prefix + kGeneratedBytes * 8 / 5) return false;
  if (secret.compare (0, prefix, kGeneratedPrefix) != 0) return false;
  return secret.find_first_not_of (kBase32, prefix) == std::string::npos;
}

// One key for each direction between two ids, so that no message can be reflected.
std::array<std::uint8_t, kKeyBytes>
direction_key (const std::array<std::uint8_t, kKeyBytes> &master, const std::string &sender,
               const std::string &receiver) {
  // The NUL separates the ids, which cannot contain one.
  const std::string info = "signal" + std::string (1, '\0') + sender + '\0' + receiver;
  std::array<std::uint8_t, kKeyBytes> key{};
  const gnutls_datum_t prk = datum (master.data (), master.size ());
  const gnutls_datum_t label = datum (info.data (), info.size ());
  gnutls_hkdf_expand (GNUTLS_MAC_SHA256, &prk, &label, key.data (), key.size ());
  return key;
}

struct CipherFree {
  void operator() (gnutls_aead_cipher_hd_t cipher) const { gnutls_aead_cipher_deinit (cipher); }
};
using UniqueCipher = std::unique_ptr<std::remove_pointer_t<gnutls_aead_cipher_hd_t>, CipherFree>;

UniqueCipher
make_cipher (const std::array<std::uint8_t, kKeyBytes> &key) {
  gnutls_aead_cipher_hd_t cipher = nullptr;
  const gnutls_datum_t raw = datum (key.data (), key.size ());
  if (gnutls_aead_cipher_init (&cipher, GNUTLS_CIPHER_AES_256_GCM, &raw) < 0) return nullptr;
  return UniqueCipher (cipher);
}

Error
not_authentic (const std::string &sender) {
  return {P2P_ERROR_NOT_AUTHORIZED,
          "What came from \"" + sender +
              "\" was not sealed with our secret: the two sides were given different secrets, "
              "or the message was changed on its way."};
}

}  // namespace

Result<SecretKey>
SecretKey::derive (const std::string &secret) {
  if (secret.empty ())
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The secret is empty; leave it unset instead."};
  const gnutls_datum_t salt = datum (kSalt, sizeof kSalt - 1);
  const gnutls_datum_t input = datum (secret.data (), secret.size ());
  SecretKey key;
  const int result =
      is_generated (secret)
          ? gnutls_hkdf_extract (GNUTLS_MAC_SHA256, &input, &salt, key.master_.data ())
          : gnutls_pbkdf2 (GNUTLS_MAC_SHA256, &input, &salt, kPasswordIterations,
                           key.master_.data (), key.master_.size ());
  if (result < 0)
    return Error{P2P_ERROR_FAILED, std::string ("No key could be derived from the secret: ") +
                                       gnutls_strerror (result)};
  return key;
}

std::string
SecretKey::seal (const std::string &sender, const std::string &receiver,
                 const std::string &text) const {
  const UniqueCipher cipher = make_cipher (direction_key (master_, sender, receiver));
  std::vector<std::uint8_t> sealed (kNonceBytes + text.size () + kTagBytes);
  std::size_t size = sealed.size () - kNonceBytes;
  if (!cipher || gnutls_rnd (GNUTLS_RND_NONCE, sealed.data (), kNonceBytes) < 0 ||
      gnutls_aead_cipher_encrypt (cipher.get (), sealed.data (), kNonceBytes, nullptr, 0, kTagBytes,
                                  text.data (), text.size (), sealed.data () + kNonceBytes,
                                  &size) < 0)
    return {};
  const UniqueChars base64 (g_base64_encode (sealed.data (), kNonceBytes + size));
  return base64.get ();
}

Result<std::string>
SecretKey::open (const std::string &sender, const std::string &receiver,
                 const std::string &sealed) const {
  gsize size = 0;
  const std::unique_ptr<guchar, GFree> raw (g_base64_decode (sealed.c_str (), &size));
  if (size < kNonceBytes + kTagBytes) return not_authentic (sender);
  const UniqueCipher cipher = make_cipher (direction_key (master_, sender, receiver));
  std::string text (size - kNonceBytes, '\0');
  std::size_t text_size = text.size ();
  if (!cipher || gnutls_aead_cipher_decrypt (cipher.get (), raw.get (), kNonceBytes, nullptr, 0,
                                             kTagBytes, raw.get () + kNonceBytes,
                                             size - kNonceBytes, text.data (), &text_size) < 0)
    return not_authentic (sender);
  text.resize (text_size);
  return text;
}

std::string
generate_secret () {
  std::array<std::uint8_t, kGeneratedBytes> random{};
  if (gnutls_rnd (GNUTLS_RND_KEY, random.data (), random.size ()) < 0) return {};
  std::string secret = kGeneratedPrefix;
  unsigned bits = 0, held = 0;
  for (const std::uint8_t byte : random) {
    bits = bits << 8 | byte;
    for (held += 8; held >= 5; held -= 5) secret += kBase32[bits >> (held - 5) & 31];
  }
  return secret;
}

}  // namespace p2p
