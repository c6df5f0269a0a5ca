#include "path_inbox.hpp"

#include "object_data.hpp"

namespace p2p {

namespace {

// Half a second at 64 Mbit/s: what is older than that is of no use to congestion control.
constexpr std::size_t kMaxBytes = 4 * 1024 * 1024;
// A datagram costs more than its bytes.
constexpr std::size_t kOverheadBytes = 128;

}  // namespace

std::shared_ptr<PathInbox>
PathInbox::of (P2pPath *path) {
  return object_data<PathInbox> (G_OBJECT (path), "p2p-path-inbox");
}

void
PathInbox::add (GBytes *datagram) {
  std::unique_lock lock (mutex_);
  const std::size_t cost = g_bytes_get_size (datagram) + kOverheadBytes;
  if (bytes_ + cost > kMaxBytes) {
    dropped_++;
    return;
  }
  bytes_ += cost;
  datagrams_.push_back (Ref<GBytes>::share (datagram));
  schedule (lock);
}

void
PathInbox::fail (const Error &error) {
  std::unique_lock lock (mutex_);
  if (!failed_) failed_ = error;
  schedule (lock);
}

void
PathInbox::schedule (std::unique_lock<std::mutex> &lock) {
  if (scheduled_) return;
  scheduled_ = true;
  lock.unlock ();
  core_loop ().post ([weak = weak_from_this ()] {
    if (const auto self = weak.lock ()) self->drain ();
  });
}

void
PathInbox::drain () {
  Batch batch;
  Deliver deliver;  // a copy: what it calls may detach
  {
    const std::lock_guard lock (mutex_);
    scheduled_ = false;
    if (!deliver_) return;
    deliver = deliver_;
    batch.datagrams.assign (std::make_move_iterator (datagrams_.begin ()),
                            std::make_move_iterator (datagrams_.end ()));
    datagrams_.clear ();
    bytes_ = 0;
    batch.failed = failed_;
  }
  if (!batch.datagrams.empty () || batch.failed) deliver (std::move (batch));
}

void
PathInbox::attach (Deliver deliver) {
  const bool listen = static_cast<bool> (deliver);
  std::unique_lock lock (mutex_);
  deliver_ = std::move (deliver);
  if (listen && (!datagrams_.empty () || failed_)) schedule (lock);
}

std::uint64_t
PathInbox::dropped () const {
  const std::lock_guard lock (mutex_);
  return dropped_;
}

}  // namespace p2p
