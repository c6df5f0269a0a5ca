#include "pattern.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace lab {

namespace {

// SplitMix64 (Steele, Lea, Flood 2014): each word of the pattern from its place alone.
std::uint64_t
mix (std::uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

void
fill (std::uint64_t seed, const Header &header, std::uint8_t *to, std::size_t size_bytes) {
  // The time is part of it, so that no byte of a message goes unchecked.
  std::uint64_t state =
      mix (mix (seed ^ header.number) ^ static_cast<std::uint64_t> (header.sent_us));
  for (std::size_t at = 0; at < size_bytes; at += sizeof state) {
    state = mix (state);
    const std::uint64_t word = GUINT64_TO_LE (state);
    std::memcpy (to + at, &word, std::min (sizeof word, size_bytes - at));
  }
}

}  // namespace

std::uint64_t
pattern_seed (const std::string &sender, const std::string &channel) {
  std::uint64_t seed = 0;
  for (const char letter : sender + "/" + channel) seed = mix (seed ^ static_cast<guint8> (letter));
  return seed;
}

UniqueBytes
make_message (std::uint64_t seed, const Header &header, std::size_t size_bytes) {
  auto *data = static_cast<std::uint8_t *> (g_malloc (size_bytes));
  const std::uint64_t words[] = {GUINT64_TO_LE (header.number),
                                 GUINT64_TO_LE (static_cast<std::uint64_t> (header.sent_us))};
  std::memcpy (data, words, sizeof words);
  fill (seed, header, data + kHeaderBytes, size_bytes - kHeaderBytes);
  return UniqueBytes (g_bytes_new_take (data, size_bytes));
}

bool
read_message (std::uint64_t seed, GBytes *message, std::size_t size_bytes, Header &header) {
  gsize size = 0;
  const auto *data = static_cast<const std::uint8_t *> (g_bytes_get_data (message, &size));
  if (size != size_bytes) return false;
  std::uint64_t words[2];
  std::memcpy (words, data, sizeof words);
  header.number = GUINT64_FROM_LE (words[0]);
  header.sent_us = static_cast<std::int64_t> (GUINT64_FROM_LE (words[1]));
  std::vector<std::uint8_t> expected (size_bytes - kHeaderBytes);
  fill (seed, header, expected.data (), expected.size ());
  return std::memcmp (data + kHeaderBytes, expected.data (), expected.size ()) == 0;
}

}  // namespace lab
