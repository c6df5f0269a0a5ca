// Probes: the small authenticated datagrams beside QUIC's, by which two peers ask whether a way
// works. docs/wire-format.md, "Probes", has their bits. One thread.
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"

namespace p2p {

// Ping and pong are of one size, so that nobody can use a peer to send more than it was sent
// (RFC 9000 section 8).
constexpr std::size_t kProbeBytes = 34;
constexpr std::size_t kProbeSecretBytes = 32;
using ProbeBytes = std::array<std::uint8_t, kProbeBytes>;
using ProbeSecret = std::array<std::uint8_t, kProbeSecretBytes>;

struct Probe {
  enum class Kind { ping, pong };
  Kind kind = Kind::ping;
  bool unheard = false;  // of a ping: its sender hears nothing of us
  bool wanted = false;   // of a ping: we shall send on the way on which it came
  bool anew = false;     // of a ping: its sender has no transport, and asks for that one
  std::uint64_t transport =
      0;                     // of a ping: the name of the transport that its sender has or asks for
  std::uint64_t number = 0;  // its sender's
  std::uint64_t ping_number = 0;  // of a pong: what it answers
};

struct ProbeRejections {
  std::uint64_t malformed = 0;      // not of our size, or of an unknown kind
  std::uint64_t not_authentic = 0;  // forged, damaged, reflected, or of another session
  std::uint64_t repeated = 0;       // its number was taken before, or is too old to tell
};

class ProbeCodec {
 public:
  // Of the two sides one is the client. `first_number` must be above all that were used with this
  // secret before.
  ProbeCodec (const ProbeSecret &secret, bool client, std::uint64_t first_number = 0);
  ~ProbeCodec ();
  ProbeCodec (const ProbeCodec &) = delete;
  ProbeCodec &operator= (const ProbeCodec &) = delete;

  struct Ping {
    std::uint64_t number = 0;
    ProbeBytes bytes{};
  };
  struct Says {
    bool unheard = false, wanted = false, anew = false;
    std::uint64_t transport = 0;
  };
  Ping ping (const Says &says);
  std::uint64_t next_number () const { return next_number_; }
  ProbeBytes pong (std::uint64_t ping_number);

  // Takes each probe of the peer once; whatever else comes is counted and nothing.
  std::optional<Probe> decode (ByteView bytes);
  const ProbeRejections &rejections () const { return rejections_; }

 private:
  // A handle for each would save a microsecond a probe and cost 1.4 KiB a connection.
  using Key = std::array<std::uint8_t, 32>;
  static Key make_key (const ProbeSecret &secret, bool client);
  void seal (ProbeBytes &probe) const;
  bool take (std::uint64_t number);

  Key sending_, receiving_;
  std::uint64_t next_number_;
  // The window of RFC 4303 section 3.4.3: bit i is the number highest_ - i.
  std::uint64_t window_ = 0;
  std::uint64_t highest_ = 0;
  ProbeRejections rejections_;
};

}  // namespace p2p
