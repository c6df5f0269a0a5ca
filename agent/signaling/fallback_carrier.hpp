// Several meeting points that do the same, one at a time: when one cannot be reached, or is lost,
// it is the next one's turn, round and round.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/scheduler.hpp"
#include "signaling/client.hpp"

namespace p2p {

class FallbackCarrier final : public SignalingCarrier, private SignalingCarrier::Observer {
 public:
  // At least one; the first is tried first.
  FallbackCarrier (std::vector<std::unique_ptr<SignalingCarrier>> carriers, Scheduler &scheduler);
  ~FallbackCarrier () override;

  void set_observer (SignalingCarrier::Observer *observer) override { observer_ = observer; }
  // Fails only when each of them has failed.
  void open () override;
  void send (const std::string &frame) override { current ().send (frame); }
  void close () override;
  bool address_gone () const override { return current ().address_gone (); }
  std::string describe () const override { return current ().describe (); }
  std::string stun_host () const override { return current ().stun_host (); }

 private:
  void carrier_frame (ByteView text) override;
  void carrier_closed (const Error &reason) override;
  void attempt ();
  void move_on ();
  SignalingCarrier &current () const { return *carriers_[at_]; }

  Scheduler &scheduler_;
  const std::vector<std::unique_ptr<SignalingCarrier>> carriers_;
  SignalingCarrier::Observer *observer_ = nullptr;
  std::size_t at_ = 0;     // which one is in use
  std::size_t tried_ = 0;  // of them, since open()
  bool open_ = false;
  bool next_ = false;   // the one in use has had its turn
  bool heard_ = false;  // the one in use has said something
  std::unique_ptr<Scheduler::Timer> patience_;
};

}  // namespace p2p
