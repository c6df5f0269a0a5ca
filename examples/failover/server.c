/* A server that may die: what each client says has its effect once, and is answered with the same
 * words once, on whichever of two hosts the server runs at the time. keepalived starts it on the
 * host that has the virtual address; `notify` says how.
 *
 *   p2p-failover-server --address=VIRTUAL_ADDRESS --redis-host=HOST --rendezvous=URI
 * --secret=SECRET
 *
 * It is to be killed, not to be asked to end: its sessions are to go on. It ends by itself with
 * exit code 3 when another host has taken its sessions over. */
#include <p2p/p2p.h>
#include <unistd.h>

#include "common.h"
#include "effects.h"

static char *id = "server", *address, *redis_host = "127.0.0.1", *redis_password, *rendezvous;
static char *secret, *identity, *key;
static int redis_port = 6379;
static const GOptionEntry entries[] = {
    {"id", 0, 0, G_OPTION_ARG_STRING, &id, "by which clients ask for it", "ID"},
    {"address", 0, 0, G_OPTION_ARG_STRING, &address, "the virtual address", "ADDRESS"},
    {"redis-host", 0, 0, G_OPTION_ARG_STRING, &redis_host, "where the sessions are", "HOST"},
    {"redis-port", 0, 0, G_OPTION_ARG_INT, &redis_port, "and its port", "PORT"},
    {"redis-password", 0, 0, G_OPTION_ARG_STRING, &redis_password, "and its password", "PASSWORD"},
    {"rendezvous", 0, 0, G_OPTION_ARG_STRING, &rendezvous, "where new clients come from", "URI"},
    {"secret", 0, 0, G_OPTION_ARG_STRING, &secret, "shared with the clients", "SECRET"},
    {"identity", 0, 0, G_OPTION_ARG_FILENAME, &identity, "the same on both hosts", "FILE"},
    {"session-store-key", 0, 0, G_OPTION_ARG_FILENAME, &key, "the same on both hosts", "FILE"},
    {NULL, 0, 0, 0, NULL, NULL, NULL}};

/* One message: its effect, then the answer, then the confirmation. Whichever of these this process
 * does not get to, the next one does, because the client sends again what was not confirmed. */
static gboolean
serve (P2pChannel *channel, P2pMessage *message, Effects *effects, guint64 answered,
       GError **error) {
  const guint64 sequence = p2p_message_get_sequence (message);
  GBytes *words = p2p_message_get_payload (message);
  if (!effects_make (effects, sequence, words)) {
    g_set_error (error, P2P_ERROR, P2P_ERROR_STORE,
                 "The effects before message %" G_GUINT64_FORMAT " are missing.", sequence);
    return FALSE;
  }
  /* The answer to a message has its number. */
  if (sequence >= answered && !p2p_channel_send (channel, words, NULL, error)) return FALSE;
  p2p_channel_confirm (channel, sequence);
  return TRUE;
}

static gboolean
serve_all (P2pConnection *connection, const char *client, GError **error) {
  g_autoptr (Effects) effects = effects_new (redis_host, redis_port, redis_password, client);
  g_autoptr (P2pChannel) channel = open_log (connection, error);
  guint64 answered = 0;
  if (!channel || !next_sequence (channel, &answered, error)) return FALSE;
  say (client, "served from %" G_GUINT64_FORMAT ", answered %" G_GUINT64_FORMAT,
       effects_count (effects), answered);
  for (;;) {
    g_autoptr (P2pMessage) message = p2p_channel_receive (channel, NULL, error);
    if (!message || !serve (channel, message, effects, answered, error)) return FALSE;
  }
}

static gpointer
serve_client (gpointer data) {
  g_autoptr (P2pConnection) connection = data;
  g_autoptr (GError) error = NULL;
  const char *client = p2p_connection_get_peer (connection);
  serve_all (connection, client, &error);
  say (client, "left: %s", error->message);
  return NULL;
}

static void
on_state (P2pConnection *connection, P2pConnectionState state, const char *reason, gpointer data) {
  g_autoptr (GEnumClass) states = g_type_class_ref (P2P_TYPE_CONNECTION_STATE);
  (void)data;
  say (p2p_connection_get_peer (connection), "%s: %s",
       g_enum_get_value (states, (gint)state)->value_nick, reason);
}

static void
on_incoming (P2pAgent *agent, P2pConnection *connection, gpointer data) {
  (void)agent;
  (void)data;
  g_signal_connect (connection, "state-changed", G_CALLBACK (on_state), NULL);
  g_thread_unref (g_thread_new ("client", serve_client, g_object_ref (connection)));
}

static void
on_warning (P2pAgent *agent, const GError *warning, gpointer data) {
  (void)agent;
  (void)data;
  say (id, "warning: %s", warning->message);
  /* Nothing has left since; what is in memory is not true any longer. */
  if (g_error_matches (warning, P2P_ERROR, P2P_ERROR_FENCED)) _exit (EXIT_FENCED);
  if (g_error_matches (warning, P2P_ERROR, P2P_ERROR_STORE)) _exit (1);
}

static void
on_started (GObject *agent, GAsyncResult *result, gpointer data) {
  g_autoptr (GError) error = NULL;
  (void)data;
  if (p2p_agent_start_finish (P2P_AGENT (agent), result, &error)) {
    say (id, "started at %s", address);
    return;
  }
  say (id, "not started: %s", error->message);
  _exit (1);
}

int
main (int argc, char **argv) {
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) options = g_option_context_new (NULL);
  g_option_context_add_main_entries (options, entries, NULL);
  if (!g_option_context_parse (options, &argc, &argv, &error) || !address || !rendezvous) {
    g_printerr ("%s\n", error ? error->message : "--address and --rendezvous are needed.");
    return 2;
  }
  say (id, "begins");
  g_autofree char *store =
      redis_password ? g_strdup_printf ("redis://:%s@%s:%d", redis_password, redis_host, redis_port)
                     : g_strdup_printf ("redis://%s:%d", redis_host, redis_port);
  g_autoptr (P2pAgent) agent =
      g_object_new (P2P_TYPE_AGENT, "id", id, "secret", secret, "rendezvous", rendezvous,
                    "identity", identity, "session-store-uri", store, "session-store-key", key,
                    "accept-policy", P2P_ACCEPT_POLICY_ALL, NULL);
  p2p_agent_add_local_address (agent, address);
  g_signal_connect (agent, "incoming", G_CALLBACK (on_incoming), NULL);
  g_signal_connect (agent, "warning", G_CALLBACK (on_warning), NULL);
  p2p_agent_start_async (agent, NULL, on_started, NULL);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
  return 0;
}
