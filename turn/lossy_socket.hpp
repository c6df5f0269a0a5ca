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
  // Set after the handshake, which is to fail at once where nobody listens.
  std::atomic<bool> forgiven{false};
  // Since they were last looked at: something that was to be sent, and the kernel's word that
  // nobody listens there.
  std::atomic<bool> lost{false}, refused{false};
};

Ref<GDatagramBased> make_lossy_socket (Ref<GSocket> socket, std::shared_ptr<Losses> losses);

}  // namespace p2p::turn
