// Where a P2pPath of the application meets the core: any thread puts datagrams in, the core takes
// them out in batches. It belongs to the GObject and is there from the first datagram on, even
// before the core knows the path.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "facade.hpp"
#include "p2p/p2p-path.h"

namespace p2p {

class PathInbox : public std::enable_shared_from_this<PathInbox> {
 public:
  struct Batch {
    std::vector<Ref<GBytes>> datagrams;
    Status failed;
  };
  using Deliver = std::function<void (Batch)>;

  // The inbox of the object, made at the first call. Thread-safe.
  static std::shared_ptr<PathInbox> of (P2pPath *path);

  // Thread-safe. Drops what is more than the bound, and counts it.
  void add (GBytes *datagram);
  void fail (const Error &error);

  void attach (Deliver deliver);  // core thread; an empty function detaches
  std::uint64_t dropped () const;

 private:
  void schedule (std::unique_lock<std::mutex> &lock);
  void drain ();

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<Ref<GBytes>> datagrams_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  Status failed_;
  bool scheduled_ = false;
  // Core thread only.
  Deliver deliver_;
};

}  // namespace p2p
