// What agents say to each other passes sealed and in clear, and nothing else passes.
#include "core/peer_signal.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace p2p;

namespace {

PeerSignal
hello () {
  NetworkConfig config;
  config.id = "alice";
  config.attempt = "a1";
  config.fingerprint = "sha-256 ";
  for (int i = 0; i < 32; ++i) config.fingerprint += i ? ":01" : "01";
  config.candidates = {"candidate:1 1 UDP 1 192.0.2.1 4711 typ host"};
  PeerSignal signal;
  signal.kind = PeerSignal::Kind::hello;
  signal.attempt = "a1";
  signal.in_reply_to = "b1";
  signal.config = config;
  signal.without_relays = {"192.0.2.1", "2001:db8::1"};
  return signal;
}

}  // namespace

TEST (PeerSignal, EveryKindRoundTripsSealedAndInClear) {
  const SecretKey key = *SecretKey::derive (generate_secret ());
  PeerSignal candidate;
  candidate.kind = PeerSignal::Kind::candidate;
  candidate.attempt = "a1";
  candidate.candidate = "candidate:2 1 UDP 1 192.0.2.2 1 typ host";
  PeerSignal done;
  done.kind = PeerSignal::Kind::candidates_done;
  done.attempt = "a1";
  PeerSignal path;
  path.kind = PeerSignal::Kind::path;
  path.attempt = "a1";
  path.source = "bluetooth";
  path.data = std::string ("\0\xff bytes", 8);
  PeerSignal bye;
  bye.kind = PeerSignal::Kind::bye;
  bye.attempt = "a1";
  bye.code = P2P_ERROR_REFUSED;
  bye.text = "no";
  for (const PeerSignal &signal : {hello (), candidate, done, path, bye})
    for (const SecretKey *secret : {static_cast<const SecretKey *> (nullptr), &key}) {
      auto decoded = decode_peer_signal (encode_peer_signal (signal, secret, "alice", "bob"),
                                         secret, "alice", "bob");
      ASSERT_TRUE (decoded.ok ()) << decoded.error ().message;
      EXPECT_EQ (decoded->kind, signal.kind);
      EXPECT_EQ (decoded->attempt, signal.attempt);
      EXPECT_EQ (decoded->in_reply_to, signal.in_reply_to);
      EXPECT_EQ (decoded->candidate, signal.candidate);
      EXPECT_EQ (decoded->without_relays, signal.without_relays);
      EXPECT_EQ (decoded->source, signal.source);
      EXPECT_EQ (decoded->data, signal.data);
      EXPECT_EQ (decoded->text, signal.text);
      EXPECT_EQ (decoded->config.has_value (), signal.config.has_value ());
    }
}

TEST (PeerSignal, OneSidedSecretIsNotAuthorized) {
  const SecretKey key = *SecretKey::derive ("secret");
  const std::string clear = encode_peer_signal (hello (), nullptr, "alice", "bob");
  const std::string sealed = encode_peer_signal (hello (), &key, "alice", "bob");
  for (auto &decoded : {decode_peer_signal (clear, &key, "alice", "bob"),
                        decode_peer_signal (sealed, nullptr, "alice", "bob")}) {
    ASSERT_FALSE (decoded.ok ());
    EXPECT_EQ (decoded.error ().code, P2P_ERROR_NOT_AUTHORIZED);
  }
}

TEST (PeerSignal, ByeIsTakenInClearOnly) {
  const SecretKey key = *SecretKey::derive ("secret");
  PeerSignal bye;
  bye.kind = PeerSignal::Kind::bye;
  bye.attempt = "none";
  bye.code = P2P_ERROR_NOT_AUTHORIZED;
  auto decoded =
      decode_peer_signal (encode_peer_signal (bye, nullptr, "alice", "bob"), &key, "alice", "bob");
  ASSERT_TRUE (decoded.ok ());
  EXPECT_EQ (decoded->code, P2P_ERROR_NOT_AUTHORIZED);
}

TEST (PeerSignal, HelloOfAnotherAttemptIsRefused) {
  PeerSignal signal = hello ();
  signal.attempt = "a2";
  auto decoded = decode_peer_signal (encode_peer_signal (signal, nullptr, "alice", "bob"), nullptr,
                                     "alice", "bob");
  EXPECT_FALSE (decoded.ok ());
}

TEST (PeerSignal, MutatedTextNeverAborts) {
  const std::string text = encode_peer_signal (hello (), nullptr, "alice", "bob");
  std::mt19937 random (1);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string changed = text;
    for (int n = 0; n < 2; ++n)
      changed[random () % changed.size ()] = static_cast<char> (random ());
    if (!decode_peer_signal (changed, nullptr, "alice", "bob").ok ()) ++refused;
  }
  EXPECT_GT (refused, 0);
}
