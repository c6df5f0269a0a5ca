// What stands behind the library's own P2pSignaling objects: how an agent makes the client itself,
// and the client of an application that uses the object without an agent.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "facade.hpp"
#include "net/network_monitor.hpp"
#include "p2p/p2p-signaling.h"
#include "signaling/signaling.hpp"
#include "transport/identity.hpp"

namespace p2p {

struct SignalingSpec {
  std::string uri;  // "local", "local:/path", "ws://…", "wss://…"
  std::string tls_ca_file;
  std::string identity_path;  // empty: the agent's, or the default one
};

// Core thread only. `identity` is the agent's; null when there is no agent.
Result<std::unique_ptr<Signaling>> make_signaling_client (const SignalingSpec &spec,
                                                          std::shared_ptr<Identity> identity);

// Empty for objects of the application.
std::optional<SignalingSpec> signaling_spec (P2pSignaling *object);

// Thread-safe. Its object's signals are emitted in the context that was the thread's default when
// start() was called.
class SignalingHost final : public Signaling::Observer,
                            private NetworkMonitor::Observer,
                            public std::enable_shared_from_this<SignalingHost> {
 public:
  explicit SignalingHost (P2pSignaling *object) : object_ (object) {}

  void start (const SignalingSpec &spec, const std::string &id);
  void stop ();
  void ask (const std::string &peer);
  void unask (const std::string &peer);
  Status send (const std::string &peer, const std::string &message);

  void signaling_state (Signaling::State state, const Error *reason) override;
  void signaling_peer (const std::string &peer, bool present) override;
  void signaling_message (const std::string &from, const std::string &message) override;

 private:
  void network_changed (const NetworkSnapshot &now, const NetworkChange &change) override;
  void network_woke () override;
  void post (std::function<void (P2pSignaling *)> work);

  const WeakObject<P2pSignaling> object_;
  // Core thread only.
  Ref<GMainContext> context_;
  std::unique_ptr<Signaling> client_;
  std::shared_ptr<NetworkMonitor> network_;  // as long as there is a client
};

}  // namespace p2p
