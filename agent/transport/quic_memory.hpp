// Where ngtcp2's memory comes from: base/packed_memory.hpp, which says why.
#pragma once
#include <ngtcp2/ngtcp2.h>

namespace p2p {

const ngtcp2_mem *quic_memory ();  // thread-safe; lives as long as the process

}  // namespace p2p
