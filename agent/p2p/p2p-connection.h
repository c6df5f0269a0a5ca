#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

P2P_API const char *p2p_connection_get_peer (P2pConnection *self);
P2P_API P2pConnectionState p2p_connection_get_state (P2pConnection *self);
P2P_API char *p2p_connection_dup_state_reason (P2pConnection *self);
P2P_API P2pBreakReason p2p_connection_get_break_reason (P2pConnection *self);
P2P_API GError *p2p_connection_dup_error (P2pConnection *self);
P2P_API P2pAuthentication p2p_connection_get_authentication (P2pConnection *self);
P2P_API char *p2p_connection_dup_peer_fingerprint (P2pConnection *self);
P2P_API char *p2p_connection_get_session_state (P2pConnection *self);
P2P_API GVariant *p2p_connection_get_stats (P2pConnection *self);

P2P_API P2pNetworkConfig *p2p_connection_dup_local_config (P2pConnection *self);
P2P_API P2pNetworkConfig *p2p_connection_dup_remote_config (P2pConnection *self);
P2P_API gboolean p2p_connection_update_remote_config (P2pConnection *self, P2pNetworkConfig *config,
                                                      GError **error);

P2P_API void p2p_connection_accept (P2pConnection *self);
P2P_API void p2p_connection_refuse (P2pConnection *self, const char *reason);
P2P_API gboolean p2p_connection_wait_connected (P2pConnection *self, GCancellable *cancellable,
                                                GError **error);

P2P_API P2pChannel *p2p_connection_open_channel (P2pConnection *self, const char *name,
                                                 P2pChannelOptions *options, GError **error);
P2P_API P2pChannel *p2p_connection_lookup_channel (P2pConnection *self, const char *name);
P2P_API GListModel *p2p_connection_get_channels (P2pConnection *self);

P2P_API void p2p_connection_close (P2pConnection *self);
P2P_API void p2p_connection_close_async (P2pConnection *self, GCancellable *cancellable,
                                         GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_connection_close_finish (P2pConnection *self, GAsyncResult *result,
                                              GError **error);

G_END_DECLS
