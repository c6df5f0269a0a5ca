/* The application's own data: for each client the list of what it said, on the Redis server that
 * has the sessions as well. What must be done once is done by a script there, which knows by the
 * number of a message whether it was. */
#pragma once
#include <glib.h>

typedef struct Effects Effects;

Effects *effects_new (const char *host, int port, const char *password, const char *client);
void effects_free (Effects *effects);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Effects, effects_free)

/* How many there are; waits for a server that is away. */
guint64 effects_count (Effects *effects);
/* Makes the effect of the message with that number, if nobody has. FALSE: an earlier one is
 * missing. */
gboolean effects_make (Effects *effects, guint64 sequence, GBytes *message);
