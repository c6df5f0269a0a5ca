/* Gets an address at a TURN server, sends a line to that address, and reads it back: what can be
 * seen of a server without a second machine.
 *
 *   turn-echo turn://user:password@example.org:3478?transport=udp
 */
#include <p2p/p2p.h>
#include <string.h>

#define RETRY_MS 200 /* a datagram may be lost */
#define LIMIT_MS 20000

typedef struct {
  P2pTurnClient *client;
  GMainLoop *loop;
  GSocketAddress *own;
  GBytes *line;
  GError *error;
  gboolean echoed;
} Echo;

static gboolean
on_retry (gpointer data) {
  Echo *echo = data;
  if (!p2p_turn_client_send (echo->client, echo->own, echo->line, &echo->error))
    g_main_loop_quit (echo->loop);
  return echo->error ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
on_received (P2pTurnClient *client, GSocketAddress *peer, GBytes *datagram, gpointer data) {
  Echo *echo = data;
  (void)client;
  (void)peer;
  echo->echoed = g_bytes_equal (datagram, echo->line);
  if (echo->echoed) g_main_loop_quit (echo->loop);
}

static void
on_bad_network (P2pTurnClient *client, P2pTurnReason reason, const GError *error, gpointer data) {
  (void)client;
  (void)reason;
  (void)data;
  g_printerr ("%s\n", error->message);
}

static void
on_allocated (GObject *source, GAsyncResult *result, gpointer data) {
  Echo *echo = data;
  P2pTurnClient *client = P2P_TURN_CLIENT (source);
  if (p2p_turn_client_allocate_finish (client, result, &echo->error)) {
    echo->own = p2p_turn_client_get_relayed_address (client, G_SOCKET_FAMILY_INVALID);
    if (p2p_turn_client_add_peer (client, echo->own, &echo->error)) {
      on_retry (echo);
      g_timeout_add (RETRY_MS, on_retry, echo);
      return;
    }
  }
  g_main_loop_quit (echo->loop);
}

static gboolean
on_limit (gpointer data) {
  g_main_loop_quit (((Echo *)data)->loop);
  return G_SOURCE_CONTINUE;
}

static void
on_closed (GObject *source, GAsyncResult *result, gpointer loop) {
  (void)p2p_turn_client_close_finish (P2P_TURN_CLIENT (source), result, NULL);
  g_main_loop_quit (loop);
}

int
main (int argc, char **argv) {
  const char *text = "hello, relay";
  if (argc != 2) {
    g_printerr ("Usage: turn-echo turn://user:password@host:port?transport=udp|tcp\n");
    return 2;
  }
  g_autoptr (P2pTurnClient) client = p2p_turn_client_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GBytes) line = g_bytes_new_static (text, strlen (text));
  Echo echo = {client, loop, NULL, line, NULL, FALSE};
  if (p2p_turn_client_add_turn_server (client, argv[1], &echo.error)) {
    g_signal_connect (client, "received", G_CALLBACK (on_received), &echo);
    g_signal_connect (client, "bad-network", G_CALLBACK (on_bad_network), &echo);
    p2p_turn_client_allocate_async (client, NULL, on_allocated, &echo);
    g_timeout_add (LIMIT_MS, on_limit, &echo);
    g_main_loop_run (loop);
    /* So that the server need not keep the allocation for its ten minutes. */
    p2p_turn_client_close_async (client, NULL, on_closed, loop);
    g_main_loop_run (loop);
  }
  if (echo.echoed)
    g_print ("%s\n", text);
  else
    g_printerr ("%s\n", echo.error ? echo.error->message : "Nothing came back.");
  g_clear_object (&echo.own);
  g_clear_error (&echo.error);
  return echo.echoed ? 0 : 1;
}
