#include "turn/integrity.hpp"

#include <glib.h>

#include "base/ptr.hpp"

namespace p2p::turn {

namespace {

std::vector<std::uint8_t>
digest (GChecksumType type, const std::string &text) {
  std::vector<std::uint8_t> out (static_cast<std::size_t> (g_checksum_type_get_length (type)));
  GChecksum *sum = g_checksum_new (type);
  g_checksum_update (sum, reinterpret_cast<const guchar *> (text.data ()),
                     static_cast<gssize> (text.size ()));
  gsize size = out.size ();
  g_checksum_get_digest (sum, out.data (), &size);
  g_checksum_free (sum);
  return out;
}

constexpr std::array<std::uint32_t, 256>
make_crc_table () {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t n = 0; n < 256; ++n) {
    std::uint32_t c = n;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? 0xedb88320U ^ (c >> 1) : c >> 1;
    table[n] = c;
  }
  return table;
}

}  // namespace

std::vector<std::uint8_t>
integrity (std::uint16_t which, const Key &key, ByteView bytes) {
  std::vector<std::uint8_t> out (integrity_bytes (which));
  GHmac *hmac = g_hmac_new (which == kMessageIntegritySha256 ? G_CHECKSUM_SHA256 : G_CHECKSUM_SHA1,
                            key.data (), key.size ());
  g_hmac_update (hmac, bytes.data, static_cast<gssize> (bytes.size));
  gsize size = out.size ();
  g_hmac_get_digest (hmac, out.data (), &size);
  g_hmac_unref (hmac);
  return out;
}

std::uint32_t
fingerprint (ByteView bytes) {
  static constexpr auto kTable = make_crc_table ();
  std::uint32_t crc = 0xffffffffU;
  for (const std::uint8_t byte : bytes) crc = kTable[(crc ^ byte) & 0xff] ^ (crc >> 8);
  return (crc ^ 0xffffffffU) ^ 0x5354554eU;  // RFC 8489 section 14.7
}

std::string
opaque_string (const std::string &text) {
  const UniqueChars normal (
      g_utf8_normalize (text.data (), static_cast<gssize> (text.size ()), G_NORMALIZE_NFC));
  return normal ? normal.get () : text;
}

Key
long_term_key (PasswordAlgorithm algorithm, const std::string &user, const std::string &realm,
               const std::string &password) {
  return digest (algorithm == PasswordAlgorithm::sha256 ? G_CHECKSUM_SHA256 : G_CHECKSUM_MD5,
                 opaque_string (user) + ":" + realm + ":" + opaque_string (password));
}

std::array<std::uint8_t, 32>
user_hash (const std::string &user, const std::string &realm) {
  const auto sum = digest (G_CHECKSUM_SHA256, opaque_string (user) + ":" + realm);
  std::array<std::uint8_t, 32> out{};
  std::copy (sum.begin (), sum.end (), out.begin ());
  return out;
}

}  // namespace p2p::turn
