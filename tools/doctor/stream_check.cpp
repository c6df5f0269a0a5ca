#include "doctor/stream_check.hpp"

#include "doctor/binding.hpp"

namespace p2p::doctor {

namespace {

constexpr TimeUs kLimit = 4 * kSecond;

}  // namespace

StreamCheck::StreamCheck (GMainContext *context, Scheduler &scheduler, const turn::Target &target,
                          Done done)
    : scheduler_ (scheduler),
      begun_ (scheduler.now ()),
      done_ (std::move (done)),
      end_ (scheduler.make_timer ([this] {
        // The last thing: whoever hears it may destroy this.
        if (const auto last = std::exchange (done_, nullptr)) last (took_us_);
      })),
      connector_ (std::make_unique<turn::Connector> (
          context, scheduler, target, turn::ConnectorOptions{},
          [this] (Result<std::shared_ptr<turn::Connection>> connection) {
            if (connection)
              connected (std::move (*connection));
            else
              finish (std::nullopt);
          })) {
  end_->arm (begun_ + kLimit);
}

StreamCheck::~StreamCheck () {
  if (connection_) connection_->stop ();
}

void
StreamCheck::connected (std::shared_ptr<turn::Connection> connection) {
  connection_ = std::move (connection);
  connection_->start (*this);
  connection_->send (binding_request (turn::random_transaction_id (), kChangeNothing));
}

void
StreamCheck::connection_received (ByteView packet) {
  const auto message = turn::Message::parse (packet);
  if (message && read_binding_answer (*message)) finish (scheduler_.now () - begun_);
}

void
StreamCheck::finish (std::optional<TimeUs> took_us) {
  if (!took_us_) took_us_ = took_us;
  end_->arm (scheduler_.now ());
}

}  // namespace p2p::doctor
