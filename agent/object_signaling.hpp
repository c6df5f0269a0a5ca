// Drives a P2pSignaling of the application from the core: calls go to the agent's main context, the
// object's signals come back to the core thread.
#pragma once
#include <memory>
#include <set>
#include <string>

#include "facade.hpp"
#include "p2p/p2p-signaling.h"
#include "signaling/signaling.hpp"

namespace p2p {

class ObjectSignaling final : public Signaling {
 public:
  ObjectSignaling (Ref<P2pSignaling> object, Ref<GMainContext> context);
  ~ObjectSignaling () override;

  void set_observer (Observer *observer) override;
  void start (const std::string &id) override;
  void ask (const std::string &peer) override;
  void unask (const std::string &peer) override;
  Status send (const std::string &peer, const std::string &message) override;
  State state () const override;
  std::string stun_server () const override { return {}; }

 private:
  // What outlives this object in posted work.
  struct Link;

  void call (std::function<void (P2pSignaling *)> work);

  const std::shared_ptr<Link> link_;
};

P2pSignalingState to_public (Signaling::State state);
Signaling::State from_public (P2pSignalingState state);

}  // namespace p2p
