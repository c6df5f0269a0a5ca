#include "turn/credentials.hpp"

#include <glib.h>

#include "base/ptr.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kMaxTextBytes = 763;  // RFC 8489 sections 14.9 and 14.10
constexpr char kCookie[] = "obMatJos2";     // RFC 8489 section 9.2
constexpr std::size_t kCookieBytes = sizeof kCookie - 1, kFeatureChars = 4;

struct Features {
  bool present = false, password_algorithms = false, user_anonymity = false;
};

// Bit 0 is the last one (erratum 6290); the RFC's own text made it the first, so both are taken.
Features
features_of (const std::string &nonce) {
  Features out;
  if (nonce.compare (0, kCookieBytes, kCookie) != 0) return out;
  const std::string coded = nonce.substr (kCookieBytes, kFeatureChars);
  if (coded.size () != kFeatureChars) return out;
  gsize size = 0;
  const std::unique_ptr<guchar, GFree> bits (g_base64_decode (coded.c_str (), &size));
  if (size != 3) return out;
  const std::uint32_t set = static_cast<std::uint32_t> (bits.get ()[0]) << 16 |
                            static_cast<std::uint32_t> (bits.get ()[1]) << 8 | bits.get ()[2];
  out.present = true;
  out.password_algorithms = (set & 0x000001) || (set & 0x800000);
  out.user_anonymity = (set & 0x000002) || (set & 0x400000);
  return out;
}

// The best that both know of a list of {number, length of parameters, parameters}.
std::optional<PasswordAlgorithm>
choose (ByteView offered) {
  std::optional<PasswordAlgorithm> best;
  for (std::size_t at = 0; at + 4 <= offered.size;) {
    const int number = offered[at] << 8 | offered[at + 1];
    const std::size_t parameters =
        static_cast<std::size_t> (offered[at + 2]) << 8 | offered[at + 3];
    if (number == static_cast<int> (PasswordAlgorithm::sha256)) best = PasswordAlgorithm::sha256;
    if (number == static_cast<int> (PasswordAlgorithm::md5) && !best) best = PasswordAlgorithm::md5;
    at += 4 + ((parameters + 3) & ~std::size_t{3});
  }
  return best;
}

}  // namespace

void
Authenticator::reset () {
  realm_.clear ();
  nonce_.clear ();
  offered_.clear ();
  algorithm_.reset ();
  anonymous_ = seen_features_ = false;
  key_.clear ();
}

void
Authenticator::set_credentials (Credentials credentials) {
  credentials_ = std::move (credentials);
  if (challenged ()) make_key ();
}

void
Authenticator::make_key () {
  key_ = long_term_key (algorithm_.value_or (PasswordAlgorithm::md5), credentials_.user, realm_,
                        credentials_.password);
}

std::optional<std::string>
Authenticator::read_challenge (const Message &error) {
  const auto realm = error.find_text (kRealm), nonce = error.find_text (kNonce);
  if (!nonce || nonce->empty ()) return "it has no NONCE";
  if ((!realm || realm->empty ()) && realm_.empty ()) return "it has no REALM";
  if (nonce->size () > kMaxTextBytes || (realm && realm->size () > kMaxTextBytes))
    return "its NONCE or REALM is too long";
  const Features features = features_of (*nonce);
  if (seen_features_ && !features.present)
    return "its NONCE has lost the security features that it had before";

  std::optional<PasswordAlgorithm> algorithm;
  std::string offered;
  if (features.password_algorithms) {
    const auto list = error.find (kPasswordAlgorithms);
    if (!list) return "its NONCE announces PASSWORD-ALGORITHMS, which are missing";
    algorithm = choose (*list);
    if (!algorithm) return "none of its PASSWORD-ALGORITHMS is known";
    if (algorithm_ == PasswordAlgorithm::sha256 && algorithm != algorithm_)
      return "it offers less than SHA-256, which it had offered before";
    offered = list->to_string ();
  } else if (algorithm_) {
    return "it no longer offers PASSWORD-ALGORITHMS";
  }
  if (realm && !realm->empty ()) realm_ = *realm;
  nonce_ = *nonce;
  algorithm_ = algorithm;
  offered_ = std::move (offered);
  anonymous_ = features.user_anonymity;
  seen_features_ = features.present;
  make_key ();
  return std::nullopt;
}

void
Authenticator::sign (MessageWriter *request) const {
  if (!challenged ()) return;
  if (anonymous_) {
    const auto hash = user_hash (credentials_.user, realm_);
    request->add (kUserhash, ByteView (hash.data (), hash.size ()));
  } else {
    request->add_text (kUsername, opaque_string (credentials_.user));
  }
  request->add_text (kRealm, realm_);
  request->add_text (kNonce, nonce_);
  if (algorithm_) {
    request->add_u32 (kPasswordAlgorithm, static_cast<std::uint32_t> (*algorithm_) << 16);
    request->add_text (kPasswordAlgorithms, offered_);
  }
  request->add_integrity (integrity_attribute (), key_);
}

Authenticator::Verdict
Authenticator::check (const Message &answer) const {
  const std::uint16_t expected = integrity_attribute ();
  if (!challenged ()) return Verdict::good;
  if (!answer.has (expected)) {
    // The weaker one alone is what a bid-down looks like.
    return answer.has (kMessageIntegrity) || answer.has (kMessageIntegritySha256)
               ? Verdict::bad
               : Verdict::missing;
  }
  return answer.check_integrity (expected, key_) ? Verdict::good : Verdict::bad;
}

}  // namespace p2p::turn
