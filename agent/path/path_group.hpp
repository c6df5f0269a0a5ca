// The ways to one peer, as one path: what stands above sends on the one in use and receives from
// all, and never learns that they change. Beside its datagrams, each way carries probes: small
// datagrams by which somebody else finds out which ways work. Core thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "path/path.hpp"

namespace p2p {

// A probe's first byte is 0x80 to 0xbf. Neither QUIC (RFC 9000 section 17: its fixed bit is set)
// nor STUN or TURN (RFC 9443) have datagrams that begin so.
inline bool
is_probe (ByteView datagram) {
  return datagram.size > 0 && (datagram.data[0] & 0xc0) == 0x80;
}

class PathGroup final : public Path {
 public:
  using Way = std::uint32_t;  // a number that is never used twice in a group

  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void group_probe (Way way, ByteView datagram) = 0;
    virtual void group_way_changed (Way way) = 0;  // it may lead elsewhere now
    virtual void group_way_failed (Way way, const Error &error) = 0;
  };

  explicit PathGroup (Scheduler &scheduler);
  ~PathGroup () override;
  PathGroup (const PathGroup &) = delete;
  PathGroup &operator= (const PathGroup &) = delete;

  // With an observer, probes are heard also while nobody receives; the rest is dropped then.
  void set_observer (Observer *observer);
  // The path is somebody else's, who removes it here before it goes. The first one is in use.
  Way add (Path &path);
  void remove (Way way);  // of the one in use: then none is, until use()
  void use (Way way);
  Way in_use () const { return in_use_; }
  std::vector<Way> ways () const;
  Path *path (Way way) const;
  // A probe, which nobody sends again. Small: it passes wherever anything does.
  Sent send_probe (Way way, ByteView probe);
  // When the last datagram that was no probe came this way; 0 for never.
  TimeUs last_carried_us (Way way) const;

  // Path
  void set_receiver (Path::Receiver *receiver) override;
  Sent send (ByteView burst, std::size_t segment_bytes) override;
  std::size_t max_datagram_bytes () const override;
  std::size_t max_burst_bytes () const override;
  PathInfo info () const override;
  std::uint64_t dropped_datagrams () const override;
  Scheduler &scheduler () override { return scheduler_; }

 private:
  class Member;
  Member *find (Way way) const;
  void listen ();
  Member *member_in_use () const { return find (in_use_); }

  Scheduler &scheduler_;
  Observer *observer_ = nullptr;
  Path::Receiver *receiver_ = nullptr;
  std::vector<std::unique_ptr<Member>> members_;
  Way in_use_ = 0, next_ = 1;
  bool blocked_ = false;              // whoever sends waits for path_writable
  std::uint64_t dropped_before_ = 0;  // by ways that are gone
};

}  // namespace p2p
