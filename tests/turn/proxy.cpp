#include "proxy.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "../support/loopback.hpp"

namespace p2p::test {

namespace {

void
send_text (int fd, std::string_view text) {
  (void)!::send (fd, text.data (), text.size (), MSG_NOSIGNAL);
}

}  // namespace

Proxy::Proxy (Kind kind, Mood mood)
    : kind_ (kind),
      mood_ (mood),
      listener_ (socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      stop_ (eventfd (0, EFD_CLOEXEC)) {
  sockaddr_in where = loopback (0);
  socklen_t size = sizeof where;
  g_assert_no_errno (bind (listener_, reinterpret_cast<sockaddr *> (&where), size));
  g_assert_no_errno (listen (listener_, 8));
  g_assert_no_errno (getsockname (listener_, reinterpret_cast<sockaddr *> (&where), &size));
  port_ = ntohs (where.sin_port);
  thread_ = std::thread ([this] { serve (); });
}

Proxy::~Proxy () {
  eventfd_write (stop_, 1);
  thread_.join ();
  close (listener_);
  close (stop_);
}

Ref<GProxyResolver>
Proxy::resolver () const {
  const std::string uri = (kind_ == Kind::http ? "http" : "socks5") +
                          std::string ("://127.0.0.1:") + std::to_string (port_);
  return Ref<GProxyResolver>::adopt (g_simple_proxy_resolver_new (uri.c_str (), nullptr));
}

std::string
Proxy::asked_for () const {
  const MutexLock lock (mutex_);
  return asked_for_;
}

void
Proxy::serve () {
  while (await (listener_)) {
    const int client = accept4 (listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    ++connections_;
    serve_one (client);
    close (client);
  }
}

void
Proxy::serve_one (int client) {
  std::string host;
  std::uint16_t port = 0;
  if (!read_target (client, &host, &port)) return;
  {
    const MutexLock lock (mutex_);
    asked_for_ = host + ":" + std::to_string (port);
  }
  if (mood_ == Mood::hangs) {
    await (client);  // its end
    return;
  }
  const int server = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in where = loopback (port);
  const bool granted =
      mood_ == Mood::serves &&
      connect (server, reinterpret_cast<const sockaddr *> (&where), sizeof where) == 0;
  answer (client, granted);
  if (granted) pump (client, server);
  close (server);
}

bool
Proxy::read_target (int client, std::string *host, std::uint16_t *port) {
  return kind_ == Kind::http ? read_http (client, host, port) : read_socks5 (client, host, port);
}

// RFC 9110 section 9.3.6.
bool
Proxy::read_http (int client, std::string *host, std::uint16_t *port) {
  std::string text;
  for (char byte = 0; text.find ("\r\n\r\n") == std::string::npos; text += byte)
    if (text.size () > 8192 || !read_exactly (client, &byte, 1)) return false;
  const std::string method = "CONNECT ";
  const auto colon = text.find (':'), end = text.find (' ', method.size ());
  if (text.compare (0, method.size (), method) != 0 || colon == std::string::npos || colon > end)
    return false;
  *host = text.substr (method.size (), colon - method.size ());
  *port = static_cast<std::uint16_t> (std::atoi (text.c_str () + colon + 1));
  return true;
}

// RFC 1928, without authentication.
bool
Proxy::read_socks5 (int client, std::string *host, std::uint16_t *port) {
  std::array<std::uint8_t, 256> bytes{};
  if (!read_exactly (client, bytes.data (), 2) || bytes[0] != 5 ||
      !read_exactly (client, bytes.data (), bytes[1]))
    return false;
  send_text (client, std::string_view ("\5\0", 2));
  if (!read_exactly (client, bytes.data (), 4) || bytes[1] != 1) return false;
  constexpr std::uint8_t kIpv4 = 1, kName = 3;
  if (bytes[3] == kIpv4) {
    if (!read_exactly (client, bytes.data (), 4)) return false;
    char text[INET_ADDRSTRLEN];
    *host = inet_ntop (AF_INET, bytes.data (), text, sizeof text);
  } else if (bytes[3] == kName) {
    if (!read_exactly (client, bytes.data (), 1)) return false;
    const std::size_t size = bytes[0];
    if (!read_exactly (client, bytes.data (), size)) return false;
    host->assign (reinterpret_cast<const char *> (bytes.data ()), size);
  } else {
    return false;
  }
  if (!read_exactly (client, bytes.data (), 2)) return false;
  *port = static_cast<std::uint16_t> (bytes[0] << 8 | bytes[1]);
  return true;
}

void
Proxy::answer (int client, bool granted) {
  if (kind_ == Kind::http)
    send_text (client, granted ? "HTTP/1.0 200 OK\r\n\r\n" : "HTTP/1.0 403 Forbidden\r\n\r\n");
  else
    send_text (client,
               std::string_view (granted ? "\5\0\0\1\0\0\0\0\0\0" : "\5\2\0\1\0\0\0\0\0\0", 10));
}

void
Proxy::pump (int client, int server) {
  for (;;) {
    pollfd fds[] = {{client, POLLIN, 0}, {server, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (poll (fds, 3, -1) < 0 || fds[2].revents) return;
    for (const int from : {0, 1}) {
      if (!fds[from].revents) continue;
      std::array<char, 16384> bytes;
      const ssize_t size = recv (fds[from].fd, bytes.data (), bytes.size (), 0);
      if (size <= 0) return;
      passed_bytes_ += static_cast<std::uint64_t> (size);
      send_text (fds[1 - from].fd,
                 std::string_view (bytes.data (), static_cast<std::size_t> (size)));
    }
  }
}

bool
Proxy::await (int fd) const {
  pollfd fds[] = {{fd, POLLIN, 0}, {stop_, POLLIN, 0}};
  return poll (fds, 2, -1) > 0 && !fds[1].revents;
}

bool
Proxy::read_exactly (int fd, void *bytes, std::size_t size) const {
  auto *at = static_cast<char *> (bytes);
  while (size > 0) {
    if (!await (fd)) return false;
    const ssize_t got = recv (fd, at, size, 0);
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t> (got);
  }
  return true;
}

}  // namespace p2p::test
