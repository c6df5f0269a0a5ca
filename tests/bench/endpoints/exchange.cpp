#include "exchange.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "event.hpp"

namespace bench {

namespace {

constexpr int kPatienceS = 20;
constexpr useconds_t kRetryUs = 2000;

void
set_patience (int fd) {
  const timeval limit{kPatienceS, 0};
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

void
transfer (int fd, char *data, std::size_t size, bool in) {
  while (size > 0) {
    const ssize_t done = in ? recv (fd, data, size, 0) : send (fd, data, size, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail ("the other side went away during the exchange of candidates");
    data += done;
    size -= static_cast<std::size_t> (done);
  }
}

}  // namespace

void
fail (const std::string &what) {
  std::fprintf (stderr, "%s\n", what.c_str ());
  std::_Exit (1);
}

Exchange::Exchange (const std::string &path, bool listening) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size () >= sizeof name.sun_path) fail (path + " is too long for the name of a socket");
  std::memcpy (name.sun_path, path.c_str (), path.size ());
  const auto *address = reinterpret_cast<const sockaddr *> (&name);
  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail ("no UNIX socket could be made");
  if (listening) {
    set_patience (fd);
    if (bind (fd, address, sizeof name) != 0 || listen (fd, 1) != 0)
      fail (path + ": " + std::strerror (errno));
    fd_ = accept (fd, nullptr, nullptr);
    close (fd);
    if (fd_ < 0) fail ("the other side did not come");
  } else {
    const std::int64_t deadline_us = now_us () + kPatienceS * 1000000LL;
    while (connect (fd, address, sizeof name) != 0) {
      if (now_us () > deadline_us) fail ("the other side did not come");
      usleep (kRetryUs);
    }
    fd_ = fd;
  }
  set_patience (fd_);
}

Exchange::~Exchange () {
  close (fd_);
}

void
Exchange::send (const std::string &text) {
  std::uint64_t size = text.size ();
  std::string copy = text;
  transfer (fd_, reinterpret_cast<char *> (&size), sizeof size, false);
  transfer (fd_, copy.data (), copy.size (), false);
}

std::string
Exchange::receive () {
  std::uint64_t size = 0;
  transfer (fd_, reinterpret_cast<char *> (&size), sizeof size, true);
  std::string text (size, '\0');
  transfer (fd_, text.data (), text.size (), true);
  return text;
}

}  // namespace bench
