#include "builtin_signaling.hpp"
#include "signaling/factory.hpp"

namespace {

struct Private {
  p2p::SignalingSpec spec;  // construct-only
  std::shared_ptr<p2p::SignalingHost> host;
};

enum Property : guint { PROP_URI = 1, PROP_TLS_CA_FILE, PROP_IDENTITY, N_PROPERTIES };
GParamSpec *properties[N_PROPERTIES];

}  // namespace

/**
 * P2pRendezvousSignaling:
 *
 * Signaling through a rendezvous server, such as `p2p-rendezvous`. The server sees ids and opaque
 * messages; when the peers share a secret or know each other's fingerprints it can do no more than
 * refuse its service. An id belongs to the key that registered it first.
 *
 * Since: 1.0
 */
struct _P2pRendezvousSignaling {
  GObject parent_instance;
  Private *priv;
};

static void p2p_rendezvous_signaling_iface_init (P2pSignalingInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (P2pRendezvousSignaling, p2p_rendezvous_signaling, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (P2P_TYPE_SIGNALING,
                                                      p2p_rendezvous_signaling_iface_init))

static void
p2p_rendezvous_signaling_start (P2pSignaling *signaling, const char *id) {
  const Private &priv = *P2P_RENDEZVOUS_SIGNALING (signaling)->priv;
  priv.host->start (priv.spec, id);
}

static void
p2p_rendezvous_signaling_iface_init (P2pSignalingInterface *iface) {
  p2p::implement_signaling<P2pRendezvousSignaling> (iface);
  iface->start = p2p_rendezvous_signaling_start;
}

static void
p2p_rendezvous_signaling_init (P2pRendezvousSignaling *self) {
  self->priv = new Private;
  self->priv->host = std::make_shared<p2p::SignalingHost> (P2P_SIGNALING (self));
}

static void
p2p_rendezvous_signaling_finalize (GObject *object) {
  Private *priv = P2P_RENDEZVOUS_SIGNALING (object)->priv;
  priv->host->stop ();
  delete priv;
  G_OBJECT_CLASS (p2p_rendezvous_signaling_parent_class)->finalize (object);
}

static std::string *
field (Private &priv, guint id) {
  switch (id) {
    case PROP_URI:
      return &priv.spec.uri;
    case PROP_TLS_CA_FILE:
      return &priv.spec.tls_ca_file;
    case PROP_IDENTITY:
      return &priv.spec.identity_path;
    default:
      return nullptr;
  }
}

static void
p2p_rendezvous_signaling_set_property (GObject *object, guint id, const GValue *value,
                                       GParamSpec *pspec) {
  if (std::string *text = field (*P2P_RENDEZVOUS_SIGNALING (object)->priv, id))
    *text = p2p::from_nullable (g_value_get_string (value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
p2p_rendezvous_signaling_get_property (GObject *object, guint id, GValue *value,
                                       GParamSpec *pspec) {
  if (const std::string *text = field (*P2P_RENDEZVOUS_SIGNALING (object)->priv, id))
    g_value_set_string (value, p2p::or_null (*text));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
p2p_rendezvous_signaling_class_init (P2pRendezvousSignalingClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->finalize = p2p_rendezvous_signaling_finalize;
  object_class->set_property = p2p_rendezvous_signaling_set_property;
  object_class->get_property = p2p_rendezvous_signaling_get_property;
  /**
   * P2pRendezvousSignaling:uri:
   *
   * Where the server is: `ws://HOST[:PORT]` or `wss://HOST[:PORT]`; several that share a backplane
   * with commas between them: when one is away, the next one is tried.
   *
   * Since: 1.0
   */
  properties[PROP_URI] =
      g_param_spec_string ("uri", "URI", "Where the server is", nullptr, p2p::kConstructOnly);
  /**
   * P2pRendezvousSignaling:tls-ca-file:
   *
   * A PEM file with the authorities to trust for `wss`; %NULL trusts the system's.
   *
   * Since: 1.0
   */
  properties[PROP_TLS_CA_FILE] =
      g_param_spec_string ("tls-ca-file", "TLS CA file", "PEM file with authorities to trust",
                           nullptr, p2p::kConstructOnly);
  /**
   * P2pRendezvousSignaling:identity:
   *
   * The PEM file with the key that owns the id; %NULL is the agent's.
   *
   * Since: 1.0
   */
  properties[PROP_IDENTITY] =
      g_param_spec_string ("identity", "Identity", "PEM file with the key that owns the id",
                           nullptr, p2p::kConstructOnly);
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

p2p::SignalingSpec
p2p::rendezvous_signaling_spec (P2pRendezvousSignaling *self) {
  return self->priv->spec;
}

/**
 * p2p_rendezvous_signaling_new:
 * @uri: where the server is, `ws://HOST[:PORT]` or `wss://HOST[:PORT]`, or several of these with
 *   commas between them
 * @tls_ca_file: (nullable): a PEM file with the authorities to trust; %NULL trusts the system's
 * @identity: (nullable): the PEM file with the key that owns the id; %NULL is the agent's
 *
 * Signaling through a rendezvous server, for one agent.
 *
 * Returns: (transfer full) (type P2pRendezvousSignaling): a new object, or %NULL with
 *   %P2P_ERROR_INVALID_ARGUMENT when the URI is malformed
 *
 * Since: 1.0
 */
P2pSignaling *
p2p_rendezvous_signaling_new (const char *uri, const char *tls_ca_file, const char *identity,
                              GError **error) {
  g_return_val_if_fail (uri, nullptr);
  const auto parsed = p2p::parse_signaling_uri (uri);
  if (!parsed.ok () || parsed.value ().kind != p2p::SignalingUri::Kind::rendezvous) {
    const p2p::Error local{P2P_ERROR_INVALID_ARGUMENT,
                           "The URI of a rendezvous server begins with ws:// or wss://."};
    p2p::throw_error (parsed.ok () ? local : parsed.error (), error);
    return nullptr;
  }
  return P2P_SIGNALING (g_object_new (P2P_TYPE_RENDEZVOUS_SIGNALING, "uri", uri, "tls-ca-file",
                                      tls_ca_file, "identity", identity, nullptr));
}
