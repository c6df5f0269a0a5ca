#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

P2P_API P2pAgent *p2p_agent_new (const char *id);
P2P_API P2pAgent *p2p_agent_new_full (const char *id, GMainContext *context);
P2P_API GMainContext *p2p_get_event_context (void);

P2P_API const char *p2p_agent_get_id (P2pAgent *self);
P2P_API void p2p_agent_set_secret (P2pAgent *self, const char *secret);
P2P_API void p2p_agent_set_peer_secret (P2pAgent *self, const char *peer, const char *secret);
P2P_API gboolean p2p_agent_set_peer_fingerprint (P2pAgent *self, const char *peer,
                                                 const char *fingerprint, GError **error);
P2P_API char *p2p_agent_get_fingerprint (P2pAgent *self, GError **error);
P2P_API void p2p_agent_set_signaling (P2pAgent *self, P2pSignaling *signaling);
P2P_API gboolean p2p_agent_set_rendezvous (P2pAgent *self, const char *uri, GError **error);
P2P_API gboolean p2p_agent_set_stun_server (P2pAgent *self, const char *uri, GError **error);
P2P_API gboolean p2p_agent_add_turn_server (P2pAgent *self, const char *uri, GError **error);
P2P_API void p2p_agent_add_path_factory (P2pAgent *self, P2pPathFactory *factory);
P2P_API void p2p_agent_add_local_address (P2pAgent *self, const char *address);

P2P_API void p2p_agent_start_async (P2pAgent *self, GCancellable *cancellable,
                                    GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_agent_start_finish (P2pAgent *self, GAsyncResult *result, GError **error);

P2P_API void p2p_agent_create_network_config_async (P2pAgent *self, const char *peer,
                                                    GCancellable *cancellable,
                                                    GAsyncReadyCallback callback,
                                                    gpointer user_data);
P2P_API P2pNetworkConfig *p2p_agent_create_network_config_finish (P2pAgent *self,
                                                                  GAsyncResult *result,
                                                                  GError **error);

P2P_API P2pConnection *p2p_agent_open_connection (P2pAgent *self, const char *peer,
                                                  P2pNetworkConfig *remote, GError **error);
P2P_API void p2p_agent_connect_async (P2pAgent *self, const char *peer, P2pNetworkConfig *remote,
                                      GCancellable *cancellable, GAsyncReadyCallback callback,
                                      gpointer user_data);
P2P_API P2pConnection *p2p_agent_connect_finish (P2pAgent *self, GAsyncResult *result,
                                                 GError **error);

P2P_API GListModel *p2p_agent_get_connections (P2pAgent *self);
P2P_API P2pConnection *p2p_agent_lookup_connection (P2pAgent *self, const char *peer);
P2P_API void p2p_agent_close_connections (P2pAgent *self);
P2P_API void p2p_agent_close_async (P2pAgent *self, GCancellable *cancellable,
                                    GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_agent_close_finish (P2pAgent *self, GAsyncResult *result, GError **error);

P2P_API char *p2p_generate_secret (void);

G_END_DECLS
