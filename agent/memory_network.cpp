#include "memory_network.hpp"

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

void
add (LinkStats &sum, const LinkStats &part) {
  sum.sent += part.sent;
  sum.delivered += part.delivered;
  sum.lost += part.lost;
  sum.duplicated += part.duplicated;
  sum.reordered += part.reordered;
  sum.overflowed += part.overflowed;
}

}  // namespace

// A link that lives as long as one of its ends does, on a clock that lives as long.
struct MemoryNetwork::Wire {
  Wire (std::shared_ptr<MemoryNetwork> the_network, std::uint64_t seed)
      : network (std::move (the_network)), link (MemoryLink::create (network->scheduler (), seed)) {
    link->set_options (network->options_);
  }
  ~Wire () { add (*network->gone_, link->stats ()); }

  const std::shared_ptr<MemoryNetwork> network;
  const std::unique_ptr<MemoryLink> link;
};

class MemoryNetwork::End final : public Path, private Path::Receiver {
 public:
  using Receiver = Path::Receiver;  // named by both bases

  End (std::shared_ptr<Wire> wire, Path &path, std::string local, std::string remote)
      : wire_ (std::move (wire)), path_ (path) {
    info_ = {"memory", std::move (local), std::move (remote), false};
  }
  ~End () override { path_.set_receiver (nullptr); }

  void set_receiver (Path::Receiver *receiver) override {
    receiver_ = receiver;
    path_.set_receiver (receiver ? this : nullptr);
  }
  Sent send (ByteView burst, std::size_t segment_bytes) override {
    return path_.send (burst, segment_bytes);
  }
  std::size_t max_datagram_bytes () const override { return path_.max_datagram_bytes (); }
  std::size_t max_burst_bytes () const override { return path_.max_burst_bytes (); }
  PathInfo info () const override { return info_; }
  Scheduler &scheduler () override { return path_.scheduler (); }

 private:
  void path_received (Path &, ByteView datagram) override {
    receiver_->path_received (*this, datagram);
  }
  void path_batch_done (Path &) override { receiver_->path_batch_done (*this); }
  void path_writable (Path &) override { receiver_->path_writable (*this); }
  void path_changed (Path &) override { receiver_->path_changed (*this); }
  void path_failed (Path &, const Error &error) override { receiver_->path_failed (*this, error); }

  const std::shared_ptr<Wire> wire_;
  Path &path_;
  PathInfo info_;
  Path::Receiver *receiver_ = nullptr;
};

class MemoryNetwork::Waiting final : public PathSource::Attempt {
 public:
  Waiting (std::shared_ptr<MemoryNetwork> network, std::string id, std::string peer, Opened opened)
      : network_ (std::move (network)),
        id_ (std::move (id)),
        peer_ (std::move (peer)),
        opened_ (std::make_shared<Opened> (std::move (opened))) {
    network_->waiting_.push_back (this);
  }
  ~Waiting () override {
    *opened_ = {};
    network_->waiting_.remove (this);
  }

  void receive_message (ByteView) override {}  // nothing has to be agreed on
  bool fits (const Waiting &other) const { return id_ == other.peer_ && peer_ == other.id_; }
  const std::string &id () const { return id_; }
  const std::string &peer () const { return peer_; }

  // Never from inside of open(); not at all when the attempt has gone meanwhile.
  void finish (std::shared_ptr<Wire> wire, Path &path) {
    core_loop ().post ([opened = opened_, wire = std::move (wire), &path, id = id_, peer = peer_] {
      if (const Opened call = std::exchange (*opened, {}))
        call (std::unique_ptr<Path> (std::make_unique<End> (wire, path, id, peer)));
    });
  }

 private:
  const std::shared_ptr<MemoryNetwork> network_;
  const std::string id_, peer_;
  const std::shared_ptr<Opened> opened_;
};

MemoryNetwork::MemoryNetwork (std::uint64_t seed, Clock clock) : next_seed_ (seed) {
  if (clock == Clock::virtual_) clock_.emplace ();
}

Scheduler &
MemoryNetwork::scheduler () {
  if (clock_) return *clock_;
  return core_loop ().scheduler ();
}

std::unique_ptr<PathSource::Attempt>
MemoryNetwork::open (const std::string &id, const std::string &peer, bool, SendMessage,
                     Opened opened) {
  auto attempt = std::make_unique<Waiting> (shared_from_this (), id, peer, std::move (opened));
  for (Waiting *other : waiting_)
    if (other != attempt.get () && other->fits (*attempt)) {
      join (*other, *attempt);
      break;
    }
  return attempt;
}

void
MemoryNetwork::join (Waiting &first, Waiting &second) {
  waiting_.remove (&first);
  waiting_.remove (&second);
  const auto wire = std::make_shared<Wire> (shared_from_this (), next_seed_++);
  wires_.remove_if ([] (const std::weak_ptr<Wire> &old) { return old.expired (); });
  wires_.push_back (wire);
  first.finish (wire, wire->link->a ());
  second.finish (wire, wire->link->b ());
}

void
MemoryNetwork::set_options (const LinkOptions &options) {
  options_ = options;
  for (const auto &weak : wires_)
    if (const auto wire = weak.lock ()) wire->link->set_options (options);
}

LinkStats
MemoryNetwork::stats () const {
  LinkStats sum = *gone_;
  for (const auto &weak : wires_)
    if (const auto wire = weak.lock ()) add (sum, wire->link->stats ());
  return sum;
}

void
MemoryNetwork::advance (TimeUs span) {
  if (clock_) clock_->run_for (span);
}

}  // namespace p2p
