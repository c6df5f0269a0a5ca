// A datagram that looks like a probe: what is taken must be, byte for byte, what the peer's codec
// makes of it, and is taken once.
#include "session/probe.hpp"
#include "path/path_group.hpp"

#include <cstdlib>
#include <cstring>

extern "C" int
LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size) {
  p2p::ProbeSecret secret{};
  for (std::size_t i = 0; i < secret.size (); ++i) secret[i] = static_cast<std::uint8_t> (i);
  const p2p::ByteView bytes (data, size);
  p2p::ProbeCodec server (secret, false);
  const auto probe = server.decode (bytes);
  if (!probe) return 0;
  p2p::ProbeCodec client (secret, true, probe->number);
  const p2p::ProbeCodec::Says says{probe->unheard, probe->wanted, probe->anew, probe->transport};
  const p2p::ProbeBytes again = probe->kind == p2p::Probe::Kind::ping
                                    ? client.ping (says).bytes
                                    : client.pong (probe->ping_number);
  if (!p2p::is_probe (bytes) || std::memcmp (again.data (), data, again.size ()) != 0) abort ();
  if (server.decode (bytes) || server.rejections ().repeated != 1) abort ();
  return 0;
}
