// Owns a NiceAgent with its one stream of one component. libnice emits its signals on whatever
// thread happens to be inside of it; here they become calls on the core thread, in order.
#pragma once
#include <nice/agent.h>

#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/nested_context.hpp"
#include "base/ptr.hpp"
#include "ice/ice_transport.hpp"

namespace p2p {

constexpr guint kNiceComponent = 1;
// What the foundations of remote candidates begin with that were peer-reflexive: libnice lets only
// a candidate of another type be selected, so PeerFollower calls them host candidates.
constexpr const char *kFollowedFoundation = "followed";

// A pair as libnice knows it.
struct NicePair : IcePair {
  std::string local_foundation;
  sockaddr_storage local_address{};  // of the candidate: a relay's, where it is one
  std::uint32_t local_priority = 0;
};

class NiceEvents {
 public:
  virtual ~NiceEvents () = default;
  virtual void nice_candidate (const std::string &sdp) = 0;
  virtual void nice_gathering_done () = 0;
  virtual void nice_state (NiceComponentState state) = 0;
  virtual void nice_selected (const NicePair &pair) = 0;
  // An authenticated check came from a UDP address that was not known.
  virtual void nice_learned (const NiceAddress &remote) = 0;
  virtual void nice_received (ByteView datagram) = 0;  // valid only inside of the call
};

class NiceHandle {
 public:
  // On the core thread, as everything here. `events` must outlive the handle and hears nothing from
  // inside of a call into libnice.
  NiceHandle (const IceConfig &config, NiceEvents &events);
  // Nothing is heard after this. The agent closes by itself on the ICE thread, where a relay gets
  // released; core does not wait for it.
  ~NiceHandle ();
  NiceHandle (const NiceHandle &) = delete;
  NiceHandle &operator= (const NiceHandle &) = delete;

  // What libnice still talks to while its agent closes. It may be dropped on any thread.
  void keep_until_closed (std::shared_ptr<void> below) { below_ = std::move (below); }

  NiceAgent *agent () const { return agent_.get (); }
  guint stream () const { return stream_; }

 private:
  // libnice's sockets, on core, and its timers, on ICE: what GLib goes through at every turn must
  // not grow with the number of agents.
  const std::shared_ptr<NestedContext> sockets_, timers_;
  std::shared_ptr<void> below_;
  Ref<NiceAgent> agent_;
  guint stream_ = 0;
  // Tasks on their way to core hold it weakly: when the handle is gone, they do nothing.
  std::shared_ptr<NiceEvents *> listener_;
};

}  // namespace p2p
