// Encrypts values of a store, so that who reads the disk or the server reads nothing.
//
// Each StoreKey seals with a key of its own, derived from the file's with 128 random bits that
// stand in front of every value: so nonces can be counted, and none is used twice even where a
// store was put back from a copy. Owner and key are authenticated with the value: none can be moved
// to another place. That an older value was put back is not seen here.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/ptr.hpp"

namespace p2p {

// For one thread at a time.
class StoreKey {
 public:
  // 32 bytes, or their text in hexadecimal digits or Base64. The file may be for its owner alone.
  static Result<std::unique_ptr<StoreKey>> from_file (const std::string &path);
  static Result<std::unique_ptr<StoreKey>> from_bytes (ByteView key);  // 32 of them
  ~StoreKey ();

  Ref<GBytes> seal (const std::string &owner, const std::string &key, GBytes *value);
  // Null for what was not sealed with this file's key at this place.
  Ref<GBytes> open (const std::string &owner, const std::string &key, GBytes *sealed);

 private:
  static constexpr std::size_t kKeyBytes = 32, kSaltBytes = 16;
  using Salt = std::array<std::uint8_t, kSaltBytes>;
  struct Cipher;

  StoreKey ();
  Cipher *cipher (const Salt &salt);

  std::array<std::uint8_t, kKeyBytes> master_{};
  Salt salt_{};
  std::uint64_t sealed_ = 0;  // the next nonce
  std::map<Salt, std::unique_ptr<Cipher>> ciphers_;
};

}  // namespace p2p
