#include "session/probe.hpp"

#include <glib.h>
#include <gnutls/crypto.h>

#include <algorithm>

namespace p2p {

namespace {

constexpr std::size_t kHashBytes = 32;  // SHA-256
constexpr std::size_t kMacBytes = 16;
constexpr std::size_t kSealedBytes = kProbeBytes - kMacBytes;
constexpr std::size_t kFlagsAt = 1, kNumberAt = 2, kPingNumberAt = 10;
constexpr std::uint8_t kPing = 0x80, kPong = 0x81;
constexpr std::uint8_t kUnheard = 1, kWanted = 2, kAnew = 4;
constexpr std::uint64_t kWindow = 64;
constexpr char kClientInfo[] = "gst-p2p probe client";
constexpr char kServerInfo[] = "gst-p2p probe server";

using Digest = std::array<std::uint8_t, kHashBytes>;

void
put_number (ProbeBytes &probe, std::size_t at, std::uint64_t number) {
  for (std::size_t i = 0; i < 8; ++i)
    probe[at + i] = static_cast<std::uint8_t> (number >> (56 - 8 * i));
}

std::uint64_t
number_at (ByteView bytes, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = number << 8 | bytes[at + i];
  return number;
}

// GnuTLS fails here only for want of memory, and a probe without its MAC must never leave.
void
require (int result) {
  if (result < 0) g_error ("HMAC-SHA256 cannot be computed: %s.", gnutls_strerror (result));
}

Digest
digest_of (const Digest &key, const std::uint8_t *probe) {
  Digest digest{};
  require (gnutls_hmac_fast (GNUTLS_MAC_SHA256, key.data (), key.size (), probe, kSealedBytes,
                             digest.data ()));
  return digest;
}

}  // namespace

ProbeCodec::Key
ProbeCodec::make_key (const ProbeSecret &secret, bool client) {
  ProbeSecret copy = secret;
  const char *text = client ? kClientInfo : kServerInfo;
  std::array<std::uint8_t, sizeof kClientInfo - 1> label{};
  static_assert (sizeof kClientInfo == sizeof kServerInfo);
  std::copy_n (text, label.size (), label.begin ());
  const gnutls_datum_t prk = {copy.data (), static_cast<unsigned> (copy.size ())};
  const gnutls_datum_t info = {label.data (), static_cast<unsigned> (label.size ())};
  Key key{};
  require (gnutls_hkdf_expand (GNUTLS_MAC_SHA256, &prk, &info, key.data (), key.size ()));
  gnutls_memset (copy.data (), 0, copy.size ());
  return key;
}

ProbeCodec::ProbeCodec (const ProbeSecret &secret, bool client, std::uint64_t first_number)
    : sending_ (make_key (secret, client)),
      receiving_ (make_key (secret, !client)),
      next_number_ (first_number) {}

ProbeCodec::~ProbeCodec () {
  gnutls_memset (sending_.data (), 0, sending_.size ());
  gnutls_memset (receiving_.data (), 0, receiving_.size ());
}

void
ProbeCodec::seal (ProbeBytes &probe) const {
  const Digest digest = digest_of (sending_, probe.data ());
  std::copy_n (digest.begin (), kMacBytes, probe.begin () + kSealedBytes);
}

ProbeCodec::Ping
ProbeCodec::ping (const Says &says) {
  Ping ping;
  ping.number = next_number_++;
  ping.bytes[0] = kPing;
  ping.bytes[kFlagsAt] = static_cast<std::uint8_t> (
      (says.unheard ? kUnheard : 0) | (says.wanted ? kWanted : 0) | (says.anew ? kAnew : 0));
  put_number (ping.bytes, kNumberAt, ping.number);
  put_number (ping.bytes, kPingNumberAt, says.transport);
  seal (ping.bytes);
  return ping;
}

ProbeBytes
ProbeCodec::pong (std::uint64_t ping_number) {
  ProbeBytes pong{};
  pong[0] = kPong;
  put_number (pong, kNumberAt, next_number_++);
  put_number (pong, kPingNumberAt, ping_number);
  seal (pong);
  return pong;
}

std::optional<Probe>
ProbeCodec::decode (ByteView bytes) {
  if (bytes.size != kProbeBytes || (bytes[0] != kPing && bytes[0] != kPong)) {
    ++rejections_.malformed;
    return {};
  }
  const Digest digest = digest_of (receiving_, bytes.data);
  if (gnutls_memcmp (digest.data (), bytes.data + kSealedBytes, kMacBytes) != 0) {
    ++rejections_.not_authentic;
    return {};
  }
  Probe probe;
  probe.number = number_at (bytes, kNumberAt);
  if (!take (probe.number)) {
    ++rejections_.repeated;
    return {};
  }
  if (bytes[0] == kPing) {
    probe.unheard = (bytes[kFlagsAt] & kUnheard) != 0;
    probe.wanted = (bytes[kFlagsAt] & kWanted) != 0;
    probe.anew = (bytes[kFlagsAt] & kAnew) != 0;
    probe.transport = number_at (bytes, kPingNumberAt);
  } else {
    probe.kind = Probe::Kind::pong;
    probe.ping_number = number_at (bytes, kPingNumberAt);
  }
  return probe;
}

bool
ProbeCodec::take (std::uint64_t number) {
  if (window_ == 0 || number > highest_) {  // window_ is empty before the first
    const std::uint64_t ahead = number - highest_;
    window_ = window_ == 0 || ahead >= kWindow ? 1 : window_ << ahead | 1;
    highest_ = number;
    return true;
  }
  const std::uint64_t behind = highest_ - number;
  if (behind >= kWindow || (window_ >> behind & 1) != 0) return false;
  window_ |= std::uint64_t{1} << behind;
  return true;
}

}  // namespace p2p
