#include "transport/quic_error.hpp"

#include <algorithm>

#include "base/ptr.hpp"

namespace p2p {

namespace {

// RFC 8446 section 6.
constexpr std::uint8_t kBadCertificate = 42, kCertificateUnknown = 46, kUnknownCa = 48,
                       kAccessDenied = 49, kDecryptError = 51, kCertificateRequired = 116,
                       kNoApplicationProtocol = 120;
// RFC 9000 section 20.1.
constexpr std::uint64_t kConnectionRefused = 0x2, kApplicationError = 0xc;

constexpr std::size_t kMaxReasonBytes = 256;

// The peer's text, made safe for a message.
std::string
printable (ByteView reason) {
  const std::string raw = reason.sub (0, kMaxReasonBytes).to_string ();
  const UniqueChars valid (g_utf8_make_valid (raw.c_str (), -1));
  std::string text = valid.get ();
  std::replace_if (
      text.begin (), text.end (), [] (char c) { return static_cast<unsigned char> (c) < 0x20; },
      ' ');
  return text.empty () ? "." : ": " + text;
}

Error
no_common_protocol () {
  return {P2P_ERROR_PROTOCOL,
          "The peer does not speak this version of the protocol (ALPN \"p2p/1\"). Update the "
          "older of the two sides."};
}

}  // namespace

bool
alert_means_not_authorized (std::uint8_t alert) {
  return (alert >= kBadCertificate && alert <= kCertificateUnknown) || alert == kUnknownCa ||
         alert == kAccessDenied || alert == kDecryptError || alert == kCertificateRequired;
}

Error
error_of_peer_close (bool by_application, std::uint64_t code, ByteView reason) {
  const std::string text = printable (reason);
  if (by_application) {
    if (code == 0) return {P2P_ERROR_CLOSED, "The peer closed the connection" + text};
    return {P2P_ERROR_CLOSED,
            "The peer closed the connection with code " + std::to_string (code) + text};
  }
  if (code >= kCryptoError && code < kCryptoError + 256) {
    const auto alert = static_cast<std::uint8_t> (code - kCryptoError);
    if (alert_means_not_authorized (alert)) {
      return {P2P_ERROR_NOT_AUTHORIZED,
              "The peer refused our certificate. Check that the peer expects our fingerprint, or "
              "that both sides use the same secret."};
    }
    if (alert == kNoApplicationProtocol) return no_common_protocol ();
    return {P2P_ERROR_PROTOCOL,
            "The peer ended the TLS handshake with alert " + std::to_string (alert) + text};
  }
  if (code == 0 || code == kApplicationError) {
    return {P2P_ERROR_CLOSED, "The peer closed the connection" + text};
  }
  if (code == kConnectionRefused) {
    return {P2P_ERROR_REFUSED, "The peer refused the connection" + text};
  }
  return {P2P_ERROR_PROTOCOL,
          "The peer ended the connection with QUIC error " + std::to_string (code) + text};
}

Error
error_of_own_alert (std::uint8_t alert, const std::string &refused, const std::string &expected) {
  if (!refused.empty ()) {
    return {P2P_ERROR_NOT_AUTHORIZED, "The peer presented " + refused + " where " + expected +
                                          " was expected. Check the fingerprint, or that both "
                                          "sides use the same secret."};
  }
  if (alert_means_not_authorized (alert)) {
    return {P2P_ERROR_NOT_AUTHORIZED,
            "The peer presented no certificate whose key it holds. Check that it is a peer of "
            "this kind."};
  }
  if (alert == kNoApplicationProtocol) return no_common_protocol ();
  return {P2P_ERROR_PROTOCOL,
          "The TLS handshake with the peer failed with alert " + std::to_string (alert) + "."};
}

}  // namespace p2p
