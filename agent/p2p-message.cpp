#include "boxes.hpp"
#include "facade.hpp"

/**
 * P2pMessage:
 *
 * One message of a channel: a payload, and optional attributes that travel with it.
 *
 * Immutable, so that threads may share it.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (P2pMessage, p2p_message, p2p_message_ref, p2p_message_unref)

P2pMessage *
p2p::message_box_new (const Message &message) {
  return new P2pMessage{{1}, message};
}

/**
 * p2p_message_new:
 * @payload: (nullable): the bytes to carry; %NULL is an empty message
 * @attributes: (nullable): what else travels with them, at most 65535 bytes
 *
 * A message to be sent. The bytes are referenced, not copied.
 *
 * Returns: (transfer full): a new message
 *
 * Since: 1.0
 */
P2pMessage *
p2p_message_new (GBytes *payload, GBytes *attributes) {
  p2p::Message message;
  message.payload = payload ? p2p::Ref<GBytes>::share (payload)
                            : p2p::Ref<GBytes>::adopt (g_bytes_new_static ("", 0));
  message.attributes = p2p::Ref<GBytes>::share (attributes);
  return p2p::message_box_new (message);
}

/**
 * p2p_message_ref:
 * @message: a message
 *
 * Adds a reference.
 *
 * Returns: (transfer full): @message
 *
 * Since: 1.0
 */
P2pMessage *
p2p_message_ref (P2pMessage *message) {
  g_return_val_if_fail (message, nullptr);
  message->references.fetch_add (1, std::memory_order_relaxed);
  return message;
}

/**
 * p2p_message_unref:
 * @message: (transfer full): a message
 *
 * Gives up a reference.
 *
 * Since: 1.0
 */
void
p2p_message_unref (P2pMessage *message) {
  g_return_if_fail (message);
  if (message->references.fetch_sub (1, std::memory_order_acq_rel) == 1) delete message;
}

/**
 * p2p_message_get_payload:
 * @message: a message
 *
 * The bytes that the message carries; maybe none, but never %NULL.
 *
 * Returns: (transfer none): the payload
 *
 * Since: 1.0
 */
GBytes *
p2p_message_get_payload (P2pMessage *message) {
  g_return_val_if_fail (message, nullptr);
  return message->content.payload.get ();
}

/**
 * p2p_message_get_attributes:
 * @message: a message
 *
 * What the sender let travel with the payload.
 *
 * Returns: (transfer none) (nullable): the attributes, or %NULL when there are none
 *
 * Since: 1.0
 */
GBytes *
p2p_message_get_attributes (P2pMessage *message) {
  g_return_val_if_fail (message, nullptr);
  return message->content.attributes.get ();
}

/**
 * p2p_message_get_sequence:
 * @message: a message that was received
 *
 * The number of the message in its direction of the channel, counted from 0.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
p2p_message_get_sequence (P2pMessage *message) {
  g_return_val_if_fail (message, 0);
  return message->content.seq;
}

/**
 * p2p_message_get_gap_before:
 * @message: a message that was received
 *
 * Whether an unreliable channel lost something right before this message.
 *
 * Returns: %TRUE when something is missing
 *
 * Since: 1.0
 */
gboolean
p2p_message_get_gap_before (P2pMessage *message) {
  g_return_val_if_fail (message, FALSE);
  return message->content.gap_before;
}
