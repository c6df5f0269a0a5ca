// How two processes tell each other how they can be reached: a UNIX socket with a name, which works
// across network namespaces as well. Waits; each wait is bounded.
#pragma once
#include <string>

namespace bench {

class Exchange {
 public:
  // The listening side may start before or after the other. Ends the program when it fails.
  Exchange (const std::string &path, bool listen);
  ~Exchange ();
  Exchange (const Exchange &) = delete;
  Exchange &operator= (const Exchange &) = delete;

  void send (const std::string &text);
  std::string receive ();
  // Becomes readable when there is something to receive.
  int fd () const { return fd_; }

 private:
  int fd_ = -1;
};

// Says what failed and ends the program.
[[noreturn]] void fail (const std::string &what);

}  // namespace bench
