// Datagrams to one address that leave together: equal ones as a train, where the kernel has such a
// thing, which is found out by trying; others by one sendmmsg().
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"

namespace p2p::turn {

class UdpBatch {
 public:
  // Of a connected socket that does not block.
  explicit UdpBatch (int fd) : fd_ (fd) {}

  void add (ByteView datagram);
  struct Outcome {
    std::size_t unsent = 0;  // the last ones, for want of room
    bool refused = false;    // the kernel has heard that nobody listens there
  };
  // Sends all that was added. What fails for another reason than want of room is lost, as on the
  // way.
  Outcome flush ();

  bool segmented () const { return segmented_; }
  void set_segmented (bool segmented) { segmented_ = segmented; }

 private:
  struct Datagrams {
    std::vector<std::uint8_t> bytes;
    std::vector<std::size_t> sizes;
  };
  // Of a thread: a batch that is empty holds no memory.
  static Datagrams &spare ();

  // How many datagrams leave in the call that begins with `first`, whose bytes begin at `at`.
  std::size_t train_at (std::size_t first) const;
  // 0, or what errno says, after `sent` of them.
  int send_some (std::size_t first, std::size_t at, std::size_t count, std::size_t *sent);
  int send_singly (std::size_t first, std::size_t at, std::size_t count, std::size_t *sent);

  const int fd_;
  bool segmented_ = true;
  Datagrams waiting_;
};

}  // namespace p2p::turn
