#include "transport/quic_memory.hpp"

#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/mutex.hpp"

// These look at each allocation, which they can do only where malloc() makes it.
#if defined(__SANITIZE_ADDRESS__)
#define P2P_PLAIN_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define P2P_PLAIN_MEMORY 1
#endif
#endif

namespace p2p {

namespace {

constexpr std::size_t kPageBytes = 4096;
// What a quiet connection touches of a block: its first entries.
constexpr std::size_t kHotBytes = 768;
constexpr std::size_t kColdBytes = kPageBytes - kHotBytes;
[[maybe_unused]] constexpr std::size_t kMinBlockBytes = kPageBytes;
[[maybe_unused]] constexpr std::size_t kMaxBlockBytes = 4 * kPageBytes;  // longer ones are rare
constexpr std::size_t kChunkBytes = 1024 * 1024;
constexpr std::size_t kSmallStep = 64, kMaxSmallBytes = 2112;

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
    if (slot.fresh) room_.push_back ({slot.page, kColdBytes});
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
    while (!room_.empty () && room_.back ().bytes < whole) room_.pop_back ();
    if (room_.empty ()) return nullptr;
    Room &room = room_.back ();
    room.bytes -= whole;
    return std::exchange (room.at, room.at + whole);
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
  struct Room {
    std::uint8_t *at;
    std::size_t bytes;
  };
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
  std::vector<Room> room_ P2P_GUARDED_BY (mutex_);
};

Blocks &
blocks () {
  static auto *const all = new Blocks;
  return *all;
}

void *
allocate (std::size_t bytes) {
  if (bytes > SIZE_MAX - sizeof (Head)) return nullptr;
  const std::size_t whole = bytes + sizeof (Head);
  void *memory = nullptr;
  Origin origin = Origin::heap;
#ifndef P2P_PLAIN_MEMORY
  if (whole <= kMaxSmallBytes) {
    memory = blocks ().take_small (whole);
    origin = Origin::small;
  } else if (whole >= kMinBlockBytes && whole <= kMaxBlockBytes) {
    memory = blocks ().take (whole);
    origin = Origin::block;
  }
#endif
  if (!memory) {
    memory = std::malloc (whole);
    origin = Origin::heap;
  }
  if (!memory) return nullptr;
  Head *head = static_cast<Head *> (memory);
  *head = {whole, origin};
  return head + 1;
}

// What is zeroed is touched as a whole: nothing is won by pages of its own.
void *
allocate_zeroes (std::size_t count, std::size_t bytes) {
  if (bytes > 0 && count > (SIZE_MAX - sizeof (Head)) / bytes) return nullptr;
  const std::size_t whole = count * bytes + sizeof (Head);
  void *memory = std::calloc (1, whole);
  if (!memory) return nullptr;
  Head *head = static_cast<Head *> (memory);
  *head = {whole, Origin::heap};
  return head + 1;
}

void
release (void *memory) {
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
reallocate (void *memory, std::size_t bytes) {
  void *other = allocate (bytes);
  if (!other || !memory) return other;
  const std::size_t old_bytes = (static_cast<Head *> (memory) - 1)->bytes - sizeof (Head);
  std::memcpy (other, memory, old_bytes < bytes ? old_bytes : bytes);
  release (memory);
  return other;
}

}  // namespace

const ngtcp2_mem *
quic_memory () {
  static const ngtcp2_mem memory = {
      nullptr, [] (std::size_t bytes, void *) { return allocate (bytes); },
      [] (void *taken, void *) { release (taken); },
      [] (std::size_t count, std::size_t bytes, void *) { return allocate_zeroes (count, bytes); },
      [] (void *taken, std::size_t bytes, void *) { return reallocate (taken, bytes); }};
  return &memory;
}

}  // namespace p2p
