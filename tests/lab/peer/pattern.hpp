// What a message is: its number, when it was sent, and bytes that both sides can work out.
#pragma once
#include <glib.h>

#include <cstdint>
#include <string>

#include "ptr.hpp"

namespace lab {

// Number and time (CLOCK_MONOTONIC, µs), both little endian; the pattern follows.
constexpr std::size_t kHeaderBytes = 16;

// Both directions of a channel, and both channels, have bytes of their own.
std::uint64_t pattern_seed (const std::string &sender, const std::string &channel);

struct Header {
  std::uint64_t number = 0;
  std::int64_t sent_us = 0;
};

UniqueBytes make_message (std::uint64_t seed, const Header &header, std::size_t size_bytes);
// False when it is not, byte for byte, what the sender made.
bool read_message (std::uint64_t seed, GBytes *message, std::size_t size_bytes, Header &header);

}  // namespace lab
