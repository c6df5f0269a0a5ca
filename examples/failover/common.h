/* What the server and the clients of this example share. */
#pragma once
#include <p2p/p2p.h>

#define CHANNEL_NAME "log"
/* It says that another host has taken the sessions over. */
#define EXIT_FENCED 3

/* A line on standard output: the wall clock in ms, who, what. */
void say (const char *who, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Durable, and confirmed by this program. */
P2pChannel *open_log (P2pConnection *connection, GError **error);

/* The number of this side's next message; waits until it is known. */
gboolean next_sequence (P2pChannel *channel, guint64 *sequence, GError **error);
