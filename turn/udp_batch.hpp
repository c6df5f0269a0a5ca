// Datagrams to one address that leave together: a train of equal ones in one piece (UDP_SEGMENT),
// others in one call (sendmmsg). Without either, which is found out by trying, one by one.
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
  std::size_t train_at (std::size_t first) const;
  int send_train (std::size_t first, std::size_t count, std::size_t at);
  int send_singly (std::size_t first, std::size_t count, std::size_t at, std::size_t *sent);

  const int fd_;
  bool segmented_ = true, refused_before_ = false;
  std::vector<std::uint8_t> bytes_;
  std::vector<std::size_t> sizes_;
};

}  // namespace p2p::turn
