// What a P2pConnection hears from the core: keeps the state that blocking callers wait for, and
// hands everything on to the connection's main context, in order.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/connection_core.hpp"
#include "facade.hpp"
#include "p2p/p2p-types.h"
#include "pending_task.hpp"

namespace p2p {

class ConnectionEvents final : public ConnectionCore::Observer,
                               public std::enable_shared_from_this<ConnectionEvents> {
 public:
  // Where the events end, in the context; a P2pConnection is told only while it lives.
  struct Handlers {
    void (*changed) (P2pConnection *connection, const ConnectionSnapshot &now);
    void (*channel_opened) (P2pConnection *connection, const std::shared_ptr<ChannelPort> &port);
    void (*channel_closed) (P2pConnection *connection, const std::string &name);
    void (*warning) (P2pConnection *connection, const Error &warning);
  };

  ConnectionEvents (P2pConnection *connection, Ref<GMainContext> context, const Handlers &handlers)
      : connection_ (connection), context_ (std::move (context)), handlers_ (handlers) {}

  GMainContext *context () const { return context_.get (); }

  // Thread-safe. The error that removed the connection, or P2P_ERROR_CLOSED.
  Status wait_connected (GCancellable *cancellable, bool *cancelled);
  enum class Until { connected, removed };
  void wait (Until until, Ref<GTask> task);

  void connection_changed (const ConnectionSnapshot &now) override;
  void connection_channel_opened (std::shared_ptr<ChannelPort> port) override;
  void connection_channel_closed (const std::string &name) override;
  void connection_warning (const Error &warning) override;

 private:
  struct Waiter {
    Until until;
    std::shared_ptr<PendingTask> task;
  };

  void post (std::function<void (P2pConnection *)> work);
  bool reached (Until until) const;
  Status outcome () const;
  void finish (const Waiter &waiter, const Status &status);

  const WeakObject<P2pConnection> connection_;
  const Ref<GMainContext> context_;
  const Handlers handlers_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::optional<P2pConnectionState> state_;
  Status error_;
  std::string reason_;
  std::vector<Waiter> waiters_;
};

}  // namespace p2p
