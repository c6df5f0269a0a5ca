// What lies below DTLS: a UDP socket on which nothing fails. GnuTLS ends a session for good when a
// datagram cannot be sent or an ICMP error comes, and to datagrams that is loss.
#pragma once
#include <gio/gio.h>

#include <atomic>
#include <memory>

#include "base/ptr.hpp"

namespace p2p::turn {

// Of one socket; the handshake is another thread's.
struct Losses {
  std::atomic<bool> forgiven{
      false};                        // from when on: a handshake fails at once where nobody listens
  std::atomic<bool> lost{false};     // something that was to be sent, since it was last looked at
  std::atomic<bool> refused{false};  // the kernel heard that nobody listens there; the same
};

Ref<GDatagramBased> make_lossy_socket (Ref<GSocket> socket, std::shared_ptr<Losses> losses);

}  // namespace p2p::turn
