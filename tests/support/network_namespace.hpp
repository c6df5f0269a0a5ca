// A network of the test's own, which is empty but for a loopback interface that is down.
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace p2p {

inline void
write_text (const std::string &path, const std::string &text) {
  const int fd = open (path.c_str (), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write (fd, text.data (), text.size ()) < 0) std::perror (path.c_str ());
  close (fd);
}

// Empty, or why not. For the calling thread, and for what it starts later: threads and processes.
inline std::string
enter_empty_network () {
  if (unshare (CLONE_NEWNET) == 0) return {};
  const std::string uid = std::to_string (getuid ()), gid = std::to_string (getgid ());
  if (unshare (CLONE_NEWUSER | CLONE_NEWNET) != 0) return std::strerror (errno);
  write_text ("/proc/self/setgroups", "deny");
  write_text ("/proc/self/uid_map", "0 " + uid + " 1");
  write_text ("/proc/self/gid_map", "0 " + gid + " 1");
  return {};
}

// In a shell; whether it went well.
inline bool
run (const std::string &command) {
  return std::system (("exec 2>&1; " + command).c_str ()) == 0;
}

}  // namespace p2p
