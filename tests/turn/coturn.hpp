// A turnserver of a test's own: own port, own files, gone with the object.
#pragma once
#include <gio/gio.h>

#include <optional>
#include <string>
#include <vector>

#include "base/ptr.hpp"
#include "turn/server.hpp"

namespace p2p::test {

class Coturn {
 public:
  static constexpr char kUser[] = "user", kPassword[] = "a:b@c", kRealm[] = "test";

  static bool installed ();
  // `ips` to listen on and to relay from; more options of turnserver as they are.
  explicit Coturn (std::vector<std::string> ips = {"127.0.0.1"},
                   std::vector<std::string> options = {});
  ~Coturn ();
  Coturn (const Coturn &) = delete;
  Coturn &operator= (const Coturn &) = delete;

  bool start ();  // and waits until it listens; again after stop(), on the same port
  void stop ();   // at once, as by a power cut
  std::string log () const;
  std::optional<int> sessions () const;  // that it holds; nothing when it cannot be asked
  bool is_left_with_nothing () const;    // no session; waited for
  turn::Server server (turn::Protocol protocol, const std::string &host = "127.0.0.1") const;
  // The certificate of its TLS and DTLS, for 127.0.0.1 and ::1 and no name, as a database to trust.
  Ref<GTlsDatabase> database () const;
  std::uint16_t port () const { return port_; }

 private:
  bool listens () const;

  const std::vector<std::string> ips_, options_;
  std::string dir_;
  std::uint16_t port_ = 0, tls_port_ = 0, cli_port_ = 0;
  Ref<GSubprocess> process_;
};

}  // namespace p2p::test
