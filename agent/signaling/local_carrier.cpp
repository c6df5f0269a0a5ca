#include "signaling/local_carrier.hpp"

#include <algorithm>

namespace p2p {

namespace {

// The client keeps less than that under way.
constexpr std::size_t kMaxQueuedBytes = 2 * 1024 * 1024;
// A host that has the lock but no socket yet is about to listen; one that is gone has no lock.
constexpr TimeUs kShortestWaitUs = 2 * kMillisecond, kLongestWaitUs = 128 * kMillisecond;

}  // namespace

LocalCarrier::LocalCarrier (std::string socket_path, Scheduler &scheduler)
    : path_ (std::move (socket_path)),
      scheduler_ (scheduler),
      random_ (std::random_device{}()),
      timer_ (scheduler.make_timer ([this] { attempt (); })) {}

LocalCarrier::~LocalCarrier () {
  close ();
}

void
LocalCarrier::open () {
  attempts_ = 0;
  overflow_ = false;
  timer_->arm (scheduler_.now ());
}

void
LocalCarrier::attempt () {
  if (overflow_) {
    end ({P2P_ERROR_SIGNALING, "The process that hosts " + describe () +
                                   " takes nothing; it may be stopped. It is tried again."});
    return;
  }
  if (!hub_) {
    auto hub = LocalHub::share (path_, scheduler_);
    if (!hub) {
      end (hub.error ());
      return;
    }
    hub_ = std::move (*hub);
  }
  auto socket = connect_to (path_);
  if (!socket) {
    end (socket.error ());
    return;
  }
  if (!*socket) {
    const TimeUs span = std::min (kShortestWaitUs << std::min (attempts_++, 10u), kLongestWaitUs);
    timer_->arm (scheduler_.now () +
                 std::uniform_int_distribution<TimeUs> (span / 2, span) (random_));
    return;
  }
  if (!same_user (socket->get ())) {
    end ({P2P_ERROR_NOT_AUTHORIZED, "Another user hosts " + describe () + "; it is not used."});
    return;
  }
  connection_.reset (
      new LineConnection (std::move (*socket), kMaxFrameBytes, kMaxQueuedBytes, *this));
}

void
LocalCarrier::send (const std::string &frame) {
  if (!connection_ || connection_->send_line (frame)) return;
  overflow_ = true;
  timer_->arm (scheduler_.now ());
}

void
LocalCarrier::close () {
  if (connection_) connection_->flush ();
  connection_.reset ();
  timer_->disarm ();
}

void
LocalCarrier::end (const Error &reason) {
  connection_.reset ();
  timer_->disarm ();
  if (observer_) observer_->carrier_closed (reason);
}

void
LocalCarrier::line_received (LineConnection &, ByteView line) {
  if (observer_) observer_->carrier_frame (line);
}

void
LocalCarrier::line_too_long (LineConnection &) {
  end ({P2P_ERROR_PROTOCOL, "A frame from " + describe () + " is too long; it is tried again."});
}

void
LocalCarrier::line_closed (LineConnection &, const std::string &) {
  end ({P2P_ERROR_SIGNALING,
        "The process that hosted " + describe () + " has gone; another one takes over."});
}

}  // namespace p2p
