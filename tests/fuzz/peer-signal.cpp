// A peer's signaling message, in clear and with a seal that does not fit.
#include "core/peer_signal.hpp"

#include <cstdlib>
#include <string>

extern "C" int
LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size) {
  static const p2p::SecretKey key = p2p::SecretKey::derive (p2p::generate_secret ()).value ();
  const std::string text (reinterpret_cast<const char *> (data), size);
  // Nobody can have sealed anything with this key.
  auto sealed = p2p::decode_peer_signal (text, &key, "alice", "bob");
  if (sealed && sealed->kind != p2p::PeerSignal::Kind::bye) abort ();
  auto plain = p2p::decode_peer_signal (text, nullptr, "alice", "bob");
  if (plain) {
    const std::string again = p2p::encode_peer_signal (*plain, nullptr, "alice", "bob");
    if (!p2p::decode_peer_signal (again, nullptr, "alice", "bob")) abort ();
  }
  return 0;
}
