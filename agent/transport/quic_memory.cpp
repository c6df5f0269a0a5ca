#include "transport/quic_memory.hpp"

#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
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
constexpr std::size_t kMaxPages = 4;  // of one block; longer ones are rare
constexpr std::size_t kChunkBytes = 1024 * 1024;

// Before each allocation; of this size, so that what follows is aligned.
struct alignas (std::max_align_t) Head {
  std::size_t bytes;
  std::size_t pages;  // 0: it is malloc()'s
};

// Blocks of whole pages that are zero.
class Pages {
 public:
  void *take (std::size_t pages) {
    const MutexLock lock (mutex_);
    auto &free = free_[pages - 1];
    if (free.empty ()) refill (pages, free);
    if (free.empty ()) return nullptr;
    void *block = free.back ();
    free.pop_back ();
    return block;
  }
  void give_back (void *block, std::size_t pages) {
    // Its pages go back to the kernel, and come again as zeroes.
    const bool zero = madvise (block, pages * kPageBytes, MADV_DONTNEED) == 0;
    if (!zero) std::memset (block, 0, pages * kPageBytes);
    const MutexLock lock (mutex_);
    free_[pages - 1].push_back (block);
  }

 private:
  static void refill (std::size_t pages, std::vector<void *> &free) {
    void *chunk =
        mmap (nullptr, kChunkBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) return;
    // A huge page would make all of it present at the first touch.
    (void)madvise (chunk, kChunkBytes, MADV_NOHUGEPAGE);
    const std::size_t bytes = pages * kPageBytes;
    for (std::size_t at = kChunkBytes / bytes; at > 0; --at)
      free.push_back (static_cast<std::uint8_t *> (chunk) + (at - 1) * bytes);
  }

  Mutex mutex_;
  std::array<std::vector<void *>, kMaxPages> free_ P2P_GUARDED_BY (mutex_);
};

Pages &
pages () {
  static auto *const all = new Pages;
  return *all;
}

void *
allocate (std::size_t bytes, bool zero) {
  if (bytes > SIZE_MAX - sizeof (Head)) return nullptr;
  const std::size_t whole = bytes + sizeof (Head);
  std::size_t count = whole >= kPageBytes ? (whole + kPageBytes - 1) / kPageBytes : 0;
#ifdef P2P_PLAIN_MEMORY
  count = 0;
#endif
  if (count > kMaxPages) count = 0;
  void *block = nullptr;
  if (count > 0)
    block = pages ().take (count);
  else
    block = zero ? std::calloc (1, whole) : std::malloc (whole);
  if (!block) return nullptr;
  Head *head = static_cast<Head *> (block);
  *head = {bytes, count};
  return head + 1;
}

void
release (void *memory) {
  if (!memory) return;
  Head *head = static_cast<Head *> (memory) - 1;
  if (head->pages > 0)
    pages ().give_back (head, head->pages);
  else
    std::free (head);
}

void *
reallocate (void *memory, std::size_t bytes) {
  void *bigger = allocate (bytes, false);
  if (!bigger || !memory) return bigger;
  const Head *head = static_cast<Head *> (memory) - 1;
  std::memcpy (bigger, memory, head->bytes < bytes ? head->bytes : bytes);
  release (memory);
  return bigger;
}

}  // namespace

const ngtcp2_mem *
quic_memory () {
  static const ngtcp2_mem memory = {
      nullptr, [] (std::size_t bytes, void *) { return allocate (bytes, false); },
      [] (void *taken, void *) { release (taken); },
      [] (std::size_t count, std::size_t bytes, void *) -> void * {
        return bytes > 0 && count > SIZE_MAX / bytes ? nullptr : allocate (count * bytes, true);
      },
      [] (void *taken, std::size_t bytes, void *) { return reallocate (taken, bytes); }};
  return &memory;
}

}  // namespace p2p
