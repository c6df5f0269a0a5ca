// What a Broker knows of its clients and ids; for its own sources alone.
#pragma once
#include <deque>
#include <set>
#include <string>

#include "base/random_bytes.hpp"
#include "signaling/broker.hpp"
#include "signaling/key_proof.hpp"

namespace p2p {

// What an object costs beside its strings: map nodes, buckets, and the socket under a client.
constexpr std::size_t kClientBytes = 8 * 1024;
constexpr std::size_t kIdBytes = 512;
constexpr std::size_t kAskBytes = 256;

struct Broker::Client {
  Client (ClientId number, std::string where, const BrokerConfig &config, TimeUs now)
      : id (number),
        source (std::move (where)),
        challenge (random_bytes (kChallengeBytes)),
        since (now),
        last_heard (now),
        frames (config.frames, now),
        bytes (config.bytes, now),
        registrations (config.registrations, now),
        bad_frames (config.bad_frames, now) {}

  ClientId id;
  std::string source, challenge;
  TimeUs since, last_heard;
  TokenBucket frames, bytes, registrations, bad_frames;
  std::set<std::string> ids;
  bool registered_once = false;
  std::uint64_t sent_bytes = 0, acked_bytes = 0, pinged_bytes = 0;
  std::uint64_t next_seq = 1;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> pings;  // seq, sent_bytes at that time
};

struct Broker::Registration {
  std::string id, owner;
  Client *client;
  bool any = false;
  std::set<std::string> asks;
  std::set<std::string> links;  // peers that are told to be present
};

struct Broker::Held {
  std::string id, owner;
  TimeUs until;
};

}  // namespace p2p
