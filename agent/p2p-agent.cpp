// P2pAgent: making one, and what it is told before it starts.
#include "agent_private.hpp"
#include "boxes.hpp"
#include "path_sources.hpp"
#include "private.hpp"

using p2p::AgentPrivate;
using p2p::AgentSettings;
using p2p::Ref;

/**
 * P2pAgent:
 *
 * An id, the key that stands for it, and its connections to peers.
 *
 * ```c
 * P2pAgent *agent = p2p_agent_new ("alice");
 * p2p_agent_set_secret (agent, secret);
 * P2pConnection *bob = p2p_agent_open_connection (agent, "bob", NULL, &error);
 * P2pChannel *channel = p2p_connection_open_channel (bob, "chat", NULL, &error);
 * p2p_channel_send (channel, bytes, NULL, &error);
 * ```
 *
 * Every function may be called from any thread, and none waits for the network unless it says so.
 * Signals of the agent, of its connections and of their channels, property notifications that no
 * setter causes, and changes of lists happen in [property@P2p.Agent:main-context], in order;
 * results of asynchronous functions come in the thread-default main context of their caller. Data
 * needs no main context at all: the library has threads of its own.
 *
 * When the last reference goes, the agent closes its connections and leaves the meeting point.
 *
 * Since: 1.0
 */

/**
 * p2p_agent_new:
 * @id: (nullable): 1 to 128 letters, digits or characters of "._@:+-"; %NULL is a random one
 *
 * An agent whose signals come in the thread-default main context of the calling thread. It does
 * nothing yet.
 *
 * Returns: (transfer full): a new agent
 *
 * Since: 1.0
 */
P2pAgent *
p2p_agent_new (const char *id) {
  return P2P_AGENT (g_object_new (P2P_TYPE_AGENT, "id", id, nullptr));
}

/**
 * p2p_agent_new_full:
 * @id: (nullable): 1 to 128 letters, digits or characters of "._@:+-"; %NULL is a random one
 * @context: (nullable): where its signals come; %NULL is the thread-default main context
 *
 * [ctor@P2p.Agent.new] with a main context of choice.
 *
 * Returns: (transfer full): a new agent
 *
 * Since: 1.0
 */
P2pAgent *
p2p_agent_new_full (const char *id, GMainContext *context) {
  return P2P_AGENT (g_object_new (P2P_TYPE_AGENT, "id", id, "main-context", context, nullptr));
}

/**
 * p2p_get_event_context:
 *
 * A main context that a thread of the library iterates, for callers that have none of their own.
 * What runs there must not wait.
 *
 * Returns: (transfer none): the context
 *
 * Since: 1.0
 */
GMainContext *
p2p_get_event_context (void) {
  return p2p::events_loop ().context ();
}

/**
 * p2p_agent_get_id:
 * @self: an agent
 *
 * The id by which peers ask for the agent.
 *
 * Returns: the id
 *
 * Since: 1.0
 */
const char *
p2p_agent_get_id (P2pAgent *self) {
  g_return_val_if_fail (P2P_IS_AGENT (self), nullptr);
  return p2p::agent_private (self).settings.id.c_str ();
}

/**
 * p2p_agent_set_secret:
 * @self: an agent
 * @secret: (nullable): a secret; %NULL takes it back
 *
 * The secret that this agent shares with every peer that has none of its own. Who does not hold it
 * is not let in, and a meeting point can neither read nor change what peers tell each other.
 *
 * [func@P2p.generate_secret] makes one that cannot be guessed. A password can be, by a hostile
 * meeting point that tries at some 50 ms each; this call takes as long. A secret that cannot be
 * used fails the next call that would connect.
 *
 * Since: 1.0
 */
void
p2p_agent_set_secret (P2pAgent *self, const char *secret) {
  g_return_if_fail (P2P_IS_AGENT (self));
  g_object_set (self, "secret", secret, nullptr);
}

/**
 * p2p_agent_set_peer_secret:
 * @self: an agent
 * @peer: the id of a peer
 * @secret: (nullable): a secret; %NULL takes it back
 *
 * [method@P2p.Agent.set_secret] for one peer.
 *
 * Since: 1.0
 */
void
p2p_agent_set_peer_secret (P2pAgent *self, const char *peer, const char *secret) {
  g_return_if_fail (P2P_IS_AGENT (self) && peer);
  (void)p2p::agent_set_secret (self, peer, secret);
}

/**
 * p2p_agent_set_peer_fingerprint:
 * @self: an agent
 * @peer: the id of a peer
 * @fingerprint: (nullable): SHA-256 of its certificate in hex, with or without "sha-256" and
 * colons; %NULL takes it back
 *
 * Lets the peer in only with this certificate.
 *
 * Returns: %TRUE, or %FALSE with %P2P_ERROR_INVALID_ARGUMENT when it is no fingerprint
 *
 * Since: 1.0
 */
gboolean
p2p_agent_set_peer_fingerprint (P2pAgent *self, const char *peer, const char *fingerprint,
                                GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && peer, FALSE);
  std::string normal;
  p2p::Status outcome;
  if (fingerprint && *fingerprint) {
    const auto normalized = p2p::normalize_fingerprint (fingerprint);
    if (normalized.ok ())
      normal = normalized.value ();
    else
      outcome = normalized.error ();
  }
  const std::string property = std::string ("fingerprint of ") + peer;
  return p2p::answer (p2p::agent_change (self, property.c_str (), outcome,
                                         [&] (AgentSettings &settings) {
                                           settings.peers[peer].fingerprint = normal;
                                         }),
                      false, error);
}

/**
 * p2p_agent_get_fingerprint:
 * @self: an agent
 *
 * The fingerprint of this agent's certificate, "sha-256 AB:CD:…", which is loaded, or made, when
 * that was not done before (file access). %P2P_ERROR_IDENTITY when it cannot be.
 *
 * Returns: (transfer full): the fingerprint, or %NULL with an error
 *
 * Since: 1.0
 */
char *
p2p_agent_get_fingerprint (P2pAgent *self, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self), nullptr);
  const auto fingerprint = p2p::agent_private (self).core->fingerprint ();
  if (fingerprint.ok ()) return g_strdup (fingerprint.value ().c_str ());
  p2p::throw_error (fingerprint.error (), error);
  return nullptr;
}

/**
 * p2p_agent_set_signaling:
 * @self: an agent
 * @signaling: (nullable): a signaling that no other agent uses
 *
 * The signaling to use instead of [property@P2p.Agent:rendezvous]. Not changed once the agent has
 * started: [signal@P2p.Agent::warning] tells so then.
 *
 * Since: 1.0
 */
void
p2p_agent_set_signaling (P2pAgent *self, P2pSignaling *signaling) {
  g_return_if_fail (P2P_IS_AGENT (self));
  g_object_set (self, "signaling", signaling, nullptr);
}

/**
 * p2p_agent_set_rendezvous:
 * @self: an agent
 * @uri: (nullable): as in [property@P2p.Agent:rendezvous]; %NULL is "none"
 *
 * Where peers meet. %P2P_ERROR_INVALID_ARGUMENT when the URI is malformed, %P2P_ERROR_FAILED once
 * the agent has started.
 *
 * Returns: %TRUE, or %FALSE with an error
 *
 * Since: 1.0
 */
gboolean
p2p_agent_set_rendezvous (P2pAgent *self, const char *uri, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self), FALSE);
  return p2p::answer (p2p::agent_set_rendezvous (self, uri), false, error);
}

/**
 * p2p_agent_set_stun_server:
 * @self: an agent
 * @uri: (nullable): "stun://HOST[:PORT]"; %NULL uses that of the rendezvous server, if it has one
 *
 * The STUN server for connections that are opened from now on.
 *
 * Returns: %TRUE, or %FALSE with %P2P_ERROR_INVALID_ARGUMENT when the URI is malformed
 *
 * Since: 1.0
 */
gboolean
p2p_agent_set_stun_server (P2pAgent *self, const char *uri, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self), FALSE);
  return p2p::answer (p2p::agent_set_stun_server (self, uri), false, error);
}

/**
 * p2p_agent_add_turn_server:
 * @self: an agent
 * @uri: "turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]" or
 * "turns://USER:PASSWORD@HOST[:PORT][?transport=tcp|udp]", user and password percent-encoded
 *
 * Adds a TURN server for connections that are opened from now on. "turns" is TLS over TCP, with
 * "transport=udp" DTLS; the certificate must be that of the host. Up to 8 servers are asked, side
 * by side; one that gives no relay within 2 s is a warning of the connection. Errors never show the
 * password.
 *
 * Returns: %TRUE, or %FALSE with %P2P_ERROR_INVALID_ARGUMENT when the URI is malformed
 *
 * Since: 1.0
 */
gboolean
p2p_agent_add_turn_server (P2pAgent *self, const char *uri, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && uri, FALSE);
  return p2p::answer (p2p::agent_set_turn_server (self, uri, false), false, error);
}

/**
 * p2p_agent_add_path_factory:
 * @self: an agent
 * @factory: a factory
 *
 * Tries the factory's paths beside ICE, in the order of [property@P2p.Agent:path-order], for
 * connections that are opened from now on.
 *
 * Since: 1.0
 */
void
p2p_agent_add_path_factory (P2pAgent *self, P2pPathFactory *factory) {
  g_return_if_fail (P2P_IS_AGENT (self) && P2P_IS_PATH_FACTORY (factory));
  const AgentPrivate &priv = p2p::agent_private (self);
  priv.core->add_path_source (p2p::path_source_of (factory, priv.context));
}

/**
 * p2p_agent_add_local_address:
 * @self: an agent
 * @address: an IP address of this machine
 *
 * Uses this address, and others that are added, instead of all of this machine's.
 *
 * Since: 1.0
 */
void
p2p_agent_add_local_address (P2pAgent *self, const char *address) {
  g_return_if_fail (P2P_IS_AGENT (self) && address);
  (void)p2p::agent_change (self, "local-address", {}, [address] (AgentSettings &settings) {
    settings.local_addresses.emplace_back (address);
  });
}
