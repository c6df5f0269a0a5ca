#include "p2p/p2p-signaling.h"

/**
 * P2pAppSignaling:
 *
 * Signaling over whatever the application has: a chat, a database, a sheet of paper. What
 * [signal@P2p.AppSignaling::send-message] hands out is brought to the peer in any way, and given
 * there to [method@P2p.AppSignaling.receive].
 *
 * Messages are opaque, at most 64 KiB, and may be lost, repeated and reordered on the way. A peer
 * counts as present as soon as it is asked for, and whenever a message of it comes, unless
 * [method@P2p.AppSignaling.set_present] says otherwise.
 *
 * Since: 1.0
 */
struct _P2pAppSignaling {
  GObject parent_instance;
};

namespace {
guint send_message_signal;
}  // namespace

static void p2p_app_signaling_iface_init (P2pSignalingInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (P2pAppSignaling, p2p_app_signaling, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (P2P_TYPE_SIGNALING,
                                                      p2p_app_signaling_iface_init))

static void
p2p_app_signaling_start (P2pSignaling *signaling, const char *) {
  p2p_signaling_emit_state (signaling, P2P_SIGNALING_STATE_REGISTERED, nullptr);
}

static void
p2p_app_signaling_stop (P2pSignaling *signaling) {
  p2p_signaling_emit_state (signaling, P2P_SIGNALING_STATE_IDLE, nullptr);
}

static void
p2p_app_signaling_ask (P2pSignaling *signaling, const char *peer) {
  // Nobody is called "*": who that stands for shows when a message comes.
  if (!g_str_equal (peer, "*")) p2p_signaling_emit_peer (signaling, peer, TRUE);
}

static gboolean
p2p_app_signaling_send (P2pSignaling *signaling, const char *peer, GBytes *message, GError **) {
  g_signal_emit (signaling, send_message_signal, 0, peer, message);
  return TRUE;
}

static void
p2p_app_signaling_iface_init (P2pSignalingInterface *iface) {
  iface->start = p2p_app_signaling_start;
  iface->stop = p2p_app_signaling_stop;
  iface->ask = p2p_app_signaling_ask;
  iface->send = p2p_app_signaling_send;
}

static void
p2p_app_signaling_init (P2pAppSignaling *) {}

static void
p2p_app_signaling_class_init (P2pAppSignalingClass *) {
  /**
   * P2pAppSignaling::send-message:
   * @self: the signaling
   * @peer: the id of the peer that the message is for
   * @message: what it is to get
   *
   * Asks the application to bring a message to a peer. Emitted in the agent's main context.
   *
   * Since: 1.0
   */
  send_message_signal =
      g_signal_new ("send-message", P2P_TYPE_APP_SIGNALING, G_SIGNAL_RUN_LAST, 0, nullptr, nullptr,
                    nullptr, G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_BYTES);
}

/**
 * p2p_app_signaling_new:
 *
 * Signaling by the application, for one agent.
 *
 * Returns: (transfer full) (type P2pAppSignaling): a new object
 *
 * Since: 1.0
 */
P2pSignaling *
p2p_app_signaling_new (void) {
  return P2P_SIGNALING (g_object_new (P2P_TYPE_APP_SIGNALING, nullptr));
}

/**
 * p2p_app_signaling_receive:
 * @self: a signaling
 * @peer: the id of the sender
 * @message: what its `send-message` handed out
 *
 * Takes in a message of a peer. From any thread.
 *
 * Since: 1.0
 */
void
p2p_app_signaling_receive (P2pAppSignaling *self, const char *peer, GBytes *message) {
  g_return_if_fail (P2P_IS_APP_SIGNALING (self) && peer && message);
  p2p_signaling_emit_peer (P2P_SIGNALING (self), peer, TRUE);
  p2p_signaling_emit_message (P2P_SIGNALING (self), peer, message);
}

/**
 * p2p_app_signaling_set_present:
 * @self: a signaling
 * @peer: the id of a peer
 * @present: whether messages reach it
 *
 * For applications that know who is there: messages for a peer that is not wait until it comes.
 * From any thread.
 *
 * Since: 1.0
 */
void
p2p_app_signaling_set_present (P2pAppSignaling *self, const char *peer, gboolean present) {
  g_return_if_fail (P2P_IS_APP_SIGNALING (self) && peer);
  p2p_signaling_emit_peer (P2P_SIGNALING (self), peer, present);
}
