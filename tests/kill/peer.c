/* One side of the kill test: sends numbered messages over a durable channel, and does with each
 * message that it receives the one thing that must be done once: a line in a file.
 *
 *   kill-peer ID PEER STORE EFFECTS MESSAGES RENDEZVOUS
 *
 * Says on standard output what happens, with the wall clock in ms. Ends with 0 when all messages of
 * both sides have had their effects. */
#include <fcntl.h>
#include <p2p/p2p.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES 16

typedef struct {
  P2pChannel *channel;
  guint64 messages;
} Sending;

static void
say (const char *what, const char *detail) {
  printf ("%" G_GINT64_FORMAT " %s %s\n", g_get_real_time () / 1000, what, detail);
  fflush (stdout);
}

static void
die (const char *what, const GError *error) {
  say (what, error ? error->message : "");
  exit (1);
}

static void
state_changed (P2pConnection *connection, GParamSpec *pspec, gpointer data) {
  P2pConnectionState state = p2p_connection_get_state (connection);
  GEnumClass *states = g_type_class_ref (P2P_TYPE_CONNECTION_STATE);
  (void)pspec;
  (void)data;
  say ("state", g_enum_get_value (states, (gint)state)->value_nick);
  g_type_class_unref (states);
}

static gpointer
run_loop (gpointer data) {
  g_main_loop_run (data);
  return NULL;
}

static void
closed (GObject *agent, GAsyncResult *result, gpointer loop) {
  p2p_agent_close_finish (P2P_AGENT (agent), result, NULL);
  g_main_loop_quit (loop);
}

/* Where this side goes on, once that is known. */
static guint64
resume_sequence (P2pChannel *channel) {
  for (;;) {
    guint64 sequence = 0;
    GError *error = NULL;
    if (p2p_channel_get_resume_sequence (channel, &sequence, &error)) return sequence;
    if (g_error_matches (error, P2P_ERROR, P2P_ERROR_NOT_FOUND)) {
      g_clear_error (&error);
      return 0;
    }
    if (!g_error_matches (error, P2P_ERROR, P2P_ERROR_WOULD_BLOCK)) die ("resume", error);
    g_clear_error (&error);
    g_usleep (1000);
  }
}

static gpointer
send_all (gpointer data) {
  Sending *sending = data;
  guint64 next = resume_sequence (sending->channel);
  for (; next < sending->messages; next++) {
    char text[LINE_BYTES + 1];
    GError *error = NULL;
    GBytes *bytes = NULL;
    g_snprintf (text, sizeof text, "%0*" G_GUINT64_FORMAT "\n", LINE_BYTES - 1, next);
    bytes = g_bytes_new (text, LINE_BYTES);
    if (!p2p_channel_send (sending->channel, bytes, NULL, &error)) die ("send", error);
    g_bytes_unref (bytes);
  }
  p2p_channel_end (sending->channel);
  say ("sent", "all");
  return NULL;
}

static void
receive_all (P2pChannel *channel, int effects, guint64 done, guint64 messages) {
  for (;;) {
    GError *error = NULL;
    P2pMessage *message = p2p_channel_receive (channel, NULL, &error);
    guint64 sequence = 0;
    gsize size = 0;
    gconstpointer data = NULL;
    if (!message) {
      if (!g_error_matches (error, P2P_ERROR, P2P_ERROR_END_OF_STREAM)) die ("receive", error);
      g_clear_error (&error);
      break;
    }
    sequence = p2p_message_get_sequence (message);
    data = g_bytes_get_data (p2p_message_get_payload (message), &size);
    if (sequence > done) die ("gap", NULL);
    /* One write of a line is whole or is not, whenever this process is killed. */
    if (sequence == done) {
      if (size != LINE_BYTES || write (effects, data, size) != (gssize)size) die ("write", NULL);
      done++;
    }
    p2p_channel_confirm (channel, sequence);
    p2p_message_unref (message);
  }
  if (done != messages) die ("short", NULL);
}

int
main (int argc, char **argv) {
  GError *error = NULL;
  GMainLoop *loop = g_main_loop_new (NULL, FALSE);
  P2pAgent *agent = NULL;
  P2pConnection *connection = NULL;
  P2pChannelOptions *options = NULL;
  P2pChannel *channel = NULL;
  Sending sending = {0};
  struct stat file;
  int effects = -1;
  guint64 done = 0;
  GThread *sender = NULL, *loop_thread = NULL;
  if (argc != 7) return 2;
  effects = open (argv[4], O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (effects < 0 || fstat (effects, &file) != 0) return 2;
  done = (guint64)file.st_size / LINE_BYTES;
  say ("start", argv[1]);

  agent = g_object_new (P2P_TYPE_AGENT, "id", argv[1], "secret",
                        "p2p-7m2sxk4qhw5nqzv3atb6rcyd2ejfgpuo", "rendezvous", argv[6],
                        "session-store-uri", argv[3], "peer-comeback-timeout", 60000, NULL);
  loop_thread = g_thread_new ("loop", run_loop, loop);
  connection = p2p_agent_open_connection (agent, argv[2], NULL, &error);
  if (!connection) die ("open", error);
  g_signal_connect (connection, "notify::state", G_CALLBACK (state_changed), NULL);
  options = p2p_channel_options_new ();
  p2p_channel_options_set_durable (options, TRUE);
  p2p_channel_options_set_manual_confirm (options, TRUE);
  channel = p2p_connection_open_channel (connection, "log", options, &error);
  p2p_channel_options_free (options);
  if (!channel) die ("channel", error);
  if (done > 0) p2p_channel_confirm (channel, done - 1);

  sending.channel = channel;
  sending.messages = g_ascii_strtoull (argv[5], NULL, 10);
  sender = g_thread_new ("sender", send_all, &sending);
  receive_all (channel, effects, done, sending.messages);
  say ("received", "all");
  g_thread_join (sender);
  /* The peer may have left when it had all. */
  if (!p2p_channel_flush (channel, NULL, &error)) g_clear_error (&error);
  say ("done", argv[1]);
  p2p_agent_close_async (agent, NULL, closed, loop);
  g_thread_join (loop_thread);
  g_object_unref (channel);
  g_object_unref (connection);
  g_object_unref (agent);
  g_main_loop_unref (loop);
  return 0;
}
