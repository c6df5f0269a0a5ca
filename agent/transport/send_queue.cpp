#include "transport/send_queue.hpp"

#include <algorithm>
#include <cstring>

namespace p2p {

namespace {

constexpr std::size_t kMinSlabBytes = 256, kMaxSlabBytes = 16 * 1024;

}  // namespace

void
SendQueue::push (const Ref<GBytes> &bytes) {
  if (!bytes) return;
  gsize size = 0;
  const void *data = g_bytes_get_data (bytes.get (), &size);
  if (size == 0) return;
  if (size <= kMaxCopiedBytes)
    copy ({data, size});
  else
    append (bytes, {data, size});
}

void
SendQueue::append (const Ref<GBytes> &bytes, ByteView view) {
  end_ += view.size;
  unsent_ += view.size;
  chunks_.push_back ({bytes, view, end_});
}

void
SendQueue::copy (ByteView view) {
  if (slab_.size - slab_.used < view.size) {
    // The first of a stream is small: many streams carry one short message.
    const std::size_t size = std::clamp (2 * slab_.size, kMinSlabBytes, kMaxSlabBytes);
    slab_.size = std::max (size, view.size);
    slab_.used = 0;
    slab_.data = static_cast<std::uint8_t *> (g_malloc (slab_.size));
    slab_.bytes = Ref<GBytes>::adopt (g_bytes_new_take (slab_.data, slab_.size));
  }
  std::uint8_t *const at = slab_.data + slab_.used;
  std::memcpy (at, view.data, view.size);
  slab_.used += view.size;
  // A chunk that still has something to send may grow; one that has left is counted already.
  const bool grows = next_ < chunks_.size () &&
                     chunks_.back ().bytes.get () == slab_.bytes.get () &&
                     chunks_.back ().view.end () == at;
  if (!grows) {
    append (slab_.bytes, {at, view.size});
    return;
  }
  Chunk &last = chunks_.back ();
  last.view.size += view.size;
  end_ += view.size;
  last.end = end_;
  unsent_ += view.size;
}

bool
SendQueue::peek (std::vector<ByteView> &slices, std::size_t max_slices,
                 std::size_t max_bytes) const {
  slices.clear ();
  std::size_t total = 0;
  if (unsent_ == 0) return true;
  for (std::size_t i = next_; i < chunks_.size (); ++i) {
    if (slices.size () == max_slices || total >= max_bytes) return false;
    slices.push_back (chunks_[i].view.sub (i == next_ ? within_ : 0));
    total += slices.back ().size;
  }
  return true;
}

void
SendQueue::mark_sent (std::size_t bytes) {
  bytes = std::min (bytes, unsent_);
  unsent_ -= bytes;
  within_ += bytes;
  while (next_ < chunks_.size () && within_ >= chunks_[next_].view.size) {
    within_ -= chunks_[next_].view.size;
    ++next_;
  }
}

void
SendQueue::mark_acked (std::uint64_t offset) {
  while (next_ > 0 && chunks_.front ().end <= offset) {
    chunks_.pop_front ();
    --next_;
  }
  if (chunks_.empty ()) slab_ = {};
}

void
SendQueue::drop_unsent () {
  while (chunks_.size () > next_ + (within_ > 0 ? 1 : 0)) chunks_.pop_back ();
  if (within_ > 0) {
    within_ = 0;
    ++next_;
  }
  unsent_ = 0;
}

}  // namespace p2p
