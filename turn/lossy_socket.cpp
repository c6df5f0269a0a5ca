#include "turn/lossy_socket.hpp"

#include <utility>

namespace {

struct LossySocketPrivate {
  p2p::Ref<GSocket> socket;
  std::shared_ptr<p2p::turn::Losses> losses;

  GDatagramBased *base () const { return G_DATAGRAM_BASED (socket.get ()); }
};

}  // namespace

struct P2pLossySocket {
  GObject parent_instance;
  LossySocketPrivate *priv;
};
struct P2pLossySocketClass {
  GObjectClass parent_class;
};

static void p2p_lossy_socket_datagram_based_init (GDatagramBasedInterface *iface);
static GType p2p_lossy_socket_get_type ();

G_DEFINE_TYPE_WITH_CODE (P2pLossySocket, p2p_lossy_socket, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (G_TYPE_DATAGRAM_BASED,
                                                p2p_lossy_socket_datagram_based_init))

static LossySocketPrivate &
of (gpointer self) {
  return *static_cast<P2pLossySocket *> (self)->priv;
}

static void
p2p_lossy_socket_init (P2pLossySocket *self) {
  self->priv = new LossySocketPrivate;
}

static void
p2p_lossy_socket_finalize (GObject *object) {
  delete &of (object);
  G_OBJECT_CLASS (p2p_lossy_socket_parent_class)->finalize (object);
}

static void
p2p_lossy_socket_class_init (P2pLossySocketClass *klass) {
  G_OBJECT_CLASS (klass)->finalize = p2p_lossy_socket_finalize;
}

static void
note (p2p::turn::Losses &losses, const GError *error) {
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)) losses.refused = true;
}

static gint
p2p_lossy_socket_receive_messages (GDatagramBased *self, GInputMessage *messages, guint count,
                                   gint flags, gint64 timeout, GCancellable *cancellable,
                                   GError **error) {
  const LossySocketPrivate &priv = of (self);
  GError *raw = nullptr;
  const gint received = g_datagram_based_receive_messages (priv.base (), messages, count, flags,
                                                           timeout, cancellable, &raw);
  if (!raw) return received;
  if (!priv.losses->forgiven || g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) ||
      g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_propagate_error (error, raw);
    return -1;
  }
  const p2p::UniqueError owned (raw);
  note (*priv.losses, raw);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, raw->message);
  return -1;
}

static gint
p2p_lossy_socket_send_messages (GDatagramBased *self, GOutputMessage *messages, guint count,
                                gint flags, gint64 timeout, GCancellable *cancellable,
                                GError **error) {
  const LossySocketPrivate &priv = of (self);
  if (!priv.losses->forgiven)
    return g_datagram_based_send_messages (priv.base (), messages, count, flags, timeout,
                                           cancellable, error);
  // GIO asks for one message at a time, and a record that waits would be sent with the next one.
  for (guint i = 0; i < count; ++i) {
    GError *raw = nullptr;
    if (g_datagram_based_send_messages (priv.base (), &messages[i], 1, flags, 0, nullptr, &raw) ==
        1)
      continue;
    const p2p::UniqueError owned (raw);
    priv.losses->lost = true;
    note (*priv.losses, raw);
    messages[i].bytes_sent = 0;
    for (guint j = 0; j < messages[i].num_vectors; ++j)
      messages[i].bytes_sent += static_cast<guint> (messages[i].vectors[j].size);
  }
  return static_cast<gint> (count);
}

static GSource *
p2p_lossy_socket_create_source (GDatagramBased *self, GIOCondition condition,
                                GCancellable *cancellable) {
  return g_datagram_based_create_source (of (self).base (), condition, cancellable);
}

static GIOCondition
p2p_lossy_socket_condition_check (GDatagramBased *self, GIOCondition condition) {
  return g_datagram_based_condition_check (of (self).base (), condition);
}

static gboolean
p2p_lossy_socket_condition_wait (GDatagramBased *self, GIOCondition condition, gint64 timeout,
                                 GCancellable *cancellable, GError **error) {
  return g_datagram_based_condition_wait (of (self).base (), condition, timeout, cancellable,
                                          error);
}

static void
p2p_lossy_socket_datagram_based_init (GDatagramBasedInterface *iface) {
  iface->receive_messages = p2p_lossy_socket_receive_messages;
  iface->send_messages = p2p_lossy_socket_send_messages;
  iface->create_source = p2p_lossy_socket_create_source;
  iface->condition_check = p2p_lossy_socket_condition_check;
  iface->condition_wait = p2p_lossy_socket_condition_wait;
}

namespace p2p::turn {

Ref<GDatagramBased>
make_lossy_socket (Ref<GSocket> socket, std::shared_ptr<Losses> losses) {
  auto *self = static_cast<P2pLossySocket *> (g_object_new (p2p_lossy_socket_get_type (), nullptr));
  self->priv->socket = std::move (socket);
  self->priv->losses = std::move (losses);
  return Ref<GDatagramBased>::adopt (G_DATAGRAM_BASED (self));
}

}  // namespace p2p::turn
