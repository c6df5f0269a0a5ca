#include "turn/udp_race.hpp"

#include <algorithm>
#include <utility>

#include "turn/udp_socket.hpp"

namespace p2p::turn {

UdpRace::UdpRace (GMainContext *context, Scheduler &scheduler, std::vector<Address> addresses,
                  std::optional<Address> local, TimeUs delay, TimeUs limit, Done done)
    : context_ (Ref<GMainContext>::share (context)),
      scheduler_ (scheduler),
      addresses_ (std::move (addresses)),
      local_ (local),
      delay_ (delay),
      ends_ (scheduler.now () + limit),
      done_ (std::move (done)),
      timer_ (scheduler.make_timer ([this] { next (); })) {
  timer_->arm (scheduler.now ());
}

void
UdpRace::next () {
  const TimeUs now = scheduler_.now ();
  if (begun_ == addresses_.size ()) {
    if (now < ends_ && !runners_.empty ()) {
      timer_->arm (ends_);
      return;
    }
    // A server may serve TURN and nothing else; then the first address is as good as any.
    finish (runners_.empty () ? Ref<GSocket> () : runners_.front ()->socket);
    return;
  }
  const Address &to = addresses_[begun_++];
  auto socket = open_udp_socket (to, local_, &why_);
  if (!socket) {
    next ();
    return;
  }
  if (addresses_.size () == 1) {
    finish (std::move (socket));
    return;
  }
  auto runner = std::make_unique<Runner> ();
  runner->socket = socket;
  runner->id = random_transaction_id ();
  MessageWriter writer (MessageClass::request, Method::binding, runner->id);
  writer.add_fingerprint ();
  const auto request = writer.take ();
  g_socket_send (socket.get (), reinterpret_cast<const char *> (request.data ()), request.size (),
                 nullptr, nullptr);
  runner->watch = std::make_unique<FdWatch> (
      context_.get (), g_socket_get_fd (socket.get ()), G_IO_IN,
      [this, index = runners_.size ()] (GIOCondition) { answered (index); });
  runners_.push_back (std::move (runner));
  timer_->arm (std::min (now + delay_, ends_));
}

void
UdpRace::answered (std::size_t index) {
  Runner &runner = *runners_[index];
  char bytes[2048];
  const gssize size =
      g_socket_receive (runner.socket.get (), bytes, sizeof bytes, nullptr, nullptr);
  if (size < 0) {
    // Refused: the next one need not wait.
    runner.watch->set_events (static_cast<GIOCondition> (0));
    if (begun_ < addresses_.size ()) timer_->arm (scheduler_.now ());
    return;
  }
  const auto message = Message::parse (ByteView (bytes, static_cast<std::size_t> (size)));
  if (message && message->id () == runner.id) finish (runner.socket);
}

void
UdpRace::finish (Ref<GSocket> socket) {
  timer_->disarm ();
  for (auto &runner : runners_) runner->watch.reset ();
  // Moved out first: the callback may destroy the race.
  if (const auto done = std::exchange (done_, nullptr)) done (std::move (socket), why_);
}

}  // namespace p2p::turn
