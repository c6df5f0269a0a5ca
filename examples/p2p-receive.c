/* Waits for a peer and writes what it sends to standard output.
 *
 *   p2p-receive [--rendezvous=URI] [--secret=SECRET] ME PEER > file
 *
 * On the other side, on the same machine for the default rendezvous "local":
 *
 *   p2p-send PEER ME < file
 */
#include <gio/gunixoutputstream.h>
#include <p2p/p2p.h>
#include <unistd.h>

static char *rendezvous, *secret;
static const GOptionEntry entries[] = {
    {"rendezvous", 'r', 0, G_OPTION_ARG_STRING, &rendezvous, "where peers meet", "URI"},
    {"secret", 's', 0, G_OPTION_ARG_STRING, &secret, "shared with the peer", "SECRET"},
    {NULL, 0, 0, 0, NULL, NULL, NULL}};

static void
on_closed (GObject *source, GAsyncResult *result, gpointer loop) {
  (void)p2p_agent_close_finish (P2P_AGENT (source), result, NULL);
  g_main_loop_quit (loop);
}

/* Tells the peer; without it, the peer would have to notice that this process is gone. */
static void
close_agent (P2pAgent *agent) {
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  p2p_agent_close_async (agent, NULL, on_closed, loop);
  g_main_loop_run (loop);
}

static gboolean
receive_file (const char *me, const char *peer, GError **error) {
  g_autoptr (P2pAgent) agent = p2p_agent_new (me);
  if (!p2p_agent_set_rendezvous (agent, rendezvous ? rendezvous : "local", error)) return FALSE;
  p2p_agent_set_secret (agent, secret);
  g_autoptr (P2pConnection) connection = p2p_agent_open_connection (agent, peer, NULL, error);
  if (!connection) return FALSE;
  g_autoptr (P2pChannel) channel = p2p_connection_open_channel (connection, "file", NULL, error);
  if (!channel) return FALSE;
  g_autoptr (GOutputStream) output = g_unix_output_stream_new (STDOUT_FILENO, FALSE);
  GInputStream *input = g_io_stream_get_input_stream (p2p_channel_get_io_stream (channel));
  if (g_output_stream_splice (output, input, G_OUTPUT_STREAM_SPLICE_NONE, NULL, error) < 0)
    return FALSE;
  /* The sender closes, once it knows that everything was taken. */
  while (p2p_connection_get_state (connection) != P2P_CONNECTION_STATE_REMOVED)
    g_main_context_iteration (NULL, TRUE);
  close_agent (agent);
  return TRUE;
}

int
main (int argc, char **argv) {
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) options = g_option_context_new ("ME PEER");
  g_option_context_add_main_entries (options, entries, NULL);
  if (!g_option_context_parse (options, &argc, &argv, &error)) {
    g_printerr ("%s\n", error->message);
    return 2;
  }
  if (argc != 3) {
    g_printerr ("Usage: p2p-receive [--rendezvous=URI] [--secret=SECRET] ME PEER > file\n");
    return 2;
  }
  if (!receive_file (argv[1], argv[2], &error)) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  return 0;
}
