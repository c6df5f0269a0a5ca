// A view of bytes that somebody else owns; valid only as long as the owner says.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace p2p {

struct ByteView {
  const std::uint8_t *data = nullptr;
  std::size_t size = 0;

  ByteView () = default;
  ByteView (const void *bytes, std::size_t count)
      : data (static_cast<const std::uint8_t *> (bytes)), size (count) {}
  ByteView (const std::vector<std::uint8_t> &bytes) : data (bytes.data ()), size (bytes.size ()) {}
  explicit ByteView (std::string_view text) : ByteView (text.data (), text.size ()) {}

  const std::uint8_t *begin () const { return data; }
  const std::uint8_t *end () const { return data + size; }
  bool empty () const { return size == 0; }
  std::uint8_t operator[] (std::size_t i) const { return data[i]; }

  // The part from `offset` on, at most `count` bytes; never outside of this view.
  ByteView sub (std::size_t offset, std::size_t count = SIZE_MAX) const {
    if (offset > size) offset = size;
    return {data + offset, count < size - offset ? count : size - offset};
  }
  std::string to_string () const { return {reinterpret_cast<const char *> (data), size}; }
};

}  // namespace p2p
