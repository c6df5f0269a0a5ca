#include "p2p/p2p-path.h"

#include "object_path.hpp"
#include "path_inbox.hpp"

/**
 * P2pPath:
 *
 * A carrier of datagrams between two peers, made by an application: full duplex, unreliable, in any
 * order. Sessions run over it as they do over ICE.
 *
 * The library calls the virtual functions in the agent's main context. What arrives is handed in
 * with [method@P2p.Path.emit_received], from any thread.
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (P2pPath, p2p_path, G_TYPE_OBJECT)

static void
p2p_path_default_init (P2pPathInterface *) {}

/**
 * p2p_path_send:
 * @self: a path
 * @datagram: one datagram
 *
 * Sends one datagram. One that fails is lost, as on a wire, and the path goes on.
 *
 * Returns: %TRUE when it is on its way, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_path_send (P2pPath *self, GBytes *datagram, GError **error) {
  g_return_val_if_fail (P2P_IS_PATH (self) && datagram, FALSE);
  P2pPathInterface *iface = P2P_PATH_GET_IFACE (self);
  if (iface->send) return iface->send (self, datagram, error);
  g_set_error_literal (error, P2P_ERROR, P2P_ERROR_FAILED, "This path cannot send.");
  return FALSE;
}

/**
 * p2p_path_get_max_datagram_bytes:
 * @self: a path
 *
 * The longest datagram that the path carries; asked once, when it is opened. 1200 when it is not
 * implemented, which is also the least that it may be (RFC 9000 section 14).
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint
p2p_path_get_max_datagram_bytes (P2pPath *self) {
  g_return_val_if_fail (P2P_IS_PATH (self), 0);
  P2pPathInterface *iface = P2P_PATH_GET_IFACE (self);
  return iface->get_max_datagram_bytes ? iface->get_max_datagram_bytes (self)
                                       : static_cast<guint> (p2p::kMinDatagramBytes);
}

/**
 * p2p_path_describe:
 * @self: a path
 *
 * What the path is, for people and stats; asked once, when it is opened.
 *
 * Returns: (transfer full) (nullable): a few words
 *
 * Since: 1.0
 */
char *
p2p_path_describe (P2pPath *self) {
  g_return_val_if_fail (P2P_IS_PATH (self), nullptr);
  P2pPathInterface *iface = P2P_PATH_GET_IFACE (self);
  return iface->describe ? iface->describe (self) : nullptr;
}

/**
 * p2p_path_close:
 * @self: a path
 *
 * Closes the path; nothing is sent over it any more.
 *
 * Since: 1.0
 */
void
p2p_path_close (P2pPath *self) {
  g_return_if_fail (P2P_IS_PATH (self));
  P2pPathInterface *iface = P2P_PATH_GET_IFACE (self);
  if (iface->close) iface->close (self);
}

/**
 * p2p_path_emit_received:
 * @self: a path
 * @datagram: one datagram of the peer
 *
 * For implementations: a datagram has come. When 4 MiB wait for the library, further ones are
 * dropped. From any thread.
 *
 * Since: 1.0
 */
void
p2p_path_emit_received (P2pPath *self, GBytes *datagram) {
  g_return_if_fail (P2P_IS_PATH (self) && datagram);
  p2p::PathInbox::of (self)->add (datagram);
}

/**
 * p2p_path_emit_failed:
 * @self: a path
 * @error: why
 *
 * For implementations: the path carries nothing any more. A connection that is up looks for another
 * one then. From any thread.
 *
 * Since: 1.0
 */
void
p2p_path_emit_failed (P2pPath *self, const GError *error) {
  g_return_if_fail (P2P_IS_PATH (self) && error);
  p2p::PathInbox::of (self)->fail ({P2P_ERROR_UNREACHABLE, p2p::from_nullable (error->message)});
}

/**
 * P2pPathFactory:
 *
 * What makes paths between two agents, beside ICE or in its place; implemented by applications that
 * have a carrier of datagrams of their own, and by [class@P2p.MemoryNetwork].
 *
 * Both agents need a factory of the same name. The library calls the virtual functions in the
 * agent's main context.
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (P2pPathFactory, p2p_path_factory, G_TYPE_OBJECT)

static void
p2p_path_factory_default_init (P2pPathFactoryInterface *) {}

/**
 * p2p_path_factory_get_name:
 * @self: a factory
 *
 * The name by which the factories of both sides find each other, by which `path-order` sorts them,
 * and which stats show as `path-kind`.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
p2p_path_factory_get_name (P2pPathFactory *self) {
  g_return_val_if_fail (P2P_IS_PATH_FACTORY (self), nullptr);
  P2pPathFactoryInterface *iface = P2P_PATH_FACTORY_GET_IFACE (self);
  return iface->get_name ? iface->get_name (self) : G_OBJECT_TYPE_NAME (self);
}

/**
 * p2p_path_factory_open_async:
 * @self: a factory
 * @id: the id of our agent
 * @peer: the id of the peer
 * @initiator: %TRUE on exactly one of the two sides
 * @cancellable: (nullable): to give up
 * @callback: (scope async) (nullable): called when the path is open or cannot be
 * @user_data: for @callback
 *
 * Opens a path to a peer. Both sides call it for the same connection.
 *
 * Since: 1.0
 */
void
p2p_path_factory_open_async (P2pPathFactory *self, const char *id, const char *peer,
                             gboolean initiator, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_PATH_FACTORY (self) && id && peer);
  P2pPathFactoryInterface *iface = P2P_PATH_FACTORY_GET_IFACE (self);
  if (iface->open_async) {
    iface->open_async (self, id, peer, initiator, cancellable, callback, user_data);
    return;
  }
  g_task_report_new_error (self, callback, user_data,
                           reinterpret_cast<gpointer> (p2p_path_factory_open_async), P2P_ERROR,
                           P2P_ERROR_FAILED, "This path factory cannot open paths by itself.");
}

/**
 * p2p_path_factory_open_finish:
 * @self: a factory
 * @result: what the callback got
 *
 * Finishes [method@P2p.PathFactory.open_async].
 *
 * Returns: (transfer full): the path, or %NULL with an error
 *
 * Since: 1.0
 */
P2pPath *
p2p_path_factory_open_finish (P2pPathFactory *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (P2P_IS_PATH_FACTORY (self) && G_IS_ASYNC_RESULT (result), nullptr);
  P2pPathFactoryInterface *iface = P2P_PATH_FACTORY_GET_IFACE (self);
  if (iface->open_finish) return iface->open_finish (self, result, error);
  return static_cast<P2pPath *> (g_task_propagate_pointer (G_TASK (result), error));
}

/**
 * p2p_path_factory_receive_message:
 * @self: a factory
 * @id: the id of our agent
 * @peer: the id of the peer
 * @message: what the factory on the peer's side gave to
 *   [method@P2p.PathFactory.emit_send_message]
 *
 * Hands the factory a message of its fellow on the other side, brought by the agents' signaling
 * while a path is being opened.
 *
 * Since: 1.0
 */
void
p2p_path_factory_receive_message (P2pPathFactory *self, const char *id, const char *peer,
                                  GBytes *message) {
  g_return_if_fail (P2P_IS_PATH_FACTORY (self) && id && peer && message);
  P2pPathFactoryInterface *iface = P2P_PATH_FACTORY_GET_IFACE (self);
  if (iface->receive_message) iface->receive_message (self, id, peer, message);
}

/**
 * p2p_path_factory_emit_send_message:
 * @self: a factory
 * @id: the id of our agent
 * @peer: the id of the peer
 * @message: a message of at most 16 KiB
 *
 * For implementations: brings a message to the factory on the peer's side, through the agents'
 * signaling, while a path to it is being opened. It may be lost. From any thread.
 *
 * Since: 1.0
 */
void
p2p_path_factory_emit_send_message (P2pPathFactory *self, const char *id, const char *peer,
                                    GBytes *message) {
  g_return_if_fail (P2P_IS_PATH_FACTORY (self) && id && peer && message);
  p2p::PathFactoryHub::of (self)->emit (id, peer, message);
}
