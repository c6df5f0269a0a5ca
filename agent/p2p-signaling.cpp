#include "p2p/p2p-signaling.h"

#include "p2p/p2p-enum-types.h"

/**
 * P2pSignalingState:
 * @P2P_SIGNALING_STATE_IDLE: not started
 * @P2P_SIGNALING_STATE_CONNECTING: on the way to the meeting point, or waiting to try again
 * @P2P_SIGNALING_STATE_REGISTERED: the id is ours and messages pass
 * @P2P_SIGNALING_STATE_REFUSED: refused for good: another key holds the id, or the server will not
 *   have us
 *
 * How an agent stands with its meeting point.
 *
 * Since: 1.0
 */

/**
 * P2pSignaling:
 *
 * What carries the small opaque messages by which two peers find each other, until they have a path
 * of their own: implemented by [class@P2p.LocalSignaling], [class@P2p.RendezvousSignaling] and
 * [class@P2p.AppSignaling], and by applications that have something else.
 *
 * Each object serves one agent. An agent calls the virtual functions of an application's
 * implementation in its own main context, one after the other; the `emit` functions may be called
 * from any thread. The library's own implementations run on its own thread and never wait for the
 * application.
 *
 * The carrier need not be trusted when the peers share a secret or know each other's fingerprints,
 * and may lose, repeat and reorder messages: what is lost costs a second, what is repeated nothing.
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (P2pSignaling, p2p_signaling, G_TYPE_OBJECT)

namespace {
enum Signal : guint { SIGNAL_STATE_CHANGED, SIGNAL_PEER_CHANGED, SIGNAL_MESSAGE, N_SIGNALS };
guint signals[N_SIGNALS];
}  // namespace

static void
p2p_signaling_default_init (P2pSignalingInterface *) {
  /**
   * P2pSignaling::state-changed:
   * @self: the signaling
   * @state: how it stands with the meeting point
   * @reason: (nullable): why, unless all is well
   *
   * Emitted by [method@P2p.Signaling.emit_state], in the thread that called it.
   *
   * Since: 1.0
   */
  signals[SIGNAL_STATE_CHANGED] =
      g_signal_new ("state-changed", P2P_TYPE_SIGNALING, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, P2P_TYPE_SIGNALING_STATE, G_TYPE_ERROR);
  /**
   * P2pSignaling::peer-changed:
   * @self: the signaling
   * @peer: the id of a peer
   * @present: whether messages reach it
   *
   * Emitted by [method@P2p.Signaling.emit_peer], in the thread that called it.
   *
   * Since: 1.0
   */
  signals[SIGNAL_PEER_CHANGED] =
      g_signal_new ("peer-changed", P2P_TYPE_SIGNALING, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_BOOLEAN);
  /**
   * P2pSignaling::message:
   * @self: the signaling
   * @peer: the id of the sender
   * @message: what it sent
   *
   * Emitted by [method@P2p.Signaling.emit_message], in the thread that called it.
   *
   * Since: 1.0
   */
  signals[SIGNAL_MESSAGE] =
      g_signal_new ("message", P2P_TYPE_SIGNALING, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr, nullptr,
                    G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_BYTES);
}

/**
 * p2p_signaling_start:
 * @self: a signaling
 * @id: the id to register
 *
 * Registers the id and stays registered, through any loss, until stopped.
 *
 * Since: 1.0
 */
void
p2p_signaling_start (P2pSignaling *self, const char *id) {
  g_return_if_fail (P2P_IS_SIGNALING (self) && id);
  P2pSignalingInterface *iface = P2P_SIGNALING_GET_IFACE (self);
  if (iface->start) iface->start (self, id);
}

/**
 * p2p_signaling_stop:
 * @self: a signaling
 *
 * Leaves the meeting point.
 *
 * Since: 1.0
 */
void
p2p_signaling_stop (P2pSignaling *self) {
  g_return_if_fail (P2P_IS_SIGNALING (self));
  P2pSignalingInterface *iface = P2P_SIGNALING_GET_IFACE (self);
  if (iface->stop) iface->stop (self);
}

/**
 * p2p_signaling_ask:
 * @self: a signaling
 * @peer: the id of a peer, or "*" for whoever asks for us
 *
 * Asks for a peer: messages pass once both sides have asked for each other, which
 * [signal@P2p.Signaling::peer-changed] tells.
 *
 * Since: 1.0
 */
void
p2p_signaling_ask (P2pSignaling *self, const char *peer) {
  g_return_if_fail (P2P_IS_SIGNALING (self) && peer);
  P2pSignalingInterface *iface = P2P_SIGNALING_GET_IFACE (self);
  if (iface->ask) iface->ask (self, peer);
}

/**
 * p2p_signaling_unask:
 * @self: a signaling
 * @peer: what was asked for
 *
 * Takes back [method@P2p.Signaling.ask].
 *
 * Since: 1.0
 */
void
p2p_signaling_unask (P2pSignaling *self, const char *peer) {
  g_return_if_fail (P2P_IS_SIGNALING (self) && peer);
  P2pSignalingInterface *iface = P2P_SIGNALING_GET_IFACE (self);
  if (iface->unask) iface->unask (self, peer);
}

/**
 * p2p_signaling_send:
 * @self: a signaling
 * @peer: the id of a peer
 * @message: an opaque message of at most 64 KiB
 *
 * Sends a message to a peer. %P2P_ERROR_NOT_CONNECTED when the peer is not present.
 *
 * Returns: %TRUE when the message is on its way, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_signaling_send (P2pSignaling *self, const char *peer, GBytes *message, GError **error) {
  g_return_val_if_fail (P2P_IS_SIGNALING (self) && peer && message, FALSE);
  P2pSignalingInterface *iface = P2P_SIGNALING_GET_IFACE (self);
  if (iface->send) return iface->send (self, peer, message, error);
  g_set_error_literal (error, P2P_ERROR, P2P_ERROR_FAILED,
                       "This signaling object cannot send messages.");
  return FALSE;
}

/**
 * p2p_signaling_emit_state:
 * @self: a signaling
 * @state: how it stands with the meeting point
 * @reason: (nullable): why, unless all is well
 *
 * For implementations: tells the agent about a change, and about each attempt that failed. From any
 * thread.
 *
 * Since: 1.0
 */
void
p2p_signaling_emit_state (P2pSignaling *self, P2pSignalingState state, const GError *reason) {
  g_return_if_fail (P2P_IS_SIGNALING (self));
  g_signal_emit (self, signals[SIGNAL_STATE_CHANGED], 0, state, reason);
}

/**
 * p2p_signaling_emit_peer:
 * @self: a signaling
 * @peer: the id of a peer
 * @present: whether messages reach it
 *
 * For implementations: a peer that was asked for has come, or has gone. From any thread.
 *
 * Since: 1.0
 */
void
p2p_signaling_emit_peer (P2pSignaling *self, const char *peer, gboolean present) {
  g_return_if_fail (P2P_IS_SIGNALING (self) && peer);
  g_signal_emit (self, signals[SIGNAL_PEER_CHANGED], 0, peer, present);
}

/**
 * p2p_signaling_emit_message:
 * @self: a signaling
 * @peer: the id of the sender
 * @message: what it sent, as it came
 *
 * For implementations: a message has come. Longer ones than 64 KiB, and more than a thousand that
 * the agent has not seen yet, are dropped. From any thread.
 *
 * Since: 1.0
 */
void
p2p_signaling_emit_message (P2pSignaling *self, const char *peer, GBytes *message) {
  g_return_if_fail (P2P_IS_SIGNALING (self) && peer && message);
  g_signal_emit (self, signals[SIGNAL_MESSAGE], 0, peer, message);
}
