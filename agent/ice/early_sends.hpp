// The first datagrams of a client's handshake, sent to the peer's candidates before any pair has
// been proved: what arrives after a check of ours is taken by the peer, so that its answer need not
// wait for the pair. Core thread only.
#pragma once
#include <nice/agent.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"

namespace p2p {

// So long a handshake whose first packets may be lost is left alone: less than the time after which
// it sends them again by itself, three times QuicConfig::initial_rtt_us.
constexpr TimeUs kUnprovenFor = 250 * kMillisecond;

class EarlySends {
 public:
  struct Target {
    Ref<GSocket> socket;
    sockaddr_storage remote{};
  };
  // Nobody has agreed yet to hear from us: each gets less than what a QUIC client sends to an
  // address that does not answer (RFC 9002 section 6.2).
  static constexpr std::size_t kMaxTargets = 4, kMaxDatagrams = 2;

  // From each UDP socket to each of the candidates that it may reach, in their order; to no relay.
  static std::vector<Target> targets (NiceAgent *agent, guint stream,
                                      const std::vector<std::string> &remote_candidates);

  explicit EarlySends (std::vector<Target> targets);

  // To all targets; whether it arrives is not known. False when there may be no more.
  bool send (ByteView burst, std::size_t segment_bytes, TimeUs now);
  // What is to be sent again now that there is a pair: a target may have dropped it. Nothing after
  // kUnprovenFor.
  std::vector<std::vector<std::uint8_t>> take (TimeUs now);

 private:
  std::vector<Target> targets_;
  std::vector<std::vector<std::uint8_t>> sent_;
  TimeUs first_at_ = 0;
};

}  // namespace p2p
