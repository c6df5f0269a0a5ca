// The functions of P2pAgent.
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
 * @uri: "turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]", user and password percent-encoded
 *
 * Adds a TURN server for connections that are opened from now on. Errors never show the password.
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

template <class Tag>
static Ref<GTask>
make_task (P2pAgent *self, GCancellable *cancellable, GAsyncReadyCallback callback,
           gpointer user_data, Tag tag) {
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, reinterpret_cast<gpointer> (tag));
  return Ref<GTask>::adopt (task);
}

/**
 * p2p_agent_start_async:
 * @self: an agent
 * @cancellable: (nullable): to stop waiting; the agent goes on
 * @callback: (scope async) (nullable): called when the id is registered, or refused
 * @user_data: for @callback
 *
 * Loads the identity and registers at the meeting point. Functions that connect do it by
 * themselves. A server that cannot be reached is tried again, with back-off, while the callback
 * waits; [signal@P2p.Agent::signaling-changed] tells of each attempt.
 *
 * Since: 1.0
 */
void
p2p_agent_start_async (P2pAgent *self, GCancellable *cancellable, GAsyncReadyCallback callback,
                       gpointer user_data) {
  g_return_if_fail (P2P_IS_AGENT (self));
  Ref<GTask> task = make_task (self, cancellable, callback, user_data, p2p_agent_start_async);
  if (const p2p::Status unset = p2p::agent_start (self)) {
    p2p::finish_task (std::move (task), unset);
    return;
  }
  p2p::agent_private (self).events->wait_registered (std::move (task));
}

/**
 * p2p_agent_start_finish:
 * @self: an agent
 * @result: what the callback got
 *
 * Finishes [method@P2p.Agent.start_async]. %P2P_ERROR_ID_TAKEN when another key holds the id,
 * %P2P_ERROR_IDENTITY when the identity cannot be used.
 *
 * Returns: %TRUE when the id is registered, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_agent_start_finish (P2pAgent *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
return_config (const std::shared_ptr<p2p::PendingTask> &task,
               const p2p::Result<p2p::NetworkConfig> &config) {
  if (!task->claim ()) return;
  task->finish ([config] (GTask *t) {
    if (!config.ok ()) {
      g_task_return_error (t, config.error ().to_gerror ());
      return;
    }
    g_task_return_pointer (t, p2p::network_config_box_new (config.value ()),
                           reinterpret_cast<GDestroyNotify> (p2p_network_config_unref));
  });
}

/**
 * p2p_agent_create_network_config_async:
 * @self: an agent
 * @peer: (nullable): the id of the peer that it is for; %NULL for whoever comes
 * @cancellable: (nullable): to stop waiting
 * @callback: (scope async) (nullable): called when all candidates are gathered
 * @user_data: for @callback
 *
 * Gathers how this agent can be reached, for one connection, to be handed over by other ways than
 * signaling. The next connection to that peer uses it.
 *
 * Since: 1.0
 */
void
p2p_agent_create_network_config_async (P2pAgent *self, const char *peer, GCancellable *cancellable,
                                       GAsyncReadyCallback callback, gpointer user_data) {
  g_return_if_fail (P2P_IS_AGENT (self));
  Ref<GTask> task =
      make_task (self, cancellable, callback, user_data, p2p_agent_create_network_config_async);
  if (const p2p::Status unset = p2p::agent_start (self)) {
    p2p::finish_task (std::move (task), unset);
    return;
  }
  const AgentPrivate &priv = p2p::agent_private (self);
  const auto pending = p2p::PendingTask::create (std::move (task), {});
  priv.core->create_network_config (
      p2p::from_nullable (peer),
      [pending, events = priv.events] (const p2p::Result<p2p::NetworkConfig> &config) {
        if (config.ok ())
          events->post ([made = config.value ()] (P2pAgent *agent) {
            {
              AgentPrivate &p = p2p::agent_private (agent);
              const std::lock_guard lock (p.mutex);
              p.last_config = made;
            }
            p2p::agent_notify_config (agent);
          });
        return_config (pending, config);
      });
}

/**
 * p2p_agent_create_network_config_finish:
 * @self: an agent
 * @result: what the callback got
 *
 * Finishes [method@P2p.Agent.create_network_config_async].
 *
 * Returns: (transfer full): the configuration, or %NULL with an error
 *
 * Since: 1.0
 */
P2pNetworkConfig *
p2p_agent_create_network_config_finish (P2pAgent *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && g_task_is_valid (result, self), nullptr);
  return static_cast<P2pNetworkConfig *> (g_task_propagate_pointer (G_TASK (result), error));
}

static p2p::Result<Ref<P2pConnection>>
open_connection (P2pAgent *self, const char *peer, P2pNetworkConfig *remote) {
  if (const p2p::Status unset = p2p::agent_start (self)) return *unset;
  std::optional<p2p::NetworkConfig> config;
  if (remote) config = remote->content;
  const auto opened = p2p::agent_private (self).core->open_connection (peer, config);
  if (!opened.ok ()) return opened.error ();
  return p2p::agent_connection (self, opened.value ());
}

/**
 * p2p_agent_open_connection:
 * @self: an agent
 * @peer: the id of a peer
 * @remote: (nullable): the peer's configuration, when it came by other ways than signaling
 *
 * The living connection to the peer, or a new one that begins to connect: it waits for the peer as
 * long as it takes. Starts the agent. Does not wait itself.
 *
 * Returns: (transfer full): the connection, or %NULL with an error
 *
 * Since: 1.0
 */
P2pConnection *
p2p_agent_open_connection (P2pAgent *self, const char *peer, P2pNetworkConfig *remote,
                           GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && peer, nullptr);
  auto opened = open_connection (self, peer, remote);
  if (opened.ok ()) return opened.value ().leak ();
  p2p::throw_error (opened.error (), error);
  return nullptr;
}

/**
 * p2p_agent_connect_async:
 * @self: an agent
 * @peer: the id of a peer
 * @remote: (nullable): the peer's configuration, when it came by other ways than signaling
 * @cancellable: (nullable): to stop waiting; the connection goes on until it is closed
 * @callback: (scope async) (nullable): called when the connection is up, or removed
 * @user_data: for @callback
 *
 * [method@P2p.Agent.open_connection], and tells when the connection is up.
 *
 * Since: 1.0
 */
void
p2p_agent_connect_async (P2pAgent *self, const char *peer, P2pNetworkConfig *remote,
                         GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data) {
  g_return_if_fail (P2P_IS_AGENT (self) && peer);
  Ref<GTask> task = make_task (self, cancellable, callback, user_data, p2p_agent_connect_async);
  auto opened = open_connection (self, peer, remote);
  if (!opened.ok ()) {
    p2p::finish_task (std::move (task), opened.error ());
    return;
  }
  p2p::connection_return_when_connected (opened.value ().get (), std::move (task));
}

/**
 * p2p_agent_connect_finish:
 * @self: an agent
 * @result: what the callback got
 *
 * Finishes [method@P2p.Agent.connect_async].
 *
 * Returns: (transfer full): the connection, or %NULL with the error that removed it
 *
 * Since: 1.0
 */
P2pConnection *
p2p_agent_connect_finish (P2pAgent *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && g_task_is_valid (result, self), nullptr);
  return static_cast<P2pConnection *> (g_task_propagate_pointer (G_TASK (result), error));
}

/**
 * p2p_agent_get_connections:
 * @self: an agent
 *
 * The connections that are not removed, a list of [class@P2p.Connection] that changes in the
 * agent's main context.
 *
 * Returns: (transfer none): the list
 *
 * Since: 1.0
 */
GListModel *
p2p_agent_get_connections (P2pAgent *self) {
  g_return_val_if_fail (P2P_IS_AGENT (self), nullptr);
  return G_LIST_MODEL (p2p::agent_private (self).connections.get ());
}

/**
 * p2p_agent_lookup_connection:
 * @self: an agent
 * @peer: the id of a peer
 *
 * The connection to the peer that is not removed.
 *
 * Returns: (transfer full) (nullable): the connection, or %NULL when there is none
 *
 * Since: 1.0
 */
P2pConnection *
p2p_agent_lookup_connection (P2pAgent *self, const char *peer) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && peer, nullptr);
  for (const auto &connection : p2p::agent_private (self).core->connections ())
    if (connection->peer () == peer) return p2p::agent_connection (self, connection).leak ();
  return nullptr;
}

/**
 * p2p_agent_close_connections:
 * @self: an agent
 *
 * Closes every connection. The agent stays at the meeting point.
 *
 * Since: 1.0
 */
void
p2p_agent_close_connections (P2pAgent *self) {
  g_return_if_fail (P2P_IS_AGENT (self));
  for (const auto &connection : p2p::agent_private (self).core->connections ())
    connection->close ();
}

/**
 * p2p_agent_close_async:
 * @self: an agent
 * @cancellable: (nullable): to stop waiting; the agent is closed all the same
 * @callback: (scope async) (nullable): called when it is done
 * @user_data: for @callback
 *
 * Closes every connection and leaves the meeting point, for good. It is done when the paths of
 * every [iface@P2p.PathFactory] are closed as well, which happens in
 * [property@P2p.Agent:main-context].
 *
 * Since: 1.0
 */
void
p2p_agent_close_async (P2pAgent *self, GCancellable *cancellable, GAsyncReadyCallback callback,
                       gpointer user_data) {
  g_return_if_fail (P2P_IS_AGENT (self));
  const auto pending = p2p::PendingTask::create (
      make_task (self, cancellable, callback, user_data, p2p_agent_close_async), {});
  p2p::agent_private (self).core->close ([pending] (const p2p::Status &status) {
    if (!pending->claim ()) return;
    pending->finish ([status] (GTask *task) {
      if (status)
        g_task_return_error (task, status->to_gerror ());
      else
        g_task_return_boolean (task, TRUE);
    });
  });
}

/**
 * p2p_agent_close_finish:
 * @self: an agent
 * @result: what the callback got
 *
 * Finishes [method@P2p.Agent.close_async].
 *
 * Returns: %TRUE when the agent is closed, %FALSE with an error otherwise
 *
 * Since: 1.0
 */
gboolean
p2p_agent_close_finish (P2pAgent *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail (P2P_IS_AGENT (self) && g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * p2p_generate_secret:
 *
 * A secret that cannot be guessed: "p2p-" and 160 random bits in base32.
 *
 * Returns: (transfer full): the secret
 *
 * Since: 1.0
 */
char *
p2p_generate_secret (void) {
  return g_strdup (p2p::generate_secret ().c_str ());
}
