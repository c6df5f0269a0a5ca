#include "turn/connector.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "turn/dtls_race.hpp"
#include "turn/tls_trust.hpp"
#include "turn/udp_race.hpp"

namespace p2p::turn {

struct Connector::State : std::enable_shared_from_this<State> {
  Ref<GMainContext> context;
  Scheduler *scheduler = nullptr;
  Target target;
  ConnectorOptions options;
  Done done;
  std::unique_ptr<Scheduler::Timer> limit;
  Ref<GCancellable> cancellable = Ref<GCancellable>::adopt (g_cancellable_new ());
  std::unique_ptr<UdpRace> race;
  std::unique_ptr<DtlsRace> dtls_race;

  void begin ();
  void look_up ();
  void looked_up (const std::vector<Address> &addresses, const std::string &problem);
  void race_udp (const std::vector<Address> &addresses);
  void race_dtls (const std::vector<Address> &addresses);
  Ref<GSocketConnectable> identity () const;
  void begin_stream ();
  void connected (Ref<GSocketConnection> connection);
  void secured (Ref<GIOStream> stream);
  void fail (P2pError code, const std::string &why);
  void finish (Result<std::shared_ptr<Connection>> result);
};

namespace {

// A weak reference on its way through a GAsyncReadyCallback.
template <class T>
struct Travelling {
  std::weak_ptr<T> state;
};

template <class T>
std::shared_ptr<T>
arrived (gpointer data) {
  const std::unique_ptr<Travelling<T>> box (static_cast<Travelling<T> *> (data));
  auto state = box->state.lock ();
  return state && state->done ? state : nullptr;
}

std::optional<Address>
from_inet (GInetAddress *inet, std::uint16_t port) {
  Address out;
  const bool ipv4 = g_inet_address_get_family (inet) == G_SOCKET_FAMILY_IPV4;
  if (!ipv4 && g_inet_address_get_family (inet) != G_SOCKET_FAMILY_IPV6) return std::nullopt;
  out.family = ipv4 ? Family::ipv4 : Family::ipv6;
  std::memcpy (out.ip.data (), g_inet_address_to_bytes (inet), out.ip_bytes ());
  out.port = port;
  return out;
}

}  // namespace

std::vector<Address>
interleaved (const std::vector<Address> &addresses) {
  std::vector<Address> first, second, out;
  for (const Address &address : addresses)
    (address.family == addresses.front ().family ? first : second).push_back (address);
  for (std::size_t i = 0; i < std::max (first.size (), second.size ()); ++i) {
    if (i < first.size ()) out.push_back (first[i]);
    if (i < second.size ()) out.push_back (second[i]);
  }
  return out;
}

void
Connector::State::finish (Result<std::shared_ptr<Connection>> result) {
  limit.reset ();
  g_cancellable_cancel (cancellable.get ());
  // Moved out first: the callback may destroy the connector.
  if (const auto callback = std::exchange (done, nullptr)) callback (std::move (result));
}

void
Connector::State::fail (P2pError code, const std::string &why) {
  finish (Error{code, "The TURN server " + target.host + ":" + std::to_string (target.port) +
                          " cannot be reached over " + protocol_name (target.protocol) + ": " +
                          why + "."});
}

void
Connector::State::begin () {
  const std::weak_ptr<State> weak = shared_from_this ();
  limit = scheduler->make_timer ([weak] {
    const auto state = weak.lock ();
    if (!state) return;
    // Who does not serve DTLS takes its datagrams and says nothing.
    state->fail (P2P_ERROR_TIMED_OUT, state->target.protocol == Protocol::dtls
                                          ? "nothing there answers its handshake"
                                          : "there was no connection in time");
  });
  limit->arm (scheduler->now () + kLimit);
  if (is_datagram (target.protocol))
    look_up ();
  else
    begin_stream ();
}

void
Connector::State::look_up () {
  if (const auto literal = Address::parse (target.host, target.port)) {
    looked_up ({*literal}, {});
    return;
  }
  const auto resolver = Ref<GResolver>::adopt (g_resolver_get_default ());
  const GAsyncReadyCallback callback = [] (GObject *source, GAsyncResult *result, gpointer data) {
    GError *raw = nullptr;
    GList *list = g_resolver_lookup_by_name_finish (G_RESOLVER (source), result, &raw);
    const UniqueError error (raw);
    if (const auto state = arrived<State> (data)) {
      std::vector<Address> addresses;
      for (const GList *item = list; item; item = item->next)
        if (const auto address = from_inet (G_INET_ADDRESS (item->data), state->target.port))
          addresses.push_back (*address);
      state->looked_up (addresses, error ? error->message : "it has no address");
    }
    g_resolver_free_addresses (list);
  };
  g_resolver_lookup_by_name_async (resolver.get (), target.host.c_str (), cancellable.get (),
                                   callback, new Travelling<State>{shared_from_this ()});
}

void
Connector::State::looked_up (const std::vector<Address> &addresses, const std::string &problem) {
  if (addresses.empty ()) {
    fail (P2P_ERROR_NOT_FOUND, problem);
    return;
  }
  if (target.protocol == Protocol::udp)
    race_udp (interleaved (addresses));
  else
    race_dtls (interleaved (addresses));
}

void
Connector::State::race_udp (const std::vector<Address> &addresses) {
  const std::weak_ptr<State> weak = shared_from_this ();
  race = std::make_unique<UdpRace> (
      context.get (), *scheduler, addresses, options.local, kAttemptDelay, kProbeLimit,
      [weak] (Ref<GSocket> socket, const std::string &why) {
        const auto state = weak.lock ();
        if (!state) return;
        if (!socket) {
          state->fail (P2P_ERROR_UNREACHABLE, why);
          return;
        }
        state->finish (std::shared_ptr<Connection> (
            make_udp_connection (state->context.get (), *state->scheduler, std::move (socket))));
      });
}

void
Connector::State::race_dtls (const std::vector<Address> &addresses) {
  const std::weak_ptr<State> weak = shared_from_this ();
  dtls_race = std::make_unique<DtlsRace> (
      context.get (), *scheduler,
      DtlsRace::Config{addresses, options.local, options.tls_database, identity (), kAttemptDelay},
      [weak] (Result<std::shared_ptr<Connection>> result) {
        const auto state = weak.lock ();
        if (!state) return;
        if (result)
          state->finish (std::move (result));
        else
          state->fail (result.error ().code, result.error ().message);
      });
}

Ref<GSocketConnectable>
Connector::State::identity () const {
  return Ref<GSocketConnectable>::adopt (
      G_SOCKET_CONNECTABLE (g_network_address_new (target.tls_name.c_str (), target.port)));
}

void
Connector::State::begin_stream () {
  // GSocketClient races the addresses of a name, and asks which proxy to take.
  const auto client = Ref<GSocketClient>::adopt (g_socket_client_new ());
  if (options.proxy_resolver)
    g_socket_client_set_proxy_resolver (client.get (), options.proxy_resolver.get ());
  if (options.local) {
    socklen_t size = 0;
    sockaddr_storage storage = options.local->to_sockaddr (&size);
    const auto local =
        Ref<GSocketAddress>::adopt (g_socket_address_new_from_native (&storage, size));
    g_socket_client_set_local_address (client.get (), local.get ());
  }
  const auto where = Ref<GSocketConnectable>::adopt (
      G_SOCKET_CONNECTABLE (g_network_address_new (target.host.c_str (), target.port)));
  const GAsyncReadyCallback callback = [] (GObject *source, GAsyncResult *result, gpointer data) {
    GError *raw = nullptr;
    auto connection = Ref<GSocketConnection>::adopt (
        g_socket_client_connect_finish (G_SOCKET_CLIENT (source), result, &raw));
    const UniqueError error (raw);
    const auto state = arrived<State> (data);
    if (!state) return;
    if (connection)
      state->connected (std::move (connection));
    else
      state->fail (P2P_ERROR_UNREACHABLE, error->message);
  };
  g_socket_client_connect_async (client.get (), where.get (), cancellable.get (), callback,
                                 new Travelling<State>{shared_from_this ()});
}

void
Connector::State::connected (Ref<GSocketConnection> connection) {
  // Datagrams wait for nobody.
  GSocket *const socket = g_socket_connection_get_socket (connection.get ());
  g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, 1, nullptr);
  auto stream = Ref<GIOStream>::adopt (G_IO_STREAM (connection.leak ()));
  if (target.protocol == Protocol::tcp) {
    secured (std::move (stream));
    return;
  }
  GError *raw = nullptr;
  // GSocket keeps the address that it has told once, and glib-networking 2.74 asks for it and does
  // not expect that a reset has taken it away.
  const auto remote = Ref<GSocketAddress>::adopt (g_socket_get_remote_address (socket, &raw));
  if (!remote) {
    const UniqueError reset (raw);
    fail (P2P_ERROR_UNREACHABLE, reset->message);
    return;
  }
  const auto server = identity ();
  const auto tls =
      Ref<GIOStream>::adopt (g_tls_client_connection_new (stream.get (), server.get (), &raw));
  const UniqueError error (raw);
  if (!tls) {
    fail (P2P_ERROR_FAILED, std::string (error->message) + "; is glib-networking installed?");
    return;
  }
  trust_only (G_OBJECT (tls.get ()), options.tls_database, server);
  // Many servers end the TCP connection without a word of TLS; STUN tells its own ends.
  g_tls_connection_set_require_close_notify (G_TLS_CONNECTION (tls.get ()), FALSE);
  const GAsyncReadyCallback callback = [] (GObject *source, GAsyncResult *result, gpointer data) {
    GError *handshake_raw = nullptr;
    const bool good =
        g_tls_connection_handshake_finish (G_TLS_CONNECTION (source), result, &handshake_raw);
    const UniqueError handshake_error (handshake_raw);
    const auto state = arrived<State> (data);
    if (!state) return;
    if (good)
      state->secured (Ref<GIOStream>::share (G_IO_STREAM (source)));
    else
      state->fail (P2P_ERROR_IDENTITY, handshake_error->message);
  };
  g_tls_connection_handshake_async (G_TLS_CONNECTION (tls.get ()), G_PRIORITY_DEFAULT,
                                    cancellable.get (), callback,
                                    new Travelling<State>{shared_from_this ()});
}

void
Connector::State::secured (Ref<GIOStream> stream) {
  finish (std::shared_ptr<Connection> (
      make_stream_connection (context.get (), *scheduler, std::move (stream))));
}

Connector::Connector (GMainContext *context, Scheduler &scheduler, const Target &target,
                      const ConnectorOptions &options, Done done)
    : state_ (std::make_shared<State> ()) {
  state_->context = Ref<GMainContext>::share (context);
  state_->scheduler = &scheduler;
  state_->target = target;
  state_->options = options;
  state_->done = std::move (done);
  state_->begin ();
}

Connector::~Connector () {
  state_->done = nullptr;
  state_->limit.reset ();
  state_->race.reset ();
  state_->dtls_race.reset ();
  g_cancellable_cancel (state_->cancellable.get ());
}

}  // namespace p2p::turn
