#include "builtin_signaling.hpp"

namespace {

struct Private {
  std::string socket_path;  // construct-only
  std::shared_ptr<p2p::SignalingHost> host;
};

enum Property : guint { PROP_SOCKET_PATH = 1, N_PROPERTIES };
GParamSpec *properties[N_PROPERTIES];

}  // namespace

/**
 * P2pLocalSignaling:
 *
 * Signaling between processes of one user on one machine, with no server: the first process hosts
 * the meeting point, on a Unix socket that only the user can reach; when it goes, another takes
 * over.
 *
 * Since: 1.0
 */
struct _P2pLocalSignaling {
  GObject parent_instance;
  Private *priv;
};

static void p2p_local_signaling_iface_init (P2pSignalingInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (P2pLocalSignaling, p2p_local_signaling, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (P2P_TYPE_SIGNALING,
                                                      p2p_local_signaling_iface_init))

static p2p::SignalingSpec
spec_of (P2pLocalSignaling *self) {
  const std::string &path = self->priv->socket_path;
  return {path.empty () ? "local" : "local:" + path, {}, {}};
}

static void
p2p_local_signaling_start (P2pSignaling *signaling, const char *id) {
  P2pLocalSignaling *self = P2P_LOCAL_SIGNALING (signaling);
  self->priv->host->start (spec_of (self), id);
}

static void
p2p_local_signaling_iface_init (P2pSignalingInterface *iface) {
  p2p::implement_signaling<P2pLocalSignaling> (iface);
  iface->start = p2p_local_signaling_start;
}

static void
p2p_local_signaling_init (P2pLocalSignaling *self) {
  self->priv = new Private;
  self->priv->host = std::make_shared<p2p::SignalingHost> (P2P_SIGNALING (self));
}

static void
p2p_local_signaling_finalize (GObject *object) {
  Private *priv = P2P_LOCAL_SIGNALING (object)->priv;
  priv->host->stop ();
  delete priv;
  G_OBJECT_CLASS (p2p_local_signaling_parent_class)->finalize (object);
}

static void
p2p_local_signaling_set_property (GObject *object, guint id, const GValue *value,
                                  GParamSpec *pspec) {
  Private &priv = *P2P_LOCAL_SIGNALING (object)->priv;
  if (id == PROP_SOCKET_PATH)
    priv.socket_path = p2p::from_nullable (g_value_get_string (value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
p2p_local_signaling_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  const Private &priv = *P2P_LOCAL_SIGNALING (object)->priv;
  if (id == PROP_SOCKET_PATH)
    g_value_set_string (value, p2p::or_null (priv.socket_path));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
p2p_local_signaling_class_init (P2pLocalSignalingClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->finalize = p2p_local_signaling_finalize;
  object_class->set_property = p2p_local_signaling_set_property;
  object_class->get_property = p2p_local_signaling_get_property;
  /**
   * P2pLocalSignaling:socket-path:
   *
   * The absolute path of the socket; %NULL is one in the user's runtime directory.
   *
   * Since: 1.0
   */
  properties[PROP_SOCKET_PATH] =
      g_param_spec_string ("socket-path", "Socket path", "Path of the meeting point's socket",
                           nullptr, p2p::kConstructOnly);
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

p2p::SignalingSpec
p2p::local_signaling_spec (P2pLocalSignaling *self) {
  return spec_of (self);
}

/**
 * p2p_local_signaling_new:
 * @socket_path: (nullable): absolute path of the socket; %NULL is one in the user's runtime
 * directory
 *
 * Signaling on this machine, for one agent.
 *
 * Returns: (transfer full) (type P2pLocalSignaling): a new object
 *
 * Since: 1.0
 */
P2pSignaling *
p2p_local_signaling_new (const char *socket_path) {
  return P2P_SIGNALING (
      g_object_new (P2P_TYPE_LOCAL_SIGNALING, "socket-path", socket_path, nullptr));
}
