#include "turn/tls_trust.hpp"

namespace p2p::turn {

namespace {

// A database that is set on a connection is loaded into it, megabytes for each. So none is, and
// every certificate comes with an error; only what the shared one verifies is accepted.
struct Trust {
  Ref<GTlsDatabase> database;
  Ref<GSocketConnectable> identity;

  bool accepts (GTlsCertificate *shown) const {
    GError *raw = nullptr;
    const GTlsCertificateFlags flaws = g_tls_database_verify_chain (
        database.get (), shown, G_TLS_DATABASE_PURPOSE_AUTHENTICATE_SERVER, identity.get (),
        nullptr, G_TLS_DATABASE_VERIFY_NONE, nullptr, &raw);
    const UniqueError error (raw);
    return !error && flaws == 0;
  }
};

}  // namespace

void
trust_only (GObject *connection, Ref<GTlsDatabase> database, Ref<GSocketConnectable> identity) {
  g_object_set (connection, "database", nullptr, nullptr);
  if (!database)
    database = Ref<GTlsDatabase>::adopt (
        g_tls_backend_get_default_database (g_tls_backend_get_default ()));
  const auto accept = +[] (GObject *, GTlsCertificate *shown, GTlsCertificateFlags,
                           Trust *trust) -> gboolean { return trust->accepts (shown); };
  g_signal_connect_data (
      connection, "accept-certificate", G_CALLBACK (accept),
      new Trust{std::move (database), std::move (identity)},
      [] (gpointer data, GClosure *) { delete static_cast<Trust *> (data); },
      static_cast<GConnectFlags> (0));
}

}  // namespace p2p::turn
