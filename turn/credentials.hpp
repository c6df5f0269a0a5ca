// The long-term credential mechanism of STUN, with what RFC 8489 added to it: SHA-256 and user
// names that are not shown, where the server offers them, and no way to talk a client out of them.
#pragma once
#include <optional>
#include <string>

#include "turn/integrity.hpp"
#include "turn/message.hpp"

namespace p2p::turn {

struct Credentials {
  std::string user, password;
  bool operator== (const Credentials &o) const { return user == o.user && password == o.password; }
};

class Authenticator {
 public:
  explicit Authenticator (Credentials credentials) : credentials_ (std::move (credentials)) {}

  // Forgets what the server said, as another server may say something else.
  void reset ();
  void set_credentials (Credentials credentials);
  const Credentials &credentials () const { return credentials_; }
  const std::string &realm () const { return realm_; }  // empty before a challenge
  bool challenged () const { return !nonce_.empty (); }
  bool uses_sha256 () const { return algorithm_ == PasswordAlgorithm::sha256; }

  // Reads realm, nonce and algorithms of a 401 or 438. What is wrong with them, if anything: then
  // nothing was taken over, and asking again would show the credentials to whoever meddles.
  std::optional<std::string> read_challenge (const Message &error);
  // Adds user, realm, nonce and integrity, once there was a challenge.
  void sign (MessageWriter *request) const;
  enum class Verdict { good, missing, bad };
  // Whether the answer to a request that was signed by this is the server's.
  Verdict check (const Message &answer) const;

 private:
  void make_key ();
  std::uint16_t integrity_attribute () const {
    return algorithm_ ? kMessageIntegritySha256 : kMessageIntegrity;
  }

  Credentials credentials_;
  std::string realm_, nonce_;
  std::optional<PasswordAlgorithm> algorithm_;  // none: the server has never heard of them
  std::string offered_;                         // PASSWORD-ALGORITHMS as it came
  bool anonymous_ = false;                      // USERHASH for USERNAME
  bool seen_features_ = false;                  // the server's nonces had the cookie before
  Key key_;
};

}  // namespace p2p::turn
