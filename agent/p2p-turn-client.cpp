#include "p2p/p2p-turn-client.h"

#include <mutex>

#include "p2p/p2p-enum-types.h"
#include "turn/server_uri.hpp"
#include "turn_session.hpp"

using p2p::TurnSession;

/**
 * P2pTurnReason:
 * @P2P_TURN_REASON_NONE: nothing is wrong
 * @P2P_TURN_REASON_TRY_ALTERNATE: 300, the server names another one
 * @P2P_TURN_REASON_BAD_REQUEST: 400; from old servers also: there is no such allocation
 * @P2P_TURN_REASON_UNAUTHORIZED: 401, user and password are not accepted
 * @P2P_TURN_REASON_FORBIDDEN: 403, the server does not do this for this user
 * @P2P_TURN_REASON_MOBILITY_FORBIDDEN: 405, allocations do not move
 * @P2P_TURN_REASON_UNKNOWN_ATTRIBUTE: 420, the server does not know what was asked for
 * @P2P_TURN_REASON_ALLOCATION_MISMATCH: 437, the server has lost the allocation, or has another
 *   one in its place
 * @P2P_TURN_REASON_STALE_NONCE: 438, without end
 * @P2P_TURN_REASON_ADDRESS_FAMILY: 440, the server has no relayed address of that family
 * @P2P_TURN_REASON_WRONG_CREDENTIALS: 441, the allocation is another user's
 * @P2P_TURN_REASON_UNSUPPORTED_TRANSPORT: 442, the server does not relay UDP
 * @P2P_TURN_REASON_PEER_ADDRESS_FAMILY: 443, the peer is of another family than the relayed address
 * @P2P_TURN_REASON_CONNECTION_EXISTS: 446, the server has a connection to the peer already
 * @P2P_TURN_REASON_CONNECTION_FAILED: 447, the server does not reach the peer
 * @P2P_TURN_REASON_QUOTA: 486, the user has as many allocations as are granted
 * @P2P_TURN_REASON_ROLE_CONFLICT: 487, what answers is no TURN server
 * @P2P_TURN_REASON_SERVER_ERROR: 500
 * @P2P_TURN_REASON_CAPACITY: 508, the server has no room
 * @P2P_TURN_REASON_TIMEOUT: the server does not answer
 * @P2P_TURN_REASON_DISCONNECTED: the connection to the server could not be made, or has ended
 * @P2P_TURN_REASON_PROTOCOL: the server's answer makes no sense
 * @P2P_TURN_REASON_REQUESTED: the application asked for it
 * @P2P_TURN_REASON_PEER_POLICY: no permission is ever asked for a peer of this kind
 *
 * Why an allocation, a server or a peer of a [class@P2p.TurnClient] failed.
 *
 * Since: 1.0
 */

namespace {

enum class Phase { setup, running };

struct Private {
  p2p::Ref<GMainContext> context = p2p::thread_default_context ();
  std::shared_ptr<TurnSession> session;
  std::mutex mutex;
  // Guarded by mutex.
  Phase phase = Phase::setup;
  std::vector<p2p::turn::Server> servers;
  p2p::turn::Credentials credentials;  // for URIs without
  bool allow_private = false, both_families = false, dont_fragment = false, mobility = true;
  GSocketFamily family = G_SOCKET_FAMILY_INVALID;
  p2p::Ref<GTlsDatabase> tls_database;
};

enum Property : guint {
  PROP_TURN_SERVER = 1,
  PROP_ALLOW_PRIVATE_PEERS,
  PROP_ADDRESS_FAMILY,
  PROP_BOTH_FAMILIES,
  PROP_DONT_FRAGMENT,
  PROP_MOBILITY,
  PROP_TLS_DATABASE,
  PROP_IS_ALLOCATED,
  PROP_RELAYED_ADDRESS,
  PROP_MAX_DATAGRAM_SIZE,
  PROP_STATS,
  N_PROPERTIES
};
GParamSpec *properties[N_PROPERTIES];

enum Signal : guint {
  SIGNAL_RECEIVED,
  SIGNAL_BAD_NETWORK,
  SIGNAL_RECOVERED,
  SIGNAL_FAILED,
  SIGNAL_PEER_REFUSED,
  SIGNAL_WARNING,
  SIGNAL_CREDENTIALS_WANTED,
  N_SIGNALS
};
guint signals[N_SIGNALS];

}  // namespace

/**
 * P2pTurnClient:
 *
 * A client of TURN servers (RFC 8656), for those who need a relay without ICE: it gets a relayed
 * address in the internet, to which peers send and from which it sends to them.
 *
 * Name servers with [method@P2p.TurnClient.add_turn_server], get the address with
 * [method@P2p.TurnClient.allocate_async], name the peers with [method@P2p.TurnClient.add_peer], and
 * send with [method@P2p.TurnClient.send]. What peers send comes by
 * [signal@P2p.TurnClient::received], to all handlers, and by [method@P2p.TurnClient.receive_async].
 * It is unreliable and in any order, as UDP is, also where the server is reached over TCP or TLS.
 *
 * Whatever goes wrong with the allocation is told by [signal@P2p.TurnClient::bad-network] with its
 * reason; another allocation is then made, at another server if need be, and told by
 * [signal@P2p.TurnClient::recovered]: the peers stay, what was sent meanwhile is sent then, and
 * [property@P2p.TurnClient:relayed-address] may be another one. Only when everything was tried
 * again and again there is [signal@P2p.TurnClient::failed].
 *
 * Signals are emitted in the main context that was the thread's default where the object was made.
 * Methods may be called from any thread and do not wait, but for
 * [method@P2p.TurnClient.get_stats]. End with [method@P2p.TurnClient.close_async]; the last
 * reference releases the allocation as well, without knowing whether the server heard of it.
 *
 * Since: 1.0
 */
struct _P2pTurnClient {
  GObject parent_instance;
  Private *priv;
};

G_DEFINE_FINAL_TYPE (P2pTurnClient, p2p_turn_client, G_TYPE_OBJECT)

namespace {

void
on_event (P2pTurnClient *self, const p2p::turn::Event &event) {
  using Kind = p2p::turn::Event::Kind;
  const p2p::UniqueError error (
      g_error_new_literal (P2P_ERROR, P2P_ERROR_UNREACHABLE, event.message.c_str ()));
  const auto notify = [self] {
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_IS_ALLOCATED]);
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_RELAYED_ADDRESS]);
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_DATAGRAM_SIZE]);
  };
  switch (event.kind) {
    case Kind::allocated:
    case Kind::closed:
      notify ();
      return;
    case Kind::recovered:
      notify ();
      g_signal_emit (self, signals[SIGNAL_RECOVERED], 0);
      return;
    case Kind::network_bad:
      notify ();
      g_signal_emit (self, signals[SIGNAL_BAD_NETWORK], 0, event.reason, error.get ());
      return;
    case Kind::failed:
      notify ();
      g_signal_emit (self, signals[SIGNAL_FAILED], 0, event.reason, error.get ());
      return;
    case Kind::redirected:
    case Kind::server_failed:
      g_signal_emit (self, signals[SIGNAL_WARNING], 0, event.reason, error.get ());
      return;
    case Kind::peer_refused: {
      const auto peer = p2p::Ref<GSocketAddress>::adopt (p2p::turn_socket_address (*event.peer));
      g_signal_emit (self, signals[SIGNAL_PEER_REFUSED], 0, peer.get (), event.reason,
                     error.get ());
      return;
    }
    case Kind::peer_granted:
      return;
  }
}

void
on_received (P2pTurnClient *self, const p2p::turn::Address &from, GBytes *datagram) {
  if (!g_signal_has_handler_pending (self, signals[SIGNAL_RECEIVED], 0, FALSE)) return;
  const auto peer = p2p::Ref<GSocketAddress>::adopt (p2p::turn_socket_address (from));
  g_signal_emit (self, signals[SIGNAL_RECEIVED], 0, peer.get (), datagram);
}

void
on_credentials_wanted (P2pTurnClient *self, const std::string &uri) {
  gboolean handled = FALSE;
  g_signal_emit (self, signals[SIGNAL_CREDENTIALS_WANTED], 0, uri.c_str (), &handled);
  if (!handled) self->priv->session->keep_credentials ();
}

constexpr TurnSession::Handlers kHandlers = {on_event, on_received, on_credentials_wanted};

void
set_server (P2pTurnClient *self, const char *uri) {
  Private &priv = *self->priv;
  {
    const std::lock_guard lock (priv.mutex);
    priv.servers.clear ();
  }
  GError *raw = nullptr;
  if (uri && !p2p_turn_client_add_turn_server (self, uri, &raw)) {
    const p2p::UniqueError error (raw);
    g_critical ("%s", error->message);
  }
}

p2p::turn::RelayConfig
make_config (Private &priv) {
  p2p::turn::RelayConfig out;
  out.client.servers = priv.servers;
  for (auto &server : out.client.servers)
    if (server.credentials.user.empty ()) server.credentials = priv.credentials;
  out.client.wishes.both_families = priv.both_families;
  if (priv.family != G_SOCKET_FAMILY_INVALID)
    out.client.wishes.family =
        priv.family == G_SOCKET_FAMILY_IPV6 ? p2p::turn::Family::ipv6 : p2p::turn::Family::ipv4;
  out.client.wishes.dont_fragment = priv.dont_fragment;
  out.client.wishes.mobility = priv.mobility;
  out.client.policy.allow_private = priv.allow_private || p2p::turn::machine_is_private ();
  out.connector.tls_database = priv.tls_database;
  return out;
}

// The address of a peer, or an error: never both, never none.
std::optional<p2p::turn::Address>
peer_address (GSocketAddress *peer, GError **error) {
  auto address = p2p::turn_address (peer);
  if (!address)
    p2p::throw_error ({P2P_ERROR_INVALID_ARGUMENT, "A peer must have an IPv4 or an IPv6 address."},
                      error);
  return address;
}

}  // namespace

static void
p2p_turn_client_init (P2pTurnClient *self) {
  self->priv = new Private;
  self->priv->session = p2p::make_core_object<TurnSession> (self, self->priv->context, kHandlers);
}

static void
p2p_turn_client_finalize (GObject *object) {
  Private *priv = P2P_TURN_CLIENT (object)->priv;
  priv->session->shut_down ();
  delete priv;
  G_OBJECT_CLASS (p2p_turn_client_parent_class)->finalize (object);
}

static void
p2p_turn_client_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  P2pTurnClient *self = P2P_TURN_CLIENT (object);
  Private &priv = *self->priv;
  if (id == PROP_TURN_SERVER) {
    set_server (self, g_value_get_string (value));
    g_object_notify_by_pspec (object, pspec);
    return;
  }
  {
    const std::lock_guard lock (priv.mutex);
    switch (id) {
      case PROP_ALLOW_PRIVATE_PEERS:
        priv.allow_private = g_value_get_boolean (value);
        break;
      case PROP_ADDRESS_FAMILY:
        priv.family = static_cast<GSocketFamily> (g_value_get_enum (value));
        break;
      case PROP_BOTH_FAMILIES:
        priv.both_families = g_value_get_boolean (value);
        break;
      case PROP_DONT_FRAGMENT:
        priv.dont_fragment = g_value_get_boolean (value);
        break;
      case PROP_MOBILITY:
        priv.mobility = g_value_get_boolean (value);
        break;
      case PROP_TLS_DATABASE:
        priv.tls_database = p2p::Ref<GTlsDatabase>::share (
            static_cast<GTlsDatabase *> (g_value_get_object (value)));
        break;
      default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
  }
  g_object_notify_by_pspec (object, pspec);
}

static void
p2p_turn_client_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  P2pTurnClient *self = P2P_TURN_CLIENT (object);
  Private &priv = *self->priv;
  switch (id) {
    case PROP_IS_ALLOCATED:
      g_value_set_boolean (value, priv.session->allocated ());
      return;
    case PROP_RELAYED_ADDRESS:
      g_value_take_object (value,
                           p2p_turn_client_get_relayed_address (self, G_SOCKET_FAMILY_INVALID));
      return;
    case PROP_MAX_DATAGRAM_SIZE:
      g_value_set_uint (value, p2p_turn_client_get_max_datagram_size (self));
      return;
    case PROP_STATS:
      g_value_take_variant (value, p2p_turn_client_get_stats (self));
      return;
    default:
      break;
  }
  const std::lock_guard lock (priv.mutex);
  switch (id) {
    case PROP_TURN_SERVER:
      g_value_set_string (value, priv.servers.empty ()
                                     ? nullptr
                                     : p2p::turn::redacted_uri (priv.servers.front ()).c_str ());
      break;
    case PROP_ALLOW_PRIVATE_PEERS:
      g_value_set_boolean (value, priv.allow_private);
      break;
    case PROP_ADDRESS_FAMILY:
      g_value_set_enum (value, priv.family);
      break;
    case PROP_BOTH_FAMILIES:
      g_value_set_boolean (value, priv.both_families);
      break;
    case PROP_DONT_FRAGMENT:
      g_value_set_boolean (value, priv.dont_fragment);
      break;
    case PROP_MOBILITY:
      g_value_set_boolean (value, priv.mobility);
      break;
    case PROP_TLS_DATABASE:
      g_value_set_object (value, priv.tls_database.get ());
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
install_properties (GObjectClass *object_class) {
  /**
   * P2pTurnClient:turn-server:
   *
   * The first server, as [method@P2p.TurnClient.add_turn_server] takes it; setting it forgets all
   * others. Read back it has no password. To be set before
   * [method@P2p.TurnClient.allocate_async].
   *
   * Since: 1.0
   */
  properties[PROP_TURN_SERVER] = g_param_spec_string (
      "turn-server", "TURN server", "URI of the first TURN server", nullptr, p2p::kReadWrite);
  /**
   * P2pTurnClient:allow-private-peers:
   *
   * Whether peers may have addresses of private networks also where this machine is in none. A
   * relay stands elsewhere than this machine: what is private there is as a rule none of the
   * peer's business. Loopback, link-local, multicast and the addresses of cloud metadata are never
   * asked for, but for the relay's own.
   *
   * Since: 1.0
   */
  properties[PROP_ALLOW_PRIVATE_PEERS] =
      g_param_spec_boolean ("allow-private-peers", "Allow private peers",
                            "Peers of private networks are allowed", FALSE, p2p::kReadWrite);
  /**
   * P2pTurnClient:address-family:
   *
   * Of which family the relayed address is to be; %G_SOCKET_FAMILY_INVALID leaves it to the server.
   *
   * Since: 1.0
   */
  properties[PROP_ADDRESS_FAMILY] =
      g_param_spec_enum ("address-family", "Address family", "Family of the relayed address",
                         G_TYPE_SOCKET_FAMILY, G_SOCKET_FAMILY_INVALID, p2p::kReadWrite);
  /**
   * P2pTurnClient:both-families:
   *
   * Whether an IPv6 address is asked for beside the IPv4 one; a server without any grants the one.
   *
   * Since: 1.0
   */
  properties[PROP_BOTH_FAMILIES] = g_param_spec_boolean (
      "both-families", "Both families", "IPv6 beside IPv4", FALSE, p2p::kReadWrite);
  /**
   * P2pTurnClient:dont-fragment:
   *
   * Whether the relay is asked to send with the bit that forbids fragments.
   *
   * Since: 1.0
   */
  properties[PROP_DONT_FRAGMENT] = g_param_spec_boolean (
      "dont-fragment", "Don't fragment", "The relay sets the DF bit", FALSE, p2p::kReadWrite);
  /**
   * P2pTurnClient:mobility:
   *
   * Whether a server is asked to let the allocation move to another network (RFC 8016). One that
   * forbids it costs a round trip.
   *
   * Since: 1.0
   */
  properties[PROP_MOBILITY] =
      g_param_spec_boolean ("mobility", "Mobility", "Allocations may move", TRUE, p2p::kReadWrite);
  /**
   * P2pTurnClient:tls-database:
   *
   * (nullable): whom to trust with the certificates of servers; %NULL is the system's choice.
   *
   * Since: 1.0
   */
  properties[PROP_TLS_DATABASE] = g_param_spec_object (
      "tls-database", "TLS database", "Trusted authorities", G_TYPE_TLS_DATABASE, p2p::kReadWrite);
  /**
   * P2pTurnClient:is-allocated:
   *
   * Whether there is an allocation now.
   *
   * Since: 1.0
   */
  properties[PROP_IS_ALLOCATED] = g_param_spec_boolean (
      "is-allocated", "Is allocated", "There is an allocation", FALSE, p2p::kReadOnly);
  /**
   * P2pTurnClient:relayed-address:
   *
   * (nullable): where peers send to: what [method@P2p.TurnClient.get_relayed_address] returns for
   * any family.
   *
   * Since: 1.0
   */
  properties[PROP_RELAYED_ADDRESS] =
      g_param_spec_object ("relayed-address", "Relayed address", "Where peers send to",
                           G_TYPE_SOCKET_ADDRESS, p2p::kReadOnly);
  /**
   * P2pTurnClient:max-datagram-size:
   *
   * What [method@P2p.TurnClient.send] takes at most, in bytes. It changes with the way to the
   * server.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_DATAGRAM_SIZE] =
      g_param_spec_uint ("max-datagram-size", "Max datagram size", "Bytes of a datagram at most", 0,
                         65535, 0, p2p::kReadOnly);
  /**
   * P2pTurnClient:stats:
   *
   * What [method@P2p.TurnClient.get_stats] returns. Not notified.
   *
   * Since: 1.0
   */
  properties[PROP_STATS] = g_param_spec_variant ("stats", "Stats", "Counters",
                                                 G_VARIANT_TYPE_VARDICT, nullptr, p2p::kReadOnly);
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

static void
install_signals () {
  /**
   * P2pTurnClient::received:
   * @self: the client
   * @peer: who sent it
   * @datagram: what was sent
   *
   * A peer, or another port of its address, has sent a datagram.
   *
   * Since: 1.0
   */
  signals[SIGNAL_RECEIVED] =
      g_signal_new ("received", P2P_TYPE_TURN_CLIENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, G_TYPE_SOCKET_ADDRESS, G_TYPE_BYTES);
  /**
   * P2pTurnClient::bad-network:
   * @self: the client
   * @reason: why
   * @error: the same as a sentence
   *
   * The allocation is lost, and another one is being made.
   *
   * Since: 1.0
   */
  signals[SIGNAL_BAD_NETWORK] =
      g_signal_new ("bad-network", P2P_TYPE_TURN_CLIENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, P2P_TYPE_TURN_REASON, G_TYPE_ERROR);
  /**
   * P2pTurnClient::recovered:
   * @self: the client
   *
   * There is an allocation again; [property@P2p.TurnClient:relayed-address] may have changed.
   *
   * Since: 1.0
   */
  signals[SIGNAL_RECOVERED] = g_signal_new ("recovered", P2P_TYPE_TURN_CLIENT, G_SIGNAL_RUN_LAST, 0,
                                            nullptr, nullptr, nullptr, G_TYPE_NONE, 0);
  /**
   * P2pTurnClient::failed:
   * @self: the client
   * @reason: why the last server gave no relay
   * @error: the same as a sentence
   *
   * No server gave a relay, and none is asked any more until [method@P2p.TurnClient.reset].
   *
   * Since: 1.0
   */
  signals[SIGNAL_FAILED] =
      g_signal_new ("failed", P2P_TYPE_TURN_CLIENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr, nullptr,
                    G_TYPE_NONE, 2, P2P_TYPE_TURN_REASON, G_TYPE_ERROR);
  /**
   * P2pTurnClient::peer-refused:
   * @self: the client
   * @peer: whose address, with port 0: it is refused with all of its ports
   * @reason: why
   * @error: the same as a sentence
   *
   * The server does not relay for this peer. [method@P2p.TurnClient.add_peer] asks once more.
   *
   * Since: 1.0
   */
  signals[SIGNAL_PEER_REFUSED] = g_signal_new (
      "peer-refused", P2P_TYPE_TURN_CLIENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr, nullptr,
      G_TYPE_NONE, 3, G_TYPE_SOCKET_ADDRESS, P2P_TYPE_TURN_REASON, G_TYPE_ERROR);
  /**
   * P2pTurnClient::warning:
   * @self: the client
   * @reason: why
   * @error: the same as a sentence
   *
   * A server gave no relay, or sent the client to another one; the next is asked, or the same one
   * later.
   *
   * Since: 1.0
   */
  signals[SIGNAL_WARNING] =
      g_signal_new ("warning", P2P_TYPE_TURN_CLIENT, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, P2P_TYPE_TURN_REASON, G_TYPE_ERROR);
  /**
   * P2pTurnClient::credentials-wanted:
   * @self: the client
   * @uri: the server, without the password
   *
   * User and password were refused: those of the REST API for TURN servers, for example, end with
   * their time. A handler returns %TRUE and calls [method@P2p.TurnClient.set_credentials] within
   * 30 seconds, now or later.
   *
   * Returns: %TRUE when others will be given
   *
   * Since: 1.0
   */
  signals[SIGNAL_CREDENTIALS_WANTED] = g_signal_new (
      "credentials-wanted", P2P_TYPE_TURN_CLIENT, G_SIGNAL_RUN_LAST, 0,
      g_signal_accumulator_true_handled, nullptr, nullptr, G_TYPE_BOOLEAN, 1, G_TYPE_STRING);
}

static void
p2p_turn_client_class_init (P2pTurnClientClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->finalize = p2p_turn_client_finalize;
  object_class->set_property = p2p_turn_client_set_property;
  object_class->get_property = p2p_turn_client_get_property;
  install_properties (object_class);
  install_signals ();
}

/**
 * p2p_turn_client_new:
 *
 * A client without a server; nothing is sent before it is asked to allocate.
 *
 * Makes a client that has no server yet. Its signals are emitted in the main context that is the
 * thread's default now.
 *
 * Returns: (transfer full): a new client
 *
 * Since: 1.0
 */
P2pTurnClient *
p2p_turn_client_new (void) {
  return P2P_TURN_CLIENT (g_object_new (P2P_TYPE_TURN_CLIENT, nullptr));
}

/**
 * p2p_turn_client_add_turn_server:
 * @self: a client
 * @uri: "turn:" or "turns:", as RFC 7065 writes it, or with "//user:password@" before the host,
 * each percent-encoded: "turn://user:password@example.org:3478?transport=udp"
 *
 * Adds a server, which is asked where those before it have failed. "transport=tcp" is TURN over
 * TCP, "turns:" TLS over TCP, whose certificate must be that of the host. A URI without user and
 * password takes those of [method@P2p.TurnClient.set_credentials].
 *
 * Returns: %FALSE with an error when the URI is malformed, or when the client is running
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_add_turn_server (P2pTurnClient *self, const char *uri, GError **error) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self) && uri, FALSE);
  auto server = p2p::turn::parse_server_uri (uri);
  if (!server) {
    p2p::throw_error (server.error (), error);
    return FALSE;
  }
  const std::lock_guard lock (self->priv->mutex);
  if (self->priv->phase != Phase::setup) {
    p2p::throw_error ({P2P_ERROR_INVALID_ARGUMENT,
                       "The TURN client is running; add its servers before it allocates."},
                      error);
    return FALSE;
  }
  self->priv->servers.push_back (std::move (*server));
  return TRUE;
}

/**
 * p2p_turn_client_set_credentials:
 * @self: a client
 * @user: the user
 * @password: the password
 *
 * User and password for servers whose URI has none; after
 * [signal@P2p.TurnClient::credentials-wanted] for the server that wanted others.
 *
 * Since: 1.0
 */
void
p2p_turn_client_set_credentials (P2pTurnClient *self, const char *user, const char *password) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self) && user && password);
  Private &priv = *self->priv;
  {
    const std::lock_guard lock (priv.mutex);
    priv.credentials = {user, password};
    if (priv.phase == Phase::setup) return;
  }
  priv.session->set_credentials ({user, password});
}

/**
 * p2p_turn_client_allocate_async:
 * @self: a client
 * @cancellable: (nullable): ends the waiting, not the client
 * @callback: (scope async): called when the relayed address is there
 * @user_data: for @callback
 *
 * Begins, if it has not begun, and waits for an allocation.
 *
 * Since: 1.0
 */
void
p2p_turn_client_allocate_async (P2pTurnClient *self, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  auto task = p2p::Ref<GTask>::adopt (g_task_new (self, cancellable, callback, user_data));
  g_task_set_source_tag (task.get (), reinterpret_cast<gpointer> (p2p_turn_client_allocate_async));
  Private &priv = *self->priv;
  p2p::turn::RelayConfig config;
  bool begin = false;
  {
    const std::lock_guard lock (priv.mutex);
    if (priv.servers.empty ()) {
      g_task_return_new_error (task.get (), P2P_ERROR, P2P_ERROR_INVALID_ARGUMENT,
                               "The TURN client has no server; add one first.");
      return;
    }
    begin = priv.phase == Phase::setup;
    if (begin) config = make_config (priv);
    priv.phase = Phase::running;
  }
  if (begin) priv.session->start (std::move (config));
  priv.session->wait_allocated (std::move (task));
}

/**
 * p2p_turn_client_allocate_finish:
 * @self: a client
 * @result: what the callback got
 *
 * Finishes [method@P2p.TurnClient.allocate_async].
 *
 * Returns: %FALSE with an error when no server gave a relay
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_allocate_finish (P2pTurnClient *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * p2p_turn_client_reset:
 * @self: a client
 *
 * Releases the allocation and makes another one, from the first server on: also after
 * [signal@P2p.TurnClient::failed]. The peers stay.
 *
 * Since: 1.0
 */
void
p2p_turn_client_reset (P2pTurnClient *self) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  self->priv->session->reset ();
}

/**
 * p2p_turn_client_close_async:
 * @self: a client
 * @cancellable: (nullable): ends the waiting, not the closing
 * @callback: (scope async): called when the allocation is released, or a second has gone by
 * @user_data: for @callback
 *
 * Releases the allocation and ends the client for good.
 *
 * Since: 1.0
 */
void
p2p_turn_client_close_async (P2pTurnClient *self, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  auto task = p2p::Ref<GTask>::adopt (g_task_new (self, cancellable, callback, user_data));
  g_task_set_source_tag (task.get (), reinterpret_cast<gpointer> (p2p_turn_client_close_async));
  self->priv->session->close (std::move (task));
}

/**
 * p2p_turn_client_close_finish:
 * @self: a client
 * @result: what the callback got
 *
 * Finishes [method@P2p.TurnClient.close_async].
 *
 * Returns: %FALSE with an error when the waiting was cancelled
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_close_finish (P2pTurnClient *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * p2p_turn_client_is_allocated:
 * @self: a client
 *
 * Whether there is a relay now.
 *
 * Returns: whether there is an allocation now
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_is_allocated (P2pTurnClient *self) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), FALSE);
  return self->priv->session->allocated ();
}

/**
 * p2p_turn_client_get_relayed_address:
 * @self: a client
 * @family: of this family, or %G_SOCKET_FAMILY_INVALID for the first
 *
 * Where peers send to. While another allocation is being made it is the one that was lost.
 *
 * Returns: (transfer full) (nullable): the relayed address, %NULL when there is none
 *
 * Since: 1.0
 */
GSocketAddress *
p2p_turn_client_get_relayed_address (P2pTurnClient *self, GSocketFamily family) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), nullptr);
  for (const auto &address : self->priv->session->relayed ()) {
    const bool ipv4 = address.family == p2p::turn::Family::ipv4;
    if (family == G_SOCKET_FAMILY_INVALID ||
        family == (ipv4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6))
      return p2p::turn_socket_address (address);
  }
  return nullptr;
}

/**
 * p2p_turn_client_get_max_datagram_size:
 * @self: a client
 *
 * The longest datagram that [method@P2p.TurnClient.send] takes, which depends on the way to the
 * relay.
 *
 * Returns: what [method@P2p.TurnClient.send] takes at most, in bytes
 *
 * Since: 1.0
 */
guint
p2p_turn_client_get_max_datagram_size (P2pTurnClient *self) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), 0);
  return static_cast<guint> (self->priv->session->max_datagram_bytes ());
}

/**
 * p2p_turn_client_add_peer:
 * @self: a client
 * @peer: where the peer is, as the server sees it
 *
 * Asks the server to relay for this peer. It stays one across losses of the allocation.
 *
 * Returns: %FALSE with an error when the address is of a kind for which no relay is asked
 *   (%P2P_ERROR_REFUSED), or when there are too many
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_add_peer (P2pTurnClient *self, GSocketAddress *peer, GError **error) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self) && G_IS_SOCKET_ADDRESS (peer), FALSE);
  const auto address = peer_address (peer, error);
  return address && p2p::answer (self->priv->session->add_peer (*address), false, error);
}

/**
 * p2p_turn_client_remove_peer:
 * @self: a client
 * @peer: a peer that was added
 *
 * Forgets the peer: what it sends is dropped. The server's permission runs out within five minutes.
 *
 * Since: 1.0
 */
void
p2p_turn_client_remove_peer (P2pTurnClient *self, GSocketAddress *peer) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self) && G_IS_SOCKET_ADDRESS (peer));
  if (const auto address = p2p::turn_address (peer)) self->priv->session->remove_peer (*address);
}

/**
 * p2p_turn_client_send:
 * @self: a client
 * @peer: a peer that was added
 * @datagram: what to send
 *
 * Sends a datagram, or lets it wait until the server permits the peer. It does not block, and may
 * be lost on the way as any datagram.
 *
 * Returns: %FALSE with an error: %P2P_ERROR_MESSAGE_TOO_LARGE beyond
 *   [property@P2p.TurnClient:max-datagram-size], %P2P_ERROR_WOULD_BLOCK when too much waits,
 *   %P2P_ERROR_REFUSED when the server refused the peer, %P2P_ERROR_NOT_FOUND for a peer that was
 * not added
 *
 * Since: 1.0
 */
gboolean
p2p_turn_client_send (P2pTurnClient *self, GSocketAddress *peer, GBytes *datagram, GError **error) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self) && G_IS_SOCKET_ADDRESS (peer) && datagram, FALSE);
  const auto address = peer_address (peer, error);
  return address && p2p::answer (self->priv->session->send (*address, datagram), false, error);
}

/**
 * p2p_turn_client_receive_async:
 * @self: a client
 * @cancellable: (nullable): ends the waiting
 * @callback: (scope async): called with the next datagram
 * @user_data: for @callback
 *
 * Waits for the next datagram. From the first call on datagrams are kept for the calls to come, up
 * to 4 MiB; those that find no room are dropped and counted. Each goes to one call, and to all
 * handlers of [signal@P2p.TurnClient::received].
 *
 * Since: 1.0
 */
void
p2p_turn_client_receive_async (P2pTurnClient *self, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_TURN_CLIENT (self));
  auto task = p2p::Ref<GTask>::adopt (g_task_new (self, cancellable, callback, user_data));
  g_task_set_source_tag (task.get (), reinterpret_cast<gpointer> (p2p_turn_client_receive_async));
  self->priv->session->receive (std::move (task));
}

/**
 * p2p_turn_client_receive_finish:
 * @self: a client
 * @result: what the callback got
 * @peer: (out) (optional) (transfer full): who sent it
 *
 * Finishes [method@P2p.TurnClient.receive_async].
 *
 * Returns: (transfer full): the datagram, or %NULL with an error
 *
 * Since: 1.0
 */
GBytes *
p2p_turn_client_receive_finish (P2pTurnClient *self, GAsyncResult *result, GSocketAddress **peer,
                                GError **error) {
  g_return_val_if_fail (g_task_is_valid (result, self), nullptr);
  const std::unique_ptr<TurnSession::Datagram> datagram (
      static_cast<TurnSession::Datagram *> (g_task_propagate_pointer (G_TASK (result), error)));
  if (!datagram) return nullptr;
  if (peer) *peer = p2p::turn_socket_address (datagram->peer);
  return datagram->bytes.leak ();
}

/**
 * p2p_turn_client_get_stats:
 * @self: a client
 *
 * Counts since the beginning, a dictionary of `uint64`: `datagrams-sent`, `bytes-sent`,
 * `datagrams-received`, `bytes-received`, `dropped-sends`, `dropped-receives`, `refused-peers` (by
 * policy), `allocations`, `losses`, `repeated-requests`, `rejected-answers` (not signed by the
 * server), `malformed`; and `server`, a string: the server in use, without credentials.
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
p2p_turn_client_get_stats (P2pTurnClient *self) {
  g_return_val_if_fail (P2P_IS_TURN_CLIENT (self), nullptr);
  const TurnSession::Counters counters = self->priv->session->counters ();
  const p2p::turn::PeerStats &peers = counters.relay.peers;
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  const auto add = [&builder] (const char *key, std::uint64_t value) {
    g_variant_builder_add (&builder, "{sv}", key, g_variant_new_uint64 (value));
  };
  add ("datagrams-sent", peers.sent);
  add ("bytes-sent", peers.sent_bytes);
  add ("datagrams-received", peers.received);
  add ("bytes-received", peers.received_bytes);
  add ("dropped-sends", peers.dropped_sends + counters.dropped_sends);
  add ("dropped-receives",
       peers.dropped_receives + counters.dropped_receives + counters.dropped_pulls);
  add ("refused-peers", peers.refused_peers + counters.refused_peers);
  add ("allocations", counters.relay.allocations);
  add ("losses", counters.relay.losses);
  add ("repeated-requests", counters.relay.repeated_requests);
  add ("rejected-answers", counters.relay.rejected_answers);
  add ("malformed", counters.relay.malformed + peers.malformed);
  g_variant_builder_add (&builder, "{sv}", "server",
                         g_variant_new_string (counters.server.c_str ()));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
