#include "store/store_key.hpp"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/private_file.hpp"

namespace p2p {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kCounterBytes = 8;
constexpr std::size_t kNonceBytes = 12;  // of AES-GCM, RFC 5116 section 5.2
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHexChars = 64;

gnutls_datum_t
datum (const void *data, std::size_t size) {
  return {static_cast<unsigned char *> (const_cast<void *> (data)), static_cast<unsigned> (size)};
}

// The length keeps "ab" + "c" and "a" + "bc" apart.
std::string
place (const std::string &owner, const std::string &key) {
  return std::to_string (owner.size ()) + ":" + owner + key;
}

std::string
decode_hex (const std::string &text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size (); i += 2) {
    const int high = g_ascii_xdigit_value (text[i]), low = g_ascii_xdigit_value (text[i + 1]);
    if (high < 0 || low < 0) return {};
    bytes += static_cast<char> (high << 4 | low);
  }
  return bytes;
}

std::string
decode_base64 (const std::string &text) {
  gsize size = 0;
  const std::unique_ptr<guchar, GFree> bytes (g_base64_decode (text.c_str (), &size));
  return {reinterpret_cast<const char *> (bytes.get ()), size};
}

}  // namespace

struct StoreKey::Cipher {
  ~Cipher () {
    if (handle) gnutls_aead_cipher_deinit (handle);
  }
  gnutls_aead_cipher_hd_t handle = nullptr;
};

StoreKey::StoreKey () = default;

StoreKey::~StoreKey () {
  gnutls_memset (master_.data (), 0, master_.size ());
}

Result<std::unique_ptr<StoreKey>>
StoreKey::from_bytes (ByteView key) {
  std::unique_ptr<StoreKey> self (new StoreKey);
  if (key.size != kKeyBytes ||
      gnutls_rnd (GNUTLS_RND_KEY, self->salt_.data (), self->salt_.size ()) < 0)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The key of a session store has 32 bytes."};
  std::copy (key.begin (), key.end (), self->master_.begin ());
  if (!self->cipher (self->salt_))
    return Error{P2P_ERROR_STORE, "GnuTLS on this machine does not offer AES-256-GCM."};
  return {std::move (self)};
}

Result<std::unique_ptr<StoreKey>>
StoreKey::from_file (const std::string &path) {
  auto content = read_private_file ({"key file of the session store", P2P_ERROR_STORE}, path);
  if (!content) return content.error ();
  if (!*content)
    return Error{P2P_ERROR_STORE, "The key file of the session store " + path +
                                      " does not exist. Make one with: (umask 077; head -c 32 "
                                      "/dev/urandom > '" +
                                      path + "')."};
  std::string key = **content;
  if (key.size () != kKeyBytes) {
    while (!key.empty () && g_ascii_isspace (key.back ())) key.pop_back ();
    key = key.size () == kHexChars ? decode_hex (key) : decode_base64 (key);
  }
  if (key.size () != kKeyBytes)
    return Error{P2P_ERROR_STORE,
                 "The key file of the session store " + path +
                     " holds no key: 32 bytes, or their text in hexadecimal digits or Base64."};
  return from_bytes (ByteView (std::string_view (key)));
}

StoreKey::Cipher *
StoreKey::cipher (const Salt &salt) {
  auto &cipher = ciphers_[salt];
  if (cipher) return cipher.get ();
  std::array<std::uint8_t, kKeyBytes> prk{}, key{};
  const gnutls_datum_t master = datum (master_.data (), master_.size ());
  const gnutls_datum_t salt_datum = datum (salt.data (), salt.size ());
  const gnutls_datum_t info = datum ("gst-p2p session store", 21);
  const gnutls_datum_t prk_datum = datum (prk.data (), prk.size ());
  const gnutls_datum_t raw = datum (key.data (), key.size ());
  auto made = std::make_unique<Cipher> ();
  if (gnutls_hkdf_extract (GNUTLS_MAC_SHA256, &master, &salt_datum, prk.data ()) == 0 &&
      gnutls_hkdf_expand (GNUTLS_MAC_SHA256, &prk_datum, &info, key.data (), key.size ()) == 0 &&
      gnutls_aead_cipher_init (&made->handle, GNUTLS_CIPHER_AES_256_GCM, &raw) == 0)
    cipher = std::move (made);
  gnutls_memset (prk.data (), 0, prk.size ());
  gnutls_memset (key.data (), 0, key.size ());
  return cipher.get ();
}

// One byte of the format, the salt, the nonce's counter, the ciphertext with its tag.
Ref<GBytes>
StoreKey::seal (const std::string &owner, const std::string &key, GBytes *value) {
  Cipher *const own = cipher (salt_);  // from_bytes() made it
  gsize size = 0;
  const void *data = g_bytes_get_data (value, &size);
  constexpr std::size_t kHead = 1 + kSaltBytes + kCounterBytes;
  const std::size_t all = kHead + size + kTagBytes;
  std::unique_ptr<std::uint8_t, GFree> sealed (static_cast<std::uint8_t *> (g_malloc (all)));
  sealed.get ()[0] = kFormat;
  std::copy (salt_.begin (), salt_.end (), sealed.get () + 1);
  std::uint8_t nonce[kNonceBytes] = {};
  for (std::size_t i = 0; i < kCounterBytes; ++i)
    nonce[kNonceBytes - 1 - i] = static_cast<std::uint8_t> (sealed_ >> (8 * i));
  ++sealed_;
  std::memcpy (sealed.get () + 1 + kSaltBytes, nonce + kNonceBytes - kCounterBytes, kCounterBytes);
  const std::string where = place (owner, key);
  std::size_t written = size + kTagBytes;
  const int result =
      gnutls_aead_cipher_encrypt (own->handle, nonce, sizeof nonce, where.data (), where.size (),
                                  kTagBytes, data, size, sealed.get () + kHead, &written);
  g_assert (result == 0);  // for want of memory alone, where GLib ends the process as well
  return Ref<GBytes>::adopt (g_bytes_new_take (sealed.release (), all));
}

Ref<GBytes>
StoreKey::open (const std::string &owner, const std::string &key, GBytes *bytes) {
  gsize size = 0;
  const auto *sealed = static_cast<const std::uint8_t *> (g_bytes_get_data (bytes, &size));
  constexpr std::size_t kHead = 1 + kSaltBytes + kCounterBytes;
  if (size < kHead + kTagBytes || sealed[0] != kFormat) return {};
  Salt salt;
  std::copy (sealed + 1, sealed + 1 + kSaltBytes, salt.begin ());
  Cipher *const theirs = cipher (salt);
  if (!theirs) return {};
  std::uint8_t nonce[kNonceBytes] = {};
  std::memcpy (nonce + kNonceBytes - kCounterBytes, sealed + 1 + kSaltBytes, kCounterBytes);
  const std::string where = place (owner, key);
  std::size_t written = size - kHead - kTagBytes;
  // One more: GnuTLS wants a place for an empty text as well.
  std::unique_ptr<std::uint8_t, GFree> text (static_cast<std::uint8_t *> (g_malloc (written + 1)));
  if (gnutls_aead_cipher_decrypt (theirs->handle, nonce, sizeof nonce, where.data (), where.size (),
                                  kTagBytes, sealed + kHead, size - kHead, text.get (),
                                  &written) < 0)
    return {};
  return Ref<GBytes>::adopt (g_bytes_new_take (text.release (), written));
}

}  // namespace p2p
