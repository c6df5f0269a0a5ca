#include "p2p/p2p-session-store.h"

#include "p2p/p2p-enum-types.h"
#include "store/store_factory.hpp"
#include "store/store_key.hpp"
#include "store_box.hpp"

/**
 * P2pSessionStore:
 *
 * Where an agent keeps its sessions, so that they outlive its process: keys and opaque values of
 * one owner, the agent's id. The library's own come from [func@P2p.SessionStore.new_for_uri];
 * applications that have a database of their own implement this interface.
 *
 * Each object serves one agent, which calls the virtual functions of an application's
 * implementation in its own main context, one after the other: not before the one before has
 * finished. An implementation promises that
 *
 * - the changes of a commit are applied all or none, in their order;
 * - once a commit has finished, its changes outlive the process, and so do all before it;
 * - each opening of an owner gets a higher term than all before it, and what commits under an older
 *   term changes nothing and fails with %P2P_ERROR_FENCED.
 *
 * After a commit that fails the agent writes nothing any longer and says so.
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (P2pSessionStore, p2p_session_store, G_TYPE_OBJECT)

static guint lost_signal;

static void
p2p_session_store_default_init (P2pSessionStoreInterface *) {
  /**
   * P2pSessionStore::lost:
   * @self: the store
   * @reason: why: %P2P_ERROR_FENCED when another process took the owner over
   *
   * Nothing is written any longer. Emitted by [method@P2p.SessionStore.emit_lost], in the thread
   * that called it.
   *
   * Since: 1.0
   */
  lost_signal = g_signal_new ("lost", P2P_TYPE_SESSION_STORE, G_SIGNAL_RUN_LAST, 0, nullptr,
                              nullptr, nullptr, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
not_implemented (P2pSessionStore *self, GAsyncReadyCallback callback, gpointer user_data) {
  g_task_report_new_error (self, callback, user_data, nullptr, P2P_ERROR, P2P_ERROR_STORE,
                           "This session store object lacks a virtual function.");
}

// Also ends what not_implemented() began.
static bool
lacks (const void *function, GAsyncResult *result, GError **error) {
  if (function) return false;
  g_task_propagate_pointer (G_TASK (result), error);
  return true;
}

/**
 * p2p_session_store_open_async:
 * @self: a store
 * @owner: whose values: an agent's id
 * @cancellable: (nullable): to give up waiting
 * @callback: (scope async): called when it is open
 * @user_data: for @callback
 *
 * Takes the owner over and reads all that is kept of it. Once for each object, before all else.
 *
 * Since: 1.0
 */
void
p2p_session_store_open_async (P2pSessionStore *self, const char *owner, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_SESSION_STORE (self) && owner);
  P2pSessionStoreInterface *iface = P2P_SESSION_STORE_GET_IFACE (self);
  if (iface->open_async)
    iface->open_async (self, owner, cancellable, callback, user_data);
  else
    not_implemented (self, callback, user_data);
}

/**
 * p2p_session_store_open_finish:
 * @self: a store
 * @result: what the callback was given
 * @term: (out): the term of this holder: above all that this owner was ever given
 *
 * Ends [method@P2p.SessionStore.open_async]. %P2P_ERROR_FENCED when a living process holds the
 * owner.
 *
 * Returns: (transfer full) (element-type P2pStoreChange) (nullable): all that is kept, as puts in
 *   the order of the keys; %NULL with an error
 *
 * Since: 1.0
 */
GPtrArray *
p2p_session_store_open_finish (P2pSessionStore *self, GAsyncResult *result, guint64 *term,
                               GError **error) {
  g_return_val_if_fail (P2P_IS_SESSION_STORE (self) && term, nullptr);
  P2pSessionStoreInterface *iface = P2P_SESSION_STORE_GET_IFACE (self);
  const bool both = iface->open_async && iface->open_finish;
  if (lacks (both ? iface : nullptr, result, error)) return nullptr;
  return iface->open_finish (self, result, term, error);
}

/**
 * p2p_session_store_commit_async:
 * @self: a store that is open
 * @changes: (element-type P2pStoreChange): what to change, in this order
 * @cancellable: (nullable): to give up waiting
 * @callback: (scope async): called when the changes outlive the process
 * @user_data: for @callback
 *
 * Applies all of the changes, or none.
 *
 * Since: 1.0
 */
void
p2p_session_store_commit_async (P2pSessionStore *self, GPtrArray *changes,
                                GCancellable *cancellable, GAsyncReadyCallback callback,
                                gpointer user_data) {
  g_return_if_fail (P2P_IS_SESSION_STORE (self) && changes);
  P2pSessionStoreInterface *iface = P2P_SESSION_STORE_GET_IFACE (self);
  if (iface->commit_async)
    iface->commit_async (self, changes, cancellable, callback, user_data);
  else
    not_implemented (self, callback, user_data);
}

/**
 * p2p_session_store_commit_finish:
 * @self: a store
 * @result: what the callback was given
 *
 * Ends [method@P2p.SessionStore.commit_async].
 *
 * Returns: %TRUE when the changes are durable, %FALSE with an error when they never will be
 *
 * Since: 1.0
 */
gboolean
p2p_session_store_commit_finish (P2pSessionStore *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (P2P_IS_SESSION_STORE (self), FALSE);
  P2pSessionStoreInterface *iface = P2P_SESSION_STORE_GET_IFACE (self);
  const bool both = iface->commit_async && iface->commit_finish;
  if (lacks (both ? iface : nullptr, result, error)) return FALSE;
  return iface->commit_finish (self, result, error);
}

/**
 * p2p_session_store_close_async:
 * @self: a store
 * @cancellable: (nullable): to give up waiting
 * @callback: (scope async): called when the owner is free for others
 * @user_data: for @callback
 *
 * Leaves the owner to others, once all commits are done.
 *
 * Since: 1.0
 */
void
p2p_session_store_close_async (P2pSessionStore *self, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_SESSION_STORE (self));
  P2pSessionStoreInterface *iface = P2P_SESSION_STORE_GET_IFACE (self);
  if (iface->close_async)
    iface->close_async (self, cancellable, callback, user_data);
  else
    not_implemented (self, callback, user_data);
}

/**
 * p2p_session_store_close_finish:
 * @self: a store
 * @result: what the callback was given
 *
 * Ends [method@P2p.SessionStore.close_async].
 *
 * Returns: %TRUE, or %FALSE with an error when something before it was not written
 *
 * Since: 1.0
 */
gboolean
p2p_session_store_close_finish (P2pSessionStore *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (P2P_IS_SESSION_STORE (self), FALSE);
  P2pSessionStoreInterface *iface = P2P_SESSION_STORE_GET_IFACE (self);
  const bool both = iface->close_async && iface->close_finish;
  if (lacks (both ? iface : nullptr, result, error)) return FALSE;
  return iface->close_finish (self, result, error);
}

/**
 * p2p_session_store_emit_lost:
 * @self: a store
 * @reason: why: %P2P_ERROR_FENCED when another process took the owner over
 *
 * For implementations: nothing is written any longer. From any thread.
 *
 * Since: 1.0
 */
void
p2p_session_store_emit_lost (P2pSessionStore *self, const GError *reason) {
  g_return_if_fail (P2P_IS_SESSION_STORE (self) && reason);
  g_signal_emit (self, lost_signal, 0, reason);
}

/**
 * p2p_session_store_new_for_uri:
 * @uri: `sqlite:PATH`, `sqlite:PATH?synchronous=full`, `redis://[:PASSWORD@]HOST[:PORT][/DATABASE]`
 *   or `redis+unix://[:PASSWORD@]/PATH[?db=DATABASE]`
 * @key_file: (nullable): a file with 32 bytes, or their text in hexadecimal digits or Base64, that
 *   its owner alone may use
 *
 * One of the library's own stores. With a key file, values are encrypted before they leave the
 * process; keys and sizes are not.
 *
 * Nothing is opened yet: only the URI and the key file are looked at.
 *
 * Returns: (transfer full): a new store
 *
 * Since: 1.0
 */
P2pSessionStore *
p2p_session_store_new_for_uri (const char *uri, const char *key_file, GError **error) {
  g_return_val_if_fail (uri, nullptr);
  const auto parsed = p2p::parse_store_uri (uri);
  if (!parsed) {
    p2p::throw_error (parsed.error (), error);
    return nullptr;
  }
  if (key_file && *key_file) {
    const auto key = p2p::StoreKey::from_file (key_file);
    if (!key) {
      p2p::throw_error (key.error (), error);
      return nullptr;
    }
  }
  return p2p::uri_session_store_new ({uri, p2p::from_nullable (key_file)});
}
