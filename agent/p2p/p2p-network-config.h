#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

#define P2P_TYPE_NETWORK_CONFIG (p2p_network_config_get_type ())
P2P_API GType p2p_network_config_get_type (void);
P2P_API P2pNetworkConfig *p2p_network_config_ref (P2pNetworkConfig *config);
P2P_API void p2p_network_config_unref (P2pNetworkConfig *config);
P2P_API P2pNetworkConfig *p2p_network_config_new_from_string (const char *text, GError **error);
P2P_API char *p2p_network_config_to_string (P2pNetworkConfig *config);
P2P_API const char *p2p_network_config_get_id (P2pNetworkConfig *config);
P2P_API const char *p2p_network_config_get_fingerprint (P2pNetworkConfig *config);
P2P_API const char *p2p_network_config_get_ufrag (P2pNetworkConfig *config);
P2P_API const char *p2p_network_config_get_pwd (P2pNetworkConfig *config);
P2P_API GStrv p2p_network_config_dup_candidates (P2pNetworkConfig *config);
P2P_API gboolean p2p_network_config_is_complete (P2pNetworkConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (P2pNetworkConfig, p2p_network_config_unref)

G_END_DECLS
