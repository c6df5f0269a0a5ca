#include "turn/relay.hpp"

#include <algorithm>

namespace p2p::turn {

namespace {

// Ethernet with IPv6.
constexpr std::size_t kGuessedDataBytes = 1500 - 40 - 8 - kMaxOverheadBytes;
// How long a connection that is replaced stays open: servers end an allocation with its stream,
// and it may be moved first.
constexpr TimeUs kLinger = 2 * kSecond;

}  // namespace

Relay::Relay (GMainContext *context, Scheduler &scheduler, RelayConfig config, Observer &observer)
    : context_ (Ref<GMainContext>::share (context)),
      scheduler_ (scheduler),
      options_ (std::move (config.connector)),
      observer_ (observer),
      sweep_ (scheduler.make_timer ([this] { leaving_.clear (); })),
      client_ (std::make_unique<Client> (scheduler, static_cast<Client::Host &> (*this),
                                         std::move (config.client))) {}

Relay::~Relay () {
  client_.reset ();  // says good-bye over the connection
  connector_.reset ();
  if (connection_) connection_->stop ();
}

std::size_t
Relay::max_datagram_bytes () const {
  return connection_ ? connection_->max_data_bytes () : kGuessedDataBytes;
}

void
Relay::hold () {
  if (connection_) connection_->hold ();
}

std::size_t
Relay::release () {
  return connection_ ? connection_->release () : 0;
}

void
Relay::drop_connection (TimeUs after) {
  if (connector_) leaving_.push_back (std::shared_ptr<Connector> (std::move (connector_)));
  if (connection_) {
    connection_->stop ();
    leaving_.push_back (std::move (connection_));
  }
  if (!leaving_.empty ()) sweep_->arm (scheduler_.now () + after);
}

void
Relay::open_transport (const Target &target) {
  drop_connection (kLinger);
  connector_ = std::make_unique<Connector> (
      context_.get (), scheduler_, target, options_,
      [this] (Result<std::shared_ptr<Connection>> result) {
        leaving_.push_back (std::shared_ptr<Connector> (std::move (connector_)));
        sweep_->arm (scheduler_.now () + kLinger);
        if (!result) {
          client_->transport_failed (result.error ().message);
          return;
        }
        connection_ = std::move (*result);
        connection_->start (*this);
        client_->transport_opened (connection_->reliable ());
      });
}

void
Relay::close_transport () {
  drop_connection (0);
}

bool
Relay::send_packet (ByteView packet) {
  return connection_ && connection_->send (packet);
}

void
Relay::turn_event (const Event &event) {
  observer_.relay_event (event);
}

void
Relay::turn_received (const Address &peer, ByteView data) {
  observer_.relay_received (peer, data);
}

void
Relay::credentials_wanted (const Server &server) {
  observer_.relay_credentials_wanted (server);
}

void
Relay::connection_received (ByteView packet) {
  client_->receive (packet);
}

void
Relay::connection_doubtful () {
  client_->transport_doubtful ();
}

void
Relay::connection_ended (const std::string &why) {
  drop_connection (0);
  client_->transport_failed (why);
}

}  // namespace p2p::turn
