/* A C program that takes the address of every public function: each must exist in the library, have
 * a prototype in C, and be exported. Then the parts that need no peer are used. */
#include <p2p/p2p.h>
#include <string.h>

static const struct {
  const char *name;
  GCallback function;
} functions[] = {
#define FUNCTION(name) \
  { #name, (GCallback)name }
    FUNCTION (p2p_agent_add_local_address),
    FUNCTION (p2p_agent_add_path_factory),
    FUNCTION (p2p_agent_add_turn_server),
    FUNCTION (p2p_agent_close_async),
    FUNCTION (p2p_agent_close_connections),
    FUNCTION (p2p_agent_close_finish),
    FUNCTION (p2p_agent_connect_async),
    FUNCTION (p2p_agent_connect_finish),
    FUNCTION (p2p_agent_create_network_config_async),
    FUNCTION (p2p_agent_create_network_config_finish),
    FUNCTION (p2p_agent_get_connections),
    FUNCTION (p2p_agent_get_fingerprint),
    FUNCTION (p2p_agent_get_id),
    FUNCTION (p2p_agent_get_type),
    FUNCTION (p2p_agent_lookup_connection),
    FUNCTION (p2p_agent_new),
    FUNCTION (p2p_agent_new_full),
    FUNCTION (p2p_agent_open_connection),
    FUNCTION (p2p_agent_set_peer_fingerprint),
    FUNCTION (p2p_agent_set_peer_secret),
    FUNCTION (p2p_agent_set_rendezvous),
    FUNCTION (p2p_agent_set_secret),
    FUNCTION (p2p_agent_set_signaling),
    FUNCTION (p2p_agent_set_stun_server),
    FUNCTION (p2p_agent_start_async),
    FUNCTION (p2p_agent_start_finish),
    FUNCTION (p2p_app_signaling_get_type),
    FUNCTION (p2p_app_signaling_new),
    FUNCTION (p2p_app_signaling_receive),
    FUNCTION (p2p_app_signaling_set_present),
    FUNCTION (p2p_channel_close),
    FUNCTION (p2p_channel_dup_connection),
    FUNCTION (p2p_channel_dup_options),
    FUNCTION (p2p_channel_end),
    FUNCTION (p2p_channel_flush),
    FUNCTION (p2p_channel_flush_async),
    FUNCTION (p2p_channel_flush_finish),
    FUNCTION (p2p_channel_get_io_stream),
    FUNCTION (p2p_channel_get_name),
    FUNCTION (p2p_channel_get_stats),
    FUNCTION (p2p_channel_get_type),
    FUNCTION (p2p_channel_is_open),
    FUNCTION (p2p_channel_options_copy),
    FUNCTION (p2p_channel_options_free),
    FUNCTION (p2p_channel_options_get_max_packet_lifetime),
    FUNCTION (p2p_channel_options_get_max_queue_bytes),
    FUNCTION (p2p_channel_options_get_max_retransmits),
    FUNCTION (p2p_channel_options_get_ordered),
    FUNCTION (p2p_channel_options_get_priority),
    FUNCTION (p2p_channel_options_get_protocol),
    FUNCTION (p2p_channel_options_get_type),
    FUNCTION (p2p_channel_options_new),
    FUNCTION (p2p_channel_options_set_max_packet_lifetime),
    FUNCTION (p2p_channel_options_set_max_queue_bytes),
    FUNCTION (p2p_channel_options_set_max_retransmits),
    FUNCTION (p2p_channel_options_set_ordered),
    FUNCTION (p2p_channel_options_set_priority),
    FUNCTION (p2p_channel_options_set_protocol),
    FUNCTION (p2p_channel_receive),
    FUNCTION (p2p_channel_receive_async),
    FUNCTION (p2p_channel_receive_finish),
    FUNCTION (p2p_channel_send),
    FUNCTION (p2p_channel_send_async),
    FUNCTION (p2p_channel_send_finish),
    FUNCTION (p2p_channel_send_message),
    FUNCTION (p2p_channel_send_message_async),
    FUNCTION (p2p_channel_send_message_finish),
    FUNCTION (p2p_channel_try_receive),
    FUNCTION (p2p_channel_try_send_message),
    FUNCTION (p2p_connection_accept),
    FUNCTION (p2p_connection_close),
    FUNCTION (p2p_connection_close_async),
    FUNCTION (p2p_connection_close_finish),
    FUNCTION (p2p_connection_dup_error),
    FUNCTION (p2p_connection_dup_local_config),
    FUNCTION (p2p_connection_dup_peer_fingerprint),
    FUNCTION (p2p_connection_dup_remote_config),
    FUNCTION (p2p_connection_dup_state_reason),
    FUNCTION (p2p_connection_get_authentication),
    FUNCTION (p2p_connection_get_break_reason),
    FUNCTION (p2p_connection_get_channels),
    FUNCTION (p2p_connection_get_peer),
    FUNCTION (p2p_connection_get_state),
    FUNCTION (p2p_connection_get_stats),
    FUNCTION (p2p_connection_get_type),
    FUNCTION (p2p_connection_lookup_channel),
    FUNCTION (p2p_connection_open_channel),
    FUNCTION (p2p_connection_refuse),
    FUNCTION (p2p_connection_update_remote_config),
    FUNCTION (p2p_connection_wait_connected),
    FUNCTION (p2p_error_quark),
    FUNCTION (p2p_generate_secret),
    FUNCTION (p2p_get_event_context),
    FUNCTION (p2p_local_signaling_get_type),
    FUNCTION (p2p_local_signaling_new),
    FUNCTION (p2p_memory_network_advance),
    FUNCTION (p2p_memory_network_get_stats),
    FUNCTION (p2p_memory_network_get_type),
    FUNCTION (p2p_memory_network_new),
    FUNCTION (p2p_memory_network_new_virtual),
    FUNCTION (p2p_message_get_attributes),
    FUNCTION (p2p_message_get_gap_before),
    FUNCTION (p2p_message_get_payload),
    FUNCTION (p2p_message_get_sequence),
    FUNCTION (p2p_message_get_type),
    FUNCTION (p2p_message_new),
    FUNCTION (p2p_message_ref),
    FUNCTION (p2p_message_unref),
    FUNCTION (p2p_network_config_dup_candidates),
    FUNCTION (p2p_network_config_get_fingerprint),
    FUNCTION (p2p_network_config_get_id),
    FUNCTION (p2p_network_config_get_pwd),
    FUNCTION (p2p_network_config_get_type),
    FUNCTION (p2p_network_config_get_ufrag),
    FUNCTION (p2p_network_config_is_complete),
    FUNCTION (p2p_network_config_new_from_string),
    FUNCTION (p2p_network_config_ref),
    FUNCTION (p2p_network_config_to_string),
    FUNCTION (p2p_network_config_unref),
    FUNCTION (p2p_path_close),
    FUNCTION (p2p_path_describe),
    FUNCTION (p2p_path_emit_failed),
    FUNCTION (p2p_path_emit_received),
    FUNCTION (p2p_path_factory_emit_send_message),
    FUNCTION (p2p_path_factory_get_name),
    FUNCTION (p2p_path_factory_get_type),
    FUNCTION (p2p_path_factory_open_async),
    FUNCTION (p2p_path_factory_open_finish),
    FUNCTION (p2p_path_factory_receive_message),
    FUNCTION (p2p_path_get_max_datagram_bytes),
    FUNCTION (p2p_path_get_type),
    FUNCTION (p2p_path_send),
    FUNCTION (p2p_rendezvous_signaling_get_type),
    FUNCTION (p2p_rendezvous_signaling_new),
    FUNCTION (p2p_signaling_ask),
    FUNCTION (p2p_signaling_emit_message),
    FUNCTION (p2p_signaling_emit_peer),
    FUNCTION (p2p_signaling_emit_state),
    FUNCTION (p2p_signaling_get_type),
    FUNCTION (p2p_signaling_send),
    FUNCTION (p2p_signaling_start),
    FUNCTION (p2p_signaling_stop),
    FUNCTION (p2p_signaling_unask),
#undef FUNCTION
};

static void
test_every_function_is_exported (void) {
  for (guint i = 0; i < G_N_ELEMENTS (functions); i++) g_assert_nonnull (functions[i].function);
}

static void
test_options_keep_what_was_set (void) {
  g_autoptr (P2pChannelOptions) options = p2p_channel_options_new ();
  g_assert_true (p2p_channel_options_get_ordered (options));
  g_assert_cmpint (p2p_channel_options_get_max_packet_lifetime (options), ==, -1);
  g_assert_cmpint (p2p_channel_options_get_max_retransmits (options), ==, -1);
  g_assert_null (p2p_channel_options_get_protocol (options));
  p2p_channel_options_set_ordered (options, FALSE);
  p2p_channel_options_set_max_retransmits (options, 0);
  p2p_channel_options_set_protocol (options, "chat");
  p2p_channel_options_set_max_queue_bytes (options, 4096);
  g_assert_cmpuint (p2p_channel_options_get_priority (options), ==, 256);
  p2p_channel_options_set_priority (options, 1024);
  g_autoptr (P2pChannelOptions) copy = p2p_channel_options_copy (options);
  p2p_channel_options_set_protocol (options, NULL);
  g_assert_false (p2p_channel_options_get_ordered (copy));
  g_assert_cmpint (p2p_channel_options_get_max_retransmits (copy), ==, 0);
  g_assert_cmpstr (p2p_channel_options_get_protocol (copy), ==, "chat");
  g_assert_cmpuint (p2p_channel_options_get_max_queue_bytes (copy), ==, 4096);
  g_assert_cmpuint (p2p_channel_options_get_priority (copy), ==, 1024);
}

static void
test_message_holds_payload_and_attributes (void) {
  g_autoptr (GBytes) payload = g_bytes_new_static ("bytes", 5);
  g_autoptr (P2pMessage) message = p2p_message_new (payload, NULL);
  g_autoptr (P2pMessage) empty = p2p_message_new (NULL, payload);
  g_assert_true (p2p_message_get_payload (message) == payload);
  g_assert_null (p2p_message_get_attributes (message));
  g_assert_cmpuint (g_bytes_get_size (p2p_message_get_payload (empty)), ==, 0);
  g_assert_true (p2p_message_get_attributes (empty) == payload);
}

static void
test_malformed_config_is_an_error (void) {
  g_autoptr (GError) error = NULL;
  g_assert_null (p2p_network_config_new_from_string ("[", &error));
  g_assert_error (error, P2P_ERROR, P2P_ERROR_INVALID_ARGUMENT);
}

static void
test_agent_refuses_to_connect_without_what_was_set (void) {
  g_autoptr (P2pAgent) agent = p2p_agent_new ("alice");
  g_autoptr (GError) error = NULL;
  g_object_set (agent, "turn-server", "nonsense", NULL);
  g_assert_null (p2p_agent_open_connection (agent, "bob", NULL, &error));
  g_assert_error (error, P2P_ERROR, P2P_ERROR_INVALID_ARGUMENT);
}

static void
test_turn_password_is_never_read (void) {
  g_autoptr (P2pAgent) agent = p2p_agent_new ("alice");
  g_autofree char *shown = NULL;
  g_object_set (agent, "turn-server", "turn://user:hunter2@192.0.2.1", NULL);
  g_object_get (agent, "turn-server", &shown, NULL);
  g_assert_nonnull (strstr (shown, "192.0.2.1"));
  g_assert_null (strstr (shown, "hunter2"));
}

int
main (int argc, char **argv) {
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/api/every-function-is-exported", test_every_function_is_exported);
  g_test_add_func ("/api/options-keep-what-was-set", test_options_keep_what_was_set);
  g_test_add_func ("/api/message-holds-payload", test_message_holds_payload_and_attributes);
  g_test_add_func ("/api/malformed-config", test_malformed_config_is_an_error);
  g_test_add_func ("/api/unset-refuses", test_agent_refuses_to_connect_without_what_was_set);
  g_test_add_func ("/api/turn-password", test_turn_password_is_never_read);
  return g_test_run ();
}
