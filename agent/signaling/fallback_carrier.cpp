#include "signaling/fallback_carrier.hpp"

namespace p2p {

namespace {

// A machine that is off does not even refuse; then two others are asked in the time that a client
// gives a whole attempt.
constexpr TimeUs kPatienceUs = 4 * kSecond;

}  // namespace

FallbackCarrier::FallbackCarrier (std::vector<std::unique_ptr<SignalingCarrier>> carriers,
                                  Scheduler &scheduler)
    : scheduler_ (scheduler),
      carriers_ (std::move (carriers)),
      patience_ (scheduler.make_timer ([this] {
        current ().close ();
        carrier_closed ({P2P_ERROR_TIMED_OUT, "No answer came from " + describe () +
                                                  " for some seconds; it is tried again."});
      })) {
  for (const auto &carrier : carriers_) carrier->set_observer (this);
}

FallbackCarrier::~FallbackCarrier () = default;

void
FallbackCarrier::open () {
  close ();
  open_ = true;
  tried_ = 0;
  attempt ();
}

// Whatever ended the one in use, the next attempt is with another one.
void
FallbackCarrier::move_on () {
  if (std::exchange (next_, false)) at_ = (at_ + 1) % carriers_.size ();
}

void
FallbackCarrier::attempt () {
  move_on ();
  next_ = true;
  heard_ = false;
  ++tried_;
  patience_->arm (scheduler_.now () + kPatienceUs);
  current ().open ();
}

void
FallbackCarrier::close () {
  patience_->disarm ();
  if (std::exchange (open_, false)) current ().close ();
}

void
FallbackCarrier::carrier_frame (ByteView text) {
  heard_ = true;
  patience_->disarm ();
  if (observer_) observer_->carrier_frame (text);
}

void
FallbackCarrier::carrier_closed (const Error &reason) {
  patience_->disarm ();
  if (!heard_ && tried_ < carriers_.size ()) {
    attempt ();
    return;
  }
  open_ = false;
  if (observer_) observer_->carrier_closed (reason);
}

}  // namespace p2p
