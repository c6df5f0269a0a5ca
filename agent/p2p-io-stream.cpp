// A channel as a GIOStream: three private classes, the pair and its two pollable halves.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

#include "pollable_source.hpp"
#include "private.hpp"

using p2p::ChannelPort;
using p2p::ChannelTasks;
using p2p::Message;
using p2p::Ref;
using p2p::Result;

namespace {

// Small enough to share a connection fairly, large enough that its header does not count.
constexpr gsize kChunkBytes = 64 * 1024;

struct InputPrivate {
  std::shared_ptr<ChannelPort> port;
  std::shared_ptr<ChannelTasks> tasks;
  std::mutex mutex;
  // Guarded by mutex: what was taken from the channel and not yet read, or the channel's last word.
  Ref<GBytes> rest;
  gsize rest_offset = 0;
  std::optional<p2p::Error> last;
};

struct OutputPrivate {
  std::shared_ptr<ChannelPort> port;
  std::shared_ptr<ChannelTasks> tasks;
  // The last reference has gone: GIO closes the stream then, which must not wait for the peer.
  bool abandoned = false;
};

struct StreamPrivate {
  Ref<GInputStream> input;
  Ref<GOutputStream> output;
};

}  // namespace

struct P2pChannelInput {
  GInputStream parent_instance;
  InputPrivate *priv;
};
struct P2pChannelInputClass {
  GInputStreamClass parent_class;
};

struct P2pChannelOutput {
  GOutputStream parent_instance;
  OutputPrivate *priv;
};
struct P2pChannelOutputClass {
  GOutputStreamClass parent_class;
};

struct P2pChannelStream {
  GIOStream parent_instance;
  StreamPrivate *priv;
};
struct P2pChannelStreamClass {
  GIOStreamClass parent_class;
};

static void p2p_channel_input_pollable_init (GPollableInputStreamInterface *iface);
static void p2p_channel_output_pollable_init (GPollableOutputStreamInterface *iface);

static GType p2p_channel_input_get_type ();
static GType p2p_channel_output_get_type ();
static GType p2p_channel_stream_get_type ();

G_DEFINE_TYPE_WITH_CODE (P2pChannelInput, p2p_channel_input, G_TYPE_INPUT_STREAM,
                         G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM,
                                                p2p_channel_input_pollable_init))
G_DEFINE_TYPE_WITH_CODE (P2pChannelOutput, p2p_channel_output, G_TYPE_OUTPUT_STREAM,
                         G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                p2p_channel_output_pollable_init))
G_DEFINE_TYPE (P2pChannelStream, p2p_channel_stream, G_TYPE_IO_STREAM)

template <class T>
static T *
as (gpointer object) {
  return static_cast<T *> (object);
}

static void
p2p_channel_input_init (P2pChannelInput *self) {
  self->priv = new InputPrivate;
}

static void
p2p_channel_input_finalize (GObject *object) {
  delete as<P2pChannelInput> (object)->priv;
  G_OBJECT_CLASS (p2p_channel_input_parent_class)->finalize (object);
}

// Keeps what the channel gave for the reads to come.
static void
keep (InputPrivate &priv, const Result<Message> &message) {
  const std::lock_guard lock (priv.mutex);
  if (!message.ok ()) {
    priv.last = message.error ();
    return;
  }
  priv.rest = message.value ().payload;
  priv.rest_offset = 0;
}

// Bytes of what is kept: none means that something has to be taken from the channel first.
static std::optional<gssize>
read_kept (InputPrivate &priv, void *buffer, gsize count, GError **error) {
  const std::lock_guard lock (priv.mutex);
  if (priv.rest) {
    gsize size = 0;
    const auto *bytes = static_cast<const char *> (g_bytes_get_data (priv.rest.get (), &size));
    const gsize taken = std::min (count, size - priv.rest_offset);
    if (taken > 0) std::memcpy (buffer, bytes + priv.rest_offset, taken);
    priv.rest_offset += taken;
    if (priv.rest_offset == size) priv.rest.reset ();
    // A message without bytes is nothing in a stream.
    if (taken > 0) return static_cast<gssize> (taken);
  }
  if (!priv.last) return std::nullopt;
  if (priv.last->code == P2P_ERROR_END_OF_STREAM) return 0;
  p2p::throw_error (*priv.last, error);
  return -1;
}

static gssize
p2p_channel_input_read (GInputStream *stream, void *buffer, gsize count, GCancellable *cancellable,
                        GError **error) {
  InputPrivate &priv = *as<P2pChannelInput> (stream)->priv;
  if (count == 0) return 0;
  for (;;) {
    if (const auto kept = read_kept (priv, buffer, count, error)) return *kept;
    bool cancelled = false;
    const Result<Message> message = priv.port->receive (cancellable, &cancelled);
    if (cancelled) {
      p2p::answer ({}, true, error);
      return -1;
    }
    keep (priv, message);
  }
}

static bool
input_ready (GObject *stream) {
  InputPrivate &priv = *as<P2pChannelInput> (stream)->priv;
  for (;;) {
    {
      const std::lock_guard lock (priv.mutex);
      if (priv.last || (priv.rest && g_bytes_get_size (priv.rest.get ()) > 0)) return true;
    }
    const Result<Message> message = priv.port->try_receive ();
    if (!message.ok () && message.error ().code == P2P_ERROR_WOULD_BLOCK) return false;
    keep (priv, message);
  }
}

static gboolean
p2p_channel_input_is_readable (GPollableInputStream *stream) {
  return input_ready (G_OBJECT (stream));
}

static GSource *
p2p_channel_input_create_source (GPollableInputStream *stream, GCancellable *cancellable) {
  return p2p::pollable_source_new (G_OBJECT (stream),
                                   as<P2pChannelInput> (stream)->priv->tasks->alarm (), input_ready,
                                   cancellable);
}

static void
p2p_channel_input_pollable_init (GPollableInputStreamInterface *iface) {
  iface->is_readable = p2p_channel_input_is_readable;
  iface->create_source = p2p_channel_input_create_source;
}

static void
p2p_channel_input_class_init (P2pChannelInputClass *klass) {
  G_OBJECT_CLASS (klass)->finalize = p2p_channel_input_finalize;
  G_INPUT_STREAM_CLASS (klass)->read_fn = p2p_channel_input_read;
}

static void
p2p_channel_output_init (P2pChannelOutput *self) {
  self->priv = new OutputPrivate;
}

static void
p2p_channel_output_dispose (GObject *object) {
  as<P2pChannelOutput> (object)->priv->abandoned = true;
  G_OBJECT_CLASS (p2p_channel_output_parent_class)->dispose (object);
}

static void
p2p_channel_output_finalize (GObject *object) {
  delete as<P2pChannelOutput> (object)->priv;
  G_OBJECT_CLASS (p2p_channel_output_parent_class)->finalize (object);
}

static Message
make_chunk (const OutputPrivate &priv, const void *buffer, gsize count) {
  const gsize limit = std::min<std::uint64_t> (kChunkBytes, priv.port->max_message_bytes ());
  Message message;
  message.payload = Ref<GBytes>::adopt (g_bytes_new (buffer, std::min (count, limit)));
  return message;
}

static gssize
p2p_channel_output_write (GOutputStream *stream, const void *buffer, gsize count,
                          GCancellable *cancellable, GError **error) {
  const OutputPrivate &priv = *as<P2pChannelOutput> (stream)->priv;
  if (count == 0) return 0;
  const Message chunk = make_chunk (priv, buffer, count);
  bool cancelled = false;
  const p2p::Status status = priv.port->send (chunk, cancellable, &cancelled);
  if (!p2p::answer (status, cancelled, error)) return -1;
  return static_cast<gssize> (g_bytes_get_size (chunk.payload.get ()));
}

static gssize
p2p_channel_output_write_nonblocking (GPollableOutputStream *stream, const void *buffer,
                                      gsize count, GError **error) {
  const OutputPrivate &priv = *as<P2pChannelOutput> (stream)->priv;
  if (count == 0) return 0;
  const Message chunk = make_chunk (priv, buffer, count);
  const p2p::Status status = priv.port->try_send (chunk);
  if (!status) return static_cast<gssize> (g_bytes_get_size (chunk.payload.get ()));
  if (status->code == P2P_ERROR_WOULD_BLOCK)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, status->message.c_str ());
  else
    p2p::throw_error (*status, error);
  return -1;
}

static bool
output_ready (GObject *stream) {
  const ChannelPort &port = *as<P2pChannelOutput> (stream)->priv->port;
  // Ready for a whole chunk: never says yes where the port would say no.
  const std::uint64_t waiting = port.waiting_bytes ();
  return !port.is_open () || waiting == 0 ||
         waiting + kChunkBytes + p2p::kMessageOverheadBytes <= port.options ().max_buffered_bytes;
}

static gboolean
p2p_channel_output_is_writable (GPollableOutputStream *stream) {
  return output_ready (G_OBJECT (stream));
}

static GSource *
p2p_channel_output_create_source (GPollableOutputStream *stream, GCancellable *cancellable) {
  return p2p::pollable_source_new (G_OBJECT (stream),
                                   as<P2pChannelOutput> (stream)->priv->tasks->alarm (),
                                   output_ready, cancellable);
}

static gboolean
p2p_channel_output_flush (GOutputStream *stream, GCancellable *cancellable, GError **error) {
  const OutputPrivate &priv = *as<P2pChannelOutput> (stream)->priv;
  if (priv.abandoned) return TRUE;
  bool cancelled = false;
  const p2p::Status status = priv.port->flush (cancellable, &cancelled);
  return p2p::answer (status, cancelled, error);
}

static void
p2p_channel_output_flush_async (GOutputStream *stream, int priority, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data) {
  auto task = Ref<GTask>::adopt (g_task_new (stream, cancellable, callback, user_data));
  g_task_set_source_tag (task.get (), reinterpret_cast<gpointer> (p2p_channel_output_flush_async));
  g_task_set_priority (task.get (), priority);
  as<P2pChannelOutput> (stream)->priv->tasks->flush (std::move (task));
}

static gboolean
p2p_channel_output_flush_finish (GOutputStream *, GAsyncResult *result, GError **error) {
  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
p2p_channel_output_close (GOutputStream *stream, GCancellable *, GError **) {
  const OutputPrivate &priv = *as<P2pChannelOutput> (stream)->priv;
  if (!priv.abandoned) priv.tasks->end ();
  return TRUE;
}

static void
p2p_channel_output_pollable_init (GPollableOutputStreamInterface *iface) {
  iface->is_writable = p2p_channel_output_is_writable;
  iface->create_source = p2p_channel_output_create_source;
  iface->write_nonblocking = p2p_channel_output_write_nonblocking;
}

static void
p2p_channel_output_class_init (P2pChannelOutputClass *klass) {
  G_OBJECT_CLASS (klass)->dispose = p2p_channel_output_dispose;
  G_OBJECT_CLASS (klass)->finalize = p2p_channel_output_finalize;
  GOutputStreamClass *stream_class = G_OUTPUT_STREAM_CLASS (klass);
  stream_class->write_fn = p2p_channel_output_write;
  stream_class->flush = p2p_channel_output_flush;
  stream_class->flush_async = p2p_channel_output_flush_async;
  stream_class->flush_finish = p2p_channel_output_flush_finish;
  stream_class->close_fn = p2p_channel_output_close;
}

static void
p2p_channel_stream_init (P2pChannelStream *self) {
  self->priv = new StreamPrivate;
}

static void
p2p_channel_stream_dispose (GObject *object) {
  GOutputStream *output = as<P2pChannelStream> (object)->priv->output.get ();
  as<P2pChannelOutput> (output)->priv->abandoned = true;
  G_OBJECT_CLASS (p2p_channel_stream_parent_class)->dispose (object);
}

static void
p2p_channel_stream_finalize (GObject *object) {
  delete as<P2pChannelStream> (object)->priv;
  G_OBJECT_CLASS (p2p_channel_stream_parent_class)->finalize (object);
}

static GInputStream *
p2p_channel_stream_get_input (GIOStream *stream) {
  return as<P2pChannelStream> (stream)->priv->input.get ();
}

static GOutputStream *
p2p_channel_stream_get_output (GIOStream *stream) {
  return as<P2pChannelStream> (stream)->priv->output.get ();
}

static void
p2p_channel_stream_class_init (P2pChannelStreamClass *klass) {
  G_OBJECT_CLASS (klass)->dispose = p2p_channel_stream_dispose;
  G_OBJECT_CLASS (klass)->finalize = p2p_channel_stream_finalize;
  G_IO_STREAM_CLASS (klass)->get_input_stream = p2p_channel_stream_get_input;
  G_IO_STREAM_CLASS (klass)->get_output_stream = p2p_channel_stream_get_output;
}

GIOStream *
p2p::channel_stream_new (std::shared_ptr<ChannelPort> port, std::shared_ptr<ChannelTasks> tasks) {
  auto *input = as<P2pChannelInput> (g_object_new (p2p_channel_input_get_type (), nullptr));
  input->priv->port = port;
  input->priv->tasks = tasks;
  auto *output = as<P2pChannelOutput> (g_object_new (p2p_channel_output_get_type (), nullptr));
  output->priv->port = std::move (port);
  output->priv->tasks = std::move (tasks);
  auto *stream = as<P2pChannelStream> (g_object_new (p2p_channel_stream_get_type (), nullptr));
  stream->priv->input = Ref<GInputStream>::adopt (G_INPUT_STREAM (input));
  stream->priv->output = Ref<GOutputStream>::adopt (G_OUTPUT_STREAM (output));
  return G_IO_STREAM (stream);
}
