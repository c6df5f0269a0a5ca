// Stands between two ends on loopback as a NAT does: the outer end sees only the forwarder's outer
// port, which may change under way. Core thread only.
#pragma once
#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd_watch.hpp"

namespace p2p::test {

class UdpForwarder {
 public:
  UdpForwarder ();
  ~UdpForwarder ();
  UdpForwarder (const UdpForwarder &) = delete;
  UdpForwarder &operator= (const UdpForwarder &) = delete;

  // Where what comes from inside goes to. The inner end is whoever sends to the inner port.
  void set_outer_end (std::uint16_t port) { outer_end_.sin_port = htons (port); }
  // The mapping is forgotten: from now on another outer port, and nothing arrives at the old one.
  void rebind ();
  // Nothing arrives at the inner end any more.
  void close_inward () { inward_closed_ = true; }
  void open_inward () { inward_closed_ = false; }

  std::string inner_candidate () const;
  std::string outer_candidate () const;
  std::uint16_t outer_port () const { return outer_.port; }
  // What went out and was no STUN message (RFC 7983 section 7).
  unsigned data_sent () const { return data_sent_; }

 private:
  struct Side {
    int fd = -1;
    std::uint16_t port = 0;
    std::unique_ptr<FdWatch> watch;
  };
  void open (Side &side);
  void close (Side &side);
  void forward (Side &from);

  Side inner_, outer_;
  std::vector<Side> retired_;
  sockaddr_in inner_end_{}, outer_end_{};
  bool inward_closed_ = false;
  unsigned data_sent_ = 0;
};

}  // namespace p2p::test
