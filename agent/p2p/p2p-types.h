#pragma once
#include <gio/gio.h>
#include <p2p/p2p-error.h>

G_BEGIN_DECLS

/* Every class of the library, so that the other headers can name each other's. */
#define P2P_TYPE_AGENT (p2p_agent_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pAgent, p2p_agent, P2P, AGENT, GObject)

#define P2P_TYPE_CONNECTION (p2p_connection_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pConnection, p2p_connection, P2P, CONNECTION, GObject)

#define P2P_TYPE_CHANNEL (p2p_channel_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pChannel, p2p_channel, P2P, CHANNEL, GObject)

#define P2P_TYPE_SIGNALING (p2p_signaling_get_type ())
P2P_API
G_DECLARE_INTERFACE (P2pSignaling, p2p_signaling, P2P, SIGNALING, GObject)

#define P2P_TYPE_LOCAL_SIGNALING (p2p_local_signaling_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pLocalSignaling, p2p_local_signaling, P2P, LOCAL_SIGNALING, GObject)

#define P2P_TYPE_RENDEZVOUS_SIGNALING (p2p_rendezvous_signaling_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pRendezvousSignaling, p2p_rendezvous_signaling, P2P, RENDEZVOUS_SIGNALING,
                      GObject)

#define P2P_TYPE_APP_SIGNALING (p2p_app_signaling_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pAppSignaling, p2p_app_signaling, P2P, APP_SIGNALING, GObject)

#define P2P_TYPE_PATH (p2p_path_get_type ())
P2P_API
G_DECLARE_INTERFACE (P2pPath, p2p_path, P2P, PATH, GObject)

#define P2P_TYPE_PATH_FACTORY (p2p_path_factory_get_type ())
P2P_API
G_DECLARE_INTERFACE (P2pPathFactory, p2p_path_factory, P2P, PATH_FACTORY, GObject)

#define P2P_TYPE_MEMORY_NETWORK (p2p_memory_network_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pMemoryNetwork, p2p_memory_network, P2P, MEMORY_NETWORK, GObject)

#define P2P_TYPE_SESSION_STORE (p2p_session_store_get_type ())
P2P_API
G_DECLARE_INTERFACE (P2pSessionStore, p2p_session_store, P2P, SESSION_STORE, GObject)

#define P2P_TYPE_URI_SESSION_STORE (p2p_uri_session_store_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pUriSessionStore, p2p_uri_session_store, P2P, URI_SESSION_STORE, GObject)

#define P2P_TYPE_TURN_CLIENT (p2p_turn_client_get_type ())
P2P_API
G_DECLARE_FINAL_TYPE (P2pTurnClient, p2p_turn_client, P2P, TURN_CLIENT, GObject)

typedef struct _P2pChannelOptions P2pChannelOptions;
typedef struct _P2pMessage P2pMessage;
typedef struct _P2pNetworkConfig P2pNetworkConfig;
typedef struct _P2pStoreChange P2pStoreChange;

typedef enum {
  P2P_CONNECTION_STATE_INCOMING,
  P2P_CONNECTION_STATE_CONNECTING,
  P2P_CONNECTION_STATE_CONNECTED,
  P2P_CONNECTION_STATE_BROKEN,
  P2P_CONNECTION_STATE_REMOVED
} P2pConnectionState;

typedef enum {
  P2P_BREAK_REASON_NONE,
  P2P_BREAK_REASON_SILENCE,
  P2P_BREAK_REASON_NETWORK_DOWN,
  P2P_BREAK_REASON_PEER,
  P2P_BREAK_REASON_RELAY_LOST,
  P2P_BREAK_REASON_TRANSPORT
} P2pBreakReason;

typedef enum {
  P2P_AUTHENTICATION_SIGNALING,
  P2P_AUTHENTICATION_FINGERPRINT,
  P2P_AUTHENTICATION_SECRET
} P2pAuthentication;

typedef enum {
  P2P_ACCEPT_POLICY_NONE,
  P2P_ACCEPT_POLICY_ASK,
  P2P_ACCEPT_POLICY_ALL
} P2pAcceptPolicy;

/* A comma at the end keeps it on lines of its own: glib-mkenums skips one-line enums. */
typedef enum {
  P2P_ICE_TRANSPORT_POLICY_ALL,
  P2P_ICE_TRANSPORT_POLICY_RELAY,
} P2pIceTransportPolicy;

typedef enum {
  P2P_DATA_PATH_STEERING = 1 << 0,
  P2P_DATA_PATH_SEGMENTATION = 1 << 1,
  P2P_DATA_PATH_COALESCING = 1 << 2,
} P2pDataPath;

typedef enum {
  P2P_CONGESTION_CONTROL_BBR,
  P2P_CONGESTION_CONTROL_CUBIC,
} P2pCongestionControl;

typedef enum {
  P2P_SIGNALING_STATE_IDLE,
  P2P_SIGNALING_STATE_CONNECTING,
  P2P_SIGNALING_STATE_REGISTERED,
  P2P_SIGNALING_STATE_REFUSED
} P2pSignalingState;

typedef enum {
  P2P_STORE_CHANGE_KIND_PUT,
  P2P_STORE_CHANGE_KIND_ERASE,
  P2P_STORE_CHANGE_KIND_ERASE_RANGE,
} P2pStoreChangeKind;

typedef enum {
  P2P_TURN_REASON_NONE,
  P2P_TURN_REASON_TRY_ALTERNATE,
  P2P_TURN_REASON_BAD_REQUEST,
  P2P_TURN_REASON_UNAUTHORIZED,
  P2P_TURN_REASON_FORBIDDEN,
  P2P_TURN_REASON_MOBILITY_FORBIDDEN,
  P2P_TURN_REASON_UNKNOWN_ATTRIBUTE,
  P2P_TURN_REASON_ALLOCATION_MISMATCH,
  P2P_TURN_REASON_STALE_NONCE,
  P2P_TURN_REASON_ADDRESS_FAMILY,
  P2P_TURN_REASON_WRONG_CREDENTIALS,
  P2P_TURN_REASON_UNSUPPORTED_TRANSPORT,
  P2P_TURN_REASON_PEER_ADDRESS_FAMILY,
  P2P_TURN_REASON_CONNECTION_EXISTS,
  P2P_TURN_REASON_CONNECTION_FAILED,
  P2P_TURN_REASON_QUOTA,
  P2P_TURN_REASON_ROLE_CONFLICT,
  P2P_TURN_REASON_SERVER_ERROR,
  P2P_TURN_REASON_CAPACITY,
  P2P_TURN_REASON_TIMEOUT,
  P2P_TURN_REASON_DISCONNECTED,
  P2P_TURN_REASON_PROTOCOL,
  P2P_TURN_REASON_REQUESTED,
  P2P_TURN_REASON_PEER_POLICY
} P2pTurnReason;

G_END_DECLS
