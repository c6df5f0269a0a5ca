#include "ice/relay_scout.hpp"

#include <algorithm>
#include <utility>

namespace p2p {

RelayScout::RelayScout (GMainContext *context, Scheduler &scheduler, TurnFront::Config config,
                        std::function<void ()> found)
    : context_ (context),
      scheduler_ (scheduler),
      config_ (std::move (config)),
      found_ (std::move (found)),
      timer_ (scheduler.make_timer ([this] { on_timer (); })) {
  timer_->arm (scheduler_.now () + wait_);
}

void
RelayScout::on_timer () {
  front_.reset ();
  if (is_there_) {
    const auto found = std::move (found_);
    found ();
    return;
  }
  front_ = std::make_unique<TurnFront> (context_, scheduler_, config_,
                                        static_cast<TurnFront::Observer &> (*this));
}

void
RelayScout::front_warning (const Error &warning) {
  g_debug ("ice: still no relay: %s", warning.message.c_str ());
}

void
RelayScout::front_allocated (TurnFront &) {
  is_there_ = true;
  timer_->arm (scheduler_.now ());
}

void
RelayScout::front_settled () {
  if (is_there_) return;
  wait_ = std::min (2 * wait_, kLongestWait);
  timer_->arm (scheduler_.now () + wait_);
}

}  // namespace p2p
