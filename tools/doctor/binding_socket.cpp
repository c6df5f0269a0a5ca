#include "doctor/binding_socket.hpp"

#include <array>

namespace p2p::doctor {

Result<std::unique_ptr<BindingSocket>>
BindingSocket::open (GMainContext *context, Scheduler &scheduler, turn::Family family) {
  GError *raw = nullptr;
  const GSocketFamily glib =
      family == turn::Family::ipv4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6;
  auto socket = Ref<GSocket>::adopt (
      g_socket_new (glib, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, &raw));
  Ref<GSocketAddress> local;
  if (socket) {
    const auto any = Ref<GInetAddress>::adopt (g_inet_address_new_any (glib));
    const auto where = Ref<GSocketAddress>::adopt (g_inet_socket_address_new (any.get (), 0));
    if (g_socket_bind (socket.get (), where.get (), FALSE, &raw))
      local = Ref<GSocketAddress>::adopt (g_socket_get_local_address (socket.get (), &raw));
  }
  const UniqueError error (raw);
  if (!local)
    return Error{P2P_ERROR_UNREACHABLE,
                 std::string ("No UDP socket can be had: ") + error->message + "."};
  const std::uint16_t port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (local.get ()));
  return std::unique_ptr<BindingSocket> (
      new BindingSocket (context, scheduler, std::move (socket), port));
}

BindingSocket::BindingSocket (GMainContext *context, Scheduler &scheduler, Ref<GSocket> socket,
                              std::uint16_t port)
    : scheduler_ (scheduler), socket_ (std::move (socket)), port_ (port) {
  const int fd = g_socket_get_fd (socket_.get ());
  watch_ = std::make_unique<FdWatch> (context, fd, G_IO_IN, [this] (GIOCondition) { receive (); });
}

void
BindingSocket::ask (const Address &to, Change change, Done done) {
  const auto send = [this, to] (ByteView packet) {
    socklen_t size = 0;
    const sockaddr_storage address = to.to_sockaddr (&size);
    return sendto (g_socket_get_fd (socket_.get ()), packet.data, packet.size,
                   MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr *> (&address),
                   size) >= 0;
  };
  requests_.push_back (std::make_unique<turn::Transactions> (scheduler_, kTimes, send));
  const turn::TransactionId id = turn::random_transaction_id ();
  const TimeUs asked = scheduler_.now ();
  requests_.back ()->start (id, binding_request (id, change),
                            [this, asked, done = std::move (done)] (const turn::Message *message) {
                              const auto answer =
                                  message ? read_binding_answer (*message) : std::nullopt;
                              if (answer)
                                done (Reply{*answer, from_, scheduler_.now () - asked});
                              else
                                done (std::nullopt);
                            });
}

void
BindingSocket::receive () {
  constexpr int kDatagramsPerTurn = 64;
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    std::array<std::uint8_t, 1500> bytes;
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = recvfrom (g_socket_get_fd (socket_.get ()), bytes.data (), bytes.size (),
                                   MSG_DONTWAIT, reinterpret_cast<sockaddr *> (&from), &from_size);
    if (size < 0) return;
    const auto sender = Address::from_sockaddr (from);
    const auto message =
        turn::Message::parse (ByteView (bytes.data (), static_cast<std::size_t> (size)));
    if (!sender || !message) continue;
    from_ = *sender;
    // An answer may ask for more, which moves the vector.
    for (std::size_t k = 0; k < requests_.size (); ++k)
      if (requests_[k]->receive (*message)) break;
  }
}

}  // namespace p2p::doctor
