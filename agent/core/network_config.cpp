#include "core/network_config.hpp"

#include "core/json_reader.hpp"
#include "transport/identity.hpp"

namespace p2p {

namespace {

constexpr int kConfigVersion = 1;
constexpr std::size_t kMaxIdBytes = 128;
constexpr std::size_t kMaxIceTextBytes = 256;  // ufrag and pwd, RFC 8445 section 5.3
constexpr std::size_t kMaxCandidateBytes = 512;
constexpr std::size_t kMaxAttemptBytes = 64;
constexpr std::size_t kMaxFingerprintBytes = 128;

}  // namespace

std::string
network_config_to_json (const NetworkConfig &config) {
  return JsonWriter ()
      .number ("version", kConfigVersion)
      .text ("id", config.id)
      .text ("attempt", config.attempt)
      .text ("fingerprint", config.fingerprint)
      .text ("ufrag", config.ufrag)
      .text ("pwd", config.pwd)
      .texts ("candidates", config.candidates)
      .flag ("complete", config.complete)
      .finish ();
}

Result<NetworkConfig>
network_config_from_json (const std::string &json) {
  auto reader = JsonReader::parse (json, "network configuration");
  if (!reader) return reader.error ();

  NetworkConfig config;
  Status failed;
  auto take = [&] (const char *field, std::size_t max_bytes, std::string &into) {
    if (failed) return;
    auto value = reader->text (field, max_bytes);
    if (value)
      into = std::move (*value);
    else
      failed = value.error ();
  };
  take ("id", kMaxIdBytes, config.id);
  take ("attempt", kMaxAttemptBytes, config.attempt);
  take ("fingerprint", kMaxFingerprintBytes, config.fingerprint);
  // Without ICE there are no ICE credentials: other paths may serve alone.
  if (reader->has ("ufrag")) take ("ufrag", kMaxIceTextBytes, config.ufrag);
  if (reader->has ("pwd")) take ("pwd", kMaxIceTextBytes, config.pwd);
  if (failed) return *failed;
  if (config.id.empty ()) return reader->malformed ("id", "is empty");
  if (config.attempt.empty ()) return reader->malformed ("attempt", "is empty");

  auto fingerprint = normalize_fingerprint (config.fingerprint);
  if (!fingerprint) return reader->malformed ("fingerprint", "is not a SHA-256 fingerprint");
  config.fingerprint = std::move (*fingerprint);

  auto candidates = reader->texts ("candidates", kMaxCandidates, kMaxCandidateBytes);
  if (!candidates) return candidates.error ();
  config.candidates = std::move (*candidates);
  config.complete = reader->flag_or ("complete", false);
  return config;
}

}  // namespace p2p
