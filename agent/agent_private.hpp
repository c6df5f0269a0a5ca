// What a P2pAgent holds; for p2p-agent.cpp (the functions) and p2p-agent-class.cpp (properties and
// signals).
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent_events.hpp"
#include "core/agent_core.hpp"
#include "p2p/p2p.h"

namespace p2p {

struct AgentPrivate {
  Ref<GMainContext> context;            // construct-only
  std::shared_ptr<AgentCore> core;      // set once
  std::shared_ptr<AgentEvents> events;  // set once
  Ref<GListStore> connections;          // changes in the context only

  std::mutex mutex;
  // All below is guarded by mutex.
  AgentSettings settings;
  std::string rendezvous = "local", tls_ca_file;
  Ref<P2pSignaling> signaling;     // instead of `rendezvous`
  std::string stun_uri, turn_uri;  // as read; the latter without its password
  Ref<P2pSessionStore> store;      // instead of `store_uri`
  std::string store_uri, store_key;
  bool started = false;
  // What could not be set, by property: told by the next call that needs it, since an agent without
  // the secret that it was given must not connect.
  std::map<std::string, Error> unset;
  std::optional<NetworkConfig> last_config;
  // The one object of each connection, until it is removed.
  std::map<const ConnectionCore *, Ref<P2pConnection>> objects;
};

AgentPrivate &agent_private (P2pAgent *self);

// Settings, for functions and properties alike. Thread-safe.
Status agent_change (P2pAgent *self, const char *property, Status outcome,
                     const std::function<void (AgentSettings &)> &change);
Status agent_set_secret (P2pAgent *self, const char *peer, const char *secret);
Status agent_set_rendezvous (P2pAgent *self, const char *uri);
Status agent_set_tls_ca_file (P2pAgent *self, const char *path);
Status agent_set_signaling (P2pAgent *self, P2pSignaling *signaling);
Status agent_set_session_store_object (P2pAgent *self, P2pSessionStore *store);
// The store's URI, or the file with its key.
Status agent_set_session_store (P2pAgent *self, bool uri, const char *text);
std::string without_password (const std::string &uri);  // as it may be shown
Status agent_set_stun_server (P2pAgent *self, const char *uri);
Status agent_set_turn_server (P2pAgent *self, const char *uri, bool replace);

// Registers, once. The error is what could not be set.
Status agent_start (P2pAgent *self);
// The one object of the connection, which is listed soon. From any thread.
Ref<P2pConnection> agent_connection (P2pAgent *self,
                                     const std::shared_ptr<ConnectionCore> &connection);
void agent_connect_events (P2pAgent *self);
void agent_notify_config (P2pAgent *self);  // in the context

namespace agent_signals {
void incoming (P2pAgent *self, P2pConnection *connection);
void rejected (P2pAgent *self, const std::string &peer, const Error &reason);
void warning (P2pAgent *self, const Error &warning);
void signaling_changed (P2pAgent *self, Signaling::State state, const Status &reason);
void net_config_changed (P2pAgent *self, P2pConnection *connection);
void network_available (P2pAgent *self);
}  // namespace agent_signals

}  // namespace p2p
