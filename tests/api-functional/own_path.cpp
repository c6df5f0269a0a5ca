#include "own_path.hpp"

#include <algorithm>
#include <utility>
#include <vector>

// A path: what is sent comes out of the other end in the main context's next turn.
struct OwnPath {
  GObject parent_instance;
  GWeakRef *peer;
  GWeakRef *factory;
  guint count;
  bool closed, failed;
};
struct OwnPathClass {
  GObjectClass parent_class;
};
struct OwnFactory {
  GObject parent_instance;
  OwnPathSettings *settings;
  GWeakRef *other;
  GTask *waiting;
  std::vector<OwnPath *> *paths;  // open, with a reference to each
  guint opened, closed, messages;
};
struct OwnFactoryClass {
  GObjectClass parent_class;
};

static GType own_path_get_type ();
static GType own_factory_get_type ();
static void own_path_iface_init (P2pPathInterface *iface);
static void own_factory_iface_init (P2pPathFactoryInterface *iface);
G_DEFINE_TYPE_WITH_CODE (OwnPath, own_path, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (P2P_TYPE_PATH, own_path_iface_init))
G_DEFINE_TYPE_WITH_CODE (OwnFactory, own_factory, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (P2P_TYPE_PATH_FACTORY, own_factory_iface_init))

template <class T>
static T *
as (gpointer object) {
  return static_cast<T *> (object);
}

template <class T>
static Object<T>
lock (GWeakRef *weak) {
  return Object<T> (static_cast<T *> (g_weak_ref_get (weak)));
}

static GWeakRef *
weak_new () {
  auto *weak = new GWeakRef;
  g_weak_ref_init (weak, nullptr);
  return weak;
}

static void
weak_free (GWeakRef *weak) {
  g_weak_ref_clear (weak);
  delete weak;
}

static void
own_path_init (OwnPath *self) {
  self->peer = weak_new ();
  self->factory = weak_new ();
}

static void
own_path_finalize (GObject *object) {
  weak_free (as<OwnPath> (object)->peer);
  weak_free (as<OwnPath> (object)->factory);
  G_OBJECT_CLASS (own_path_parent_class)->finalize (object);
}

static void
own_path_class_init (OwnPathClass *klass) {
  G_OBJECT_CLASS (klass)->finalize = own_path_finalize;
}

static gboolean
own_path_send (P2pPath *path, GBytes *datagram, GError **error) {
  auto *self = as<OwnPath> (path);
  const Object<OwnFactory> factory = lock<OwnFactory> (self->factory);
  const guint drop_every = factory ? factory->settings->drop_every : 0;
  if (drop_every > 0 && ++self->count % drop_every == 0) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "The queue is full.");
    return FALSE;
  }
  const Object<P2pPath> peer = lock<P2pPath> (self->peer);
  const bool carries = peer && !self->failed && !as<OwnPath> (peer.get ())->failed;
  if (carries) p2p_path_emit_received (peer.get (), datagram);
  return TRUE;
}

static guint
own_path_get_max_datagram_bytes (P2pPath *path) {
  const Object<OwnFactory> factory = lock<OwnFactory> (as<OwnPath> (path)->factory);
  return factory ? factory->settings->max_datagram : 1400;
}

static char *
own_path_describe (P2pPath *) {
  return g_strdup ("a queue");
}

static void
own_path_close (P2pPath *path) {
  auto *self = as<OwnPath> (path);
  const Object<OwnFactory> factory = lock<OwnFactory> (self->factory);
  if (!factory || self->closed) return;
  self->closed = true;
  ++factory->closed;
  auto &paths = *factory->paths;
  const auto found = std::find (paths.begin (), paths.end (), self);
  if (found == paths.end ()) return;
  paths.erase (found);
  g_object_unref (self);
}

static void
own_path_iface_init (P2pPathInterface *iface) {
  iface->send = own_path_send;
  iface->get_max_datagram_bytes = own_path_get_max_datagram_bytes;
  iface->describe = own_path_describe;
  iface->close = own_path_close;
}

static void
own_factory_init (OwnFactory *self) {
  self->settings = new OwnPathSettings;
  self->other = weak_new ();
  self->paths = new std::vector<OwnPath *>;
}

static void
own_factory_finalize (GObject *object) {
  auto *self = as<OwnFactory> (object);
  for (OwnPath *path : *self->paths) g_object_unref (path);
  g_clear_object (&self->waiting);
  delete self->paths;
  delete self->settings;
  weak_free (self->other);
  G_OBJECT_CLASS (own_factory_parent_class)->finalize (object);
}

static void
own_factory_class_init (OwnFactoryClass *klass) {
  G_OBJECT_CLASS (klass)->finalize = own_factory_finalize;
}

static const char *
own_factory_get_name (P2pPathFactory *) {
  return "queue";
}

static OwnPath *
make_path (OwnFactory *factory) {
  auto *path = as<OwnPath> (g_object_new (own_path_get_type (), nullptr));
  g_weak_ref_set (path->factory, factory);
  factory->paths->push_back (as<OwnPath> (g_object_ref (path)));
  ++factory->opened;
  return path;
}

static void
own_factory_open_async (P2pPathFactory *factory, const char *id, const char *peer, gboolean,
                        GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data) {
  auto *self = as<OwnFactory> (factory);
  GTask *task = g_task_new (factory, cancellable, callback, user_data);
  if (self->settings->fail_open) {
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED, "The queue is not there.");
    g_object_unref (task);
    return;
  }
  if (self->settings->send_hello) {
    GBytes *hello = bytes_of ("hello");
    p2p_path_factory_emit_send_message (factory, id, peer, hello);
    g_bytes_unref (hello);
  }
  const Object<OwnFactory> other = lock<OwnFactory> (self->other);
  if (!other || !other->waiting) {
    g_clear_object (&self->waiting);
    self->waiting = task;
    return;
  }
  GTask *far_task = std::exchange (other->waiting, nullptr);
  OwnPath *near = make_path (self), *far = make_path (other.get ());
  g_weak_ref_set (near->peer, far);
  g_weak_ref_set (far->peer, near);
  g_task_return_pointer (task, near, g_object_unref);
  g_task_return_pointer (far_task, far, g_object_unref);
  g_object_unref (task);
  g_object_unref (far_task);
}

static P2pPath *
own_factory_open_finish (P2pPathFactory *, GAsyncResult *result, GError **error) {
  return static_cast<P2pPath *> (g_task_propagate_pointer (G_TASK (result), error));
}

static void
own_factory_receive_message (P2pPathFactory *factory, const char *, const char *, GBytes *message) {
  if (text_of (message) == "hello") ++as<OwnFactory> (factory)->messages;
}

static void
own_factory_iface_init (P2pPathFactoryInterface *iface) {
  iface->get_name = own_factory_get_name;
  iface->open_async = own_factory_open_async;
  iface->open_finish = own_factory_open_finish;
  iface->receive_message = own_factory_receive_message;
}

Object<P2pPathFactory>
own_factory_new (const OwnPathSettings &settings) {
  auto *factory = as<OwnFactory> (g_object_new (own_factory_get_type (), nullptr));
  *factory->settings = settings;
  return Object<P2pPathFactory> (P2P_PATH_FACTORY (factory));
}

Object<P2pPathFactory>
own_factory_new_for (P2pPathFactory *other) {
  Object<P2pPathFactory> factory = own_factory_new (*as<OwnFactory> (other)->settings);
  g_weak_ref_set (as<OwnFactory> (factory.get ())->other, other);
  g_weak_ref_set (as<OwnFactory> (other)->other, factory.get ());
  return factory;
}

guint
own_factory_opened (P2pPathFactory *factory) {
  return as<OwnFactory> (factory)->opened;
}

guint
own_factory_closed (P2pPathFactory *factory) {
  return as<OwnFactory> (factory)->closed;
}

guint
own_factory_messages (P2pPathFactory *factory) {
  return as<OwnFactory> (factory)->messages;
}

void
own_factory_fail (P2pPathFactory *factory, const char *why) {
  GError *error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, why);
  for (OwnPath *path : *as<OwnFactory> (factory)->paths) {
    path->failed = true;
    p2p_path_emit_failed (P2P_PATH (path), error);
  }
  g_error_free (error);
}

void
own_factory_flood (P2pPathFactory *factory, guint count, gsize bytes) {
  GBytes *datagram = bytes_of (std::string (bytes, 'x'));
  for (OwnPath *path : *as<OwnFactory> (factory)->paths)
    for (guint i = 0; i < count; ++i) p2p_path_emit_received (P2P_PATH (path), datagram);
  g_bytes_unref (datagram);
}
