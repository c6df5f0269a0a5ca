#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

#define P2P_TYPE_CHANNEL_OPTIONS (p2p_channel_options_get_type ())
P2P_API GType p2p_channel_options_get_type (void);
P2P_API P2pChannelOptions *p2p_channel_options_new (void);
P2P_API P2pChannelOptions *p2p_channel_options_copy (const P2pChannelOptions *options);
P2P_API void p2p_channel_options_free (P2pChannelOptions *options);
P2P_API void p2p_channel_options_set_ordered (P2pChannelOptions *options, gboolean ordered);
P2P_API void p2p_channel_options_set_max_packet_lifetime (P2pChannelOptions *options,
                                                          gint lifetime_ms);
P2P_API void p2p_channel_options_set_max_retransmits (P2pChannelOptions *options,
                                                      gint max_retransmits);
P2P_API void p2p_channel_options_set_protocol (P2pChannelOptions *options, const char *protocol);
P2P_API void p2p_channel_options_set_max_queue_bytes (P2pChannelOptions *options, guint64 bytes);
P2P_API void p2p_channel_options_set_priority (P2pChannelOptions *options, guint priority);
P2P_API gboolean p2p_channel_options_get_ordered (const P2pChannelOptions *options);
P2P_API gint p2p_channel_options_get_max_packet_lifetime (const P2pChannelOptions *options);
P2P_API gint p2p_channel_options_get_max_retransmits (const P2pChannelOptions *options);
P2P_API const char *p2p_channel_options_get_protocol (const P2pChannelOptions *options);
P2P_API guint64 p2p_channel_options_get_max_queue_bytes (const P2pChannelOptions *options);
P2P_API guint p2p_channel_options_get_priority (const P2pChannelOptions *options);
P2P_API void p2p_channel_options_set_durable (P2pChannelOptions *options, gboolean durable);
P2P_API gboolean p2p_channel_options_get_durable (const P2pChannelOptions *options);
P2P_API void p2p_channel_options_set_manual_confirm (P2pChannelOptions *options, gboolean manual);
P2P_API gboolean p2p_channel_options_get_manual_confirm (const P2pChannelOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (P2pChannelOptions, p2p_channel_options_free)

#define P2P_TYPE_MESSAGE (p2p_message_get_type ())
P2P_API GType p2p_message_get_type (void);
P2P_API P2pMessage *p2p_message_new (GBytes *payload, GBytes *attributes);
P2P_API P2pMessage *p2p_message_ref (P2pMessage *message);
P2P_API void p2p_message_unref (P2pMessage *message);
P2P_API GBytes *p2p_message_get_payload (P2pMessage *message);
P2P_API GBytes *p2p_message_get_attributes (P2pMessage *message);
P2P_API guint64 p2p_message_get_sequence (P2pMessage *message);
P2P_API gboolean p2p_message_get_gap_before (P2pMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (P2pMessage, p2p_message_unref)

P2P_API const char *p2p_channel_get_name (P2pChannel *self);
P2P_API P2pConnection *p2p_channel_dup_connection (P2pChannel *self);
P2P_API P2pChannelOptions *p2p_channel_dup_options (P2pChannel *self);
P2P_API gboolean p2p_channel_is_open (P2pChannel *self);
P2P_API GVariant *p2p_channel_get_stats (P2pChannel *self);

P2P_API gboolean p2p_channel_send (P2pChannel *self, GBytes *payload, GCancellable *cancellable,
                                   GError **error);
P2P_API gboolean p2p_channel_send_message (P2pChannel *self, P2pMessage *message,
                                           GCancellable *cancellable, GError **error);
P2P_API gboolean p2p_channel_try_send_message (P2pChannel *self, P2pMessage *message,
                                               GError **error);
P2P_API void p2p_channel_send_async (P2pChannel *self, GBytes *payload, GCancellable *cancellable,
                                     GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_channel_send_finish (P2pChannel *self, GAsyncResult *result, GError **error);
P2P_API void p2p_channel_send_message_async (P2pChannel *self, P2pMessage *message,
                                             GCancellable *cancellable,
                                             GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_channel_send_message_finish (P2pChannel *self, GAsyncResult *result,
                                                  GError **error);

P2P_API P2pMessage *p2p_channel_receive (P2pChannel *self, GCancellable *cancellable,
                                         GError **error);
P2P_API P2pMessage *p2p_channel_try_receive (P2pChannel *self, GError **error);
P2P_API void p2p_channel_receive_async (P2pChannel *self, GCancellable *cancellable,
                                        GAsyncReadyCallback callback, gpointer user_data);
P2P_API P2pMessage *p2p_channel_receive_finish (P2pChannel *self, GAsyncResult *result,
                                                GError **error);

P2P_API gboolean p2p_channel_flush (P2pChannel *self, GCancellable *cancellable, GError **error);
P2P_API void p2p_channel_flush_async (P2pChannel *self, GCancellable *cancellable,
                                      GAsyncReadyCallback callback, gpointer user_data);
P2P_API gboolean p2p_channel_flush_finish (P2pChannel *self, GAsyncResult *result, GError **error);
P2P_API void p2p_channel_confirm (P2pChannel *self, guint64 sequence);
P2P_API gboolean p2p_channel_get_resume_sequence (P2pChannel *self, guint64 *sequence,
                                                  GError **error);
P2P_API void p2p_channel_end (P2pChannel *self);
P2P_API void p2p_channel_close (P2pChannel *self);
P2P_API GIOStream *p2p_channel_get_io_stream (P2pChannel *self);

G_END_DECLS
