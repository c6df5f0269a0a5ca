// One TLS 1.3 handshake with pinned certificates on both sides, and a server's greeting with it:
// some bytes in an extension of its EncryptedExtensions. The handshake authenticates them to the
// client; whoever began a handshake can read them, so nothing secret may be among them.
#pragma once
#include <gnutls/gnutls.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "base/error.hpp"
#include "transport/identity.hpp"

namespace p2p {

class TlsSession {
 public:
  // `expected` is a normalized fingerprint. Without an identity no certificate is presented, which
  // every peer of this library refuses. `greeting` is a server's, empty for none.
  static Result<std::unique_ptr<TlsSession>> create (bool client,
                                                     std::shared_ptr<Identity> identity,
                                                     const std::string &expected,
                                                     const std::string &alpn,
                                                     const std::string &greeting);

  gnutls_session_t session () const { return session_.get (); }
  std::string cipher () const;
  // What the peer presented when that was not the expected certificate; empty otherwise.
  const std::string &refused_fingerprint () const { return refused_; }
  // To a client what the server said, to a server what it said, as far as the client asked for it.
  const std::string &greeting () const { return told_; }

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
  int carry_greeting ();
  int hear_greeting (const std::uint8_t *data, std::size_t size);
  int tell_greeting (gnutls_buffer_t out);

  std::shared_ptr<Identity> identity_;
  bool client_ = false;
  std::string expected_, refused_, greeting_, told_;
  std::unique_ptr<std::remove_pointer_t<gnutls_certificate_credentials_t>, AnonymousFree>
      anonymous_;
  std::unique_ptr<std::remove_pointer_t<gnutls_session_t>, SessionFree> session_;
};

}  // namespace p2p
