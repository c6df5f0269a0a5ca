#include "pending_task.hpp"
#include "store/store_factory.hpp"
#include "store_box.hpp"

namespace {

// The store of an application that uses the object without an agent. Core thread only.
class StoreHost final : public p2p::SessionStore::Observer {
 public:
  StoreHost (P2pSessionStore *object, p2p::StoreSpec spec)
      : object_ (object), spec_ (std::move (spec)) {}

  void open (const std::string &owner, const p2p::Ref<GTask> &task) {
    if (store_) {
      const p2p::Error error{P2P_ERROR_STORE,
                             "The session store was opened already; make another."};
      p2p::finish_task (task, p2p::Status (error));
      return;
    }
    context_ = p2p::Ref<GMainContext>::share (g_task_get_context (task.get ()));
    auto made = p2p::make_session_store (spec_.uri, spec_.key_file);
    if (!made) {
      p2p::finish_task (task, p2p::Status (made.error ()));
      return;
    }
    store_ = std::move (*made);
    store_->set_observer (this);
    store_->open (owner, [task] (p2p::Result<p2p::SessionStore::Opened> opened) {
      if (!opened) {
        p2p::finish_task (task, p2p::Status (opened.error ()));
        return;
      }
      p2p::finish_task (task, [all = std::move (*opened)] (GTask *target) {
        g_task_return_pointer (target, new p2p::SessionStore::Opened (all), [] (gpointer data) {
          delete static_cast<p2p::SessionStore::Opened *> (data);
        });
      });
    });
  }
  void commit (p2p::StoreBatch batch, const p2p::Ref<GTask> &task) {
    if (!is_open (task)) return;
    store_->commit (std::move (batch),
                    [task] (const p2p::Status &status) { p2p::finish_task (task, status); });
  }
  void close (const p2p::Ref<GTask> &task) {
    if (!is_open (task)) return;
    store_->close ([task] (const p2p::Status &status) { p2p::finish_task (task, status); });
  }

 private:
  bool is_open (const p2p::Ref<GTask> &task) {
    if (store_) return true;
    const p2p::Error error{P2P_ERROR_STORE, "The session store is not open; open it first."};
    p2p::finish_task (task, p2p::Status (error));
    return false;
  }
  void store_lost (const p2p::Error &error) override {
    p2p::post_event (context_.get (), [object = object_, error] {
      const auto self = object.lock ();
      if (!self) return;
      const p2p::UniqueError reason (error.to_gerror ());
      p2p_session_store_emit_lost (self.get (), reason.get ());
    });
  }

  const p2p::WeakObject<P2pSessionStore> object_;
  const p2p::StoreSpec spec_;
  p2p::Ref<GMainContext> context_;
  std::unique_ptr<p2p::SessionStore> store_;
};

struct Private {
  p2p::StoreSpec spec;
  std::shared_ptr<StoreHost> host;
};

}  // namespace

/**
 * P2pUriSessionStore:
 *
 * A session store of the library's own, in a file or on a server:
 * [func@P2p.SessionStore.new_for_uri].
 *
 * Since: 1.0
 */
struct _P2pUriSessionStore {
  GObject parent_instance;
  Private *priv;
};

static void p2p_uri_session_store_iface_init (P2pSessionStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (P2pUriSessionStore, p2p_uri_session_store, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (P2P_TYPE_SESSION_STORE,
                                                      p2p_uri_session_store_iface_init))

// A task whose end comes from the core thread; `work` runs there.
static void
run (P2pSessionStore *store, GCancellable *cancellable, GAsyncReadyCallback callback,
     gpointer user_data, std::function<void (StoreHost &, const p2p::Ref<GTask> &)> work) {
  const auto task = p2p::Ref<GTask>::adopt (g_task_new (store, cancellable, callback, user_data));
  p2p::core_loop ().post ([host = P2P_URI_SESSION_STORE (store)->priv->host, task,
                           work = std::move (work)] { work (*host, task); });
}

static void
p2p_uri_session_store_open_async (P2pSessionStore *store, const char *owner,
                                  GCancellable *cancellable, GAsyncReadyCallback callback,
                                  gpointer user_data) {
  run (store, cancellable, callback, user_data,
       [owner = std::string (owner)] (StoreHost &host, const p2p::Ref<GTask> &task) {
         host.open (owner, task);
       });
}

static GPtrArray *
p2p_uri_session_store_open_finish (P2pSessionStore *, GAsyncResult *result, guint64 *term,
                                   GError **error) {
  const std::unique_ptr<p2p::SessionStore::Opened> opened (
      static_cast<p2p::SessionStore::Opened *> (g_task_propagate_pointer (G_TASK (result), error)));
  if (!opened) return nullptr;
  *term = opened->term;
  const GDestroyNotify unref = [] (gpointer change) {
    p2p_store_change_unref (static_cast<P2pStoreChange *> (change));
  };
  GPtrArray *items = g_ptr_array_new_with_free_func (unref);
  for (const p2p::StoreItem &item : opened->items)
    g_ptr_array_add (items,
                     p2p::store_change_box_new (p2p::StoreChange::put (item.key, item.value)));
  return items;
}

static void
p2p_uri_session_store_commit_async (P2pSessionStore *store, GPtrArray *changes,
                                    GCancellable *cancellable, GAsyncReadyCallback callback,
                                    gpointer user_data) {
  p2p::StoreBatch batch;
  for (guint i = 0; i < changes->len; ++i)
    batch.push_back (static_cast<P2pStoreChange *> (changes->pdata[i])->content);
  run (store, cancellable, callback, user_data,
       [batch] (StoreHost &host, const p2p::Ref<GTask> &task) { host.commit (batch, task); });
}

static void
p2p_uri_session_store_close_async (P2pSessionStore *store, GCancellable *cancellable,
                                   GAsyncReadyCallback callback, gpointer user_data) {
  run (store, cancellable, callback, user_data,
       [] (StoreHost &host, const p2p::Ref<GTask> &task) { host.close (task); });
}

static gboolean
p2p_uri_session_store_finish (P2pSessionStore *, GAsyncResult *result, GError **error) {
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
p2p_uri_session_store_iface_init (P2pSessionStoreInterface *iface) {
  iface->open_async = p2p_uri_session_store_open_async;
  iface->open_finish = p2p_uri_session_store_open_finish;
  iface->commit_async = p2p_uri_session_store_commit_async;
  iface->commit_finish = p2p_uri_session_store_finish;
  iface->close_async = p2p_uri_session_store_close_async;
  iface->close_finish = p2p_uri_session_store_finish;
}

static void
p2p_uri_session_store_init (P2pUriSessionStore *self) {
  self->priv = new Private;
}

static void
p2p_uri_session_store_finalize (GObject *object) {
  delete P2P_URI_SESSION_STORE (object)->priv;
  G_OBJECT_CLASS (p2p_uri_session_store_parent_class)->finalize (object);
}

static void
p2p_uri_session_store_class_init (P2pUriSessionStoreClass *klass) {
  G_OBJECT_CLASS (klass)->finalize = p2p_uri_session_store_finalize;
}

P2pSessionStore *
p2p::uri_session_store_new (const StoreSpec &spec) {
  auto *self = P2P_URI_SESSION_STORE (g_object_new (P2P_TYPE_URI_SESSION_STORE, nullptr));
  self->priv->spec = spec;
  self->priv->host = make_core_object<StoreHost> (P2P_SESSION_STORE (self), spec);
  return P2P_SESSION_STORE (self);
}

p2p::StoreSpec
p2p::uri_session_store_spec (P2pUriSessionStore *self) {
  return self->priv->spec;
}
