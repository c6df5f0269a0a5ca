// The class of P2pChannel: its life, properties and signals, and the functions for the whole of it.
#include "base/packed_memory.hpp"
#include "boxes.hpp"
#include "private.hpp"

using p2p::ChannelPort;
using p2p::ChannelTasks;
using p2p::Ref;

namespace {

struct Private {
  std::shared_ptr<ChannelPort> port;    // set once
  std::shared_ptr<ChannelTasks> tasks;  // set once
  std::unique_ptr<p2p::WeakObject<P2pConnection>> connection;
  std::mutex mutex;
  Ref<GIOStream> stream;  // guarded by mutex
};

enum Property : guint { PROP_NAME = 1, PROP_CONNECTION, PROP_OPEN, PROP_STATS, N_PROPERTIES };
GParamSpec *properties[N_PROPERTIES];

enum Signal : guint { SIGNAL_CLOSED, N_SIGNALS };
guint signals[N_SIGNALS];

}  // namespace

/**
 * P2pChannel:
 *
 * A named channel of a connection: messages in both directions, each with its boundaries, or one
 * byte stream when used through [method@P2p.Channel.get_io_stream].
 *
 * Every function may be called from any thread. The blocking ones must not be called from the main
 * context of an application that wants to stay responsive; the asynchronous ones finish in the
 * thread-default main context of their caller, in the order in which they were called. Sends that
 * are pending and blocking sends of another thread have no order between each other.
 *
 * Nothing is dropped silently: a sender waits while as many bytes wait as the channel's options
 * allow, and what is received waits for the application, which holds back the peer.
 *
 * Since: 1.0
 */
struct _P2pChannel {
  GObject parent_instance;
  Private *priv;
};

G_DEFINE_FINAL_TYPE (P2pChannel, p2p_channel, G_TYPE_OBJECT)

static bool
is_channel (P2pChannel *self) {
  return P2P_IS_CHANNEL (self) && self->priv->port;
}

static void
p2p_channel_init (P2pChannel *self) {
  self->priv = new Private;
}

static void
p2p_channel_finalize (GObject *object) {
  delete P2P_CHANNEL (object)->priv;
  G_OBJECT_CLASS (p2p_channel_parent_class)->finalize (object);
}

static void
p2p_channel_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  P2pChannel *self = P2P_CHANNEL (object);
  if (!self->priv->port) return;
  switch (id) {
    case PROP_NAME:
      g_value_set_string (value, p2p_channel_get_name (self));
      break;
    case PROP_CONNECTION:
      g_value_take_object (value, p2p_channel_dup_connection (self));
      break;
    case PROP_OPEN:
      g_value_set_boolean (value, p2p_channel_is_open (self));
      break;
    case PROP_STATS:
      g_value_take_variant (value, p2p_channel_get_stats (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
p2p_channel_class_init (P2pChannelClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->finalize = p2p_channel_finalize;
  object_class->get_property = p2p_channel_get_property;

  /**
   * P2pChannel:name:
   *
   * The name of the channel, unique in its connection.
   *
   * Since: 1.0
   */
  properties[PROP_NAME] =
      g_param_spec_string ("name", "Name", "Name of the channel", nullptr, p2p::kReadOnly);
  /**
   * P2pChannel:connection:
   *
   * The connection that the channel belongs to; %NULL once nobody holds it any more.
   *
   * Since: 1.0
   */
  properties[PROP_CONNECTION] =
      g_param_spec_object ("connection", "Connection", "Connection that the channel belongs to",
                           P2P_TYPE_CONNECTION, p2p::kReadOnly);
  /**
   * P2pChannel:open:
   *
   * Whether the channel was not closed, by either side. Notified in the agent's main context.
   *
   * Since: 1.0
   */
  properties[PROP_OPEN] =
      g_param_spec_boolean ("open", "Open", "Not closed by either side", TRUE, p2p::kReadOnly);
  /**
   * P2pChannel:stats:
   *
   * What [method@P2p.Channel.get_stats] returns. Not notified.
   *
   * Since: 1.0
   */
  properties[PROP_STATS] = g_param_spec_variant ("stats", "Stats", "Counters of the channel",
                                                 G_VARIANT_TYPE_VARDICT, nullptr, p2p::kReadOnly);
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);

  /**
   * P2pChannel::closed:
   * @self: the channel
   *
   * Both directions have ended. What was received before can still be taken, unless it was this
   * side that closed. Emitted in the agent's main context.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CLOSED] = g_signal_new ("closed", P2P_TYPE_CHANNEL, G_SIGNAL_RUN_LAST, 0, nullptr,
                                         nullptr, nullptr, G_TYPE_NONE, 0);
}

P2pChannel *
p2p::channel_new (std::shared_ptr<ChannelPort> port, P2pConnection *connection) {
  auto *self = static_cast<P2pChannel *> (g_object_new (P2P_TYPE_CHANNEL, nullptr));
  self->priv->tasks = p2p::make_packed<ChannelTasks> (port);
  self->priv->port = std::move (port);
  self->priv->connection = std::make_unique<WeakObject<P2pConnection>> (connection);
  return self;
}

const std::shared_ptr<ChannelPort> &
p2p::channel_port (P2pChannel *channel) {
  return channel->priv->port;
}

const std::shared_ptr<ChannelTasks> &
p2p::channel_tasks (P2pChannel *channel) {
  return channel->priv->tasks;
}

void
p2p::channel_closed (P2pChannel *channel) {
  g_object_notify_by_pspec (G_OBJECT (channel), properties[PROP_OPEN]);
  g_signal_emit (channel, signals[SIGNAL_CLOSED], 0);
}

/**
 * p2p_channel_get_name:
 * @self: a channel
 *
 * The name of the channel, unique in its connection.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
p2p_channel_get_name (P2pChannel *self) {
  g_return_val_if_fail (is_channel (self), nullptr);
  return self->priv->port->name ().c_str ();
}

/**
 * p2p_channel_dup_connection:
 * @self: a channel
 *
 * The connection that the channel belongs to.
 *
 * Returns: (transfer full) (nullable): the connection, or %NULL once nobody holds it any more
 *
 * Since: 1.0
 */
P2pConnection *
p2p_channel_dup_connection (P2pChannel *self) {
  g_return_val_if_fail (is_channel (self), nullptr);
  return self->priv->connection->lock ().leak ();
}

/**
 * p2p_channel_dup_options:
 * @self: a channel
 *
 * The options with which this side sends: those that it has opened the channel with, or else those
 * of the peer.
 *
 * Returns: (transfer full): a copy of the options
 *
 * Since: 1.0
 */
P2pChannelOptions *
p2p_channel_dup_options (P2pChannel *self) {
  g_return_val_if_fail (is_channel (self), nullptr);
  return new P2pChannelOptions{self->priv->port->options ()};
}

/**
 * p2p_channel_is_open:
 * @self: a channel
 *
 * Whether the channel was not closed, by either side.
 *
 * Returns: %TRUE when it is open
 *
 * Since: 1.0
 */
gboolean
p2p_channel_is_open (P2pChannel *self) {
  g_return_val_if_fail (is_channel (self), FALSE);
  return self->priv->port->is_open ();
}

/**
 * p2p_channel_get_stats:
 * @self: a channel
 *
 * Counters of the channel, a dictionary of `uint64`:
 *
 * - `messages-sent`, `messages-received`, `bytes-sent`, `bytes-received`: payloads
 * - `messages-dropped`: outgoing ones that were given up, too old or too often lost
 * - `messages-lost`: incoming ones that an unreliable channel is known to lack
 * - `messages-retransmitted`: how often a message was sent once more
 * - `queued-bytes`: sent by the application and not yet confirmed by the peer
 * - `unread-bytes`: received and not yet taken by the application
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
p2p_channel_get_stats (P2pChannel *self) {
  g_return_val_if_fail (is_channel (self), nullptr);
  const p2p::ChannelStats stats = self->priv->port->stats ();
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  const auto add = [&builder] (const char *key, std::uint64_t value) {
    g_variant_builder_add (&builder, "{sv}", key, g_variant_new_uint64 (value));
  };
  add ("messages-sent", stats.messages_sent);
  add ("messages-received", stats.messages_received);
  add ("bytes-sent", stats.bytes_sent);
  add ("bytes-received", stats.bytes_received);
  add ("messages-dropped", stats.messages_dropped);
  add ("messages-lost", stats.messages_lost);
  add ("messages-retransmitted", stats.messages_retransmitted);
  add ("queued-bytes", stats.buffered_bytes);
  add ("unread-bytes", self->priv->port->incoming_bytes ());
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/**
 * p2p_channel_confirm:
 * @self: a channel with manual confirming
 * @sequence: the number of a message
 *
 * The application has the effect of this message and of all before it, or, on an unordered channel,
 * of this one, and keeps both in one place. The peer need not send it again. A process that was
 * restarted says so of the last one whose effect it has, before it receives: it may be one that its
 * predecessor received and did not get to confirm. Where that is not said in time, such a message
 * is received again with the same [method@P2p.Message.get_sequence].
 *
 * Does nothing on a channel without manual confirming. From any thread.
 *
 * Since: 1.0
 */
void
p2p_channel_confirm (P2pChannel *self, guint64 sequence) {
  g_return_if_fail (is_channel (self));
  if (self->priv->port->options ().manual_confirm) self->priv->port->confirm (sequence);
}

/**
 * p2p_channel_get_resume_sequence:
 * @self: a channel
 * @sequence: (out): the number that the next message of this side will have
 * @error: return location for an error
 *
 * Of a channel that came back from the session store: where this side is to go on. All messages
 * below are with the peer or, on a durable channel, on their way to it.
 *
 * Returns: %TRUE, or %FALSE with %P2P_ERROR_NOT_FOUND for a new channel, and with
 *   %P2P_ERROR_WOULD_BLOCK before either is known: at the latest it is when the connection's state
 * is connected
 *
 * Since: 1.0
 */
gboolean
p2p_channel_get_resume_sequence (P2pChannel *self, guint64 *sequence, GError **error) {
  g_return_val_if_fail (is_channel (self), FALSE);
  g_return_val_if_fail (sequence, FALSE);
  auto at = self->priv->port->resume_seq ();
  if (!at) {
    g_propagate_error (error, at.error ().to_gerror ());
    return FALSE;
  }
  *sequence = *at;
  return TRUE;
}

/**
 * p2p_channel_end:
 * @self: a channel
 *
 * No more messages in this direction: the peer gets %P2P_ERROR_END_OF_STREAM after the last one.
 * Sends that are still pending go first. The other direction goes on.
 *
 * Since: 1.0
 */
void
p2p_channel_end (P2pChannel *self) {
  g_return_if_fail (is_channel (self));
  self->priv->tasks->end ();
}

/**
 * p2p_channel_close:
 * @self: a channel
 *
 * Ends both directions now. What was not flushed is dropped, and calls that wait return
 * %P2P_ERROR_CLOSED.
 *
 * Since: 1.0
 */
void
p2p_channel_close (P2pChannel *self) {
  g_return_if_fail (is_channel (self));
  self->priv->port->close ();
}

/**
 * p2p_channel_get_io_stream:
 * @self: a channel
 *
 * The channel as one stream of bytes in each direction, without limit of length and in bounded
 * memory: what is written is sent as messages of at most 64 KiB, and the payloads of the messages
 * that come are read one after the other. Both halves are pollable. Closing the output flushes it
 * and ends this direction, as [method@P2p.Channel.end] does. Use it for reliable and ordered
 * channels, and don't receive messages beside it.
 *
 * Returns: (transfer none): the stream, the same at each call
 *
 * Since: 1.0
 */
GIOStream *
p2p_channel_get_io_stream (P2pChannel *self) {
  g_return_val_if_fail (is_channel (self), nullptr);
  const std::lock_guard lock (self->priv->mutex);
  if (!self->priv->stream)
    self->priv->stream =
        Ref<GIOStream>::adopt (p2p::channel_stream_new (self->priv->port, self->priv->tasks));
  return self->priv->stream.get ();
}
