/* Clients of the server in server.c, any number in one process: each says numbered words at a
 * steady pace, and expects each of them back, once and in order, whatever becomes of the server
 * meanwhile.
 *
 *   p2p-failover-client --clients=3 --messages=100 --rendezvous=URI --secret=SECRET --store=FILE
 *
 * Says what happens with the wall clock in ms, and ends with 0 when all were right. */
#include <p2p/p2p.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

static char *server = "server", *rendezvous, *secret, *store;
static int clients = 1, messages = 100, interval_ms = 20, message_bytes = 200;
static const GOptionEntry entries[] = {
    {"server", 0, 0, G_OPTION_ARG_STRING, &server, "id of the server", "ID"},
    {"clients", 0, 0, G_OPTION_ARG_INT, &clients, "how many", "N"},
    {"messages", 0, 0, G_OPTION_ARG_INT, &messages, "of each", "N"},
    {"interval-ms", 0, 0, G_OPTION_ARG_INT, &interval_ms, "between two of them", "MS"},
    {"message-bytes", 0, 0, G_OPTION_ARG_INT, &message_bytes, "of each message", "BYTES"},
    {"rendezvous", 0, 0, G_OPTION_ARG_STRING, &rendezvous, "where the server is found", "URI"},
    {"secret", 0, 0, G_OPTION_ARG_STRING, &secret, "shared with the server", "SECRET"},
    {"store", 0, 0, G_OPTION_ARG_FILENAME, &store, "for the sessions of all", "FILE"},
    {NULL, 0, 0, 0, NULL, NULL, NULL}};

typedef struct {
  char *name;
  P2pAgent *agent;
  P2pConnection *connection;
  P2pChannel *channel;
  GThread *sender, *receiver;
} Client;

/* Nothing else says so much about what is in it as its own number. */
static GBytes *
words_of (const Client *client, guint64 number) {
  GString *words = g_string_new (NULL);
  while (words->len < (gsize)message_bytes)
    g_string_append_printf (words, "%s:%" G_GUINT64_FORMAT ";", client->name, number);
  g_string_truncate (words, (gsize)message_bytes);
  return g_string_free_to_bytes (words);
}

static void
die (const Client *client, const char *what, const GError *error) {
  say (client->name, "FAILED: %s: %s", what, error ? error->message : "");
  _exit (1);
}

static gpointer
send_all (gpointer data) {
  const Client *client = data;
  g_autoptr (GError) error = NULL;
  guint64 next = 0;
  if (!next_sequence (client->channel, &next, &error)) die (client, "begin", error);
  for (; next < (guint64)messages; next++) {
    g_autoptr (GBytes) words = words_of (client, next);
    if (!p2p_channel_send (client->channel, words, NULL, &error)) die (client, "send", error);
    g_usleep ((gulong)interval_ms * 1000);
  }
  return NULL;
}

static gpointer
receive_all (gpointer data) {
  const Client *client = data;
  for (guint64 next = 0; next < (guint64)messages; next++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (P2pMessage) message = p2p_channel_receive (client->channel, NULL, &error);
    g_autoptr (GBytes) expected = words_of (client, next);
    if (!message) die (client, "receive", error);
    if (p2p_message_get_sequence (message) != next ||
        !g_bytes_equal (p2p_message_get_payload (message), expected))
      die (client, "another answer was expected", NULL);
    p2p_channel_confirm (client->channel, next);
  }
  say (client->name, "has all answers");
  return NULL;
}

static void
on_state (P2pConnection *connection, P2pConnectionState state, const char *reason, gpointer data) {
  const Client *client = data;
  g_autoptr (GEnumClass) states = g_type_class_ref (P2P_TYPE_CONNECTION_STATE);
  (void)connection;
  say (client->name, "%s: %s", g_enum_get_value (states, (gint)state)->value_nick, reason);
}

static void
on_warning (GObject *object, const GError *warning, gpointer data) {
  const Client *client = data;
  (void)object;
  say (client->name, "warning: %s", warning->message);
}

static void
start (Client *client, int number) {
  g_autoptr (GError) error = NULL;
  g_autofree char *uri = store ? g_strconcat ("sqlite:", store, NULL) : NULL;
  client->name = g_strdup_printf ("client-%d", number);
  client->agent = g_object_new (P2P_TYPE_AGENT, "id", client->name, "secret", secret, "rendezvous",
                                rendezvous, "session-store-uri", uri, NULL);
  g_signal_connect (client->agent, "warning", G_CALLBACK (on_warning), client);
  client->connection = p2p_agent_open_connection (client->agent, server, NULL, &error);
  if (!client->connection) die (client, "open", error);
  g_signal_connect (client->connection, "state-changed", G_CALLBACK (on_state), client);
  g_signal_connect (client->connection, "warning", G_CALLBACK (on_warning), client);
  client->channel = open_log (client->connection, &error);
  if (!client->channel) die (client, "channel", error);
  client->sender = g_thread_new ("sender", send_all, client);
  client->receiver = g_thread_new ("receiver", receive_all, client);
}

static gpointer
finish (gpointer data) {
  Client *all = data;
  for (int i = 0; i < clients; i++) {
    g_thread_join (all[i].sender);
    g_thread_join (all[i].receiver);
  }
  /* So that the server knows what was taken: the answers are confirmed before the process goes. */
  for (int i = 0; i < clients; i++) p2p_channel_flush (all[i].channel, NULL, NULL);
  say ("all", "done");
  _exit (0);
}

int
main (int argc, char **argv) {
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) options = g_option_context_new (NULL);
  g_option_context_add_main_entries (options, entries, NULL);
  if (!g_option_context_parse (options, &argc, &argv, &error) || clients < 1) {
    g_printerr ("%s\n", error ? error->message : "--clients must be 1 or more.");
    return 2;
  }
  g_autofree Client *all = g_new0 (Client, clients);
  for (int i = 0; i < clients; i++) start (&all[i], i);
  g_thread_unref (g_thread_new ("finish", finish, all));
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
  return 0;
}
