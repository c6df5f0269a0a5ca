// The properties of P2pAgent.
#pragma once
#include <gio/gio.h>

namespace p2p {

namespace agent_properties {
enum Property : guint {
  PROP_ID = 1,
  PROP_SECRET,
  PROP_IDENTITY,
  PROP_FINGERPRINT,
  PROP_RENDEZVOUS,
  PROP_RENDEZVOUS_CA_FILE,
  PROP_SIGNALING,
  PROP_SIGNALING_STATE,
  PROP_STUN_SERVER,
  PROP_TURN_SERVER,
  PROP_ICE_TRANSPORT_POLICY,
  PROP_DATA_PATH,
  PROP_ICE_TCP,
  PROP_CONGESTION_CONTROL,
  PROP_ACCEPT_POLICY,
  PROP_MAX_MESSAGE_BYTES,
  PROP_PING_INTERVAL,
  PROP_PING_TIMEOUT,
  PROP_PEER_COMEBACK_TIMEOUT,
  PROP_IDLE_TIMEOUT,
  PROP_NETWORK_AVAILABLE,
  PROP_PATH_ORDER,
  PROP_SESSION_STORE_URI,
  PROP_SESSION_STORE_KEY,
  PROP_PORT_MIN,
  PROP_PORT_MAX,
  PROP_NETWORK_CONFIG,
  PROP_CONNECTIONS,
  PROP_MAIN_CONTEXT,
  N_PROPERTIES
};
}  // namespace agent_properties

// Fills in what g_object_class_install_properties() takes.
void agent_make_properties (GParamSpec **properties);

}  // namespace p2p
