// Puts one message together from the pieces of a stream. Memory follows what has arrived, not what
// the head promises; each byte is copied once.
#pragma once
#include <cstddef>
#include <memory>

#include "base/bytes.hpp"
#include "base/ptr.hpp"
#include "session/session.hpp"

namespace p2p {

class Assembler {
 public:
  // The lengths were checked against the limits by the caller.
  void begin (bool has_attributes, std::size_t attributes_bytes, std::size_t payload_bytes);
  bool active () const { return active_; }
  // Takes what belongs to the message, and answers how much that was.
  std::size_t feed (ByteView bytes);
  bool complete () const { return active_ && attributes_.complete () && payload_.complete (); }
  Message take ();  // once complete; then no longer active
  std::size_t held_bytes () const { return attributes_.held + payload_.held; }

 private:
  struct Part {
    std::unique_ptr<std::uint8_t, GFree> data;
    std::size_t capacity = 0, held = 0, total = 0;
    bool complete () const { return held == total; }
    std::size_t feed (ByteView bytes);
    Ref<GBytes> take ();
  };
  bool active_ = false, has_attributes_ = false;
  Part attributes_, payload_;
};

}  // namespace p2p
