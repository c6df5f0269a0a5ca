#include "transport/send_queue.hpp"

#include <algorithm>

namespace p2p {

void
SendQueue::push (const Ref<GBytes> &bytes) {
  if (!bytes) return;
  gsize size = 0;
  const void *data = g_bytes_get_data (bytes.get (), &size);
  if (size == 0) return;
  end_ += size;
  unsent_ += size;
  chunks_.push_back ({bytes, {data, size}, end_});
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
