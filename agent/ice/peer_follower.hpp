// Moves the selected pair of a NiceAgent to where the peer's checks come from, and back. libnice
// learns such an address, but makes no pair of it that would be below the one in use. So the
// address is named to it as a host candidate with a foundation of its own and selected by that.
// Core thread.
#pragma once
#include <nice/agent.h>

#include <optional>
#include <string>
#include <vector>

#include "base/scheduler.hpp"
#include "ice/nice_handle.hpp"

namespace p2p {

class PeerFollower {
 public:
  // `agent` must outlive it.
  PeerFollower (NiceAgent *agent, guint stream, Scheduler &scheduler);
  ~PeerFollower ();

  // What libnice tells, in the order in which it comes. True when the pair was selected from here.
  bool selected (const NicePair &pair);
  void learned (const NiceAddress &remote);

  // The first pair of all, without a check: from the host address that reaches this known
  // candidate.
  bool begin_at (const NiceAddress &remote);
  // As IceTransport::follow_peer() and go_back().
  void follow (bool on);
  bool go_back ();
  // The pair in use once more. False when its socket has gone (TCP, or a relay that was lost).
  bool select_again ();
  const IceMoves &moves () const { return moves_; }

 private:
  struct Target {
    std::string local_foundation;
    NiceAddress remote;
    bool udp = false;
  };
  struct Learned {
    NiceAddress remote;
    TimeUs at;
  };
  class Candidates;

  void go_along (const NiceAddress &remote);
  std::optional<std::string> local_for (const NiceAddress &remote) const;
  bool select (const Target &target);
  bool select_named (const Target &target, const std::string &remote_foundation);

  NiceAgent *const agent_;
  const guint stream_;
  Scheduler &scheduler_;
  bool on_ = false;
  std::optional<Target> in_use_;
  std::vector<Target> before_;  // at most one for each address learned
  std::optional<Learned> newest_;
  unsigned selections_ahead_ = 0;  // of what libnice has told
  unsigned names_ = 0;             // given to remote candidates
  IceMoves moves_;
};

}  // namespace p2p
