// The class of P2pTurnClient: its life, properties and signals.
#include "p2p/p2p-enum-types.h"
#include "turn/server_uri.hpp"
#include "turn_client_class.hpp"

using p2p::TurnSession;
using Private = p2p::TurnClientPrivate;

namespace {

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
