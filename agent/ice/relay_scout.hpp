// Asks a TURN server that gives no relay any more, less and less often, until it gives one again.
// That one is released: libnice takes no relay into a generation that is connected, so what was
// found out is for whoever builds another one. Core thread only.
#pragma once
#include <functional>
#include <memory>

#include "ice/turn_front.hpp"

namespace p2p {

class RelayScout final : private TurnFront::Observer {
 public:
  // `found` comes once, from a timer, and may destroy the scout.
  RelayScout (GMainContext *context, Scheduler &scheduler, TurnFront::Config config,
              std::function<void ()> found);

  static constexpr TimeUs kFirstWait = kSecond, kLongestWait = 60 * kSecond;

 private:
  void on_timer ();
  void front_warning (const Error &warning) override;
  void front_allocated (TurnFront &front) override;
  void front_settled () override;
  void front_received (ByteView) override {}
  void front_lost (TurnFront &) override {}
  void front_closed () override {}

  GMainContext *const context_;
  Scheduler &scheduler_;
  const TurnFront::Config config_;
  std::function<void ()> found_;
  bool is_there_ = false;
  TimeUs wait_ = kFirstWait;
  const std::unique_ptr<Scheduler::Timer> timer_;
  std::unique_ptr<TurnFront> front_;
};

}  // namespace p2p
