// P2pAgent: starting it, its connections, and its end.
#include "agent_private.hpp"
#include "boxes.hpp"
#include "path_sources.hpp"
#include "private.hpp"

using p2p::AgentPrivate;
using p2p::Ref;

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
 * [method@P2p.Agent.open_connection], and tells when the connection is up. One that lives and is
 * broken is up again once it is restored.
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
