// The seal on signaling: only who holds the secret reads or makes it, and no message can be turned
// round, passed on or changed.
#include "core/secret_key.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace p2p;

namespace {

SecretKey
key_of (const std::string &secret) {
  auto key = SecretKey::derive (secret);
  EXPECT_TRUE (key.ok ());
  return *key;
}

}  // namespace

TEST (SecretKey, OpensWhatTheSameSecretSealed) {
  const std::string text = "candidates \xff and more";
  const std::string sealed = key_of ("same").seal ("alice", "bob", text);
  auto opened = key_of ("same").open ("alice", "bob", sealed);
  ASSERT_TRUE (opened.ok ());
  EXPECT_EQ (*opened, text);
  EXPECT_EQ (sealed.find ("candidates"), std::string::npos);
}

TEST (SecretKey, RefusesAnotherSecret) {
  const std::string sealed = key_of ("one").seal ("alice", "bob", "text");
  auto opened = key_of ("other").open ("alice", "bob", sealed);
  ASSERT_FALSE (opened.ok ());
  EXPECT_EQ (opened.error ().code, P2P_ERROR_NOT_AUTHORIZED);
}

TEST (SecretKey, RefusesReflectionAndOtherReaders) {
  const SecretKey key = key_of ("one");
  const std::string sealed = key.seal ("alice", "bob", "text");
  EXPECT_FALSE (key.open ("bob", "alice", sealed).ok ());
  EXPECT_FALSE (key.open ("alice", "carol", sealed).ok ());
  EXPECT_FALSE (key.open ("mallory", "bob", sealed).ok ());
}

TEST (SecretKey, RefusesEveryChangedCharacter) {
  const SecretKey key = key_of ("one");
  const std::string sealed = key.seal ("a", "b", "the text");
  // Two equal characters in a row are skipped at the end: base64's last bits may carry nothing.
  for (std::size_t i = 0; i + 4 < sealed.size (); ++i) {
    std::string changed = sealed;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE (key.open ("a", "b", changed).ok ()) << "at " << i;
  }
  for (std::size_t size = 0; size < sealed.size () - 4; size += 4)
    EXPECT_FALSE (key.open ("a", "b", sealed.substr (0, size)).ok ()) << "cut to " << size;
}

TEST (SecretKey, SealsTheSameTextDifferentlyEachTime) {
  const SecretKey key = key_of ("one");
  EXPECT_NE (key.seal ("a", "b", "text"), key.seal ("a", "b", "text"));
}

TEST (SecretKey, GeneratedSecretsAreLongAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string secret = generate_secret ();
    EXPECT_EQ (secret.size (), 36u);
    EXPECT_EQ (secret.compare (0, 4, "p2p-"), 0);
    EXPECT_TRUE (seen.insert (secret).second);
  }
}

TEST (SecretKey, EmptySecretIsAnError) {
  auto key = SecretKey::derive ("");
  ASSERT_FALSE (key.ok ());
  EXPECT_EQ (key.error ().code, P2P_ERROR_INVALID_ARGUMENT);
}
