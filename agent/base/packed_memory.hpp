// Memory for what a process with a thousand connections has thousands of.
// ngtcp2 takes its lists in blocks of 4 to 12 KiB, nine for each connection, and a quiet one
// touches the first few hundred bytes of each. Here such a block begins with the end of a page, and
// the rest of it lies on pages that are not there before they are used. What is before it on its
// first page is the room for small objects: ngtcp2's own, and the large ones of each connection
// (`Packed`, make_packed()). From the heap a connection would hold 85 KiB for ngtcp2, most of it
// left over from its handshake; so it holds 36, of which 25 are room. Thread-safe; nothing goes
// back to the system but the pages of blocks.
#pragma once
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

// Sanitizers look at each allocation, which they can do only where malloc() makes it.
#if defined(__SANITIZE_ADDRESS__)
#define P2P_PLAIN_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define P2P_PLAIN_MEMORY 1
#endif
#endif

namespace p2p {

// Aligned as malloc() does it. Null when there is no memory, as with malloc().
void *packed_take (std::size_t bytes);
void *packed_take_zeroes (std::size_t count, std::size_t bytes);
void *packed_resize (void *memory, std::size_t bytes);
void packed_give_back (void *memory);  // null is nothing

// A base of classes of which each connection has one, or some. As long as there is no room, they
// are on the heap.
class Packed {
 public:
  static void *operator new (std::size_t bytes);
  static void operator delete (void *memory) { packed_give_back (memory); }

 protected:
  ~Packed () = default;
};

// The same for what shared pointers and containers make.
template <class T>
struct PackedAllocator {
  using value_type = T;
  PackedAllocator () = default;
  template <class U>
  PackedAllocator (const PackedAllocator<U> &) {}
  T *allocate (std::size_t count) {
    // Containers have pointers to nodes as well.
    void *memory = packed_take (count * sizeof (T));  // NOLINT(bugprone-sizeof-expression)
    if (!memory) throw std::bad_alloc ();
    return static_cast<T *> (memory);
  }
  void deallocate (T *memory, std::size_t) { packed_give_back (memory); }
  friend bool operator== (const PackedAllocator &, const PackedAllocator &) { return true; }
  friend bool operator!= (const PackedAllocator &, const PackedAllocator &) { return false; }
};

template <class T, class... Args>
std::shared_ptr<T>
make_packed (Args &&...args) {
  return std::allocate_shared<T> (PackedAllocator<T> (), std::forward<Args> (args)...);
}

}  // namespace p2p
