// Where the processes of one user on one machine meet: a Unix socket in a private directory, and
// the lock that says which process hosts it.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/ptr.hpp"

namespace p2p {

// "gst-p2p/meet.sock" in $XDG_RUNTIME_DIR, or /run/user/UID where that is not set, or else in a
// directory of this user's under the temporary one. Makes what is missing, with mode 0700, and
// refuses a directory that others own or may write to.
Result<std::string> default_local_socket_path ();
// An absolute path without symbolic links in its directory, which must exist, short enough for a
// socket.
Result<std::string> checked_local_socket_path (const std::string &path);

// Held by the one process that hosts a socket. The kernel drops it when the process goes, however
// it goes; it is not inherited by forked children, who could not serve. A process must not try it
// twice for one path: closing the second descriptor would drop the first lock.
class HostLock {
 public:
  // Null when another process holds it.
  static Result<std::unique_ptr<HostLock>> try_take (const std::string &socket_path);
  ~HostLock ();
  HostLock (const HostLock &) = delete;
  HostLock &operator= (const HostLock &) = delete;

 private:
  explicit HostLock (int fd) : fd_ (fd) {}
  int fd_;
};

// Only for the holder of the lock: removes a socket that a dead host left. Mode 0600.
Result<Ref<GSocket>> listen_at (const std::string &socket_path);
// Not blocking. Null when nobody listens (yet).
Result<Ref<GSocket>> connect_to (const std::string &socket_path);
// The process at the other end runs as this user or as root.
bool same_user (GSocket *socket);

}  // namespace p2p
