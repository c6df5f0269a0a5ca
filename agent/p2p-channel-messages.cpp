// The functions of P2pChannel that send and receive messages.
#include "boxes.hpp"
#include "private.hpp"

using p2p::Message;
using p2p::Ref;

static bool
is_channel (P2pChannel *self) {
  return P2P_IS_CHANNEL (self) && p2p::channel_port (self);
}

static Message
plain (GBytes *payload) {
  Message message;
  message.payload = Ref<GBytes>::share (payload);
  return message;
}

static gboolean
send_blocking (P2pChannel *self, const Message &message, GCancellable *cancellable,
               GError **error) {
  bool cancelled = false;
  const p2p::Status status = p2p::channel_port (self)->send (message, cancellable, &cancelled);
  return p2p::answer (status, cancelled, error);
}

/**
 * p2p_channel_send:
 * @self: a channel
 * @payload: the bytes of one message; referenced, not copied
 * @cancellable: (nullable): to end the wait from another thread
 *
 * Sends one message, and waits as long as there is no room for it. It may be called before the
 * connection is up. %P2P_ERROR_MESSAGE_TOO_LARGE when the message is above the limit,
 * %P2P_ERROR_CLOSED when the channel was closed or ended, and the error that removed the
 * connection.
 *
 * Returns: %TRUE when the message was taken, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_channel_send (P2pChannel *self, GBytes *payload, GCancellable *cancellable, GError **error) {
  g_return_val_if_fail (is_channel (self) && payload, FALSE);
  return send_blocking (self, plain (payload), cancellable, error);
}

/**
 * p2p_channel_send_message:
 * @self: a channel
 * @message: the message
 * @cancellable: (nullable): to end the wait from another thread
 *
 * [method@P2p.Channel.send] for a message with attributes.
 *
 * Returns: %TRUE when the message was taken, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_channel_send_message (P2pChannel *self, P2pMessage *message, GCancellable *cancellable,
                          GError **error) {
  g_return_val_if_fail (is_channel (self) && message, FALSE);
  return send_blocking (self, message->content, cancellable, error);
}

/**
 * p2p_channel_try_send_message:
 * @self: a channel
 * @message: the message
 *
 * Sends one message when there is room for it; %P2P_ERROR_WOULD_BLOCK when there is none.
 *
 * Returns: %TRUE when the message was taken, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_channel_try_send_message (P2pChannel *self, P2pMessage *message, GError **error) {
  g_return_val_if_fail (is_channel (self) && message, FALSE);
  return p2p::answer (p2p::channel_port (self)->try_send (message->content), false, error);
}

template <class Tag>
static Ref<GTask>
make_task (P2pChannel *self, GCancellable *cancellable, GAsyncReadyCallback callback,
           gpointer user_data, Tag tag) {
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, reinterpret_cast<gpointer> (tag));
  return Ref<GTask>::adopt (task);
}

template <class Tag>
static bool
is_task (GAsyncResult *result, P2pChannel *self, Tag tag) {
  return g_task_is_valid (result, self) &&
         g_task_get_source_tag (G_TASK (result)) == reinterpret_cast<gpointer> (tag);
}

/**
 * p2p_channel_send_async:
 * @self: a channel
 * @payload: the bytes of one message; referenced, not copied
 * @cancellable: (nullable): to give up before the message was taken
 * @callback: (scope async) (nullable): called when the message was taken
 * @user_data: for @callback
 *
 * [method@P2p.Channel.send] that does not wait: it completes once there was room for the message.
 *
 * Since: 1.0
 */
void
p2p_channel_send_async (P2pChannel *self, GBytes *payload, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (is_channel (self) && payload);
  p2p::channel_tasks (self)->send (
      make_task (self, cancellable, callback, user_data, p2p_channel_send_async), plain (payload));
}

/**
 * p2p_channel_send_finish:
 * @self: a channel
 * @result: what the callback got
 *
 * Finishes [method@P2p.Channel.send_async].
 *
 * Returns: %TRUE when the message was taken, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_channel_send_finish (P2pChannel *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (is_channel (self), FALSE);
  g_return_val_if_fail (is_task (result, self, p2p_channel_send_async), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * p2p_channel_send_message_async:
 * @self: a channel
 * @message: the message
 * @cancellable: (nullable): to give up before the message was taken
 * @callback: (scope async) (nullable): called when the message was taken
 * @user_data: for @callback
 *
 * [method@P2p.Channel.send_async] for a message with attributes.
 *
 * Since: 1.0
 */
void
p2p_channel_send_message_async (P2pChannel *self, P2pMessage *message, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (is_channel (self) && message);
  p2p::channel_tasks (self)->send (
      make_task (self, cancellable, callback, user_data, p2p_channel_send_message_async),
      message->content);
}

/**
 * p2p_channel_send_message_finish:
 * @self: a channel
 * @result: what the callback got
 *
 * Finishes [method@P2p.Channel.send_message_async].
 *
 * Returns: %TRUE when the message was taken, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_channel_send_message_finish (P2pChannel *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (is_channel (self), FALSE);
  g_return_val_if_fail (is_task (result, self, p2p_channel_send_message_async), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * p2p_channel_receive:
 * @self: a channel
 * @cancellable: (nullable): to end the wait from another thread
 *
 * Waits for the next message. %P2P_ERROR_END_OF_STREAM after the last one, when the peer has ended
 * its direction; %P2P_ERROR_CLOSED or the error that removed the connection, once all that came
 * before has been taken.
 *
 * Returns: (transfer full): the message, or %NULL with an error
 *
 * Since: 1.0
 */
P2pMessage *
p2p_channel_receive (P2pChannel *self, GCancellable *cancellable, GError **error) {
  g_return_val_if_fail (is_channel (self), nullptr);
  bool cancelled = false;
  const p2p::Result<Message> message = p2p::channel_port (self)->receive (cancellable, &cancelled);
  if (message.ok ()) return p2p::message_box_new (message.value ());
  p2p::answer (message.error (), cancelled, error);
  return nullptr;
}

/**
 * p2p_channel_try_receive:
 * @self: a channel
 *
 * The next message when there is one; %P2P_ERROR_WOULD_BLOCK when there is none yet, and the other
 * errors of [method@P2p.Channel.receive].
 *
 * Returns: (transfer full): the message, or %NULL with an error
 *
 * Since: 1.0
 */
P2pMessage *
p2p_channel_try_receive (P2pChannel *self, GError **error) {
  g_return_val_if_fail (is_channel (self), nullptr);
  const p2p::Result<Message> message = p2p::channel_port (self)->try_receive ();
  if (message.ok ()) return p2p::message_box_new (message.value ());
  p2p::throw_error (message.error (), error);
  return nullptr;
}

/**
 * p2p_channel_receive_async:
 * @self: a channel
 * @cancellable: (nullable): to give up; no message is lost by it
 * @callback: (scope async) (nullable): called when there is a message or none will come
 * @user_data: for @callback
 *
 * [method@P2p.Channel.receive] that does not wait.
 *
 * Since: 1.0
 */
void
p2p_channel_receive_async (P2pChannel *self, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (is_channel (self));
  p2p::channel_tasks (self)->receive (
      make_task (self, cancellable, callback, user_data, p2p_channel_receive_async));
}

/**
 * p2p_channel_receive_finish:
 * @self: a channel
 * @result: what the callback got
 *
 * Finishes [method@P2p.Channel.receive_async].
 *
 * Returns: (transfer full): the message, or %NULL with an error
 *
 * Since: 1.0
 */
P2pMessage *
p2p_channel_receive_finish (P2pChannel *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (is_channel (self), nullptr);
  g_return_val_if_fail (is_task (result, self, p2p_channel_receive_async), nullptr);
  return static_cast<P2pMessage *> (g_task_propagate_pointer (G_TASK (result), error));
}

/**
 * p2p_channel_flush:
 * @self: a channel
 * @cancellable: (nullable): to end the wait from another thread
 *
 * Waits until the peer's application has taken all that was sent (reliable channels), or all has
 * left (unreliable ones).
 *
 * Returns: %TRUE when nothing waits any more, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_channel_flush (P2pChannel *self, GCancellable *cancellable, GError **error) {
  g_return_val_if_fail (is_channel (self), FALSE);
  bool cancelled = false;
  const p2p::Status status = p2p::channel_port (self)->flush (cancellable, &cancelled);
  return p2p::answer (status, cancelled, error);
}

/**
 * p2p_channel_flush_async:
 * @self: a channel
 * @cancellable: (nullable): to stop waiting
 * @callback: (scope async) (nullable): called when nothing waits any more
 * @user_data: for @callback
 *
 * [method@P2p.Channel.flush] that does not wait; asynchronous sends that are still pending are
 * flushed too.
 *
 * Since: 1.0
 */
void
p2p_channel_flush_async (P2pChannel *self, GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data) {
  g_return_if_fail (is_channel (self));
  p2p::channel_tasks (self)->flush (
      make_task (self, cancellable, callback, user_data, p2p_channel_flush_async));
}

/**
 * p2p_channel_flush_finish:
 * @self: a channel
 * @result: what the callback got
 *
 * Finishes [method@P2p.Channel.flush_async].
 *
 * Returns: %TRUE when nothing waits any more, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_channel_flush_finish (P2pChannel *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (is_channel (self), FALSE);
  g_return_val_if_fail (is_task (result, self, p2p_channel_flush_async), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}
