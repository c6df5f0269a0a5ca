#include "transport/tls_session.hpp"

#include "transport/x509_identity.hpp"

namespace p2p {

namespace {

// AES-128-GCM is fastest in GnuTLS, ChaCha20 sixteen times slower: the order is the speed.
constexpr char kPriority[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";

// Of those for private use (RFC 8446 section 11). A client sends the number of the greeting's
// version, a server the greeting.
constexpr int kGreetingExtension = 0xff70;
constexpr std::uint8_t kGreetingVersion = 1;
constexpr std::size_t kMaxGreetingBytes = 1024;

// One for all sessions: parsing it anew for each takes time, and 6 KiB that stay.
gnutls_priority_t
priority () {
  static const gnutls_priority_t shared = [] {
    gnutls_priority_t made = nullptr;
    return gnutls_priority_init (&made, kPriority, nullptr) < 0 ? nullptr : made;
  }();
  return shared;
}

}  // namespace

Result<std::unique_ptr<TlsSession>>
TlsSession::create (bool client, std::shared_ptr<Identity> identity, const std::string &expected,
                    const std::string &alpn, const std::string &greeting) {
  std::unique_ptr<TlsSession> tls (new TlsSession);
  tls->client_ = client;
  tls->greeting_ = greeting;
  tls->identity_ = std::move (identity);
  tls->expected_ = expected;

  // No tickets: a resumed session would not show its certificate again.
  unsigned flags = GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_TICKETS | GNUTLS_NO_END_OF_EARLY_DATA;
  flags |= client ? GNUTLS_CLIENT : GNUTLS_SERVER;
  gnutls_session_t session = nullptr;
  int code = gnutls_init (&session, flags);
  tls->session_.reset (session);
  if (code >= 0) code = gnutls_priority_set (session, priority ());

  gnutls_certificate_credentials_t credentials = nullptr;
  if (const auto *own = dynamic_cast<X509Identity *> (tls->identity_.get ())) {
    credentials = own->credentials ();
  } else if (code >= 0) {
    code = gnutls_certificate_allocate_credentials (&credentials);
    tls->anonymous_.reset (credentials);
  }
  if (code >= 0) code = gnutls_credentials_set (session, GNUTLS_CRD_CERTIFICATE, credentials);
  gnutls_datum_t protocol = {reinterpret_cast<unsigned char *> (const_cast<char *> (alpn.data ())),
                             static_cast<unsigned> (alpn.size ())};
  if (code >= 0) code = gnutls_alpn_set_protocols (session, &protocol, 1, GNUTLS_ALPN_MANDATORY);
  if (code >= 0) code = tls->carry_greeting ();
  if (code < 0) {
    return Error{P2P_ERROR_FAILED,
                 std::string ("TLS cannot be set up: ") + gnutls_strerror (code) + "."};
  }
  if (!client) gnutls_certificate_server_set_request (session, GNUTLS_CERT_REQUIRE);
  // The session pointer belongs to ngtcp2; the database pointer is free without resumption.
  gnutls_db_set_ptr (session, tls.get ());
  gnutls_session_set_verify_function (session, [] (gnutls_session_t s) {
    return static_cast<TlsSession *> (gnutls_db_get_ptr (s))->verify ();
  });
  return tls;
}

int
TlsSession::verify () {
  unsigned count = 0;
  const gnutls_datum_t *chain = gnutls_certificate_get_peers (session_.get (), &count);
  if (!chain || count == 0) {
    refused_ = "no certificate";
    return GNUTLS_E_CERTIFICATE_ERROR;
  }
  // GnuTLS itself proves afterwards that the peer holds the key of this certificate.
  const std::string presented = fingerprint_of_der ({chain[0].data, chain[0].size});
  if (!presented.empty () && presented == expected_) return 0;
  refused_ = presented.empty () ? "an unreadable certificate" : presented;
  return GNUTLS_E_CERTIFICATE_ERROR;
}

int
TlsSession::carry_greeting () {
  const gnutls_ext_recv_func hear = [] (gnutls_session_t s, const unsigned char *data,
                                        size_t size) {
    return static_cast<TlsSession *> (gnutls_db_get_ptr (s))->hear_greeting (data, size);
  };
  const gnutls_ext_send_func tell = [] (gnutls_session_t s, gnutls_buffer_t out) {
    return static_cast<TlsSession *> (gnutls_db_get_ptr (s))->tell_greeting (out);
  };
  return gnutls_session_ext_register (
      session_.get (), "p2p greeting", kGreetingExtension, GNUTLS_EXT_TLS, hear, tell, nullptr,
      nullptr, nullptr, GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_EE);
}

// GnuTLS asks a server for its extension only when the client has sent that.
int
TlsSession::tell_greeting (gnutls_buffer_t out) {
  if (client_) return gnutls_buffer_append_data (out, &kGreetingVersion, sizeof kGreetingVersion);
  if (told_.empty ()) return 0;
  return gnutls_buffer_append_data (out, told_.data (), told_.size ());
}

int
TlsSession::hear_greeting (const std::uint8_t *data, std::size_t size) {
  if (client_) {
    if (size > kMaxGreetingBytes) return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
    told_.assign (reinterpret_cast<const char *> (data), size);
  } else if (size == sizeof kGreetingVersion && data[0] == kGreetingVersion) {
    told_ = greeting_;
  }
  return 0;
}

std::string
TlsSession::cipher () const {
  const char *name = gnutls_cipher_get_name (gnutls_cipher_get (session_.get ()));
  return name ? name : "";
}

}  // namespace p2p
