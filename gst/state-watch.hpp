// Hears of each state that a connection enters, once and in order, also where one follows on the
// other faster than the main context of its agent turns.
#pragma once
#include <p2p/p2p.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gst-ptr.hpp"

namespace p2p {

struct ConnectionEvent {
  P2pConnectionState state = P2P_CONNECTION_STATE_CONNECTING;
  std::string reason;
  P2pBreakReason break_reason = P2P_BREAK_REASON_NONE;
  // When a break has ended: see P2pConnection::restored.
  std::uint64_t outage_ms = 0;
  Ref<GVariant> restored;
};

class StateWatch : public std::enable_shared_from_this<StateWatch> {
 public:
  using Tell = std::function<void (const ConnectionEvent &event)>;
  // From any thread. `context` is the agent's; `tell` is called on P2p's event context, first with
  // the state in which the connection is.
  static std::shared_ptr<StateWatch> start (P2pConnection *connection, GMainContext *context,
                                            Tell tell);
  StateWatch (P2pConnection *connection, GMainContext *context, Tell tell);
  // On P2p's event context: nothing is told any more.
  void stop ();

 private:
  void begin ();
  void settle ();
  void end ();
  void heard (ConnectionEvent event);
  void forward (const ConnectionEvent &event);

  const Ref<P2pConnection> connection_;
  const Ref<GMainContext> context_;
  const Tell tell_;
  bool stopped_ = false;  // P2p's event context only

  // The agent's context only.
  std::vector<gulong> handlers_;
  std::optional<P2pConnectionState> last_;
  bool settled_ = false;
  ConnectionEvent first_;               // the state at the beginning, perhaps ahead of its signals
  std::vector<ConnectionEvent> early_;  // before it was settled
};

}  // namespace p2p
