// What the library's own P2pSignaling classes have in common.
#pragma once
#include "signaling_host.hpp"

namespace p2p {

SignalingSpec local_signaling_spec (P2pLocalSignaling *self);
SignalingSpec rendezvous_signaling_spec (P2pRendezvousSignaling *self);

// Every virtual function but `start`, for a class with a `priv->host`.
template <class T>
void
implement_signaling (P2pSignalingInterface *iface) {
  static const auto host = [] (P2pSignaling *self) -> SignalingHost & {
    return *reinterpret_cast<T *> (self)->priv->host;
  };
  iface->stop = [] (P2pSignaling *self) { host (self).stop (); };
  iface->ask = [] (P2pSignaling *self, const char *peer) { host (self).ask (peer); };
  iface->unask = [] (P2pSignaling *self, const char *peer) { host (self).unask (peer); };
  iface->send = [] (P2pSignaling *self, const char *peer, GBytes *message,
                    GError **error) -> gboolean {
    gsize size = 0;
    const auto *bytes = static_cast<const char *> (g_bytes_get_data (message, &size));
    return answer (host (self).send (peer, std::string (bytes ? bytes : "", size)), false, error);
  };
}

}  // namespace p2p
