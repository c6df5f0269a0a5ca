#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

P2P_API P2pTurnClient *p2p_turn_client_new (void);
P2P_API gboolean p2p_turn_client_add_turn_server (P2pTurnClient *self, const char *uri,
                                                  GError **error);

P2P_API void p2p_turn_client_allocate_async (P2pTurnClient *self, GCancellable *cancellable,
                                             GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_turn_client_allocate_finish (P2pTurnClient *self, GAsyncResult *result,
                                                  GError **error);
P2P_API void p2p_turn_client_reset (P2pTurnClient *self);
P2P_API void p2p_turn_client_close_async (P2pTurnClient *self, GCancellable *cancellable,
                                          GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_turn_client_close_finish (P2pTurnClient *self, GAsyncResult *result,
                                               GError **error);
P2P_API void p2p_turn_client_set_credentials (P2pTurnClient *self, const char *user,
                                              const char *password);

P2P_API gboolean p2p_turn_client_is_allocated (P2pTurnClient *self);
P2P_API GSocketAddress *p2p_turn_client_get_relayed_address (P2pTurnClient *self,
                                                             GSocketFamily family);
P2P_API guint p2p_turn_client_get_max_datagram_size (P2pTurnClient *self);
P2P_API GVariant *p2p_turn_client_get_stats (P2pTurnClient *self);

P2P_API gboolean p2p_turn_client_add_peer (P2pTurnClient *self, GSocketAddress *peer,
                                           GError **error);
P2P_API void p2p_turn_client_remove_peer (P2pTurnClient *self, GSocketAddress *peer);
P2P_API gboolean p2p_turn_client_send (P2pTurnClient *self, GSocketAddress *peer, GBytes *datagram,
                                       GError **error);
P2P_API void p2p_turn_client_receive_async (P2pTurnClient *self, GCancellable *cancellable,
                                            GAsyncReadyCallback callback, gpointer user_data);
P2P_API GBytes *p2p_turn_client_receive_finish (P2pTurnClient *self, GAsyncResult *result,
                                                GSocketAddress **peer, GError **error);

G_END_DECLS
