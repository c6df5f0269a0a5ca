#include "ice/steering.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <cstring>

namespace p2p {

namespace {

constexpr std::uint32_t kMagicCookie = 0x2112a442;  // RFC 8489 section 5, at byte 4
constexpr std::uint32_t kFirstNonStunByte = 4;      // RFC 7983 section 7: STUN begins with 0 to 3
// Negative offsets, as the kernel takes them: from the beginning of the network header.
constexpr std::uint32_t kNetwork = static_cast<std::uint32_t> (SKF_NET_OFF);
constexpr std::uint32_t kIpv4Source = kNetwork + 12, kIpv4SourcePort = kNetwork + 20;
constexpr std::uint32_t kIpv6Source = kNetwork + 8, kIpv6SourcePort = kNetwork + 40;

// A load outside of the packet ends the program with 0, which is libnice: short packets are not
// ours.
sock_filter
load_word (std::uint32_t at) {
  return BPF_STMT (BPF_LD | BPF_W | BPF_ABS, at);
}
sock_filter
load_half (std::uint32_t at) {
  return BPF_STMT (BPF_LD | BPF_H | BPF_ABS, at);
}
sock_filter
load_byte (std::uint32_t at) {
  return BPF_STMT (BPF_LD | BPF_B | BPF_ABS, at);
}
// Goes on when equal, and to libnice (the instruction after it) otherwise.
void
require (std::vector<sock_filter> &program, sock_filter load, std::uint32_t value) {
  program.push_back (load);
  program.push_back (BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
  program.push_back (BPF_STMT (BPF_RET | BPF_K, kSteerToNice));
}

}  // namespace

std::vector<sock_filter>
steering_program (const sockaddr_storage &remote) {
  std::vector<sock_filter> program = {
      load_word (4),
      BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, kMagicCookie, 0, 3),
      load_byte (0),
      BPF_JUMP (BPF_JMP | BPF_JGE | BPF_K, kFirstNonStunByte, 1, 0),
      BPF_STMT (BPF_RET | BPF_K, kSteerToNice),
  };
  if (remote.ss_family == AF_INET6) {
    const auto &six = reinterpret_cast<const sockaddr_in6 &> (remote);
    for (std::uint32_t word = 0; word < 4; ++word) {
      std::uint32_t part;
      std::memcpy (&part, six.sin6_addr.s6_addr + word * 4, sizeof part);
      require (program, load_word (kIpv6Source + word * 4), ntohl (part));
    }
    require (program, load_half (kIpv6SourcePort), ntohs (six.sin6_port));
  } else {
    const auto &four = reinterpret_cast<const sockaddr_in &> (remote);
    require (program, load_word (kIpv4Source), ntohl (four.sin_addr.s_addr));
    require (program, load_half (kIpv4SourcePort), ntohs (four.sin_port));
  }
  program.push_back (BPF_STMT (BPF_RET | BPF_K, kSteerToData));
  return program;
}

bool
is_stun (ByteView datagram) {
  if (datagram.size < 20 || datagram[0] >= kFirstNonStunByte) return false;
  std::uint32_t cookie;
  std::memcpy (&cookie, datagram.data + 4, sizeof cookie);
  return ntohl (cookie) == kMagicCookie;
}

}  // namespace p2p
