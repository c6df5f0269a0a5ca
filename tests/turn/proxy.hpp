// A proxy of a test's own on 127.0.0.1, for one connection after the other.
#pragma once
#include <gio/gio.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/mutex.hpp"
#include "base/ptr.hpp"

namespace p2p::test {

class Proxy {
 public:
  enum class Kind { http, socks5 };
  enum class Mood { serves, refuses, hangs };

  Proxy (Kind kind, Mood mood);
  ~Proxy ();
  Proxy (const Proxy &) = delete;
  Proxy &operator= (const Proxy &) = delete;

  Ref<GProxyResolver> resolver () const;  // which names it for everything
  int connections () const { return connections_; }
  // In both directions, without what is said to the proxy itself.
  std::uint64_t passed_bytes () const { return passed_bytes_; }
  std::string asked_for () const;  // "127.0.0.1:3478", of the last connection

 private:
  void serve ();
  void serve_one (int client);
  bool read_target (int client, std::string *host, std::uint16_t *port);
  bool read_http (int client, std::string *host, std::uint16_t *port);
  bool read_socks5 (int client, std::string *host, std::uint16_t *port);
  void answer (int client, bool granted);
  void pump (int client, int server);
  bool await (int fd) const;  // until it is readable; false when the proxy ends
  bool read_exactly (int fd, void *bytes, std::size_t size) const;

  const Kind kind_;
  const Mood mood_;
  int listener_ = -1, stop_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<std::uint64_t> passed_bytes_{0};
  mutable Mutex mutex_;
  std::string asked_for_ P2P_GUARDED_BY (mutex_);
  std::thread thread_;
};

}  // namespace p2p::test
