// Where ngtcp2's memory comes from. It takes its lists in blocks of 4 to 12 KiB and uses the first
// few entries: each such block gets pages of its own, so that what is never touched is never there.
// A quiet connection needs some 35 KiB less.
#pragma once
#include <ngtcp2/ngtcp2.h>

namespace p2p {

const ngtcp2_mem *quic_memory ();  // thread-safe; lives as long as the process

}  // namespace p2p
