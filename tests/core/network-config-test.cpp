// A network configuration survives being written down, and a malformed one is refused by the name
// of its field.
#include "core/network_config.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace p2p;

namespace {

NetworkConfig
sample () {
  NetworkConfig config;
  config.id = "alice";
  config.attempt = "00112233445566778899aabbccddeeff";
  config.fingerprint = "sha-256 ";
  for (int i = 0; i < 32; ++i) config.fingerprint += i ? ":AB" : "AB";
  config.ufrag = "abcd";
  config.pwd = "0123456789012345678901";
  config.candidates = {"candidate:1 1 UDP 2122252543 192.0.2.1 4711 typ host"};
  config.complete = true;
  return config;
}

void
expect_names_field (const std::string &json, const std::string &field) {
  auto parsed = network_config_from_json (json);
  ASSERT_FALSE (parsed.ok ()) << json;
  EXPECT_EQ (parsed.error ().code, P2P_ERROR_INVALID_ARGUMENT);
  EXPECT_NE (parsed.error ().message.find (field), std::string::npos) << parsed.error ().message;
}

}  // namespace

TEST (NetworkConfig, RoundTrips) {
  const NetworkConfig config = sample ();
  auto parsed = network_config_from_json (network_config_to_json (config));
  ASSERT_TRUE (parsed.ok ()) << parsed.error ().message;
  EXPECT_EQ (parsed->id, config.id);
  EXPECT_EQ (parsed->attempt, config.attempt);
  EXPECT_EQ (parsed->fingerprint, config.fingerprint);
  EXPECT_EQ (parsed->ufrag, config.ufrag);
  EXPECT_EQ (parsed->pwd, config.pwd);
  EXPECT_EQ (parsed->candidates, config.candidates);
  EXPECT_TRUE (parsed->complete);
}

TEST (NetworkConfig, ErrorsNameTheField) {
  expect_names_field ("", "not a JSON object");
  expect_names_field ("{", "not JSON");
  expect_names_field ("[]", "not a JSON object");
  expect_names_field ("{}", "\"id\"");
  expect_names_field (R"({"id":7})", "\"id\"");
  expect_names_field (R"({"id":"a","attempt":""})", "\"fingerprint\"");
  expect_names_field (R"({"id":"a","attempt":"x","fingerprint":"nonsense","candidates":[]})",
                      "\"fingerprint\"");
  NetworkConfig config = sample ();
  config.candidates.assign (kMaxCandidates + 1, "candidate:1");
  expect_names_field (network_config_to_json (config), "\"candidates\"");
  config = sample ();
  config.candidates = {std::string (2000, 'x')};
  expect_names_field (network_config_to_json (config), "\"candidates\"");
}

TEST (NetworkConfig, UnknownFieldsAreSkipped) {
  std::string json = network_config_to_json (sample ());
  json.insert (1, R"("later":{"a":[1,2,3]},)");
  EXPECT_TRUE (network_config_from_json (json).ok ());
}

TEST (NetworkConfig, MutatedTextNeverAborts) {
  const std::string json = network_config_to_json (sample ());
  std::mt19937 random (1);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = json;
    for (int n = 0; n < 3; ++n) text[random () % text.size ()] = static_cast<char> (random ());
    if (!network_config_from_json (text).ok ()) ++refused;
  }
  EXPECT_GT (refused, 0);
}
