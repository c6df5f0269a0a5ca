#include "path/path_group.hpp"

#include <algorithm>

namespace p2p {

class PathGroup::Member final : public Path::Receiver {
 public:
  Member (PathGroup &group, Way way, Path &path) : group_ (group), way_ (way), path_ (path) {}
  ~Member () override { path_.set_receiver (nullptr); }
  // What waited in the path comes from inside of this call.
  void listen () { path_.set_receiver (this); }

  Way way () const { return way_; }
  Path &path () const { return path_; }
  TimeUs last_carried_us () const { return last_carried_us_; }

  void path_received (Path &, ByteView datagram) override {
    if (is_probe (datagram)) {
      if (group_.observer_) group_.observer_->group_probe (way_, datagram);
      return;
    }
    carried_ = true;
    if (group_.receiver_) group_.receiver_->path_received (group_, datagram);
  }
  void path_batch_done (Path &) override {
    if (!std::exchange (carried_, false)) return;
    last_carried_us_ = group_.scheduler_.now ();
    if (group_.receiver_) group_.receiver_->path_batch_done (group_);
  }
  void path_writable (Path &) override {
    if (group_.in_use_ != way_ || !std::exchange (group_.blocked_, false)) return;
    if (group_.receiver_) group_.receiver_->path_writable (group_);
  }
  void path_changed (Path &) override {
    if (group_.in_use_ == way_ && group_.receiver_) group_.receiver_->path_changed (group_);
    if (group_.observer_) group_.observer_->group_way_changed (way_);
  }
  void path_failed (Path &, const Error &error) override {
    if (group_.in_use_ == way_) {
      group_.blocked_ = false;
      if (group_.receiver_) group_.receiver_->path_failed (group_, error);
    }
    if (group_.observer_) group_.observer_->group_way_failed (way_, error);
  }

 private:
  PathGroup &group_;
  const Way way_;
  Path &path_;
  TimeUs last_carried_us_ = 0;
  bool carried_ = false;
};

PathGroup::PathGroup (Scheduler &scheduler) : scheduler_ (scheduler) {}
PathGroup::~PathGroup () = default;

PathGroup::Member *
PathGroup::find (Way way) const {
  for (const auto &member : members_)
    if (member->way () == way) return member.get ();
  return nullptr;
}

PathGroup::Way
PathGroup::add (Path &path) {
  const Way way = next_++;
  members_.push_back (std::make_unique<Member> (*this, way, path));
  Member &added = *members_.back ();
  if (members_.size () == 1 && in_use_ == 0) in_use_ = way;
  if (receiver_ || observer_) added.listen ();
  return way;
}

void
PathGroup::remove (Way way) {
  const auto found = std::find_if (members_.begin (), members_.end (),
                                   [way] (const auto &member) { return member->way () == way; });
  if (found == members_.end ()) return;
  dropped_before_ += (*found)->path ().dropped_datagrams ();
  members_.erase (found);
  if (in_use_ == way) in_use_ = 0;
}

void
PathGroup::use (Way way) {
  if (in_use_ == way || !find (way)) return;
  in_use_ = way;
  if (!receiver_) return;
  receiver_->path_changed (*this);
  // What the way before had no room for may go on this one.
  if (std::exchange (blocked_, false)) receiver_->path_writable (*this);
}

std::vector<PathGroup::Way>
PathGroup::ways () const {
  std::vector<Way> all;
  for (const auto &member : members_) all.push_back (member->way ());
  return all;
}

Path *
PathGroup::path (Way way) const {
  const Member *member = find (way);
  return member ? &member->path () : nullptr;
}

Path::Sent
PathGroup::send_probe (Way way, ByteView probe) {
  const Member *member = find (way);
  return member ? member->path ().send (probe, probe.size) : Sent::failed;
}

TimeUs
PathGroup::last_carried_us (Way way) const {
  const Member *member = find (way);
  return member ? member->last_carried_us () : 0;
}

void
PathGroup::set_observer (Observer *observer) {
  const bool heard = receiver_ || observer_;
  observer_ = observer;
  if (observer && !heard) listen ();
}

void
PathGroup::set_receiver (Path::Receiver *receiver) {
  receiver_ = receiver;
  if (receiver) listen ();
}

void
PathGroup::listen () {
  // By number: what waits in one may add or remove others.
  for (const Way way : ways ())
    if (Member *member = find (way)) member->listen ();
}

Path::Sent
PathGroup::send (ByteView burst, std::size_t segment_bytes) {
  const Member *member = member_in_use ();
  // Lost, as on a wire.
  if (!member) return Sent::failed;
  const Sent sent = member->path ().send (burst, segment_bytes);
  blocked_ = sent == Sent::would_block;
  return sent;
}

std::size_t
PathGroup::max_datagram_bytes () const {
  const Member *member = member_in_use ();
  return member ? member->path ().max_datagram_bytes () : kMinDatagramBytes;
}

std::size_t
PathGroup::max_burst_bytes () const {
  const Member *member = member_in_use ();
  return member ? member->path ().max_burst_bytes () : kMinDatagramBytes;
}

PathInfo
PathGroup::info () const {
  const Member *member = member_in_use ();
  return member ? member->path ().info () : PathInfo ();
}

std::uint64_t
PathGroup::dropped_datagrams () const {
  std::uint64_t dropped = dropped_before_;
  for (const auto &member : members_) dropped += member->path ().dropped_datagrams ();
  return dropped;
}

}  // namespace p2p
