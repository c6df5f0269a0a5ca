// An attempt that gathers before anybody asks for it, so that its configuration can be handed over
// by other ways than signaling. Core thread only.
#pragma once
#include <functional>
#include <memory>

#include "base/loop_thread.hpp"
#include "core/attempt.hpp"

namespace p2p {

class Preparation final : public Attempt::Observer {
 public:
  using Done = std::function<void (const Result<NetworkConfig> &)>;

  Preparation (const AttemptConfig &config, Done done)
      : done_ (std::move (done)), attempt_ (std::make_unique<Attempt> (config, this)) {
    // Never from inside: the caller is still putting this away.
    if (attempt_->gathered ())
      core_loop ().post ([alive = std::weak_ptr<bool> (alive_), this] {
        if (alive.lock ()) attempt_gathered ();
      });
  }
  ~Preparation () override {
    if (attempt_) attempt_->set_observer (nullptr);
    retire (std::move (attempt_));
    finish (Error{P2P_ERROR_CLOSED, "The network configuration was replaced by a newer one."});
  }
  Preparation (const Preparation &) = delete;
  Preparation &operator= (const Preparation &) = delete;

  std::unique_ptr<Attempt> take (Attempt::Observer *observer) {
    if (attempt_) attempt_->set_observer (observer);
    return std::move (attempt_);
  }

 private:
  void finish (const Result<NetworkConfig> &result) {
    if (const Done done = std::exchange (done_, nullptr)) done (result);
  }
  void attempt_candidate (const std::string &) override {}
  void attempt_gathered () override {
    if (attempt_) finish (attempt_->local_config ());
  }
  void attempt_path_message (const std::string &, ByteView) override {}
  void attempt_warning (const Error &) override {}
  void attempt_won (Carrier) override {}
  void attempt_path (Path &) override {}
  void attempt_lost (const Error &) override {}
  void attempt_path_changed () override {}
  void attempt_relay_back () override {}

  Done done_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
  std::unique_ptr<Attempt> attempt_;
};

}  // namespace p2p
