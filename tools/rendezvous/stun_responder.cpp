#include "rendezvous/stun_responder.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace p2p {

namespace {

constexpr int kDatagramsPerTurn = 64;
constexpr std::size_t kMaxRequestBytes = 1500;
constexpr std::size_t kMaxAnswerBytes = 256;
// An answer is hardly longer than its request, but it may go to a forged address.
constexpr Rate kAnswers = {5000, 10000};
const std::uint16_t kKnownAttributes[] = {0};

std::size_t
address_bytes (const sockaddr_storage &address) {
  return address.ss_family == AF_INET6 ? sizeof (sockaddr_in6) : sizeof (sockaddr_in);
}

// A dual-stack socket sees IPv4 clients under mapped addresses, which mean nothing to them.
void
unmap (sockaddr_storage &address) {
  if (address.ss_family != AF_INET6) return;
  const auto *six = reinterpret_cast<const sockaddr_in6 *> (&address);
  if (!IN6_IS_ADDR_V4MAPPED (&six->sin6_addr)) return;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = six->sin6_port;
  std::copy_n (six->sin6_addr.s6_addr + 12, 4, reinterpret_cast<std::uint8_t *> (&four.sin_addr));
  address = {};
  std::copy_n (reinterpret_cast<const std::uint8_t *> (&four), sizeof four,
               reinterpret_cast<std::uint8_t *> (&address));
}

// RFC 8489 section 5: the second word of every message, by which it differs from RFC 3489.
bool
has_cookie (const std::uint8_t *request, std::size_t size) {
  static constexpr std::uint8_t kCookie[] = {0x21, 0x12, 0xa4, 0x42};
  return size >= 8 && std::equal (std::begin (kCookie), std::end (kCookie), request + 4);
}

}  // namespace

StunResponder::StunResponder (Ref<GSocket> socket)
    : socket_ (std::move (socket)),
      rate_ (kAnswers, g_get_monotonic_time ()),
      source_ (g_socket_create_source (socket_.get (), G_IO_IN, nullptr)) {
  stun_agent_init (&agent_, kKnownAttributes, STUN_COMPATIBILITY_RFC5389,
                   STUN_AGENT_USAGE_IGNORE_CREDENTIALS);
  stun_agent_init (&old_agent_, kKnownAttributes, STUN_COMPATIBILITY_RFC3489,
                   STUN_AGENT_USAGE_IGNORE_CREDENTIALS);
  g_socket_set_blocking (socket_.get (), FALSE);
  // On a machine with several addresses the answer must come from the one that was asked.
  const int fd = g_socket_get_fd (socket_.get ());
  const int on = 1;
  setsockopt (fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  if (g_socket_get_family (socket_.get ()) == G_SOCKET_FAMILY_IPV6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  const GSocketSourceFunc ready = [] (GSocket *, GIOCondition, gpointer data) -> gboolean {
    static_cast<StunResponder *> (data)->on_readable ();
    return G_SOURCE_CONTINUE;
  };
  // The source is a member: it cannot run after the responder is gone.
  g_source_set_callback (source_.get (),
                         reinterpret_cast<GSourceFunc> (reinterpret_cast<void *> (ready)), this,
                         nullptr);
  g_source_attach (source_.get (), g_main_context_get_thread_default ());
}

void
StunResponder::on_readable () {
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    std::uint8_t request[kMaxRequestBytes];
    alignas (cmsghdr) std::uint8_t control[256];
    sockaddr_storage from{};
    iovec body = {request, sizeof request};
    msghdr envelope{};
    envelope.msg_name = &from;
    envelope.msg_namelen = sizeof from;
    envelope.msg_iov = &body;
    envelope.msg_iovlen = 1;
    envelope.msg_control = control;
    envelope.msg_controllen = sizeof control;
    const ssize_t size = recvmsg (g_socket_get_fd (socket_.get ()), &envelope, 0);
    if (size < 0) return;
    if (envelope.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
      ++dropped_;
    else
      answer (request, static_cast<std::size_t> (size), envelope);
  }
}

void
StunResponder::answer (const std::uint8_t *request, std::size_t size, const msghdr &envelope) {
  const bool old = !has_cookie (request, size);
  StunAgent *agent = old ? &old_agent_ : &agent_;
  StunMessage message, reply;
  std::uint8_t buffer[kMaxAnswerBytes];
  const StunValidationStatus status =
      stun_agent_validate (agent, &message, request, size, nullptr, nullptr);
  const bool unknown = status == STUN_VALIDATION_UNKNOWN_REQUEST_ATTRIBUTE;
  if ((status != STUN_VALIDATION_SUCCESS && !unknown) ||
      stun_message_get_class (&message) != STUN_REQUEST ||
      stun_message_get_method (&message) != STUN_BINDING ||
      !rate_.take (1, g_get_monotonic_time ())) {
    ++dropped_;
    return;
  }
  std::size_t length = 0;
  if (unknown) {
    length =
        stun_agent_build_unknown_attributes_error (agent, &reply, buffer, sizeof buffer, &message);
  } else if (stun_agent_init_response (agent, &reply, buffer, sizeof buffer, &message)) {
    sockaddr_storage seen = *static_cast<sockaddr_storage *> (envelope.msg_name);
    unmap (seen);
    const auto seen_bytes = static_cast<socklen_t> (address_bytes (seen));
    const StunMessageReturn appended =
        old ? stun_message_append_addr (&reply, STUN_ATTRIBUTE_MAPPED_ADDRESS,
                                        reinterpret_cast<sockaddr *> (&seen), seen_bytes)
            : stun_message_append_xor_addr (&reply, STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS, &seen,
                                            seen_bytes);
    if (appended == STUN_MESSAGE_RETURN_SUCCESS)
      length = stun_agent_finish_message (agent, &reply, nullptr, 0);
  }
  if (length == 0) {
    ++dropped_;
    return;
  }
  iovec body = {buffer, length};
  msghdr back = envelope;
  back.msg_iov = &body;
  back.msg_flags = 0;
  // The packet information goes back as it came: as the source address of the answer.
  for (cmsghdr *part = CMSG_FIRSTHDR (&back); part; part = CMSG_NXTHDR (&back, part))
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO)
      reinterpret_cast<in_pktinfo *> (CMSG_DATA (part))->ipi_ifindex = 0;
  if (sendmsg (g_socket_get_fd (socket_.get ()), &back, MSG_DONTWAIT) < 0)
    ++dropped_;
  else
    ++answered_;
}

}  // namespace p2p
