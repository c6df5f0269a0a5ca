#include "core/attempt_id.hpp"

#include <gnutls/crypto.h>

#include <cstdio>

namespace p2p {

namespace {

constexpr std::size_t kInstanceDigits = 16, kOrderedDigits = 24, kDigits = 32;

std::uint64_t
random_number () {
  std::uint64_t number = 0;
  gnutls_rnd (GNUTLS_RND_NONCE, &number, sizeof number);
  return number;
}

std::string
hex (std::uint64_t number, int digits) {
  char text[17];
  std::snprintf (text, sizeof text, "%0*llx", digits, static_cast<unsigned long long> (number));
  return text;
}

}  // namespace

std::string
make_instance_id () {
  return hex (random_number (), kInstanceDigits);
}

std::string
make_attempt_id (const std::string &instance, std::uint32_t number) {
  return instance + hex (number, 8) + hex (random_number () >> 32, 8);
}

bool
attempt_is_older (const std::string &one, const std::string &other) {
  return one.size () == kDigits && other.size () == kDigits &&
         one.compare (0, kInstanceDigits, other, 0, kInstanceDigits) == 0 &&
         one.compare (0, kOrderedDigits, other, 0, kOrderedDigits) < 0;
}

}  // namespace p2p
