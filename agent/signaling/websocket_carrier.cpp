#include "signaling/websocket_carrier.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

// The subprotocol name (RFC 6455 section 1.9) tells proxies and servers what this is.
const char *const kSubprotocols[] = {"gst-p2p.1", nullptr};
constexpr std::size_t kMaxPayloadBytes = kMaxFrameBytes;

// One per file and process. A database that is set on a connection is loaded into it, 3.8 MB for
// the system's authorities, even if it is a shared one; so the connection gets none and asks this
// one.
Result<Ref<GTlsDatabase>>
shared_authorities (const std::string &file) {
  // Never destroyed: the core thread still runs while the process exits.
  static auto &by_file = *new std::map<std::string, Ref<GTlsDatabase>>;
  if (const auto it = by_file.find (file); it != by_file.end ()) return it->second;
  GError *raw = nullptr;
  Ref<GTlsDatabase> database;
  if (file.empty ())
    database = Ref<GTlsDatabase>::adopt (
        g_tls_backend_get_default_database (g_tls_backend_get_default ()));
  else
    database = Ref<GTlsDatabase>::adopt (g_tls_file_database_new (file.c_str (), &raw));
  const UniqueError error (raw);
  if (!database)
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The file of certificate authorities " + file +
                     " cannot be read: " + (error ? error->message : "no TLS") + "."};
  by_file[file] = database;
  return database;
}

// Nothing is overlooked here: without a database every certificate comes with an error, and only
// the verdict on the whole chain and its name counts.
gboolean
on_certificate (SoupMessage *, GTlsCertificate *certificate, GTlsCertificateFlags,
                gpointer carrier) {
  return static_cast<WebSocketCarrier *> (carrier)->trusts (certificate);
}

// That of the socket below TLS and below libsoup's own layers.
Ref<GSocketAddress>
local_address_of (GIOStream *stream) {
  auto layer = Ref<GIOStream>::share (stream);
  while (layer && !G_IS_SOCKET_CONNECTION (layer.get ())) {
    Ref<GIOStream> below;
    for (const char *name : {"base-io-stream", "base-iostream"}) {
      const GParamSpec *spec =
          g_object_class_find_property (G_OBJECT_GET_CLASS (layer.get ()), name);
      if (!spec || !g_type_is_a (spec->value_type, G_TYPE_IO_STREAM)) continue;
      GIOStream *found = nullptr;
      g_object_get (layer.get (), name, &found, nullptr);
      below = Ref<GIOStream>::adopt (found);
    }
    layer = below;
  }
  if (!layer) return {};
  return Ref<GSocketAddress>::adopt (
      g_socket_connection_get_local_address (G_SOCKET_CONNECTION (layer.get ()), nullptr));
}

struct Attempt {
  WebSocketCarrier *carrier;
  std::weak_ptr<bool> alive;
};

}  // namespace

Result<std::unique_ptr<WebSocketCarrier>>
WebSocketCarrier::create (const SignalingUri &uri, const std::string &tls_ca_file) {
  Ref<GTlsDatabase> authorities;
  if (uri.tls) {
    auto shared = shared_authorities (tls_ca_file);
    if (!shared) return shared.error ();
    authorities = *shared;
  }
  return std::unique_ptr<WebSocketCarrier> (new WebSocketCarrier (uri, authorities));
}

WebSocketCarrier::WebSocketCarrier (SignalingUri uri, Ref<GTlsDatabase> authorities)
    : uri_ (std::move (uri)),
      authorities_ (std::move (authorities)),
      session_ (Ref<SoupSession>::adopt (soup_session_new ())) {
  soup_session_set_tls_database (session_.get (), nullptr);
}

WebSocketCarrier::~WebSocketCarrier () {
  close ();
  soup_session_abort (session_.get ());
}

void
WebSocketCarrier::open () {
  close ();
  cancellable_ = Ref<GCancellable>::adopt (g_cancellable_new ());
  const auto message =
      Ref<SoupMessage>::adopt (soup_message_new (SOUP_METHOD_GET, uri_.text.c_str ()));
  auto *attempt = new Attempt{this, alive_};
  if (!message) {
    // What GUri took and libsoup does not: reported as any failure, from the loop.
    post (g_main_context_get_thread_default (), [attempt] {
      const std::unique_ptr<Attempt> owned (attempt);
      if (!owned->alive.expired ())
        owned->carrier->end ({P2P_ERROR_INVALID_ARGUMENT,
                              "It cannot be used: " + owned->carrier->describe () + "."});
    });
    return;
  }
  // The attempt may outlive this object in libsoup, so it is disconnected in close().
  message_ = message;
  certificate_handler_ =
      g_signal_connect (message.get (), "accept-certificate", G_CALLBACK (on_certificate), this);
  soup_session_websocket_connect_async (
      session_.get (), message.get (), nullptr, const_cast<char **> (kSubprotocols),
      G_PRIORITY_DEFAULT, cancellable_.get (),
      [] (GObject *session, GAsyncResult *result, gpointer data) {
        const std::unique_ptr<Attempt> owned (static_cast<Attempt *> (data));
        GError *raw = nullptr;
        const auto connection = Ref<SoupWebsocketConnection>::adopt (
            soup_session_websocket_connect_finish (SOUP_SESSION (session), result, &raw));
        const UniqueError error (raw);
        if (!owned->alive.expired ()) {
          owned->carrier->on_connected (connection.get (), error.get ());
        } else if (connection) {
          soup_websocket_connection_close (connection.get (), SOUP_WEBSOCKET_CLOSE_GOING_AWAY,
                                           nullptr);
        }
      },
      attempt);
}

bool
WebSocketCarrier::trusts (GTlsCertificate *certificate) const {
  if (!authorities_) return false;
  const auto name =
      Ref<GSocketConnectable>::adopt (g_network_address_new (uri_.host.c_str (), uri_.port));
  GError *raw = nullptr;
  const GTlsCertificateFlags flaws = g_tls_database_verify_chain (
      authorities_.get (), certificate, G_TLS_DATABASE_PURPOSE_AUTHENTICATE_SERVER, name.get (),
      nullptr, G_TLS_DATABASE_VERIFY_NONE, nullptr, &raw);
  const UniqueError error (raw);
  return !error && flaws == 0;
}

void
WebSocketCarrier::on_connected (SoupWebsocketConnection *connection, const GError *error) {
  cancellable_.reset ();
  if (!connection) {
    const bool trust = g_error_matches (error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
    end ({trust ? P2P_ERROR_NOT_AUTHORIZED : P2P_ERROR_SIGNALING,
          "No connection to " + describe () + ": " + error->message + ". It is tried again."});
    return;
  }
  connection_ = Ref<SoupWebsocketConnection>::share (connection);
  local_ = local_address_of (soup_websocket_connection_get_io_stream (connection));
  soup_websocket_connection_set_max_incoming_payload_size (connection, kMaxPayloadBytes);
  using MessageHandler = void (*) (SoupWebsocketConnection *, int, GBytes *, gpointer);
  using ClosedHandler = void (*) (SoupWebsocketConnection *, gpointer);
  const MessageHandler message = [] (SoupWebsocketConnection *, int type, GBytes *bytes,
                                     gpointer data) {
    static_cast<WebSocketCarrier *> (data)->on_message (static_cast<SoupWebsocketDataType> (type),
                                                        bytes);
  };
  const ClosedHandler closed = [] (SoupWebsocketConnection *, gpointer data) {
    static_cast<WebSocketCarrier *> (data)->on_closed ();
  };
  // Disconnected in close(), which the destructor calls.
  handlers_[0] = g_signal_connect (connection, "message", G_CALLBACK (message), this);
  handlers_[1] = g_signal_connect (connection, "closed", G_CALLBACK (closed), this);
}

void
WebSocketCarrier::on_message (SoupWebsocketDataType type, GBytes *message) {
  if (type != SOUP_WEBSOCKET_DATA_TEXT) {
    end ({P2P_ERROR_PROTOCOL, "A binary frame came from " + describe () + "; it is tried again."});
    return;
  }
  gsize size = 0;
  const void *data = g_bytes_get_data (message, &size);
  if (observer_) observer_->carrier_frame ({data, size});
}

void
WebSocketCarrier::on_closed () {
  const char *text = soup_websocket_connection_get_close_data (connection_.get ());
  const std::string why = text && *text ? ": \"" + std::string (text) + "\"" : "";
  end ({P2P_ERROR_SIGNALING, "Lost " + describe () + why + "; it is tried again."});
}

void
WebSocketCarrier::send (const std::string &frame) {
  if (connection_ &&
      soup_websocket_connection_get_state (connection_.get ()) == SOUP_WEBSOCKET_STATE_OPEN)
    soup_websocket_connection_send_text (connection_.get (), frame.c_str ());
}

void
WebSocketCarrier::close () {
  alive_ = std::make_shared<bool> (true);  // an attempt under way has nobody to report to
  if (cancellable_) g_cancellable_cancel (cancellable_.get ());
  cancellable_.reset ();
  if (message_)
    g_signal_handler_disconnect (message_.get (), std::exchange (certificate_handler_, 0));
  message_.reset ();
  local_.reset ();
  const Ref<SoupWebsocketConnection> connection = std::exchange (connection_, {});
  if (!connection) return;
  for (gulong &handler : handlers_)
    if (handler != 0) g_signal_handler_disconnect (connection.get (), std::exchange (handler, 0));
  if (soup_websocket_connection_get_state (connection.get ()) == SOUP_WEBSOCKET_STATE_OPEN)
    soup_websocket_connection_close (connection.get (), SOUP_WEBSOCKET_CLOSE_GOING_AWAY, nullptr);
}

bool
WebSocketCarrier::address_gone () const {
  if (!local_ || !G_IS_INET_SOCKET_ADDRESS (local_.get ())) return false;
  // Only what this machine has can be bound.
  sockaddr_storage address{};
  if (!g_socket_address_to_native (local_.get (), &address, sizeof address, nullptr)) return false;
  const bool ipv6 = address.ss_family == AF_INET6;
  if (ipv6)
    reinterpret_cast<sockaddr_in6 &> (address).sin6_port = 0;
  else
    reinterpret_cast<sockaddr_in &> (address).sin_port = 0;
  const int fd = socket (address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool bound = bind (fd, reinterpret_cast<const sockaddr *> (&address),
                           ipv6 ? sizeof (sockaddr_in6) : sizeof (sockaddr_in)) == 0;
  // ENODEV: the interface of a link-local one.
  const bool gone = !bound && (errno == EADDRNOTAVAIL || errno == ENODEV);
  ::close (fd);
  return gone;
}

void
WebSocketCarrier::end (const Error &reason) {
  close ();
  if (observer_) observer_->carrier_closed (reason);
}

}  // namespace p2p
