#include "net/route_socket.hpp"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace p2p {

namespace {

// The kernel fills at most 32 KiB at once; a notification of a link with many functions is less.
constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr int kReadsPerTurn = 16;  // then the loop's other sources have theirs
// A change in the midst of a dump; the next one tells of it if it never ends.
constexpr int kDumps = 4;

class Descriptor {
 public:
  Descriptor ()
      : fd_ (socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {}
  ~Descriptor () {
    if (fd_ >= 0) close (fd_);
  }
  Descriptor (const Descriptor &) = delete;
  Descriptor &operator= (const Descriptor &) = delete;
  int get () const { return fd_; }
  int leak () { return std::exchange (fd_, -1); }

 private:
  int fd_;
};

// As recv(), of what the kernel sent alone. A datagram that did not fit counts as malformed.
ssize_t
receive (int fd, std::vector<std::uint8_t> &buffer, bool &cut) {
  sockaddr_nl from{};
  iovec where = {buffer.data (), buffer.size ()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &where;
  message.msg_iovlen = 1;
  for (;;) {
    const ssize_t count = recvmsg (fd, &message, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count >= 0 && from.nl_pid != 0) continue;  // another process's
    cut = message.msg_flags & MSG_TRUNC;
    return count;
  }
}

struct Request {
  nlmsghdr head{};
  // Every kind of request takes this header: all begin with the family.
  ifinfomsg info{};
  rtattr mask_head{};
  std::uint32_t mask = 0;
};

bool
ask (int fd, std::uint16_t type) {
  Request request;
  request.head.nlmsg_type = type;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.head.nlmsg_len = NLMSG_LENGTH (sizeof request.info);
  if (type == RTM_GETLINK) {
    // Counters are half of what there is to say about a link.
    request.mask_head.rta_type = IFLA_EXT_MASK;
    request.mask_head.rta_len = RTA_LENGTH (sizeof request.mask);
    request.mask = RTEXT_FILTER_SKIP_STATS;
    request.head.nlmsg_len = sizeof request;
  }
  return send (fd, &request, request.head.nlmsg_len, 0) == ssize_t{request.head.nlmsg_len};
}

}  // namespace

Result<std::unique_ptr<RouteSocket>>
RouteSocket::create (GMainContext *context) {
  Descriptor socket;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (socket.get () < 0 ||
      bind (socket.get (), reinterpret_cast<const sockaddr *> (&address), sizeof address) < 0)
    return Error{P2P_ERROR_FAILED,
                 std::string ("The kernel does not tell of changes of the network (rtnetlink): ") +
                     g_strerror (errno) + "."};
  std::unique_ptr<RouteSocket> made (new RouteSocket (context, socket.leak ()));
  if (!made->read ())
    return Error{P2P_ERROR_FAILED, "The kernel does not list the network (rtnetlink)."};
  return made;
}

RouteSocket::RouteSocket (GMainContext *context, int fd)
    : context_ (context), fd_ (fd), buffer_ (kBufferBytes) {}

RouteSocket::~RouteSocket () {
  watch_.reset ();
  close (fd_);
}

void
RouteSocket::start (std::function<void ()> spoke) {
  spoke_ = std::move (spoke);
  watch_ =
      std::make_unique<FdWatch> (context_, fd_, G_IO_IN, [this] (GIOCondition) { on_readable (); });
}

void
RouteSocket::on_readable () {
  bool changed = false;
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    bool cut = false;
    const ssize_t count = receive (fd_, buffer_, cut);
    if (count < 0) {
      if (errno != ENOBUFS) break;
      ++stats_.overruns;
      changed = true;
      continue;
    }
    ++stats_.notifications;
    const RouteTable::Outcome outcome =
        table_.apply ({buffer_.data (), static_cast<std::size_t> (count)});
    stats_.malformed += outcome.malformed + (cut ? 1 : 0);
    // What cannot be read is asked about.
    if (outcome.changed || outcome.malformed != 0 || cut) changed = true;
  }
  if (!changed) return;
  const auto spoke = spoke_;  // which may be the end of this
  spoke ();
}

std::optional<NetworkSnapshot>
RouteSocket::read () {
  // A socket of its own, whose answers stand in no queue behind notifications. The kernel has its
  // next part ready whenever one was taken, so that none of this waits.
  for (int attempt = 0; attempt < kDumps; ++attempt) {
    RouteTable table;
    bool whole = true, interrupted = false;
    const Descriptor socket;
    for (const std::uint16_t type : {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE}) {
      if (socket.get () < 0 || !ask (socket.get (), type)) return std::nullopt;
      for (bool done = false; !done && whole;) {
        bool cut = false;
        const ssize_t count = receive (socket.get (), buffer_, cut);
        if (count <= 0) {
          g_debug ("rtnetlink ends in the midst of its answer: %s", g_strerror (errno));
          whole = false;
          break;
        }
        const RouteTable::Outcome outcome =
            table.apply ({buffer_.data (), static_cast<std::size_t> (count)});
        stats_.malformed += outcome.malformed + (cut ? 1 : 0);
        if (outcome.error != 0) return std::nullopt;
        interrupted = interrupted || outcome.interrupted;
        done = outcome.done;
      }
    }
    const bool last = attempt + 1 == kDumps;
    if (!whole || (interrupted && !last)) continue;
    table_ = std::move (table);
    return table_.snapshot ();
  }
  return std::nullopt;
}

}  // namespace p2p
