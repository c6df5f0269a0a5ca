// What a stream still has to send, and what the peer has not acknowledged. Long pieces are kept by
// reference; short ones are copied together, because each piece of a packet costs more than its
// bytes do.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/fifo.hpp"
#include "base/ptr.hpp"

namespace p2p {

class SendQueue {
 public:
  static constexpr std::size_t kMaxCopiedBytes = 1024;

  void push (const Ref<GBytes> &bytes);
  std::size_t unsent_bytes () const { return unsent_; }
  bool any_sent () const { return end_ > unsent_; }
  // Up to `max_slices` slices of the next bytes, ending once `max_bytes` are reached. True when
  // they are all that is unsent.
  bool peek (std::vector<ByteView> &slices, std::size_t max_slices, std::size_t max_bytes) const;
  void mark_sent (std::size_t bytes);
  // Everything below this stream offset may go.
  void mark_acked (std::uint64_t offset);
  // Gives up what has not left yet. What has left stays until it is acknowledged or the stream is
  // gone: the library may still read it for a retransmission, even after a reset.
  void drop_unsent ();

 private:
  struct Chunk {
    Ref<GBytes> bytes;
    ByteView view;
    std::uint64_t end;  // stream offset
  };
  // Where short pieces are copied to, one after the other. Its used part never changes.
  struct Slab {
    Ref<GBytes> bytes;
    std::uint8_t *data = nullptr;
    std::size_t size = 0, used = 0;
  };
  void append (const Ref<GBytes> &bytes, ByteView view);
  void copy (ByteView view);

  Fifo<Chunk> chunks_;
  Slab slab_;
  std::size_t next_ = 0;    // chunk to send from
  std::size_t within_ = 0;  // bytes of it that have left
  std::size_t unsent_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace p2p
