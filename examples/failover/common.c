#include "common.h"

#include <stdio.h>

void
say (const char *who, const char *format, ...) {
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  printf ("%" G_GINT64_FORMAT " %s %s\n", g_get_real_time () / 1000, who, text);
  fflush (stdout);
}

P2pChannel *
open_log (P2pConnection *connection, GError **error) {
  g_autoptr (P2pChannelOptions) options = p2p_channel_options_new ();
  p2p_channel_options_set_durable (options, TRUE);
  p2p_channel_options_set_manual_confirm (options, TRUE);
  return p2p_connection_open_channel (connection, CHANNEL_NAME, options, error);
}

gboolean
next_sequence (P2pChannel *channel, guint64 *sequence, GError **error) {
  for (;;) {
    g_autoptr (GError) unknown = NULL;
    if (p2p_channel_get_resume_sequence (channel, sequence, &unknown)) return TRUE;
    if (g_error_matches (unknown, P2P_ERROR, P2P_ERROR_NOT_FOUND)) {
      *sequence = 0;
      return TRUE;
    }
    if (!g_error_matches (unknown, P2P_ERROR, P2P_ERROR_WOULD_BLOCK)) {
      g_propagate_error (error, g_steal_pointer (&unknown));
      return FALSE;
    }
    g_usleep (5000);
  }
}
