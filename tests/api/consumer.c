/* What an application does first, against the installed library only: make an agent, read its id.
 */
#include <p2p/p2p.h>
#include <stdio.h>
#include <string.h>

int
main (void) {
  P2pAgent *agent = p2p_agent_new ("alice");
  char *secret = p2p_generate_secret ();
  int ok = P2P_IS_AGENT (agent) && strcmp (p2p_agent_get_id (agent), "alice") == 0 &&
           g_list_model_get_n_items (p2p_agent_get_connections (agent)) == 0 && secret != NULL &&
           strlen (secret) >= 16 && P2P_CHECK_VERSION (0, 1, 0);

  printf ("p2pagent %d.%d.%d: %s\n", P2P_MAJOR_VERSION, P2P_MINOR_VERSION, P2P_MICRO_VERSION,
          ok ? "works" : "does not work");
  g_free (secret);
  g_object_unref (agent);
  return ok ? 0 : 1;
}
