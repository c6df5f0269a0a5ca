// What an end of a QUIC connection means to a user of this library.
#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace p2p {

// CRYPTO_ERROR: TLS alerts follow this code (RFC 9001 section 4.8).
constexpr std::uint64_t kCryptoError = 0x100;

// Whether this TLS alert (RFC 8446 section 6) says that a certificate was missing or refused.
bool alert_means_not_authorized (std::uint8_t alert);

// The error of a CONNECTION_CLOSE frame that the peer sent. `reason` is the peer's text.
Error error_of_peer_close (bool by_application, std::uint64_t code, ByteView reason);

// The error of a TLS alert that we sent. `refused` is the peer's unexpected fingerprint, if any.
Error error_of_own_alert (std::uint8_t alert, const std::string &refused,
                          const std::string &expected);

}  // namespace p2p
