#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

#define P2P_TYPE_STORE_CHANGE (p2p_store_change_get_type ())
P2P_API GType p2p_store_change_get_type (void);
P2P_API P2pStoreChange *p2p_store_change_new_put (const char *key, GBytes *value);
P2P_API P2pStoreChange *p2p_store_change_new_erase (const char *key);
P2P_API P2pStoreChange *p2p_store_change_new_erase_range (const char *key, const char *end);
P2P_API P2pStoreChange *p2p_store_change_ref (P2pStoreChange *change);
P2P_API void p2p_store_change_unref (P2pStoreChange *change);
P2P_API P2pStoreChangeKind p2p_store_change_get_kind (P2pStoreChange *change);
P2P_API const char *p2p_store_change_get_key (P2pStoreChange *change);
P2P_API const char *p2p_store_change_get_end (P2pStoreChange *change);
P2P_API GBytes *p2p_store_change_get_value (P2pStoreChange *change);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (P2pStoreChange, p2p_store_change_unref)

struct _P2pSessionStoreInterface {
  GTypeInterface parent;

  void (*open_async) (P2pSessionStore *self, const char *owner, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer user_data);
  GPtrArray *(*open_finish) (P2pSessionStore *self, GAsyncResult *result, guint64 *term,
                             GError **error);
  void (*commit_async) (P2pSessionStore *self, GPtrArray *changes, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer user_data);
  gboolean (*commit_finish) (P2pSessionStore *self, GAsyncResult *result, GError **error);
  void (*close_async) (P2pSessionStore *self, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer user_data);
  gboolean (*close_finish) (P2pSessionStore *self, GAsyncResult *result, GError **error);

  /*< private >*/
  gpointer padding[8];
};

P2P_API void p2p_session_store_open_async (P2pSessionStore *self, const char *owner,
                                           GCancellable *cancellable, GAsyncReadyCallback callback,
                                           gpointer user_data);
P2P_API GPtrArray *p2p_session_store_open_finish (P2pSessionStore *self, GAsyncResult *result,
                                                  guint64 *term, GError **error);
P2P_API void p2p_session_store_commit_async (P2pSessionStore *self, GPtrArray *changes,
                                             GCancellable *cancellable,
                                             GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_session_store_commit_finish (P2pSessionStore *self, GAsyncResult *result,
                                                  GError **error);
P2P_API void p2p_session_store_close_async (P2pSessionStore *self, GCancellable *cancellable,
                                            GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_session_store_close_finish (P2pSessionStore *self, GAsyncResult *result,
                                                 GError **error);
P2P_API void p2p_session_store_emit_lost (P2pSessionStore *self, const GError *reason);

P2P_API P2pSessionStore *p2p_session_store_new_for_uri (const char *uri, const char *key_file,
                                                        GError **error);

G_END_DECLS
