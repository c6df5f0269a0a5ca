#include "rendezvous/server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "rendezvous/sockets.hpp"
#include "rendezvous/websocket.hpp"

namespace p2p {

namespace {

constexpr TimeUs kTickUs = kSecond;
// TLS, HTTP and the upgrade; libsoup's server has no deadline of its own.
constexpr TimeUs kUpgradeWithinUs = 10 * kSecond;
// A client that does not answer the close frame is cut off.
constexpr TimeUs kCloseWithinUs = 3 * kSecond;
// Connections that are no WebSocket yet, beside the clients.
constexpr std::size_t kSpareConnections = 256;
constexpr int kAcceptsPerTurn = 64;
constexpr char kGoingDown[] = "the server is going down";
constexpr char kTooSlow[] = "frames are not taken fast enough";
constexpr char kConnectionKey[] = "p2p-connection";
const char *const kSubprotocols[] = {"gst-p2p.1", nullptr};

struct CloseWords {
  unsigned short code;
  const char *text;
};

// Codes of RFC 6455 section 7.4.1; libsoup takes the later 1013 for a violation of the protocol.
CloseWords
words_for (Broker::CloseReason reason) {
  switch (reason) {
    case Broker::CloseReason::abuse:
      return {SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION, "too many bad frames"};
    case Broker::CloseReason::slow:
      return {SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION, kTooSlow};
    case Broker::CloseReason::silent:
      return {SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION, "no heartbeat, or no id registered in time"};
    case Broker::CloseReason::replaced:
      return {SOUP_WEBSOCKET_CLOSE_NORMAL, "replaced by a newer connection"};
    case Broker::CloseReason::full:
      return {SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION, "too many connections; try again later"};
  }
  return {SOUP_WEBSOCKET_CLOSE_NORMAL, ""};
}

}  // namespace

struct RendezvousServer::Port {
  RendezvousServer *server;
  Ref<GSocket> tcp;
  std::unique_ptr<StunResponder> stun;
  UniqueSource source;  // null while accepting is paused
};

struct RendezvousServer::Connection {
  Connection (const Ref<GSocket> &its_socket, const std::string &its_source, TimeUs its_limit)
      : socket (its_socket), source (its_source), cut_at (its_limit) {
    g_weak_ref_init (&stream, nullptr);
  }
  ~Connection () { g_weak_ref_clear (&stream); }
  Connection (const Connection &) = delete;
  Connection &operator= (const Connection &) = delete;

  const Ref<GSocket> socket;
  const std::string source;
  GWeakRef stream;  // TLS, or the socket alone; whose it is closes it
  TimeUs cut_at;    // kNever while it is a WebSocket in use
};

struct RendezvousServer::Peer final : WebSocket::Owner {
  Peer (RendezvousServer &its_server, Broker::ClientId its_id,
        const std::shared_ptr<Connection> &its_connection, const Ref<GIOStream> &upgraded,
        const Ref<GIOStream> &stream)
      : server (its_server),
        id (its_id),
        connection (its_connection),
        websocket (g_main_context_get_thread_default (), upgraded, stream, connection->socket,
                   *this) {}

  void websocket_message (bool text, ByteView message) override {
    if (text)
      server.broker_.receive (id, message);
    else
      server.broker_.receive_bad (
          id, {"bad-json", "", "A frame must be a text message, not a binary one."});
  }
  void websocket_refused () override { server.cut_soon (*this); }
  void websocket_closed () override { server.on_closed (*this); }

  RendezvousServer &server;
  const Broker::ClientId id;
  const std::shared_ptr<Connection> connection;
  WebSocket websocket;
};

RendezvousServer::RendezvousServer (const ServerConfig &config)
    : config_ (config),
      scheduler_ (g_main_context_get_thread_default ()),
      backplane_ (config.backplane
                      ? std::make_unique<RedisBackplane> (g_main_context_get_thread_default (),
                                                          scheduler_, *config.backplane)
                      : nullptr),
      broker_ (config.broker, scheduler_, *this, backplane_.get ()),
      soup_ (Ref<SoupServer>::adopt (SOUP_SERVER (
          g_object_new (SOUP_TYPE_SERVER, "server-header", "p2p-rendezvous", nullptr)))),
      tick_ (scheduler_.make_timer ([this] { on_tick (); })) {
  // The callbacks cannot outlive this object: the destructor disconnects the server.
  soup_server_add_handler (
      soup_.get (), "/healthz",
      [] (SoupServer *, SoupServerMessage *message, const char *, GHashTable *, gpointer data) {
        static_cast<RendezvousServer *> (data)->on_healthz (message);
      },
      this, nullptr);
  soup_server_add_handler (
      soup_.get (), nullptr,
      [] (SoupServer *, SoupServerMessage *message, const char *, GHashTable *, gpointer data) {
        static_cast<RendezvousServer *> (data)->on_request (message);
      },
      this, nullptr);
  tick_->arm (scheduler_.now () + kTickUs);
}

RendezvousServer::~RendezvousServer () {
  ports_.clear ();
  peers_.clear ();
  soup_server_remove_handler (soup_.get (), "/healthz");
  soup_server_remove_handler (soup_.get (), nullptr);
  soup_server_disconnect (soup_.get ());
}

Result<std::string>
RendezvousServer::listen (const std::string &address) {
  auto pair = listen_on (address, config_.stun);
  if (!pair) return pair.error ();
  auto port = std::make_unique<Port> ();
  port->server = this;
  port->tcp = pair->tcp;
  if (pair->udp) {
    port->stun = std::make_unique<StunResponder> (pair->udp);
    if (ports_.empty ()) broker_.set_stun_port (pair->port);
  }
  resume (*port);
  ports_.push_back (std::move (port));
  return pair->address;
}

void
RendezvousServer::set_certificate (const Ref<GTlsCertificate> &certificate) {
  config_.certificate = certificate;
}

void
RendezvousServer::resume (Port &port) {
  port.source.reset (g_socket_create_source (port.tcp.get (), G_IO_IN, nullptr));
  const GSocketSourceFunc ready = [] (GSocket *, GIOCondition, gpointer data) -> gboolean {
    auto *self = static_cast<Port *> (data);
    self->server->on_connection (*self);
    return G_SOURCE_CONTINUE;
  };
  g_source_set_callback (port.source.get (),
                         reinterpret_cast<GSourceFunc> (reinterpret_cast<void *> (ready)), &port,
                         nullptr);
  g_source_attach (port.source.get (), g_main_context_get_thread_default ());
}

void
RendezvousServer::on_connection (Port &port) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    GError *raw = nullptr;
    const auto socket = Ref<GSocket>::adopt (g_socket_accept (port.tcp.get (), nullptr, &raw));
    const UniqueError error (raw);
    if (!socket) {
      // Out of descriptors the socket stays readable; the next tick tries again.
      if (!g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        g_warning ("event=accept-failed reason=\"%s\"", error->message);
        port.source.reset ();
      }
      return;
    }
    const auto remote =
        Ref<GSocketAddress>::adopt (g_socket_get_remote_address (socket.get (), nullptr));
    const auto local =
        Ref<GSocketAddress>::adopt (g_socket_get_local_address (socket.get (), nullptr));
    if (!remote || !local) continue;  // gone again
    auto connection = std::make_shared<Connection> (socket, source_of (remote.get ()),
                                                    scheduler_.now () + kUpgradeWithinUs);
    if (!admit (connection->source)) {
      g_socket_close (socket.get (), nullptr);
      continue;
    }
    g_socket_set_option (socket.get (), IPPROTO_TCP, TCP_NODELAY, 1, nullptr);
    g_socket_set_keepalive (socket.get (), TRUE);
    // libsoup hands the address object back with the WebSocket; the connection is found by it.
    g_object_set_data_full (
        G_OBJECT (remote.get ()), kConnectionKey, new std::weak_ptr<Connection> (connection),
        [] (gpointer data) { delete static_cast<std::weak_ptr<Connection> *> (data); });
    ++sources_[connection->source];
    connections_.push_back (connection);

    auto stream = Ref<GIOStream>::adopt (
        G_IO_STREAM (g_socket_connection_factory_create_connection (socket.get ())));
    if (config_.certificate) {
      // The handshake runs with the first read.
      stream = Ref<GIOStream>::adopt (
          g_tls_server_connection_new (stream.get (), config_.certificate.get (), nullptr));
      if (!stream) continue;
      g_tls_connection_set_require_close_notify (G_TLS_CONNECTION (stream.get ()), FALSE);
    }
    g_weak_ref_set (&connection->stream, stream.get ());
    soup_server_accept_iostream (soup_.get (), stream.get (), local.get (), remote.get (), nullptr);
  }
}

bool
RendezvousServer::admit (const std::string &source) {
  const BrokerConfig &limits = config_.broker;
  const auto within = [&] {
    const auto it = sources_.find (source);
    const std::size_t here = it == sources_.end () ? 0 : it->second;
    return connections_.size () < limits.max_clients + kSpareConnections &&
           (limits.max_clients_per_source == 0 || here < 2 * limits.max_clients_per_source);
  };
  if (within ()) return true;
  sweep ();
  return within ();
}

// Forgets the connections that are closed.
void
RendezvousServer::sweep () {
  std::size_t kept = 0;
  for (auto &connection : connections_) {
    if (!g_socket_is_closed (connection->socket.get ())) {
      connections_[kept++].swap (connection);
      continue;
    }
    if (const auto it = sources_.find (connection->source); --it->second == 0) sources_.erase (it);
  }
  connections_.resize (kept);
}

void
RendezvousServer::on_tick () {
  const TimeUs now = scheduler_.now ();
  tick_->arm (now + kTickUs);
  sweep ();
  for (const auto &connection : connections_) {
    if (now < connection->cut_at) continue;
    connection->cut_at = kNever;
    g_socket_shutdown (connection->socket.get (), TRUE, TRUE, nullptr);
  }
  if (!done_)
    for (const auto &port : ports_)
      if (!port->source) resume (*port);
  if (done_ && (peers_.empty () || now >= done_by_)) std::exchange (done_, nullptr) ();
}

// libsoup speaks HTTP; the WebSocket that comes of it is taken off its hands (see WebSocket).
void
RendezvousServer::on_request (SoupServerMessage *message) {
  if (!soup_websocket_server_process_handshake (
          message, nullptr, const_cast<char **> (kSubprotocols), nullptr, nullptr))
    return;
  using Written = void (*) (SoupServerMessage *, gpointer);
  const Written written = [] (SoupServerMessage *upgraded, gpointer data) {
    static_cast<RendezvousServer *> (data)->on_upgraded (upgraded);
  };
  g_signal_connect (message, "wrote-informational", G_CALLBACK (written), this);
}

void
RendezvousServer::on_upgraded (SoupServerMessage *message) {
  GSocketAddress *remote = soup_server_message_get_remote_address (message);
  const auto *known = remote ? static_cast<std::weak_ptr<Connection> *> (
                                   g_object_get_data (G_OBJECT (remote), kConnectionKey))
                             : nullptr;
  const auto connection = known ? known->lock () : nullptr;
  const auto upgraded = Ref<GIOStream>::adopt (soup_server_message_steal_connection (message));
  const auto stream = Ref<GIOStream>::adopt (
      connection ? G_IO_STREAM (g_weak_ref_get (&connection->stream)) : nullptr);
  if (!upgraded || !stream) return;
  connection->cut_at = kNever;
  const Broker::ClientId id = next_client_++;
  Peer &here = *(peers_[id] = std::make_unique<Peer> (*this, id, connection, upgraded, stream));
  if (done_) {
    close (here, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, kGoingDown);
    return;
  }
  g_info ("event=connected client=%" G_GUINT64_FORMAT " source=%s", id,
          connection->source.c_str ());
  broker_.connect (id, connection->source);
}

void
RendezvousServer::on_closed (Peer &peer) {
  const Broker::ClientId id = peer.id;
  g_info ("event=disconnected client=%" G_GUINT64_FORMAT, id);
  peers_.erase (id);
  broker_.disconnect (id);
  if (done_ && peers_.empty ()) tick_->arm (scheduler_.now ());
}

void
RendezvousServer::on_healthz (SoupServerMessage *message) const {
  if (soup_server_message_get_method (message) != SOUP_METHOD_GET &&
      soup_server_message_get_method (message) != SOUP_METHOD_HEAD) {
    soup_server_message_set_status (message, SOUP_STATUS_METHOD_NOT_ALLOWED, nullptr);
    return;
  }
  const BrokerStats stats = broker_.stats ();
  const FederationStats shared = broker_.backplane_stats ();
  const UniqueChars backplane (g_strdup_printf (
      ",\"backplane\":{\"up\":%s,\"servers\":%zu,\"contacts\":%zu,\"sent\":%" G_GUINT64_FORMAT
      ",\"received\":%" G_GUINT64_FORMAT ",\"dropped\":%" G_GUINT64_FORMAT
      ",\"malformed\":%" G_GUINT64_FORMAT "}",
      shared.up ? "true" : "false", shared.servers, shared.contacts, shared.sent, shared.received,
      shared.dropped, shared.malformed));
  const UniqueChars body (g_strdup_printf (
      "{\"status\":\"ok\",\"clients\":%zu,\"ids\":%zu,\"held\":%zu,\"memory-bytes\":%zu,"
      "\"messages\":%" G_GUINT64_FORMAT ",\"messages-dropped\":%" G_GUINT64_FORMAT
      ",\"bad-frames\":%" G_GUINT64_FORMAT ",\"closed\":%" G_GUINT64_FORMAT "%s}\n",
      stats.clients, stats.ids, stats.held, stats.memory_bytes, stats.messages,
      stats.messages_dropped, stats.bad_frames, stats.closed,
      config_.backplane ? backplane.get () : ""));
  soup_server_message_set_response (message, "application/json", SOUP_MEMORY_COPY, body.get (),
                                    std::char_traits<char>::length (body.get ()));
  soup_server_message_set_status (message, SOUP_STATUS_OK, nullptr);
}

void
RendezvousServer::shut_down (std::function<void ()> done) {
  if (done_) return;
  ports_.clear ();
  done_ = std::move (done);
  done_by_ = scheduler_.now () + kCloseWithinUs;
  for (const auto &[id, peer] : peers_) close (*peer, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, kGoingDown);
  if (peers_.empty ()) tick_->arm (scheduler_.now ());
}

// The peer stays until its WebSocket says that it is closed: only so the last frames leave.
void
RendezvousServer::close (Peer &peer, unsigned short code, const char *reason) {
  cut_soon (peer);
  peer.websocket.close (code, reason);
}

void
RendezvousServer::cut_soon (Peer &peer) const {
  peer.connection->cut_at = scheduler_.now () + kCloseWithinUs;
}

void
RendezvousServer::broker_send (Broker::ClientId client, const std::string &frame) {
  const auto it = peers_.find (client);
  if (it == peers_.end ()) return;
  Peer &peer = *it->second;
  // The broker counts what it sends, and has the client answer: this is a client that takes
  // nothing.
  if (!peer.websocket.send (frame) && peer.connection->cut_at == kNever)
    close (peer, SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION, kTooSlow);
}

void
RendezvousServer::broker_close (Broker::ClientId client, Broker::CloseReason reason) {
  const auto it = peers_.find (client);
  if (it == peers_.end ()) return;
  const CloseWords words = words_for (reason);
  g_message ("event=closed client=%" G_GUINT64_FORMAT " source=%s reason=\"%s\"", client,
             it->second->connection->source.c_str (), words.text);
  close (*it->second, words.code, words.text);
}

void
RendezvousServer::broker_backplane (bool up, const std::string &reason) {
  if (up)
    g_message ("event=backplane-up backplane=%s", config_.backplane->text.c_str ());
  else
    g_warning ("event=backplane-down reason=\"%s\"", reason.c_str ());
}

}  // namespace p2p
