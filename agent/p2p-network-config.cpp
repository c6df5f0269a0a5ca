#include "boxes.hpp"
#include "facade.hpp"

/**
 * P2pNetworkConfig:
 *
 * How a peer can be reached for one attempt to connect: ICE credentials, candidates, and the
 * fingerprint of its certificate, as one object that can be written down and read back.
 *
 * It holds the password of the attempt: whoever reads it can take part in the connectivity checks,
 * but cannot pretend to be the peer without its key. Immutable, so that threads may share it.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (P2pNetworkConfig, p2p_network_config, p2p_network_config_ref,
                     p2p_network_config_unref)

P2pNetworkConfig *
p2p::network_config_box_new (const NetworkConfig &config) {
  return new P2pNetworkConfig{{1}, config};
}

/**
 * p2p_network_config_ref:
 * @config: a configuration
 *
 * Adds a reference.
 *
 * Returns: (transfer full): @config
 *
 * Since: 1.0
 */
P2pNetworkConfig *
p2p_network_config_ref (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, nullptr);
  config->references.fetch_add (1, std::memory_order_relaxed);
  return config;
}

/**
 * p2p_network_config_unref:
 * @config: (transfer full): a configuration
 *
 * Gives up a reference.
 *
 * Since: 1.0
 */
void
p2p_network_config_unref (P2pNetworkConfig *config) {
  g_return_if_fail (config);
  if (config->references.fetch_sub (1, std::memory_order_acq_rel) == 1) delete config;
}

/**
 * p2p_network_config_new_from_string:
 * @text: what [method@P2p.NetworkConfig.to_string] of the peer's configuration gave
 *
 * Reads a configuration. Text that is malformed is %P2P_ERROR_INVALID_ARGUMENT and the message
 * names the field; fields that are not known are skipped.
 *
 * Returns: (transfer full): the configuration, or %NULL with an error
 *
 * Since: 1.0
 */
P2pNetworkConfig *
p2p_network_config_new_from_string (const char *text, GError **error) {
  g_return_val_if_fail (text, nullptr);
  const auto config = p2p::network_config_from_json (text);
  if (config.ok ()) return p2p::network_config_box_new (config.value ());
  p2p::throw_error (config.error (), error);
  return nullptr;
}

/**
 * p2p_network_config_to_string:
 * @config: a configuration
 *
 * The configuration as one line of JSON text.
 *
 * Returns: (transfer full): the text
 *
 * Since: 1.0
 */
char *
p2p_network_config_to_string (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, nullptr);
  return g_strdup (p2p::network_config_to_json (config->content).c_str ());
}

/**
 * p2p_network_config_get_id:
 * @config: a configuration
 *
 * The id of the agent that made the configuration.
 *
 * Returns: the id
 *
 * Since: 1.0
 */
const char *
p2p_network_config_get_id (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, nullptr);
  return config->content.id.c_str ();
}

/**
 * p2p_network_config_get_fingerprint:
 * @config: a configuration
 *
 * The fingerprint of the agent's certificate, "sha-256 AB:CD:…" as in RFC 8122.
 *
 * Returns: the fingerprint
 *
 * Since: 1.0
 */
const char *
p2p_network_config_get_fingerprint (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, nullptr);
  return config->content.fingerprint.c_str ();
}

/**
 * p2p_network_config_get_ufrag:
 * @config: a configuration
 *
 * The ICE user name fragment of the attempt (RFC 8445).
 *
 * Returns: the fragment
 *
 * Since: 1.0
 */
const char *
p2p_network_config_get_ufrag (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, nullptr);
  return config->content.ufrag.c_str ();
}

/**
 * p2p_network_config_get_pwd:
 * @config: a configuration
 *
 * The ICE password of the attempt (RFC 8445).
 *
 * Returns: the password
 *
 * Since: 1.0
 */
const char *
p2p_network_config_get_pwd (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, nullptr);
  return config->content.pwd.c_str ();
}

/**
 * p2p_network_config_dup_candidates:
 * @config: a configuration
 *
 * The candidates as SDP strings, "candidate:…" (RFC 8839 section 5.1).
 *
 * Returns: (transfer full): the candidates; maybe none
 *
 * Since: 1.0
 */
GStrv
p2p_network_config_dup_candidates (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, nullptr);
  const auto &candidates = config->content.candidates;
  GStrv list = g_new0 (char *, candidates.size () + 1);
  for (std::size_t i = 0; i < candidates.size (); i++) list[i] = g_strdup (candidates[i].c_str ());
  return list;
}

/**
 * p2p_network_config_is_complete:
 * @config: a configuration
 *
 * Whether all candidates are in it; otherwise more may be known later.
 *
 * Returns: %TRUE when nothing will be added
 *
 * Since: 1.0
 */
gboolean
p2p_network_config_is_complete (P2pNetworkConfig *config) {
  g_return_val_if_fail (config, FALSE);
  return config->content.complete;
}
