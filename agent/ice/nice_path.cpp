#include "ice/nice_path.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "ice/nice_handle.hpp"
#include "ice/route_mtu.hpp"

namespace p2p {

namespace {

constexpr std::size_t kMaxBurstDatagrams = 64;  // one system call of libnice's
constexpr std::size_t kMaxTrainBytes = 65507;   // UDP_SEGMENT takes no more than IPv4's UDP does
// A handshake's first flights; the rest is sent again.
constexpr std::size_t kMaxEarlyDatagrams = 8;
constexpr std::size_t kEthernetMtuBytes = 1500;
constexpr std::size_t kIpv4UdpHeaderBytes = 20 + 8;  // RFC 791, RFC 768
constexpr std::size_t kIpv6UdpHeaderBytes = 40 + 8;  // RFC 8200
// Where no descriptor tells when there is room again (relays, TCP), it is tried after this time: at
// 200 KB of socket buffer that is no limit below 300 Mbit/s.
constexpr TimeUs kRetryAfter = 5 * kMillisecond;

bool
is_ipv6 (const IcePair &pair) {
  return pair.local.find ('[') != std::string::npos;
}

std::size_t
route_mtu_from (GSocket *socket, const sockaddr_storage &remote) {
  sockaddr_storage local{};
  socklen_t bytes = sizeof local;
  const int fd = g_socket_get_fd (socket);
  if (getsockname (fd, reinterpret_cast<sockaddr *> (&local), &bytes) < 0) return 0;
  return route_mtu_bytes (local, remote);
}

// QUIC's probes must not be fragmented on the way (RFC 9000 section 14), nor be refused because of
// what the kernel believes about the route.
void
forbid_fragments (GSocket *socket) {
  const int level =
      g_socket_get_family (socket) == G_SOCKET_FAMILY_IPV6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int option = level == IPPROTO_IPV6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
  const int value = level == IPPROTO_IPV6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;
  if (!g_socket_set_option (socket, level, option, value, nullptr))
    g_debug ("ice: the socket's datagrams may be fragmented");
}

}  // namespace

std::size_t
max_datagram_bytes_on (const IcePair &pair, std::size_t route_mtu_bytes) {
  if (pair.relayed || pair.tcp) return kMinDatagramBytes;
  const std::size_t mtu_bytes = route_mtu_bytes > 0 ? route_mtu_bytes : kEthernetMtuBytes;
  const std::size_t headers = is_ipv6 (pair) ? kIpv6UdpHeaderBytes : kIpv4UdpHeaderBytes;
  return std::clamp (mtu_bytes, kMinDatagramBytes + headers, kMaxTrainBytes + headers) - headers;
}

NicePath::NicePath (NiceAgent *agent, guint stream, Scheduler &scheduler, GMainContext *context,
                    const FastUdpWish &fast_wish)
    : agent_ (agent),
      stream_ (stream),
      fast_wish_ (fast_wish),
      scheduler_ (scheduler),
      context_ (context),
      writable_timer_ (scheduler.make_timer ([this] { on_writable (); })),
      batch_end_ (scheduler.make_timer ([this] { on_batch_end (); })) {}

NicePath::~NicePath () = default;

void
NicePath::pair_selected (const IcePair &pair, TurnFront *relay) {
  const bool news =
      !pair_ || pair_->local_sdp != pair.local_sdp || pair_->remote_sdp != pair.remote_sdp;
  pair_ = pair;
  if (!news) return;
  fast_.reset ();
  if (relay_ && relay_ != relay) relay_->carry (std::nullopt);
  relay_ = relay;
  if (relay_) relay_->carry (turn::Address::from_sockaddr (pair.remote_address));
  const auto socket =
      Ref<GSocket>::adopt (nice_agent_get_selected_socket (agent_, stream_, kNiceComponent));
  max_datagram_bytes_ = max_datagram_bytes_on (
      pair, socket ? route_mtu_from (socket.get (), pair.remote_address) : 0);
  if (socket) forbid_fragments (socket.get ());
  if (socket) open_fast_lane (pair, socket.get ());
  // The socket that was waited for may never be writable again.
  if (blocked_ || !rest_.empty ()) {
    writable_source_.reset ();
    writable_timer_->arm (scheduler_.now ());
  }
  repeat_early_sends ();
  if (receiver_) receiver_->path_changed (*this);
  for (const auto &datagram : std::exchange (early_, {})) received (datagram);
}

void
NicePath::repeat_early_sends () {
  const auto sends = std::exchange (early_sends_, nullptr);
  if (!sends || !early_.empty ()) return;  // it was heard
  for (const auto &datagram : sends->take (scheduler_.now ()))
    (void)send (ByteView (datagram), datagram.size ());
}

void
NicePath::open_fast_lane (const IcePair &pair, GSocket *socket) {
  if (pair.tcp || pair.local_type == "relay") return;
  if (const FastUdpWish wish = fast_udp_wish (fast_wish_))
    fast_ = FastUdp::open (socket, pair.remote_address, *wish, context_, *this);
}

void
NicePath::fast_received (ByteView datagram) {
  if (receiver_)
    receiver_->path_received (*this, datagram);
  else
    ++dropped_received_;
}

void
NicePath::fast_batch_done () {
  if (receiver_) receiver_->path_batch_done (*this);
}

void
NicePath::fast_writable () {
  if (std::exchange (blocked_, false) && receiver_) receiver_->path_writable (*this);
}

void
NicePath::received (ByteView datagram) {
  if (!pair_ && early_.size () < kMaxEarlyDatagrams) {
    early_.emplace_back (datagram.begin (), datagram.end ());
    return;
  }
  if (!pair_ || !receiver_) {
    ++dropped_received_;
    return;
  }
  receiver_->path_received (*this, datagram);
  if (++in_batch_ >= kBatchDatagrams)
    on_batch_end ();
  else if (in_batch_ == 1)
    batch_end_->arm (scheduler_.now ());
}

void
NicePath::on_batch_end () {
  if (in_batch_ == 0) return;
  in_batch_ = 0;
  if (receiver_) receiver_->path_batch_done (*this);
}

// Never on the fast lane's socket: what libnice's sends differs from data in its DF bit, so that
// the kernel does not glue it to a train.
void
NicePath::send_beside (ByteView datagram) {
  GOutputVector vector = {datagram.data, datagram.size};
  const NiceOutputMessage message = {&vector, 1};
  GError *raw_error = nullptr;
  nice_agent_send_messages_nonblocking (agent_, stream_, kNiceComponent, &message, 1, nullptr,
                                        &raw_error);
  const UniqueError error (raw_error);
  if (error) g_debug ("ice: a check could not be sent: %s", error->message);
}

void
NicePath::failed (const Error &error) {
  failed_ = true;
  // What is left of a burst is lost, as on a wire; libnice would never say that there is room.
  rest_.clear ();
  blocked_ = false;
  writable_source_.reset ();
  writable_timer_->disarm ();
  if (receiver_) receiver_->path_failed (*this, error);
}

void
NicePath::recovered () {
  failed_ = false;
  if (receiver_) receiver_->path_changed (*this);
}

Path::Sent
NicePath::send (ByteView burst, std::size_t segment_bytes) {
  if (burst.empty ()) return Sent::all;
  if (failed_ || segment_bytes == 0 || burst.size > max_burst_bytes ()) {
    ++failed_bursts_;
    return Sent::failed;
  }
  // The peer's first packet may come before our own check is answered; its answer waits for that.
  if (!pair_) {
    if (early_sends_ && early_sends_->send (burst, segment_bytes, scheduler_.now ()))
      return Sent::all;
    blocked_ = true;
    return Sent::would_block;
  }
  // Datagrams of one burst stay together and in order.
  if (!rest_.empty () || blocked_) {
    blocked_ = true;
    return Sent::would_block;
  }
  if (fast_) {
    const Sent sent = fast_->send (burst, segment_bytes);
    if (sent == Sent::failed || sent == Sent::too_long) ++failed_bursts_;
    blocked_ = sent == Sent::would_block;
    return sent;
  }
  const Pushed pushed = push (burst, segment_bytes);
  if (pushed.outcome != Sent::would_block) return pushed.outcome;
  watch_writable ();
  if (pushed.bytes == 0) {
    blocked_ = true;
    return Sent::would_block;
  }
  const ByteView rest = burst.sub (pushed.bytes);
  rest_.assign (rest.begin (), rest.end ());
  rest_segment_bytes_ = segment_bytes;
  return Sent::all;
}

NicePath::Pushed
NicePath::push (ByteView burst, std::size_t segment_bytes) {
  if (relay_) return push_to_relay (burst, segment_bytes);
  std::array<GOutputVector, kMaxBurstDatagrams> vectors;
  std::array<NiceOutputMessage, kMaxBurstDatagrams> messages;
  std::size_t sent = 0;
  while (sent < burst.size) {
    guint count = 0;
    for (std::size_t at = sent; at < burst.size && count < kMaxBurstDatagrams; ++count) {
      const ByteView one = burst.sub (at, segment_bytes);
      vectors[count] = {one.data, one.size};
      messages[count] = {&vectors[count], 1};
      at += one.size;
    }
    GError *raw_error = nullptr;
    const gint taken = nice_agent_send_messages_nonblocking (
        agent_, stream_, kNiceComponent, messages.data (), count, nullptr, &raw_error);
    const UniqueError error (raw_error);
    if (taken < 0 &&
        !(error && g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))) {
      ++failed_bursts_;
      const bool too_long =
          g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
      return {sent, too_long ? Sent::too_long : Sent::failed};
    }
    if (taken <= 0) return {sent, Sent::would_block};
    sent = std::min (burst.size, sent + static_cast<std::size_t> (taken) * segment_bytes);
  }
  return {sent, Sent::all};
}

NicePath::Pushed
NicePath::push_to_relay (ByteView burst, std::size_t segment_bytes) {
  relay_->hold ();
  Pushed pushed = hand_to_relay (burst, segment_bytes);
  const std::size_t unsent = relay_->unhold ();
  if (unsent == 0) return pushed;
  const std::size_t handed = (pushed.bytes + segment_bytes - 1) / segment_bytes;
  return {(handed - std::min (handed, unsent)) * segment_bytes, Sent::would_block};
}

NicePath::Pushed
NicePath::hand_to_relay (ByteView burst, std::size_t segment_bytes) {
  std::size_t sent = 0;
  while (sent < burst.size) {
    const ByteView one = burst.sub (sent, segment_bytes);
    switch (relay_->send (one)) {
      case turn::Sent::sent:
      case turn::Sent::waiting:
        sent += one.size;
        break;
      case turn::Sent::full:
        return {sent, Sent::would_block};
      case turn::Sent::refused:
        ++failed_bursts_;
        return {sent, Sent::failed};
      case turn::Sent::too_long:
        ++failed_bursts_;
        return {sent, Sent::too_long};
    }
  }
  return {sent, Sent::all};
}

void
NicePath::watch_writable () {
  if (writable_source_) return;
  // libnice's socket says nothing of the one to the relay.
  if (relay_) {
    writable_timer_->arm (scheduler_.now () + kRetryAfter);
    return;
  }
  const auto socket =
      Ref<GSocket>::adopt (nice_agent_get_selected_socket (agent_, stream_, kNiceComponent));
  if (!socket) {
    writable_timer_->arm (scheduler_.now () + kRetryAfter);
    return;
  }
  writable_source_.reset (g_socket_create_source (socket.get (), G_IO_OUT, nullptr));
  const GSocketSourceFunc on_ready = [] (GSocket *, GIOCondition, gpointer data) -> gboolean {
    static_cast<NicePath *> (data)->on_writable ();
    return G_SOURCE_REMOVE;
  };
  // The source dies with this object, and both belong to the core thread.
  g_source_set_callback (writable_source_.get (), G_SOURCE_FUNC (on_ready), this, nullptr);
  g_source_set_static_name (writable_source_.get (), "p2p path writable");
  g_source_attach (writable_source_.get (), context_);
}

void
NicePath::on_writable () {
  writable_source_.reset ();
  writable_timer_->disarm ();
  if (!rest_.empty ()) {
    const Pushed pushed = push (ByteView (rest_), rest_segment_bytes_);
    if (pushed.outcome == Sent::would_block) {
      rest_.erase (rest_.begin (), rest_.begin () + static_cast<std::ptrdiff_t> (pushed.bytes));
      watch_writable ();
      return;
    }
    rest_.clear ();
  }
  if (!blocked_) return;
  blocked_ = false;
  if (receiver_) receiver_->path_writable (*this);
}

std::size_t
NicePath::max_datagram_bytes () const {
  return max_datagram_bytes_;
}

std::size_t
NicePath::max_burst_bytes () const {
  return std::min (kMaxBurstDatagrams * max_datagram_bytes (), kMaxTrainBytes);
}

PathInfo
NicePath::info () const {
  PathInfo info;
  info.kind = "ice";
  if (pair_) {
    info.local = pair_->local;
    info.remote = pair_->remote;
    info.relays = relays_;
    info.relayed = pair_->relayed || !relays_.empty ();
    info.own_relay = pair_->local_type == "relay";
    info.engine = fast_ ? fast_->describe () : relay_ ? "TURN client" : "libnice";
  }
  return info;
}

}  // namespace p2p
