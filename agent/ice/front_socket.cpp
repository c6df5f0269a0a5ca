#include "ice/front_socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace p2p {

namespace {

constexpr std::size_t kMaxDatagramBytes = 65536;
constexpr int kDatagramsPerTurn = 64;  // before others of the loop have their turn

}  // namespace

Result<std::unique_ptr<FrontSocket>>
FrontSocket::open (GMainContext *context, const Config &config, Owner &owner) {
  socklen_t size = 0;
  sockaddr_storage storage = config.host.without_port ().to_sockaddr (&size);
  const int fd = socket (storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
  if (fd < 0 || bind (fd, reinterpret_cast<const sockaddr *> (&storage), size) != 0 ||
      getsockname (fd, reinterpret_cast<sockaddr *> (&storage), &size) != 0) {
    const std::string why = std::strerror (errno);
    if (fd >= 0) close (fd);
    return Error{P2P_ERROR_UNREACHABLE,
                 "No socket could be bound to " + config.host.ip_text () + ": " + why + "."};
  }
  return std::make_unique<FrontSocket> (context, fd, *turn::Address::from_sockaddr (storage),
                                        config, owner);
}

FrontSocket::FrontSocket (GMainContext *context, int fd, const turn::Address &bound,
                          const Config &config, Owner &owner)
    : fd_ (fd),
      bound_ (bound),
      known_ (config.known),
      owner_ (owner),
      server_ (static_cast<turn::FrontServer::Host &> (*this), bound, config.relayed),
      watch_ (context, fd, G_IO_IN, [this] (GIOCondition) { receive (); }) {}

FrontSocket::~FrontSocket () {
  watch_.set_events (static_cast<GIOCondition> (0));
  close (fd_);
}

void
FrontSocket::receive () {
  static thread_local const auto buffer =
      std::make_unique<std::array<std::uint8_t, kMaxDatagramBytes>> ();
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const ssize_t bytes = recvfrom (fd_, buffer->data (), buffer->size (), 0,
                                    reinterpret_cast<sockaddr *> (&storage), &size);
    if (bytes < 0) return;
    const auto from = turn::Address::from_sockaddr (storage);
    if (!from || known_.count (from->without_port ()) == 0)
      ++strangers_;
    else
      server_.receive (*from, ByteView (buffer->data (), static_cast<std::size_t> (bytes)));
  }
}

void
FrontSocket::front_send (const turn::Address &client, ByteView packet) {
  socklen_t size = 0;
  const sockaddr_storage storage = client.to_sockaddr (&size);
  if (sendto (fd_, packet.data, packet.size, MSG_NOSIGNAL,
              reinterpret_cast<const sockaddr *> (&storage), size) < 0)
    ++unsent_;
}

Status
FrontSocket::front_peer (const turn::Address &peer, bool channel) {
  return owner_.front_peer (peer, channel);
}

void
FrontSocket::front_relay (const turn::Address &peer, ByteView data) {
  owner_.front_relay (peer, data);
}

void
FrontSocket::front_granted () {
  owner_.front_granted ();
}

}  // namespace p2p
