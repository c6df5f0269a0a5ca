// Bytes that nobody can guess.
#pragma once
#include <cstddef>
#include <string>

namespace p2p {

std::string random_bytes (std::size_t count);

}  // namespace p2p
