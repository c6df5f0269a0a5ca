// Drives a P2pSessionStore of the application from the core: calls go to the agent's main context,
// one at a time, and their answers come back to the core thread. What waits meanwhile becomes one
// commit, as the contract allows.
#pragma once
#include <memory>
#include <string>

#include "store_box.hpp"

namespace p2p {

class ObjectStore final : public SessionStore {
 public:
  ObjectStore (Ref<P2pSessionStore> object, Ref<GMainContext> context);
  ~ObjectStore () override;

  void set_observer (Observer *observer) override;
  void open (const std::string &owner, OpenDone done) override;
  void commit (StoreBatch batch, Done done) override;
  std::uint64_t waiting_bytes () const override;
  void close (Done done) override;

 private:
  // What outlives this object in posted work.
  struct Link;

  const std::shared_ptr<Link> link_;
};

}  // namespace p2p
