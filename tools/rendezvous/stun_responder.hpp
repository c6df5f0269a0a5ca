// Answers STUN binding requests over UDP, so that clients learn their public address: those of
// RFC 8489, and those of RFC 3489 without a magic cookie, which is what libnice sends.
#pragma once
#include <gio/gio.h>
#include <stun/stunagent.h>

#include <cstdint>

#include "base/ptr.hpp"
#include "base/scheduler.hpp"
#include "signaling/token_bucket.hpp"

namespace p2p {

class StunResponder {
 public:
  // `socket`: a bound UDP socket.
  explicit StunResponder (Ref<GSocket> socket);
  StunResponder (const StunResponder &) = delete;
  StunResponder &operator= (const StunResponder &) = delete;

  std::uint64_t answered () const { return answered_; }
  std::uint64_t dropped () const { return dropped_; }

 private:
  void on_readable ();
  void answer (const std::uint8_t *request, std::size_t size, const struct msghdr &envelope);

  Ref<GSocket> socket_;
  StunAgent agent_, old_agent_;  // RFC 8489, RFC 3489
  TokenBucket rate_;
  std::uint64_t answered_ = 0, dropped_ = 0;
  UniqueSource source_;
};

}  // namespace p2p
