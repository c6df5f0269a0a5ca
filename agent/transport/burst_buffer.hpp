// Room for one burst of packets, lent by the thread: connections are many, and only the one that
// is writing needs it. One thread only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace p2p {

class BurstBuffer {
 public:
  static constexpr std::size_t kBytes = 65507;  // the longest payload of UDP over IPv4

  BurstBuffer () = default;
  ~BurstBuffer () { give_back (); }
  BurstBuffer (const BurstBuffer &) = delete;
  BurstBuffer &operator= (const BurstBuffer &) = delete;

  // A buffer of kBytes, the same one until it is given back.
  std::uint8_t *data () {
    if (bytes_.empty ()) {
      bytes_ = std::exchange (spare (), {});
      if (bytes_.empty ()) bytes_.resize (kBytes);
    }
    return bytes_.data ();
  }
  void give_back () {
    if (!bytes_.empty ()) spare () = std::exchange (bytes_, {});
  }

 private:
  static std::vector<std::uint8_t> &spare () {
    static thread_local std::vector<std::uint8_t> bytes;
    return bytes;
  }

  std::vector<std::uint8_t> bytes_;
};

}  // namespace p2p
