// One TLS 1.3 handshake with pinned certificates on both sides.
#pragma once
#include <gnutls/gnutls.h>

#include <memory>
#include <string>
#include <type_traits>

#include "base/error.hpp"
#include "transport/identity.hpp"

namespace p2p {

class TlsSession {
 public:
  // `expected` is a normalized fingerprint. Without an identity no certificate is presented, which
  // every peer of this library refuses.
  static Result<std::unique_ptr<TlsSession>> create (bool client,
                                                     std::shared_ptr<Identity> identity,
                                                     const std::string &expected,
                                                     const std::string &alpn);

  gnutls_session_t session () const { return session_.get (); }
  std::string cipher () const;
  // What the peer presented when that was not the expected certificate; empty otherwise.
  const std::string &refused_fingerprint () const { return refused_; }

 private:
  struct SessionFree {
    void operator() (gnutls_session_t p) const { gnutls_deinit (p); }
  };
  struct AnonymousFree {
    void operator() (gnutls_certificate_credentials_t p) const {
      gnutls_certificate_free_credentials (p);
    }
  };
  TlsSession () = default;
  int verify ();

  std::shared_ptr<Identity> identity_;
  std::string expected_, refused_;
  std::unique_ptr<std::remove_pointer_t<gnutls_certificate_credentials_t>, AnonymousFree>
      anonymous_;
  std::unique_ptr<std::remove_pointer_t<gnutls_session_t>, SessionFree> session_;
};

}  // namespace p2p
