#include "turn/client.hpp"

#include <algorithm>

namespace p2p::turn {

const char *
protocol_name (Protocol protocol) {
  switch (protocol) {
    case Protocol::udp:
      return "UDP";
    case Protocol::tcp:
      return "TCP";
    case Protocol::tls:
      return "TLS";
    case Protocol::dtls:
      return "DTLS";
  }
  return "";
}

Client::Client (Scheduler &scheduler, Host &host, ClientConfig config)
    : scheduler_ (scheduler),
      host_ (host),
      config_ (std::move (config)),
      requester_ (scheduler, config_.times, {}, config_.software,
                  [this] (ByteView packet) { return send_packet (packet); }),
      allocation_ (scheduler, requester_, config_.wishes),
      peers_ (scheduler, requester_, *this, config_.channels, config_.wishes.dont_fragment),
      timer_ (scheduler.make_timer ([this] { timer_due (); })) {
  for (const Server &one : config_.servers) credentials_.push_back (one.credentials);
}

Client::~Client () {
  // Whoever has no time for close() leaves nothing behind on the server but for a lost packet.
  if (allocation_.granted () && state_ == State::allocated) allocation_.release_untold ();
}

void
Client::start () {
  if (state_ != State::idle || config_.servers.empty ()) return;
  enter (0);
}

void
Client::enter (std::size_t server) {
  server_ = server;
  redirects_ = tuples_ = simplified_ = 0;
  credentials_asked_ = false;
  allocation_.restore_wishes ();
  requester_.authenticator ().reset ();
  requester_.authenticator ().set_credentials (credentials_[server]);
  const Server &to = this->server ();
  target_ = {to.host, to.port, to.protocol, to.host};
  open ();
}

void
Client::open () {
  state_ = State::opening;
  refreshing_ = false;
  wait_until_ = kNever;
  requester_.reset (false);
  rearm ();
  host_.open_transport (target_);
}

void
Client::transport_opened (bool reliable) {
  if (state_ != State::opening) return;
  reliable_ = reliable;
  requester_.reset (reliable);
  heard_at_ = scheduler_.now ();
  sent_at_ = 0;
  state_ = State::allocating;
  if (resuming_ && allocation_.has_ticket ())
    allocation_.resume ([this] (const Reply &reply) { resume_answered (reply); });
  else
    allocate ();
}

void
Client::transport_failed (const std::string &why) {
  switch (state_) {
    case State::opening:
    case State::allocating:
      fail_server (P2P_TURN_REASON_DISCONNECTED, 0, why, false);
      return;
    case State::allocated:
      lost (P2P_TURN_REASON_DISCONNECTED, 0, why, Tuple::other);
      return;
    case State::closing:
      finish_close ();
      return;
    case State::idle:
    case State::waiting:
    case State::failed:
    case State::closed:
      return;
  }
}

void
Client::allocate () {
  state_ = State::allocating;
  resuming_ = false;
  allocation_.forget ();
  allocation_.allocate ([this] (const Reply &reply) { allocate_answered (reply); });
}

void
Client::allocate_answered (const Reply &reply) {
  if (reply.ok ()) {
    ++allocations_;
    granted ();
    peers_.allocated (reliable_);
    return;
  }
  switch (allocate_step (reply)) {
    case AllocateStep::follow:
      if (!follow (reply)) fail_server (reply, true);
      return;
    case AllocateStep::credentials:
      ask_credentials (reply);
      return;
    case AllocateStep::simplify:
      if (++simplified_ <= kMaxSimplified && allocation_.simplify (*reply.message))
        allocate ();
      else
        fail_server (reply, true);
      return;
    case AllocateStep::other_tuple:
      leave_tuple (reply);
      return;
    case AllocateStep::later:
      fail_server (reply, false);
      return;
    case AllocateStep::exclude:
      // To some servers, pion among them, that is what a wrong signature makes of a request.
      if (reply.code == 400 && requester_.authenticator ().challenged ())
        ask_credentials (reply);
      else
        fail_server (reply, true);
      return;
  }
}

void
Client::granted () {
  state_ = State::allocated;
  allocated_at_ = scheduler_.now ();
  tuples_ = 0;
  rounds_ = 0;
  failed_in_round_.clear ();
  credentials_asked_ = false;
  resuming_ = refreshing_ = false;
  rearm ();
  const bool first = !had_one_;
  had_one_ = true;
  tell (first ? Event::Kind::allocated : Event::Kind::recovered, P2P_TURN_REASON_NONE, 0,
        "The relayed address is " + relayed ().front ().text (), "");
}

// One hop, by the same scheme, and not back.
bool
Client::follow (const Reply &reply) {
  const auto alternate = reply.message->find_address (kAlternateServer);
  if (!alternate || alternate->port == 0 || redirects_ >= kMaxRedirects) return false;
  Target next = target_;
  next.host = alternate->ip_text ();
  next.port = alternate->port;
  if (const auto domain = reply.message->find_text (kAlternateDomain);
      domain && !domain->empty () && domain->size () <= 253)
    next.tls_name = *domain;
  if (next == target_) return false;
  ++redirects_;
  target_ = next;
  // Realm and nonce were the other server's.
  requester_.authenticator ().reset ();
  requester_.authenticator ().set_credentials (credentials_[server_]);
  tell (Event::Kind::redirected, P2P_TURN_REASON_TRY_ALTERNATE, reply.code,
        "The TURN server names another one, " + alternate->text () + ", which is asked", "");
  if (state_ == State::allocating) open ();
  return true;
}

// An allocation that stands in the way may be our own, of a process before this one.
void
Client::leave_tuple (const Reply &reply) {
  if (++tuples_ > kMaxTuples) {
    fail_server (reply, false);
    return;
  }
  if (reply.code != 437) {
    if (reply.code == 438) {
      requester_.authenticator ().reset ();
      requester_.authenticator ().set_credentials (credentials_[server_]);
    }
    open ();
    return;
  }
  wait_until_ = scheduler_.now () + kFirstWait;
  allocation_.release ([this] (const Reply &) { open (); });
  rearm ();
}

void
Client::refresh () {
  refreshing_ = true;
  allocation_.refresh ([this] (const Reply &reply) { refresh_answered (reply); });
}

void
Client::refresh_answered (const Reply &reply) {
  refreshing_ = false;
  if (state_ != State::allocated) return;
  if (reply.ok ()) {
    credentials_asked_ = false;
    peers_.verified ();
    rearm ();
    return;
  }
  switch (refresh_step (reply)) {
    case RefreshStep::credentials:
      ask_credentials (reply);
      return;
    case RefreshStep::lost:
      lost (reply, Tuple::same);
      return;
    case RefreshStep::other_tuple:
      lost (reply, Tuple::other);
      return;
    case RefreshStep::retry:
      if (allocation_.expired ()) {
        lost (reply, Tuple::same);
        return;
      }
      allocation_.postpone_refresh (std::min (5 * kSecond, allocation_.lifetime () / 4));
      rearm ();
      return;
  }
}

void
Client::resume_answered (const Reply &reply) {
  if (!reply.ok ()) {
    if (reply.kind == Reply::Kind::timeout)
      fail_server (reply, false);
    else
      allocate ();
    return;
  }
  granted ();
  peers_.resumed (reliable_);
}

void
Client::move () {
  switch (state_) {
    case State::allocated:
      lost (P2P_TURN_REASON_REQUESTED, 0, "the network has changed", Tuple::other);
      return;
    case State::opening:
    case State::allocating:
      open ();
      return;
    case State::waiting:
      enter (server_);
      return;
    case State::idle:
    case State::failed:
    case State::closing:
    case State::closed:
      return;
  }
}

void
Client::reset () {
  if (state_ == State::closing || state_ == State::closed) return;
  if (state_ == State::allocated) {
    ++losses_;
    allocation_.release_untold ();
    tell (Event::Kind::network_bad, P2P_TURN_REASON_REQUESTED, 0, "The allocation is given up", "");
    if (state_ == State::closing || state_ == State::closed) return;
  }
  peers_.lost ();
  allocation_.forget ();
  excluded_.clear ();
  failed_in_round_.clear ();
  rounds_ = quick_losses_ = 0;
  resuming_ = false;
  wanting_.reset ();
  enter (0);
}

void
Client::close () {
  if (state_ == State::closing || state_ == State::closed) return;
  const bool held = state_ == State::allocated;
  peers_.lost ();
  requester_.forget_all ();
  wanting_.reset ();
  state_ = State::closing;
  if (!held) {
    finish_close ();
    return;
  }
  wait_until_ = scheduler_.now () + kCloseLimit;
  allocation_.release ([this] (const Reply &) { finish_close (); });
  rearm ();
}

void
Client::finish_close () {
  requester_.forget_all ();
  allocation_.forget ();
  state_ = State::closed;
  wait_until_ = kNever;
  timer_->disarm ();
  host_.close_transport ();
  tell (Event::Kind::closed, P2P_TURN_REASON_NONE, 0, "The TURN client is closed", "");
}

void
Client::rearm () {
  TimeUs due = wait_until_;
  if (state_ == State::allocated && !refreshing_ && !wanting_) {
    const TimeUs last = std::max (heard_at_, allocated_at_);
    const TimeUs check = last + (sent_at_ > last ? config_.busy_check : config_.quiet_check);
    due = std::min ({due, allocation_.refresh_due (), check});
  }
  if (due == kNever)
    timer_->disarm ();
  else
    timer_->arm (due);
}

void
Client::timer_due () {
  const TimeUs now = scheduler_.now ();
  if (now >= wait_until_) {
    wait_until_ = kNever;
    if (state_ == State::closing) {
      finish_close ();
    } else if (wanting_) {
      keep_credentials ();
    } else if (state_ == State::waiting) {
      enter (server_);
    } else if (state_ == State::allocating) {
      open ();  // the release that was waited for
    }
    return;
  }
  if (state_ == State::allocated && !refreshing_ && !wanting_) {
    const TimeUs last = std::max (heard_at_, allocated_at_);
    const TimeUs check = last + (sent_at_ > last ? config_.busy_check : config_.quiet_check);
    if (now >= std::min (allocation_.refresh_due (), check)) {
      refresh ();
      return;
    }
  }
  rearm ();
}

void
Client::transport_doubtful () {
  if (state_ == State::allocated && !refreshing_ && !wanting_) refresh ();
}

void
Client::receive (ByteView packet) {
  heard_at_ = scheduler_.now ();
  if (is_channel_data (packet)) {
    peers_.receive_channel_data (packet);
    return;
  }
  const auto message = Message::parse (packet);
  if (!message) {
    ++malformed_;
    return;
  }
  if (message->message_class () == MessageClass::indication)
    peers_.receive_indication (*message);
  else if (!requester_.receive (*message))
    ++malformed_;  // late, repeated, or nobody's
}

Status
Client::add_peer (const Address &peer, bool channel) {
  if (Status refused = config_.policy.check (peer, relayed ())) {
    ++peers_.stats ().refused_peers;
    return refused;
  }
  return peers_.add (peer, channel);
}

Sent
Client::send (const Address &peer, ByteView data) {
  if (state_ == State::failed || state_ == State::closing || state_ == State::closed)
    return Sent::refused;
  const bool was_quiet = sent_at_ <= heard_at_;
  const Sent sent = peers_.send (peer, data);
  if (sent == Sent::sent) {
    sent_at_ = scheduler_.now ();
    if (was_quiet && sent_at_ > heard_at_) rearm ();
  }
  return sent;
}

bool
Client::send_packet (ByteView packet) {
  return host_.send_packet (packet);
}

void
Client::peer_received (const Address &peer, ByteView data) {
  host_.turn_received (peer, data);
}

void
Client::peer_granted (const Address &peer) {
  host_.turn_event ({Event::Kind::peer_granted, P2P_TURN_REASON_NONE, 0, {}, peer});
}

void
Client::peer_refused (const Address &peer, const Reply &reply) {
  const P2pTurnReason reason = reason_of (reply);
  host_.turn_event (
      {Event::Kind::peer_refused, reason, reply.code,
       "The relay does not serve the peer " + peer.ip_text () + ": " + reason_text (reason) + ".",
       peer});
}

ClientStats
Client::stats () const {
  ClientStats out;
  out.peers = peers_.stats ();
  out.allocations = allocations_;
  out.losses = losses_;
  out.repeated_requests = requester_.transactions ().repeated ();
  out.rejected_answers = requester_.rejected ();
  out.malformed = malformed_;
  return out;
}

void
Client::tell (Event::Kind kind, P2pTurnReason reason, int code, const std::string &what,
              const std::string &text) {
  std::string message = what;
  if (reason != P2P_TURN_REASON_NONE) message += std::string (": ") + reason_text (reason);
  if (code != 0) message += " (" + std::to_string (code) + ")";
  if (!text.empty ()) message += "; " + text;
  if (message.back () == '.') message.pop_back ();
  host_.turn_event ({kind, reason, code, message + ".", std::nullopt});
}

}  // namespace p2p::turn
