/* A connection over a path of the application's own instead of ICE: UNIX datagram sockets in a
 * folder. Each side says one sentence, prints the other's and ends. Run both:
 *
 *   mkdir /tmp/sockets
 *   own-path /tmp/sockets alice bob & own-path /tmp/sockets bob alice
 */
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <p2p/p2p.h>
#include <string.h>

/* A path is one socket: what it reads it hands in, what it is given it sends. */
#define FOLDER_TYPE_PATH (folder_path_get_type ())
G_DECLARE_FINAL_TYPE (FolderPath, folder_path, FOLDER, PATH, GObject)

struct _FolderPath {
  GObject parent_instance;
  GSocket *socket;
  GSocketAddress *far;
  GSource *readable;
  char *near_name;
};

static void folder_path_iface_init (P2pPathInterface *iface);
G_DEFINE_FINAL_TYPE_WITH_CODE (FolderPath, folder_path, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (P2P_TYPE_PATH, folder_path_iface_init))

static gboolean
folder_path_send (P2pPath *path, GBytes *datagram, GError **error) {
  FolderPath *self = FOLDER_PATH (path);
  gsize size = 0;
  const char *bytes = g_bytes_get_data (datagram, &size);
  /* What cannot be sent now is lost; the session sends it again. */
  return g_socket_send_to (self->socket, self->far, bytes, size, NULL, error) >= 0;
}

static guint
folder_path_get_max_datagram_bytes (P2pPath *path) {
  (void)path;
  return 8192;
}

static char *
folder_path_describe (P2pPath *path) {
  return g_strdup (FOLDER_PATH (path)->near_name);
}

static void
folder_path_close (P2pPath *path) {
  FolderPath *self = FOLDER_PATH (path);
  if (self->readable) g_source_destroy (self->readable);
  g_clear_pointer (&self->readable, g_source_unref);
  if (self->socket) g_socket_close (self->socket, NULL);
  if (self->near_name) g_unlink (self->near_name);
}

static void
folder_path_iface_init (P2pPathInterface *iface) {
  iface->send = folder_path_send;
  iface->get_max_datagram_bytes = folder_path_get_max_datagram_bytes;
  iface->describe = folder_path_describe;
  iface->close = folder_path_close;
}

static void
folder_path_finalize (GObject *object) {
  FolderPath *self = FOLDER_PATH (object);
  folder_path_close (P2P_PATH (self));
  g_clear_object (&self->socket);
  g_clear_object (&self->far);
  g_free (self->near_name);
  G_OBJECT_CLASS (folder_path_parent_class)->finalize (object);
}

static void
folder_path_class_init (FolderPathClass *klass) {
  G_OBJECT_CLASS (klass)->finalize = folder_path_finalize;
}

static void
folder_path_init (FolderPath *self) {
  (void)self;
}

static gboolean
on_readable (GSocket *socket, GIOCondition condition, gpointer data) {
  char buffer[8192];
  gssize size;
  (void)condition;
  while ((size = g_socket_receive (socket, buffer, sizeof buffer, NULL, NULL)) > 0) {
    g_autoptr (GBytes) datagram = g_bytes_new (buffer, size);
    p2p_path_emit_received (P2P_PATH (data), datagram);
  }
  return G_SOURCE_CONTINUE;
}

static FolderPath *
folder_path_new (const char *folder, const char *id, const char *peer, GError **error) {
  g_autoptr (FolderPath) self = g_object_new (FOLDER_TYPE_PATH, NULL);
  g_autofree char *far_name = g_strdup_printf ("%s/%s-%s", folder, peer, id);
  self->near_name = g_strdup_printf ("%s/%s-%s", folder, id, peer);
  g_unlink (self->near_name); /* left behind by a process that was killed */
  g_autoptr (GSocketAddress) near = g_unix_socket_address_new (self->near_name);
  self->far = g_unix_socket_address_new (far_name);
  self->socket =
      g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, error);
  if (!self->socket || !g_socket_bind (self->socket, near, FALSE, error)) return NULL;
  g_socket_set_blocking (self->socket, FALSE);
  self->readable = g_socket_create_source (self->socket, G_IO_IN, NULL);
  g_source_set_callback (self->readable, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->readable, g_main_context_get_thread_default ());
  return g_steal_pointer (&self);
}

/* A factory makes one path for each connection; both sides call it. */
#define FOLDER_TYPE_FACTORY (folder_factory_get_type ())
G_DECLARE_FINAL_TYPE (FolderFactory, folder_factory, FOLDER, FACTORY, GObject)

struct _FolderFactory {
  GObject parent_instance;
  char *folder;
};

static void folder_factory_iface_init (P2pPathFactoryInterface *iface);
G_DEFINE_FINAL_TYPE_WITH_CODE (FolderFactory, folder_factory, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (P2P_TYPE_PATH_FACTORY,
                                                      folder_factory_iface_init))

static const char *
folder_factory_get_name (P2pPathFactory *factory) {
  (void)factory;
  return "folder";
}

static void
folder_factory_open_async (P2pPathFactory *factory, const char *id, const char *peer,
                           gboolean initiator, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data) {
  g_autoptr (GTask) task = g_task_new (factory, cancellable, callback, user_data);
  GError *error = NULL;
  (void)initiator;
  FolderPath *path = folder_path_new (FOLDER_FACTORY (factory)->folder, id, peer, &error);
  if (path)
    g_task_return_pointer (task, path, g_object_unref);
  else
    g_task_return_error (task, error);
}

static P2pPath *
folder_factory_open_finish (P2pPathFactory *factory, GAsyncResult *result, GError **error) {
  (void)factory;
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
folder_factory_iface_init (P2pPathFactoryInterface *iface) {
  iface->get_name = folder_factory_get_name;
  iface->open_async = folder_factory_open_async;
  iface->open_finish = folder_factory_open_finish;
}

static void
folder_factory_finalize (GObject *object) {
  g_free (FOLDER_FACTORY (object)->folder);
  G_OBJECT_CLASS (folder_factory_parent_class)->finalize (object);
}

static void
folder_factory_class_init (FolderFactoryClass *klass) {
  G_OBJECT_CLASS (klass)->finalize = folder_factory_finalize;
}

static void
folder_factory_init (FolderFactory *self) {
  (void)self;
}

static void
on_closed (GObject *source, GAsyncResult *result, gpointer loop) {
  (void)p2p_agent_close_finish (P2P_AGENT (source), result, NULL);
  g_main_loop_quit (loop);
}

/* Tells the peer; without it, the peer would have to notice that this process is gone. */
static void
close_agent (P2pAgent *agent) {
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  p2p_agent_close_async (agent, NULL, on_closed, loop);
  g_main_loop_run (loop);
}

static gboolean
talk (const char *folder, const char *me, const char *peer, GError **error) {
  static const char *const order[] = {"folder", NULL};
  g_autoptr (FolderFactory) factory = g_object_new (FOLDER_TYPE_FACTORY, NULL);
  factory->folder = g_strdup (folder);
  /* The library's own main context, since this thread waits in blocking calls. */
  g_autoptr (P2pAgent) agent = p2p_agent_new_full (me, p2p_get_event_context ());
  g_object_set (agent, "path-order", order, NULL);
  p2p_agent_add_path_factory (agent, P2P_PATH_FACTORY (factory));
  g_autoptr (P2pConnection) connection = p2p_agent_open_connection (agent, peer, NULL, error);
  if (!connection) return FALSE;
  g_autoptr (P2pChannel) channel = p2p_connection_open_channel (connection, "talk", NULL, error);
  if (!channel) return FALSE;
  g_autofree char *sentence = g_strdup_printf ("Hello %s, this is %s.", peer, me);
  g_autoptr (GBytes) payload = g_bytes_new (sentence, strlen (sentence));
  if (!p2p_channel_send (channel, payload, NULL, error)) return FALSE;
  g_autoptr (P2pMessage) message = p2p_channel_receive (channel, NULL, error);
  if (!message) return FALSE;
  gsize size = 0;
  const char *text = g_bytes_get_data (p2p_message_get_payload (message), &size);
  g_print ("%.*s\n", (int)size, text);
  if (!p2p_channel_flush (channel, NULL, error)) return FALSE;
  /* Nobody leaves before the other has said, by its end, that it got its part as well. */
  p2p_channel_end (channel);
  g_autoptr (P2pMessage) none = p2p_channel_receive (channel, NULL, NULL);
  close_agent (agent);
  return none == NULL;
}

int
main (int argc, char **argv) {
  g_autoptr (GError) error = NULL;
  if (argc != 4) {
    g_printerr ("Usage: own-path FOLDER ME PEER\n");
    return 2;
  }
  if (!talk (argv[1], argv[2], argv[3], &error)) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  return 0;
}
