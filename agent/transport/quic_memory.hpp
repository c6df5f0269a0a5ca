// Where ngtcp2's memory comes from. It takes its lists in blocks of 4 to 12 KiB, nine for each
// connection, and a quiet one touches the first few hundred bytes of each: those lie at the end of
// a page that is filled with small objects, and the rest is not there before it is used. From the
// heap a connection would hold 85 KiB, most of it left over from its handshake; so it holds 40.
#pragma once
#include <ngtcp2/ngtcp2.h>

namespace p2p {

const ngtcp2_mem *quic_memory ();  // thread-safe; lives as long as the process

}  // namespace p2p
