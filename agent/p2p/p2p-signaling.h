#pragma once
#include <p2p/p2p-types.h>

G_BEGIN_DECLS

struct _P2pSignalingInterface {
  GTypeInterface parent;

  void (*start) (P2pSignaling *self, const char *id);
  void (*stop) (P2pSignaling *self);
  void (*ask) (P2pSignaling *self, const char *peer);
  void (*unask) (P2pSignaling *self, const char *peer);
  gboolean (*send) (P2pSignaling *self, const char *peer, GBytes *message, GError **error);

  /*< private >*/
  gpointer padding[8];
};

P2P_API void p2p_signaling_start (P2pSignaling *self, const char *id);
P2P_API void p2p_signaling_stop (P2pSignaling *self);
P2P_API void p2p_signaling_ask (P2pSignaling *self, const char *peer);
P2P_API void p2p_signaling_unask (P2pSignaling *self, const char *peer);
P2P_API gboolean p2p_signaling_send (P2pSignaling *self, const char *peer, GBytes *message,
                                     GError **error);
P2P_API void p2p_signaling_emit_state (P2pSignaling *self, P2pSignalingState state,
                                       const GError *reason);
P2P_API void p2p_signaling_emit_peer (P2pSignaling *self, const char *peer, gboolean present);
P2P_API void p2p_signaling_emit_message (P2pSignaling *self, const char *peer, GBytes *message);

P2P_API P2pSignaling *p2p_local_signaling_new (const char *socket_path);

P2P_API P2pSignaling *p2p_rendezvous_signaling_new (const char *uri, const char *tls_ca_file,
                                                    const char *identity, GError **error);

P2P_API P2pSignaling *p2p_app_signaling_new (void);
P2P_API void p2p_app_signaling_receive (P2pAppSignaling *self, const char *peer, GBytes *message);
P2P_API void p2p_app_signaling_set_present (P2pAppSignaling *self, const char *peer,
                                            gboolean present);

G_END_DECLS
