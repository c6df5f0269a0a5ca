#include "control.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "device.hpp"

namespace delaywire {

namespace {

constexpr size_t kMaxCommandBytes = 512;

bool
strip_suffix (std::string &text, const std::string &suffix) {
  if (text.size () <= suffix.size () ||
      text.compare (text.size () - suffix.size (), suffix.size (), suffix) != 0)
    return false;
  text.resize (text.size () - suffix.size ());
  return true;
}

std::string
describe (const char *name, const Direction &direction) {
  const Counters &count = direction.counters ();
  char text[200];
  std::snprintf (text, sizeof text,
                 "%s received=%" PRIu64 " sent=%" PRIu64 " lost=%" PRIu64 " overflowed=%" PRIu64
                 " queued=%zu delay_ms=%g\n",
                 name, count.received, count.sent, count.lost, count.overflowed,
                 direction.queued (), direction.settings.delay_ms);
  return text;
}

bool
set (Settings &settings, const std::string &key, double value) {
  if (key == "delay")
    settings.delay_ms = value;
  else if (key == "jitter")
    settings.jitter_ms = value;
  else if (key == "loss")
    settings.loss_percent = value;
  else if (key == "dup")
    settings.duplicate_percent = value;
  else if (key == "corrupt")
    settings.corrupt_percent = value;
  else if (key == "rate")
    settings.rate_mbit = value;
  else if (key == "queue-ms")
    settings.queue_ms = value;
  else if (key == "reorder")
    settings.reorder = value != 0;
  else if (key == "down")
    settings.down = true;
  else if (key == "up")
    settings.down = false;
  else
    return false;
  return true;
}

sockaddr_un
address_of (const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf (address.sun_path, sizeof address.sun_path, "%s", path.c_str ());
  return address;
}

}  // namespace

std::string
run_command (Direction &ab, Direction &ba, std::string line) {
  while (!line.empty () && (line.back () == '\n' || line.back () == ' ')) line.pop_back ();
  const auto space = line.find (' ');
  std::string key = line.substr (0, space);
  const double value =
      space == std::string::npos ? 0 : std::strtod (line.c_str () + space + 1, nullptr);
  if (key == "stats") return describe ("ab", ab) + describe ("ba", ba);
  std::vector<Direction *> directions{&ab, &ba};
  if (strip_suffix (key, "-ab"))
    directions = {&ab};
  else if (strip_suffix (key, "-ba"))
    directions = {&ba};
  for (Direction *direction : directions)
    if (!set (direction->settings, key, value)) return "unknown command: " + key + "\n";
  return "ok\n";
}

int
open_control (const std::string &path) {
  const int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_un address = address_of (path);
  unlink (path.c_str ());
  if (fd < 0 || bind (fd, reinterpret_cast<const sockaddr *> (&address), sizeof address) != 0)
    die (path);
  return fd;
}

void
serve_control (int fd, Direction &ab, Direction &ba) {
  char text[kMaxCommandBytes];
  sockaddr_un from{};
  socklen_t from_size = sizeof from;
  const ssize_t size =
      recvfrom (fd, text, sizeof text, 0, reinterpret_cast<sockaddr *> (&from), &from_size);
  if (size <= 0) return;
  const std::string answer = run_command (ab, ba, std::string (text, static_cast<size_t> (size)));
  // A sender without an address of its own does not want the answer.
  if (from_size > sizeof (sa_family_t))
    sendto (fd, answer.data (), answer.size (), 0, reinterpret_cast<sockaddr *> (&from), from_size);
}

int
send_command (const std::string &path, const std::string &command) {
  const int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un own{};
  own.sun_family = AF_UNIX;
  // Binding the family alone lets the kernel choose an abstract address (unix(7), autobind).
  if (fd < 0 || bind (fd, reinterpret_cast<sockaddr *> (&own), sizeof (sa_family_t)) != 0)
    die ("socket");
  const sockaddr_un to = address_of (path);
  if (sendto (fd, command.data (), command.size (), 0, reinterpret_cast<const sockaddr *> (&to),
              sizeof to) < 0)
    die (path);
  const timeval patience{1, 0};
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char answer[kMaxCommandBytes];
  const ssize_t size = recv (fd, answer, sizeof answer, 0);
  if (size < 0) die ("no answer from " + path);
  std::fwrite (answer, 1, static_cast<size_t> (size), stdout);
  close (fd);
  return size >= 7 && std::memcmp (answer, "unknown", 7) == 0 ? 1 : 0;
}

}  // namespace delaywire
