#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

struct _P2pPathInterface {
  GTypeInterface parent;

  gboolean (*send) (P2pPath *self, GBytes *datagram, GError **error);
  guint (*get_max_datagram_bytes) (P2pPath *self);
  char *(*describe) (P2pPath *self);
  void (*close) (P2pPath *self);

  /*< private >*/
  gpointer padding[8];
};

P2P_API gboolean p2p_path_send (P2pPath *self, GBytes *datagram, GError **error);
P2P_API guint p2p_path_get_max_datagram_bytes (P2pPath *self);
P2P_API char *p2p_path_describe (P2pPath *self);
P2P_API void p2p_path_close (P2pPath *self);
P2P_API void p2p_path_emit_received (P2pPath *self, GBytes *datagram);
P2P_API void p2p_path_emit_failed (P2pPath *self, const GError *error);

struct _P2pPathFactoryInterface {
  GTypeInterface parent;

  const char *(*get_name) (P2pPathFactory *self);
  void (*open_async) (P2pPathFactory *self, const char *id, const char *peer, gboolean initiator,
                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
  P2pPath *(*open_finish) (P2pPathFactory *self, GAsyncResult *result, GError **error);
  void (*receive_message) (P2pPathFactory *self, const char *id, const char *peer, GBytes *message);

  /*< private >*/
  gpointer padding[8];
};

P2P_API const char *p2p_path_factory_get_name (P2pPathFactory *self);
P2P_API void p2p_path_factory_open_async (P2pPathFactory *self, const char *id, const char *peer,
                                          gboolean initiator, GCancellable *cancellable,
                                          GAsyncReadyCallback callback, gpointer user_data);
P2P_API P2pPath *p2p_path_factory_open_finish (P2pPathFactory *self, GAsyncResult *result,
                                               GError **error);
P2P_API void p2p_path_factory_receive_message (P2pPathFactory *self, const char *id,
                                               const char *peer, GBytes *message);
P2P_API void p2p_path_factory_emit_send_message (P2pPathFactory *self, const char *id,
                                                 const char *peer, GBytes *message);

P2P_API P2pMemoryNetwork *p2p_memory_network_new (guint64 seed);
P2P_API P2pMemoryNetwork *p2p_memory_network_new_virtual (guint64 seed);
P2P_API void p2p_memory_network_advance (P2pMemoryNetwork *self, guint span_ms);
P2P_API GVariant *p2p_memory_network_get_stats (P2pMemoryNetwork *self);

G_END_DECLS
