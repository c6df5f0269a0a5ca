#include "signaling/client.hpp"

#include <algorithm>

#include "base/random_bytes.hpp"

namespace p2p {

namespace {

// Messages that the meeting point has not confirmed; one of full size needs 88 KiB.
constexpr std::size_t kMaxUnackedBytes = 1024 * 1024;
// How long a peer that takes messages too slowly is left alone.
constexpr TimeUs kResumeAfterUs = 2 * kSecond;
// Most trouble is over soon: a program that is started anew, a router, a roaming phone.
struct Patience {
  TimeUs until, longest_retry;
};
constexpr Patience kPatience[] = {{10 * kSecond, kSecond}, {60 * kSecond, 5 * kSecond}};
constexpr std::uint32_t kMinHeartbeatS = 1, kMaxHeartbeatS = 120;
constexpr std::size_t kMaxQuotedBytes = 200;

// A server's text as part of a message of ours: not too long, and nothing that a terminal obeys.
std::string
quoted (std::string text) {
  if (text.size () > kMaxQuotedBytes) {
    std::size_t end = kMaxQuotedBytes;
    while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not in the middle of a character
    text.resize (end);
  }
  for (char &c : text)
    if (g_ascii_iscntrl (c)) c = ' ';
  return "\"" + text + "\"";
}

}  // namespace

SignalingClient::SignalingClient (std::unique_ptr<SignalingCarrier> carrier, Scheduler &scheduler,
                                  std::shared_ptr<const SigningKey> key, const ClientTiming &timing)
    : carrier_ (std::move (carrier)),
      scheduler_ (scheduler),
      key_ (std::move (key)),
      token_ (random_bytes (16)),
      timing_ (timing),
      random_ (std::random_device{}()),
      retry_ (scheduler.make_timer ([this] { on_retry (); })),
      heartbeat_ (scheduler.make_timer ([this] { on_heartbeat (); })),
      deadline_ (scheduler.make_timer ([this] { on_deadline (); })),
      resume_ (scheduler.make_timer ([this] { on_resume (); })) {
  carrier_->set_observer (this);
}

SignalingClient::~SignalingClient () = default;

void
SignalingClient::start (const std::string &id) {
  if (state_ != State::idle) return;
  id_ = id;
  state_ = State::connecting;
  retry_->arm (scheduler_.now ());  // the observer is not called from in here
}

void
SignalingClient::on_retry () {
  if (!valid_signal_id (id_)) {
    refuse ({P2P_ERROR_INVALID_ARGUMENT,
             "The id \"" + id_ +
                 "\" cannot be used; take 1 to 128 letters, digits or any of . _ @ : + -"});
    return;
  }
  if (!std::exchange (announced_, true) && !set_state (State::connecting, nullptr)) return;
  if (open_) {
    if (welcomed_) return;
    forget_connection ();  // an attempt of another network
    next_restart_ = scheduler_.now () + timing_.check_within_us;
  }
  open ();
}

void
SignalingClient::open () {
  open_ = true;
  deadline_->arm (scheduler_.now () + timing_.answer_within_us);
  carrier_->open ();
}

void
SignalingClient::ask (const std::string &peer) {
  // No peer of that name can ever be present.
  if (peer != kAnyPeer && !valid_signal_id (peer)) return;
  if (asks_.insert (peer).second && state_ == State::registered) send_ask (FrameType::ask, peer);
}

void
SignalingClient::unask (const std::string &peer) {
  if (asks_.erase (peer) != 0 && state_ == State::registered) send_ask (FrameType::unask, peer);
}

Status
SignalingClient::send (const std::string &peer, const std::string &message) {
  if (message.size () > kMaxSignalBytes)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE, "A signaling message has at most " +
                                                  std::to_string (kMaxSignalBytes) +
                                                  " bytes; split it."};
  if (state_ != State::registered || present_.count (peer) == 0)
    return Error{P2P_ERROR_NOT_CONNECTED,
                 "\"" + peer + "\" is not at the meeting point; wait until it is present."};
  if (sent_bytes_ - acked_bytes_ + message.size () > kMaxUnackedBytes)
    return Error{P2P_ERROR_WOULD_BLOCK,
                 "The meeting point takes messages too slowly; try again later."};
  Frame frame;
  frame.type = FrameType::message;
  frame.id = id_;
  frame.peer = peer;
  frame.data = message;
  send_frame (frame);
  // The answer confirms the message, and its lack shows within the deadline that nobody is there.
  if (pings_.empty ()) send_ping ();
  return std::nullopt;
}

void
SignalingClient::network_changed (bool usable) {
  if (state_ != State::connecting && state_ != State::registered) return;
  // Nothing is sent: what waits for a gateway that does not answer has the kernel ask for it once a
  // second only, also when it is back.
  const bool was_cut_off = std::exchange (cut_off_, !usable);
  if (cut_off_) return;
  const TimeUs now = scheduler_.now ();
  if (!welcomed_) {
    failures_ = 0;
    // One that is under way may lead nowhere; but those that are begun for this reason get their
    // time, however often the network changes.
    retry_->arm (open_ ? std::max (now, next_restart_) : now);
    if (!open_) next_restart_ = now + timing_.check_within_us;
    return;
  }
  const bool checking = std::exchange (checking_, true);
  // After an outage the server's TCP may wait for long before it sends again.
  if (was_cut_off || carrier_->address_gone ()) {
    leaving_ = true;
    deadline_->arm (now);
  } else if (!checking) {
    if (state_ == State::registered) send_ping ();
    deadline_->arm (now + answer_limit ());
  }
}

std::string
SignalingClient::stun_server () const {
  const std::string host = carrier_->stun_host ();
  if (stun_port_ == 0 || host.empty ()) return {};
  const bool ipv6 = host.find (':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string (stun_port_);
}

void
SignalingClient::carrier_frame (ByteView text) {
  const auto parsed = parse_frame (text);
  if (const auto *error = std::get_if<FrameError> (&parsed)) {
    lose ({P2P_ERROR_PROTOCOL, "Malformed frame from " + carrier_->describe () + ": " +
                                   error->text + " It is tried again."});
    return;
  }
  const Frame &frame = std::get<Frame> (parsed);
  // Whatever arrives shows that somebody is there.
  if (!pings_.empty () && !leaving_) deadline_->arm (scheduler_.now () + answer_limit ());
  switch (frame.type) {
    case FrameType::welcome:
      on_welcome (frame);
      break;
    case FrameType::registered:
      if (frame.id == id_ && state_ != State::registered) on_registered ();
      break;
    case FrameType::peer:
      on_peer (frame);
      break;
    case FrameType::message:
      on_message (frame);
      break;
    case FrameType::error:
      on_error (frame);
      break;
    case FrameType::ping: {
      Frame pong;
      pong.type = FrameType::pong;
      pong.seq = frame.seq;
      send_frame (pong);
      break;
    }
    case FrameType::pong:
      on_pong (frame);
      break;
    case FrameType::enroll:
    case FrameType::resign:
    case FrameType::ask:
    case FrameType::unask:
      lose ({P2P_ERROR_PROTOCOL,
             "A client's frame came from " + carrier_->describe () + "; it is tried again."});
      break;
  }
}

void
SignalingClient::on_welcome (const Frame &frame) {
  if (welcomed_) return;
  if (frame.version != kSignalVersion) {
    refuse ({P2P_ERROR_SIGNALING,
             "It speaks version " + std::to_string (frame.version) + " of the protocol and not " +
                 std::to_string (kSignalVersion) + ": " + carrier_->describe () + "."});
    return;
  }
  welcomed_ = true;
  stun_port_ = static_cast<std::uint16_t> (frame.stun_port);
  if (frame.heartbeat_s != 0)
    heartbeat_us_ =
        TimeUs{std::clamp (frame.heartbeat_s, kMinHeartbeatS, kMaxHeartbeatS)} * kSecond;
  Frame registration;
  registration.type = FrameType::enroll;
  registration.id = id_;
  registration.key = token_;
  if (key_) {
    // Of another length it would not be our own challenge but a text of the server's choice.
    if (frame.challenge.size () != kChallengeBytes) {
      lose ({P2P_ERROR_PROTOCOL, "The field \"challenge\" from " + carrier_->describe () +
                                     " does not have 32 bytes; it is tried again."});
      return;
    }
    const std::string text = registration_proof_text (frame.challenge, id_);
    auto signature = key_->sign (ByteView (std::string_view (text)));
    if (!signature) {
      refuse (signature.error ());
      return;
    }
    registration.key = key_->public_key_der ();
    registration.signature = std::move (*signature);
  }
  send_frame (registration);
}

void
SignalingClient::on_registered () {
  failures_ = 0;
  checking_ = false;
  retry_->disarm ();
  deadline_->disarm ();
  heartbeat_->arm (scheduler_.now () + heartbeat_us_);
  for (const std::string &peer : asks_) send_ask (FrameType::ask, peer);
  set_state (State::registered, nullptr);
}

void
SignalingClient::on_peer (const Frame &frame) {
  if (frame.id != id_ || state_ != State::registered) return;
  suspended_.erase (frame.peer);
  set_present (frame.peer, frame.present);
}

void
SignalingClient::on_message (const Frame &frame) {
  if (frame.id != id_) return;
  if (suspended_.erase (frame.peer) != 0 && !set_present (frame.peer, true)) return;
  if (present_.count (frame.peer) != 0 && observer_)
    observer_->signaling_message (frame.peer, frame.data);
}

void
SignalingClient::on_error (const Frame &frame) {
  const std::string from = quoted (frame.text) + " says " + carrier_->describe ();
  if (frame.code == "id-taken" || frame.code == "replaced") {
    refuse ({P2P_ERROR_ID_TAKEN,
             frame.code == "replaced"
                 ? "Another program with the same identity has taken over the id \"" + id_ + "\"."
                 : "The id \"" + id_ + "\" is in use by somebody else; choose another id."});
  } else if (frame.code == "bad-proof") {
    refuse ({P2P_ERROR_NOT_AUTHORIZED, from + "."});
  } else if (state_ != State::registered) {
    lose ({frame.code == "full" ? P2P_ERROR_LIMIT : P2P_ERROR_SIGNALING,
           from + "; it is tried again."});
  } else if (!frame.peer.empty () && present_.count (frame.peer) != 0 &&
             (frame.code == "peer-busy" || frame.code == "rate")) {
    // A message was lost. Nothing is lost in silence: the peer goes, and comes again.
    suspended_.insert (frame.peer);
    resume_->arm (scheduler_.now () + kResumeAfterUs);
    set_present (frame.peer, false);
  }
}

void
SignalingClient::on_resume () {
  const std::weak_ptr<bool> alive = alive_;
  while (!alive.expired () && !suspended_.empty ()) {
    const std::string peer = *suspended_.begin ();
    suspended_.erase (suspended_.begin ());
    set_present (peer, true);
  }
}

void
SignalingClient::on_pong (const Frame &frame) {
  while (!pings_.empty () && pings_.front ().first <= frame.seq) {
    acked_bytes_ = pings_.front ().second;
    pings_.pop_front ();
  }
  if (!pings_.empty () || state_ != State::registered) return;
  checking_ = false;
  deadline_->disarm ();
  // Messages that were sent after the ping are confirmed by another one.
  if (sent_bytes_ - acked_bytes_ > kMaxUnackedBytes / 4) send_ping ();
}

void
SignalingClient::on_heartbeat () {
  if (pings_.empty () && !cut_off_) send_ping ();
  heartbeat_->arm (scheduler_.now () + heartbeat_us_);
}

void
SignalingClient::send_ping () {
  Frame ping;
  ping.type = FrameType::ping;
  ping.seq = next_seq_++;
  send_frame (ping);
  if (!leaving_) deadline_->arm (scheduler_.now () + answer_limit ());
  pings_.emplace_back (ping.seq, sent_bytes_);
}

void
SignalingClient::on_deadline () {
  if (open_ && carrier_->address_gone ())
    lose ({P2P_ERROR_SIGNALING, "This machine no longer has the address by which it reached " +
                                    carrier_->describe () + "; it is tried again."},
          Comeback::at_once);
  else if (leaving_)
    lose ({P2P_ERROR_SIGNALING, "This machine had no network, so that the connection to " +
                                    carrier_->describe () + " is made anew."},
          Comeback::at_once);
  else
    lose ({P2P_ERROR_SIGNALING, "No answer within " + std::to_string (answer_limit () / kSecond) +
                                    " s from " + carrier_->describe () + "; it is tried again."},
          Comeback::at_once);
}

TimeUs
SignalingClient::answer_limit () const {
  return checking_ ? timing_.check_within_us : timing_.answer_within_us;
}

void
SignalingClient::carrier_closed (const Error &reason) {
  lose (reason, Comeback::soon);
}

void
SignalingClient::lose (const Error &reason, Comeback comeback) {
  if (!open_) return;
  const Error copy = reason;  // closing the carrier may take the original away
  const bool was_registered = state_ == State::registered;
  forget_connection ();
  TimeUs wait = 0;
  if (!was_registered || comeback == Comeback::backed_off)
    wait = back_off ();
  else if (comeback == Comeback::soon)
    wait = random_up_to (timing_.comeback_within_us);
  retry_->arm (scheduler_.now () + wait);
  state_ = State::connecting;
  const std::set<std::string> gone = std::exchange (present_, {});
  const std::weak_ptr<bool> alive = alive_;
  for (const std::string &peer : gone) {
    if (observer_) observer_->signaling_peer (peer, false);
    if (alive.expired ()) return;
  }
  set_state (State::connecting, &copy);
}

// Doubles from the first to the longest; a random half of it, so that a crowd does not come back at
// the same moment.
TimeUs
SignalingClient::back_off () {
  const TimeUs now = scheduler_.now ();
  if (failures_ == 0) failing_since_ = now;
  TimeUs longest = timing_.longest_retry_us;
  for (const Patience &young : kPatience)
    if (now - failing_since_ < young.until) longest = std::min (longest, young.longest_retry);
  const unsigned doublings = std::min (failures_++, 16u);
  const TimeUs span = std::min (timing_.first_retry_us << doublings, longest);
  return span / 2 + random_up_to (span / 2);
}

TimeUs
SignalingClient::random_up_to (TimeUs span) {
  return std::uniform_int_distribution<TimeUs> (0, span) (random_);
}

void
SignalingClient::refuse (const Error &reason) {
  const Error copy = reason;
  forget_connection ();
  retry_->disarm ();
  state_ = State::refused;
  const std::set<std::string> gone = std::exchange (present_, {});
  const std::weak_ptr<bool> alive = alive_;
  for (const std::string &peer : gone) {
    if (observer_) observer_->signaling_peer (peer, false);
    if (alive.expired ()) return;
  }
  set_state (State::refused, &copy);
}

void
SignalingClient::forget_connection () {
  carrier_->close ();
  open_ = welcomed_ = checking_ = leaving_ = false;
  sent_bytes_ = acked_bytes_ = 0;
  pings_.clear ();
  suspended_.clear ();
  resume_->disarm ();
  heartbeat_->disarm ();
  deadline_->disarm ();
}

bool
SignalingClient::set_present (const std::string &peer, bool present) {
  const bool changed = present ? present_.insert (peer).second : present_.erase (peer) != 0;
  const std::weak_ptr<bool> alive = alive_;
  if (changed && observer_) observer_->signaling_peer (peer, present);
  return !alive.expired ();
}

bool
SignalingClient::set_state (State state, const Error *reason) {
  state_ = state;
  const std::weak_ptr<bool> alive = alive_;
  if (observer_) observer_->signaling_state (state, reason);
  return !alive.expired ();
}

void
SignalingClient::send_frame (const Frame &frame) {
  const std::string text = to_json (frame);
  sent_bytes_ += text.size ();
  carrier_->send (text);
}

void
SignalingClient::send_ask (FrameType type, const std::string &peer) {
  Frame frame;
  frame.type = type;
  frame.id = id_;
  frame.peer = peer;
  send_frame (frame);
}

}  // namespace p2p
