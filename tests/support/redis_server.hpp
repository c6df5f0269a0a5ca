// A redis-server of the test's own, on a Unix socket in a directory of its own, without a port
// unless one is asked for. Its data are gone when it ends.
#pragma once
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../signaling/process.hpp"
#include "loopback.hpp"

namespace p2p {

class RedisServer {
 public:
  explicit RedisServer (std::vector<std::string> options = {}) : options_ (std::move (options)) {}

  std::string uri () const { return "redis+unix://" + socket_path (); }
  std::string socket_path () const { return directory_ / "redis.sock"; }
  // Answers at once; who connects may have to try more than once until it listens.
  void start () {
    std::vector<std::string> command = {
        REDIS_SERVER, "--unixsocket",  socket_path (), "--save",          "", "--appendonly", "no",
        "--dir",      directory_ / "", "--logfile",    directory_ / "log"};
    if (!listens_on_a_port ()) command.insert (command.end (), {"--port", "0"});
    command.insert (command.end (), options_.begin (), options_.end ());
    process_ = std::make_unique<Process> (command);
  }
  void end (int signal = SIGKILL) {
    process_->end (signal);
    process_.reset ();
  }
  void send (int signal) const { kill (process_->pid (), signal); }

 private:
  bool listens_on_a_port () const {
    for (const std::string &option : options_)
      if (option == "--port") return true;
    return false;
  }
  const std::vector<std::string> options_;
  const TemporaryDirectory directory_;  // outlives the process
  std::unique_ptr<Process> process_;
};

// A TCP port that nobody has at this moment.
inline std::uint16_t
free_port () {
  const int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = test::loopback (0);
  socklen_t size = sizeof address;
  EXPECT_EQ (bind (fd, reinterpret_cast<sockaddr *> (&address), size), 0);
  EXPECT_EQ (getsockname (fd, reinterpret_cast<sockaddr *> (&address), &size), 0);
  close (fd);
  return ntohs (address.sin_port);
}

}  // namespace p2p
