// What a P2pAgent hears from the core, handed on to its main context, in order; and those who wait
// for the registration.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/agent_core.hpp"
#include "p2p/p2p-types.h"
#include "pending_task.hpp"

namespace p2p {

class AgentEvents final : public AgentCore::Observer,
                          public std::enable_shared_from_this<AgentEvents> {
 public:
  // Where the events end, in the context; a P2pAgent is told only while it lives.
  struct Handlers {
    void (*signaling_state) (P2pAgent *agent, Signaling::State state, const Status &reason);
    void (*incoming) (P2pAgent *agent, const std::shared_ptr<ConnectionCore> &connection);
    void (*removed) (P2pAgent *agent, const std::shared_ptr<ConnectionCore> &connection);
    void (*rejected) (P2pAgent *agent, const std::string &peer, const Error &reason);
    void (*warning) (P2pAgent *agent, const Error &warning);
    void (*network_available) (P2pAgent *agent);  // it has changed
  };

  AgentEvents (P2pAgent *agent, Ref<GMainContext> context, const Handlers &handlers)
      : agent_ (agent), context_ (std::move (context)), handlers_ (handlers) {}

  void post (std::function<void (P2pAgent *)> work);
  // Thread-safe. Finishes the task with the outcome of the registration, once there is one.
  void wait_registered (Ref<GTask> task);
  void registered (const Status &outcome);
  Signaling::State state () const;
  bool network_available () const;

  void agent_signaling_state (Signaling::State state, const Status &reason) override;
  void agent_incoming (std::shared_ptr<ConnectionCore> connection) override;
  void agent_connection_removed (std::shared_ptr<ConnectionCore> connection) override;
  void agent_rejected (const std::string &peer, const Error &reason) override;
  void agent_warning (const Error &warning) override;
  void agent_network_available (bool available) override;

 private:
  static void finish (const std::shared_ptr<PendingTask> &task, const Status &outcome);

  const WeakObject<P2pAgent> agent_;
  const Ref<GMainContext> context_;
  const Handlers handlers_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::optional<Status> outcome_;
  std::vector<std::shared_ptr<PendingTask>> waiting_;
  Signaling::State state_ = Signaling::State::idle;
  bool network_available_ = true;
};

}  // namespace p2p
