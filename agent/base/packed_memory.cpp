#include "base/packed_memory.hpp"

#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "base/mutex.hpp"

namespace p2p {

namespace {

constexpr std::size_t kPageBytes = 4096;
// What a quiet connection touches of a block: its first entries.
constexpr std::size_t kHotBytes = 768;
constexpr std::size_t kColdBytes = kPageBytes - kHotBytes;
[[maybe_unused]] constexpr std::size_t kMinBlockBytes = kPageBytes;
[[maybe_unused]] constexpr std::size_t kMaxBlockBytes = 4 * kPageBytes;  // longer ones are rare
constexpr std::size_t kChunkBytes = 1024 * 1024;
constexpr std::size_t kSmallStep = 64, kMaxSmallBytes = kColdBytes;

enum class Origin : std::size_t { heap, small, block };

// Before each allocation; of this size, so that what follows is aligned.
struct alignas (std::max_align_t) Head {
  std::size_t bytes;  // with this head
  Origin origin;
};

// A block begins with the last 768 bytes of a page, the rest of it lies on pages of its own, which
// come into being when they are used. What is before it on its first page goes to small objects.
class Blocks {
 public:
  void *take (std::size_t bytes) {
    const MutexLock lock (mutex_);
    auto &free = free_[pages_for (bytes)];
    if (free.empty ()) refill (pages_for (bytes), free);
    if (free.empty ()) return nullptr;
    const Slot slot = free.back ();
    free.pop_back ();
    if (slot.fresh) add_room (slot.page, kColdBytes);
    return slot.page + kColdBytes;
  }
  void give_back (void *block, std::size_t bytes) {
    auto *page = static_cast<std::uint8_t *> (block) - kColdBytes;
    const std::size_t pages = pages_for (bytes);
    // The first page has small objects on it.
    (void)madvise (page + kPageBytes, (pages - 1) * kPageBytes, MADV_DONTNEED);
    const MutexLock lock (mutex_);
    free_[pages].push_back ({page, false});
  }
  void *take_small (std::size_t bytes) {
    const std::size_t step = (bytes + kSmallStep - 1) / kSmallStep, whole = step * kSmallStep;
    const MutexLock lock (mutex_);
    auto &free = small_[step];
    if (!free.empty ()) {
      void *object = free.back ();
      free.pop_back ();
      return object;
    }
    // The least that is enough, so that there is much where much is asked for.
    for (std::size_t enough = step; enough < rooms_.size (); ++enough) {
      if (rooms_[enough].empty ()) continue;
      std::uint8_t *const room = rooms_[enough].back ();
      rooms_[enough].pop_back ();
      add_room (room + whole, enough * kSmallStep - whole);
      return room;
    }
    return nullptr;
  }
  void give_back_small (void *object, std::size_t bytes) {
    const MutexLock lock (mutex_);
    small_[(bytes + kSmallStep - 1) / kSmallStep].push_back (object);
  }

 private:
  struct Slot {
    std::uint8_t *page;
    bool fresh;  // nobody has small objects on its first page yet
  };
  void add_room (std::uint8_t *at, std::size_t bytes) P2P_REQUIRES (mutex_) {
    if (bytes >= kSmallStep) rooms_[bytes / kSmallStep].push_back (at);
  }
  static std::size_t pages_for (std::size_t bytes) {
    return (kColdBytes + bytes + kPageBytes - 1) / kPageBytes;
  }
  static void refill (std::size_t pages, std::vector<Slot> &free) {
    void *chunk =
        mmap (nullptr, kChunkBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) return;
    // A huge page would make all of it present at the first touch.
    (void)madvise (chunk, kChunkBytes, MADV_NOHUGEPAGE);
    const std::size_t bytes = pages * kPageBytes;
    for (std::size_t at = kChunkBytes / bytes; at > 0; --at)
      free.push_back ({static_cast<std::uint8_t *> (chunk) + (at - 1) * bytes, true});
  }

  Mutex mutex_;
  std::array<std::vector<Slot>, kMaxBlockBytes / kPageBytes + 2> free_ P2P_GUARDED_BY (mutex_);
  std::array<std::vector<void *>, kMaxSmallBytes / kSmallStep + 1> small_ P2P_GUARDED_BY (mutex_);
  // By their size, in steps.
  std::array<std::vector<std::uint8_t *>, kMaxSmallBytes / kSmallStep + 1> rooms_
      P2P_GUARDED_BY (mutex_);
};

Blocks &
blocks () {
  static auto *const all = new Blocks;
  return *all;
}

struct Taken {
  void *memory;
  Origin origin;
};

Taken
take_packed ([[maybe_unused]] std::size_t whole) {
#ifndef P2P_PLAIN_MEMORY
  if (whole <= kMaxSmallBytes) return {blocks ().take_small (whole), Origin::small};
  if (whole >= kMinBlockBytes && whole <= kMaxBlockBytes)
    return {blocks ().take (whole), Origin::block};
#endif
  return {nullptr, Origin::heap};
}

void *
with_head (Taken taken, std::size_t whole) {
  if (!taken.memory) return nullptr;
  Head *head = static_cast<Head *> (taken.memory);
  *head = {whole, taken.origin};
  return head + 1;
}

}  // namespace

void *
packed_take (std::size_t bytes) {
  if (bytes > SIZE_MAX - sizeof (Head)) return nullptr;
  const std::size_t whole = bytes + sizeof (Head);
  Taken taken = take_packed (whole);
  if (!taken.memory) taken = {std::malloc (whole), Origin::heap};
  return with_head (taken, whole);
}

// A block that is zeroed is touched as a whole: nothing is won by pages of its own.
void *
packed_take_zeroes (std::size_t count, std::size_t bytes) {
  if (bytes > 0 && count > (SIZE_MAX - sizeof (Head)) / bytes) return nullptr;
  const std::size_t whole = count * bytes + sizeof (Head);
  Taken taken{nullptr, Origin::heap};
  if (whole <= kMaxSmallBytes) taken = take_packed (whole);
  if (taken.memory)
    std::memset (taken.memory, 0, whole);
  else
    taken = {std::calloc (1, whole), Origin::heap};
  return with_head (taken, whole);
}

void *
packed_resize (void *memory, std::size_t bytes) {
  void *other = packed_take (bytes);
  if (!other || !memory) return other;
  const std::size_t old_bytes = (static_cast<Head *> (memory) - 1)->bytes - sizeof (Head);
  std::memcpy (other, memory, old_bytes < bytes ? old_bytes : bytes);
  packed_give_back (memory);
  return other;
}

void
packed_give_back (void *memory) {
  if (!memory) return;
  Head *head = static_cast<Head *> (memory) - 1;
  switch (head->origin) {
    case Origin::heap:
      std::free (head);
      break;
    case Origin::small:
      blocks ().give_back_small (head, head->bytes);
      break;
    case Origin::block:
      blocks ().give_back (head, head->bytes);
      break;
  }
}

void *
Packed::operator new (std::size_t bytes) {
  void *memory = packed_take (bytes);
  if (!memory) throw std::bad_alloc ();
  return memory;
}

}  // namespace p2p
