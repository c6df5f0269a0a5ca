#include "boxes.hpp"
#include "facade.hpp"

/**
 * P2pChannelOptions:
 *
 * How a new channel treats its messages: reliable and ordered unless said otherwise, as in WebRTC
 * data channels (RFC 8831).
 *
 * At most one of the maximal lifetime and the maximal number of retransmits may be set; either
 * makes the channel unreliable. Both are checked by [method@P2p.Connection.open_channel].
 *
 * Not thread-safe: set it up in one thread, then hand it over.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (P2pChannelOptions, p2p_channel_options, p2p_channel_options_copy,
                     p2p_channel_options_free)

/**
 * p2p_channel_options_new:
 *
 * Options of a reliable and ordered channel.
 *
 * Returns: (transfer full): new options
 *
 * Since: 1.0
 */
P2pChannelOptions *
p2p_channel_options_new (void) {
  return new P2pChannelOptions{};
}

/**
 * p2p_channel_options_copy:
 * @options: options
 *
 * Copies the options.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 1.0
 */
P2pChannelOptions *
p2p_channel_options_copy (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, nullptr);
  return new P2pChannelOptions (*options);
}

/**
 * p2p_channel_options_free:
 * @options: (transfer full): options
 *
 * Frees the options.
 *
 * Since: 1.0
 */
void
p2p_channel_options_free (P2pChannelOptions *options) {
  delete options;
}

/**
 * p2p_channel_options_set_ordered:
 * @options: options
 * @ordered: whether messages arrive in the order in which they were sent; default %TRUE
 *
 * An unordered channel hands out each message as soon as it is whole.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_ordered (P2pChannelOptions *options, gboolean ordered) {
  g_return_if_fail (options);
  options->content.ordered = ordered;
}

/**
 * p2p_channel_options_get_ordered:
 * @options: options
 *
 * Whether messages arrive in the order in which they were sent.
 *
 * Returns: %TRUE when they do
 *
 * Since: 1.0
 */
gboolean
p2p_channel_options_get_ordered (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, TRUE);
  return options->content.ordered;
}

namespace {

std::optional<std::uint32_t>
from_signed (gint value) {
  if (value < 0) return std::nullopt;
  return static_cast<std::uint32_t> (value);
}

gint
to_signed (const std::optional<std::uint32_t> &value) {
  if (!value) return -1;
  return *value > G_MAXINT ? G_MAXINT : static_cast<gint> (*value);
}

}  // namespace

/**
 * p2p_channel_options_set_max_packet_lifetime:
 * @options: options
 * @lifetime_ms: for how long a message is worth sending, in ms; -1 for as long as it takes
 *
 * Makes the channel unreliable: a message that was not delivered @lifetime_ms after it was sent is
 * given up, and counted as dropped in the channel's stats.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_max_packet_lifetime (P2pChannelOptions *options, gint lifetime_ms) {
  g_return_if_fail (options);
  options->content.max_packet_lifetime_ms = from_signed (lifetime_ms);
}

/**
 * p2p_channel_options_get_max_packet_lifetime:
 * @options: options
 *
 * For how long a message is worth sending.
 *
 * Returns: milliseconds, or -1 for as long as it takes
 *
 * Since: 1.0
 */
gint
p2p_channel_options_get_max_packet_lifetime (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, -1);
  return to_signed (options->content.max_packet_lifetime_ms);
}

/**
 * p2p_channel_options_set_max_retransmits:
 * @options: options
 * @max_retransmits: how often a message is sent again after it was lost; -1 for as often as it
 * takes
 *
 * Makes the channel unreliable: 0 sends each message once.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_max_retransmits (P2pChannelOptions *options, gint max_retransmits) {
  g_return_if_fail (options);
  options->content.max_retransmits = from_signed (max_retransmits);
}

/**
 * p2p_channel_options_get_max_retransmits:
 * @options: options
 *
 * How often a message is sent again after it was lost.
 *
 * Returns: a number, or -1 for as often as it takes
 *
 * Since: 1.0
 */
gint
p2p_channel_options_get_max_retransmits (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, -1);
  return to_signed (options->content.max_retransmits);
}

/**
 * p2p_channel_options_set_protocol:
 * @options: options
 * @protocol: (nullable): a name for what the messages are, at most 255 bytes of UTF-8
 *
 * Tells the far end what the channel is for; not interpreted by the library.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_protocol (P2pChannelOptions *options, const char *protocol) {
  g_return_if_fail (options);
  options->content.protocol = p2p::from_nullable (protocol);
}

/**
 * p2p_channel_options_get_protocol:
 * @options: options
 *
 * What the channel is for, in the words of the side that opened it.
 *
 * Returns: (nullable): the name, or %NULL when there is none
 *
 * Since: 1.0
 */
const char *
p2p_channel_options_get_protocol (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, nullptr);
  return p2p::or_null (options->content.protocol);
}

/**
 * p2p_channel_options_set_max_queue_bytes:
 * @options: options
 * @bytes: how many bytes may wait to be sent, default 16 MiB
 *
 * Once so much waits, sending waits as well, until a quarter of it is free: as a socket does, so
 * that a sender is not woken for each message. One message is always taken when none waits, however
 * long it is.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_max_queue_bytes (P2pChannelOptions *options, guint64 bytes) {
  g_return_if_fail (options);
  options->content.max_buffered_bytes = bytes;
}

/**
 * p2p_channel_options_get_max_queue_bytes:
 * @options: options
 *
 * How many bytes may wait to be sent.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
guint64
p2p_channel_options_get_max_queue_bytes (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, 0);
  return options->content.max_buffered_bytes;
}

/**
 * p2p_channel_options_set_priority:
 * @options: options
 * @priority: the weight of the channel, 1 to 65535; 256 by default
 *
 * Channels of one connection share what may leave by weight, whatever their messages look like: a
 * channel of 512 gets twice what one of 256 gets while both have something to send, and none gets
 * nothing. The numbers are those of WebRTC (RFC 8832 section 5.1): 128 is below normal, 256 normal,
 * 512 high, 1024 extra high. The far end's direction of the channel has the same weight, unless it
 * opened the channel with options of its own. 0 and what is above 65535 is refused when the channel
 * is opened.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_priority (P2pChannelOptions *options, guint priority) {
  g_return_if_fail (options);
  options->content.priority = priority;
}

/**
 * p2p_channel_options_get_priority:
 * @options: options
 *
 * The weight of the channel among those of its connection.
 *
 * Returns: a number, 256 by default
 *
 * Since: 1.0
 */
guint
p2p_channel_options_get_priority (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, p2p::kNormalPriority);
  return options->content.priority;
}

/**
 * p2p_channel_options_set_durable:
 * @options: options
 * @durable: whether messages outlive this process; default %FALSE
 *
 * Of a durable channel each message is kept in the agent's session store before a send returns
 * (or its asynchronous form finishes), until the peer has confirmed it: a process that is killed
 * and comes back with its store sends what is missing. It counts for this side's messages alone,
 * and only where [property@P2p.Agent:session-store-uri] is set and the channel is reliable.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_durable (P2pChannelOptions *options, gboolean durable) {
  g_return_if_fail (options);
  options->content.durable = durable;
}

/**
 * p2p_channel_options_get_durable:
 * @options: options
 *
 * Whether messages of this side outlive its process.
 *
 * Returns: whether they do
 *
 * Since: 1.0
 */
gboolean
p2p_channel_options_get_durable (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, FALSE);
  return options->content.durable;
}

/**
 * p2p_channel_options_set_manual_confirm:
 * @options: options
 * @manual: whether received messages are confirmed by [method@P2p.Channel.confirm] alone; default
 *   %FALSE
 *
 * Otherwise a message is confirmed once it was handed out, and is lost when the process dies before
 * it has done its work. With manual confirming the application stores the sequence number together
 * with the effect of a message, and so gets each effect exactly once. While about 1 MiB is not
 * confirmed, the peer is held back.
 *
 * Since: 1.0
 */
void
p2p_channel_options_set_manual_confirm (P2pChannelOptions *options, gboolean manual) {
  g_return_if_fail (options);
  options->content.manual_confirm = manual;
}

/**
 * p2p_channel_options_get_manual_confirm:
 * @options: options
 *
 * Whether the application confirms messages itself.
 *
 * Returns: whether it does
 *
 * Since: 1.0
 */
gboolean
p2p_channel_options_get_manual_confirm (const P2pChannelOptions *options) {
  g_return_val_if_fail (options, FALSE);
  return options->content.manual_confirm;
}
