#include "ice/fast_udp.hpp"

#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/udp_train.hpp"
#include "ice/steering.hpp"

namespace p2p {

namespace {

constexpr std::size_t kTrainBytes = 65535;  // the longest thing that one receive gives
constexpr std::size_t kTrainsPerRound = 16;
constexpr int kSocketBufferBytes = 4 * 1024 * 1024;  // as far as net.core.rmem_max allows
// Where a queue below the socket is full: the socket itself always says that there is room.
constexpr unsigned kFirstRetryMs = 1, kLongestRetryMs = 32;

// One for the core thread: every lane empties it before the next one is asked.
struct ReceiveRing {
  std::array<std::array<std::uint8_t, kTrainBytes>, kTrainsPerRound> trains;
  std::array<TrainControl, kTrainsPerRound> controls;
  std::array<sockaddr_storage, kTrainsPerRound> sources;
  std::array<iovec, kTrainsPerRound> vectors;
  std::array<mmsghdr, kTrainsPerRound> messages;

  void prepare () {
    for (std::size_t i = 0; i < kTrainsPerRound; ++i) {
      vectors[i] = {trains[i].data (), trains[i].size ()};
      messages[i] = {};
      messages[i].msg_hdr.msg_name = &sources[i];
      messages[i].msg_hdr.msg_namelen = sizeof sources[i];
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_control = controls[i].bytes.data ();
      messages[i].msg_hdr.msg_controllen = controls[i].bytes.size ();
    }
  }
};

ReceiveRing &
receive_ring () {
  static thread_local const auto ring = std::make_unique<ReceiveRing> ();
  return *ring;
}

void
set_option (int fd, int level, int name, int value) {
  // Best effort: each of these only makes things faster.
  if (setsockopt (fd, level, name, &value, sizeof value) < 0)
    g_debug ("fast path: option %d/%d is refused: %s", level, name, g_strerror (errno));
}

bool
same_source (const sockaddr_storage &a, const sockaddr_storage &b) {
  if (a.ss_family != b.ss_family) return false;
  if (a.ss_family == AF_INET6) {
    const auto &one = reinterpret_cast<const sockaddr_in6 &> (a);
    const auto &other = reinterpret_cast<const sockaddr_in6 &> (b);
    return one.sin6_port == other.sin6_port &&
           std::memcmp (&one.sin6_addr, &other.sin6_addr, sizeof one.sin6_addr) == 0;
  }
  const auto &one = reinterpret_cast<const sockaddr_in &> (a);
  const auto &other = reinterpret_cast<const sockaddr_in &> (b);
  return one.sin_port == other.sin_port && one.sin_addr.s_addr == other.sin_addr.s_addr;
}

// libnice sends each candidate's datagrams by the interface of its address; without that, a host of
// two ways out sends them all by the one that its routes prefer.
void
copy_interface (int from, int to, bool ipv6) {
  const int level = ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int option = ipv6 ? IPV6_UNICAST_IF : IP_UNICAST_IF;
  int index = 0;
  socklen_t bytes = sizeof index;
  if (getsockopt (from, level, option, &index, &bytes) == 0 && index != 0)
    set_option (to, level, option, index);
}

}  // namespace

FastUdpWish
fast_udp_wish (const FastUdpWish &configured) {
  const char *text = g_getenv ("P2P_FAST_UDP");
  if (!text || !*text) return configured;
  const std::string list = text;
  if (list == "off") return {};
  FastUdpAbilities abilities;
  const auto has = [&] (const char *word) { return list.find (word) != std::string::npos; };
  abilities.steered = !has ("no-steering");
  abilities.segmented = !has ("no-segmentation");
  abilities.coalesced = !has ("no-coalescing");
  return abilities;
}

FastUdp::FastUdp (GSocket *socket, const sockaddr_storage &remote, GMainContext *context,
                  Receiver &receiver)
    : socket_ (Ref<GSocket>::share (socket)),
      remote_ (remote),
      remote_bytes_ (remote.ss_family == AF_INET6 ? sizeof (sockaddr_in6) : sizeof (sockaddr_in)),
      context_ (context),
      receiver_ (receiver) {}

FastUdp::~FastUdp () {
  *alive_ = false;
  watch_.reset ();
  if (own_fd_ >= 0) close (own_fd_);
}

std::unique_ptr<FastUdp>
FastUdp::open (GSocket *socket, const sockaddr_storage &remote, const FastUdpAbilities &wanted,
               GMainContext *context, Receiver &receiver) {
  const GSocketFamily family = g_socket_get_family (socket);
  if ((remote.ss_family == AF_INET6) != (family == G_SOCKET_FAMILY_IPV6)) return nullptr;
  auto lane = std::make_unique<FastUdp> (socket, remote, context, receiver);
  lane->abilities_ = wanted;
  const int fd = g_socket_get_fd (socket);
  set_option (fd, SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
  set_option (fd, SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
  lane->abilities_.steered = wanted.steered && lane->open_own_socket (wanted);
  if (!lane->abilities_.steered) lane->abilities_.coalesced = false;
  g_debug ("fast path: %s", lane->describe ().c_str ());
  return lane;
}

bool
FastUdp::open_own_socket (const FastUdpAbilities &wanted) {
  const int nice_fd = g_socket_get_fd (socket_.get ());
  sockaddr_storage local{};
  socklen_t local_bytes = sizeof local;
  if (getsockname (nice_fd, reinterpret_cast<sockaddr *> (&local), &local_bytes) < 0) return false;
  const int fd = socket (remote_.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  own_fd_ = fd;
  const auto give_up = [&] (const char *what) {
    g_debug ("fast path: no socket of its own, %s: %s", what, g_strerror (errno));
    close (std::exchange (own_fd_, -1));
    return false;
  };
  const int on = 1;
  // libnice has bound its socket without these; set afterwards they let a second one join.
  if (setsockopt (nice_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
      setsockopt (fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
    return give_up ("SO_REUSEPORT is refused");
  if (remote_.ss_family == AF_INET6) setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind (fd, reinterpret_cast<const sockaddr *> (&local), local_bytes) < 0)
    return give_up ("its address cannot be bound twice");
  std::vector<sock_filter> program = steering_program (remote_);
  const sock_fprog filter = {static_cast<unsigned short> (program.size ()), program.data ()};
  if (setsockopt (fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) < 0)
    return give_up ("the kernel does not steer");

  copy_interface (nice_fd, fd, remote_.ss_family == AF_INET6);
  set_option (fd, SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
  set_option (fd, SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
  // The kernel glues a STUN message to a train before it, unless they differ in their DF bit: data
  // is never fragmented (QUIC probes the size, RFC 9000 section 14), STUN may be.
  if (remote_.ss_family == AF_INET6) {
    set_option (fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  } else {
    set_option (fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    set_option (nice_fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  }
  if (wanted.coalesced) {
    // On both: which socket's flag counts is decided by a hash, before the program runs.
    abilities_.coalesced = receive_trains (fd) && receive_trains (nice_fd);
  }
  // The watch is a member, and it and this object belong to one thread.
  watch_ = std::make_unique<FdWatch> (context_, fd, G_IO_IN,
                                      [this] (GIOCondition there) { on_events (there); });
  return true;
}

std::string
FastUdp::describe () const {
  std::string text = abilities_.segmented ? "segmentation" : "single datagrams";
  text += abilities_.coalesced ? ", coalescing" : "";
  text += abilities_.steered ? ", own socket" : ", libnice's socket";
  return text;
}

Path::Sent
FastUdp::send (ByteView burst, std::size_t segment_bytes) {
  if (waiting ()) return Path::Sent::would_block;
  if (abilities_.segmented && burst.size > segment_bytes) return send_train (burst, segment_bytes);
  return send_singly (burst, segment_bytes);
}

Path::Sent
FastUdp::send_train (ByteView burst, std::size_t segment_bytes) {
  const int error = p2p::send_train (sending_fd (), &remote_, remote_bytes_, burst, segment_bytes);
  if (error == 0) return Path::Sent::all;
  if (!may_pass_singly (error)) return judge (error);
  const Path::Sent sent = send_singly (burst, segment_bytes);
  if (sent == Path::Sent::all) {
    abilities_.segmented = false;
    g_debug ("fast path: without segmentation from now on");
  }
  return sent;
}

Path::Sent
FastUdp::send_singly (ByteView burst, std::size_t segment_bytes) {
  std::array<iovec, kMaxTrainDatagrams> vectors;
  std::array<mmsghdr, kMaxTrainDatagrams> messages;
  std::size_t at = 0;
  while (at < burst.size) {
    unsigned count = 0;
    for (std::size_t next = at; next < burst.size && count < kMaxTrainDatagrams; ++count) {
      const ByteView one = burst.sub (next, segment_bytes);
      vectors[count] = {const_cast<std::uint8_t *> (one.data), one.size};
      messages[count] = {};
      messages[count].msg_hdr.msg_name = const_cast<sockaddr_storage *> (&remote_);
      messages[count].msg_hdr.msg_namelen = remote_bytes_;
      messages[count].msg_hdr.msg_iov = &vectors[count];
      messages[count].msg_hdr.msg_iovlen = 1;
      next += one.size;
    }
    const int sent = sendmmsg (sending_fd (), messages.data (), count, MSG_DONTWAIT);
    if (sent <= 0) {
      const Path::Sent verdict = judge (errno);
      if (verdict != Path::Sent::would_block || at == 0) return verdict;
      // All or nothing: the head has left, so the tail is ours to send.
      const ByteView rest = burst.sub (at);
      rest_.assign (rest.begin (), rest.end ());
      rest_segment_bytes_ = segment_bytes;
      return Path::Sent::all;
    }
    for (int i = 0; i < sent; ++i) at += vectors[static_cast<std::size_t> (i)].iov_len;
  }
  return Path::Sent::all;
}

// What a failed send means. A datagram that cannot leave is lost, as on a wire: QUIC sends its
// bytes again, and finds a smaller size where that is the reason (EMSGSIZE).
Path::Sent
FastUdp::judge (int error) {
  if (error == EMSGSIZE) return Path::Sent::too_long;
  if (!is_want_of_room (error)) return Path::Sent::failed;
  wait_for_room (error != ENOBUFS);
  return Path::Sent::would_block;
}

void
FastUdp::wait_for_room (bool is_in_socket) {
  if (is_in_socket) {
    waiting_for_socket_ = true;
    if (own_fd_ >= 0)
      watch_->set_events (static_cast<GIOCondition> (G_IO_IN | G_IO_OUT));
    else
      watch_ = std::make_unique<FdWatch> (context_, sending_fd (), G_IO_OUT,
                                          [this] (GIOCondition there) { on_events (there); });
    return;
  }
  const gint64 now_us = g_get_monotonic_time ();
  const bool again = now_us - retried_at_us_ < gint64{2 * kLongestRetryMs} * 1000;
  retry_ms_ = again ? std::min (2 * retry_ms_, kLongestRetryMs) : kFirstRetryMs;
  retried_at_us_ = now_us;
  retry_.reset (g_timeout_source_new (retry_ms_));
  const GSourceFunc due = [] (gpointer data) -> gboolean {
    static_cast<FastUdp *> (data)->on_writable ();
    return G_SOURCE_REMOVE;
  };
  g_source_set_callback (retry_.get (), due, this, nullptr);
  g_source_set_static_name (retry_.get (), "p2p fast path retry");
  g_source_attach (retry_.get (), context_);
}

void
FastUdp::on_events (GIOCondition there) {
  const auto alive = alive_;
  if (there & G_IO_OUT) on_writable ();
  if (*alive && (there & G_IO_IN) && own_fd_ >= 0) on_readable ();
}

void
FastUdp::on_writable () {
  retry_.reset ();
  if (std::exchange (waiting_for_socket_, false)) {
    if (own_fd_ >= 0)
      watch_->set_events (G_IO_IN);
    else
      watch_.reset ();
  }
  if (!rest_.empty ()) {
    std::vector<std::uint8_t> rest = std::exchange (rest_, {});
    if (send_singly (ByteView (rest), rest_segment_bytes_) == Path::Sent::would_block)
      rest_ = std::move (rest);
    if (waiting ()) return;
  }
  receiver_.fast_writable ();
}

// One round in a turn of the loop: what it brought should reach the application before the next.
void
FastUdp::on_readable () {
  // A receiver may end this lane from inside of a call.
  const auto alive = alive_;
  ReceiveRing &ring = receive_ring ();
  ring.prepare ();
  const int count =
      recvmmsg (own_fd_, ring.messages.data (), kTrainsPerRound, MSG_DONTWAIT, nullptr);
  if (count <= 0) return;
  for (std::size_t i = 0; i < static_cast<std::size_t> (count); ++i) {
    // Between bind and the steering program others may have got in.
    if (!same_source (ring.sources[i], remote_)) {
      ++stray_;
      continue;
    }
    deliver ({ring.trains[i].data (), ring.messages[i].msg_len},
             train_datagram_bytes (&ring.messages[i].msg_hdr));
    if (!*alive) return;
  }
  receiver_.fast_batch_done ();
}

void
FastUdp::deliver (ByteView train, std::size_t segment_bytes) {
  const auto alive = alive_;
  if (segment_bytes == 0) segment_bytes = train.size;
  for (std::size_t at = 0; at < train.size; at += segment_bytes) {
    const ByteView datagram = train.sub (at, segment_bytes);
    if (is_stun (datagram)) {
      ++stun_;  // libnice sends it again
      continue;
    }
    receiver_.fast_received (datagram);
    if (!*alive) return;
  }
}

}  // namespace p2p
