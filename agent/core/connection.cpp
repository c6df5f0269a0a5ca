#include "core/connection.hpp"

#include <gnutls/crypto.h>

#include <algorithm>

#include "base/loop_thread.hpp"
#include "core/attempt_id.hpp"

namespace p2p {

namespace {

// Signaling of an application may lose an offer: it is made again until it is answered, from a
// wait above any usual round trip on.
constexpr TimeUs kFirstRepeat = 2 * kSecond, kLongestRepeat = 32 * kSecond;

// Both sides get the same id out of their two attempts, without a further message.
SessionId
make_session_id (const std::string &client_attempt, const std::string &server_attempt) {
  const std::string text = "gst-p2p session\n" + client_attempt + "\n" + server_attempt;
  std::array<std::uint8_t, 32> digest{};
  gnutls_hash_fast (GNUTLS_DIG_SHA256, text.data (), text.size (), digest.data ());
  SessionId id{};
  std::copy_n (digest.begin (), id.size (), id.begin ());
  return id;
}

}  // namespace

Connection::Connection (std::string peer, std::weak_ptr<AgentLink> agent,
                        std::uint64_t max_message_bytes, Scheduler &clock)
    : peer_ (std::move (peer)),
      agent_ (std::move (agent)),
      max_message_bytes_ (max_message_bytes),
      clock_ (clock) {}

Connection::~Connection () {
  drop_attempt ();
}

void
Connection::change (const std::function<void (ConnectionSnapshot &)> &edit) {
  ConnectionSnapshot now;
  {
    const MutexLock lock (mutex_);
    edit (snapshot_);
    now = snapshot_;
  }
  if (const auto observer = observer_.lock ()) observer->connection_changed (now);
}

bool
Connection::is_client () const {
  // Both sides know both ids, so both come to the same answer.
  const auto agent = agent_.lock ();
  return agent && agent->id () > peer_;
}

P2pAuthentication
Connection::authentication (bool out_of_band) const {
  const auto agent = agent_.lock ();
  const PeerCredentials asked = agent ? agent->credentials (peer_) : PeerCredentials ();
  if (!asked.fingerprint.empty () || out_of_band) return P2P_AUTHENTICATION_FINGERPRINT;
  return asked.secret ? P2P_AUTHENTICATION_SECRET : P2P_AUTHENTICATION_SIGNALING;
}

bool
Connection::waiting_for_config () const {
  return !removed_ && !session_ && !(attempt_ && attempt_->started ());
}

void
Connection::start_outgoing (const std::optional<NetworkConfig> &remote) {
  const auto agent = agent_.lock ();
  if (!agent) return;
  asked_at_ = clock_.now ();
  if (remote) {
    if (new_attempt ()) start_attempt (*remote, true);
    return;
  }
  if (!agent->has_signaling ()) {
    fail ({P2P_ERROR_NOT_CONNECTED, "There is no way to reach \"" + peer_ +
                                        "\": neither signaling nor its network configuration "
                                        "was given."});
    return;
  }
  change ([&] (ConnectionSnapshot &s) {
    s.authentication = authentication (false);
    s.reason = "waiting for \"" + peer_ + "\" to come";
  });
  if (agent->peer_present (peer_)) peer_present (true);
}

void
Connection::start_incoming (const PeerSignal &hello, bool accepted, const Connection *predecessor) {
  if (predecessor) newest_remote_ = predecessor->newest_remote_;
  incoming_ = true;
  asked_at_ = clock_.now ();
  waiting_hello_ = hello;
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_INCOMING;
    s.authentication = authentication (false);
    s.reason = "\"" + peer_ + "\" asks to connect";
  });
  if (accepted) accept ();
}

bool
Connection::new_attempt () {
  const auto agent = agent_.lock ();
  if (!agent) return false;
  drop_attempt ();
  auto attempt = agent->make_attempt (peer_, retries_left_ == 2, this);
  if (!attempt) {
    fail (attempt.error ());
    return false;
  }
  attempt_ = std::move (*attempt);
  publish_local_config ();
  return true;
}

void
Connection::drop_attempt () {
  if (repeat_) repeat_->disarm ();
  // The session first: it knows a transport of the attempt.
  if (session_) session_->detach ();
  retire (std::move (session_));
  transport_ = nullptr;
  path_ = nullptr;
  if (!attempt_) return;
  attempt_->set_observer (nullptr);
  retire (std::move (attempt_));
}

void
Connection::publish_local_config () {
  change ([&] (ConnectionSnapshot &s) { s.local_config = attempt_->local_config (); });
}

void
Connection::say_hello (const std::string &in_reply_to) {
  const auto agent = agent_.lock ();
  if (!agent || !attempt_) return;
  PeerSignal hello;
  hello.kind = PeerSignal::Kind::hello;
  hello.attempt = attempt_->id ();
  hello.in_reply_to = in_reply_to;
  hello.config = attempt_->local_config ();
  // An absent peer gets its hello when it comes.
  (void)agent->send_signal (peer_, hello);
}

// A hello that answers nothing: the peer pairs its attempt with ours, which waits for it.
void
Connection::offer () {
  say_hello ("");
  repeat_after_ = kFirstRepeat;
  if (!repeat_) repeat_ = clock_.make_timer ([this] { repeat_offer (); });
  repeat_->arm (clock_.now () + repeat_after_);
}

void
Connection::repeat_offer () {
  const auto agent = agent_.lock ();
  if (removed_ || !agent || !attempt_ || attempt_->started ()) return;
  // One that went away is told when it comes.
  if (agent->peer_present (peer_)) say_hello ("");
  repeat_after_ = std::min (2 * repeat_after_, kLongestRepeat);
  repeat_->arm (clock_.now () + repeat_after_);
}

void
Connection::say_bye (P2pError code, const std::string &text, const std::string &in_reply_to) {
  const auto agent = agent_.lock ();
  if (!agent) return;
  PeerSignal bye;
  bye.kind = PeerSignal::Kind::bye;
  bye.attempt = attempt_ ? attempt_->id () : "none";
  if (!in_reply_to.empty ())
    bye.in_reply_to = in_reply_to;
  else if (attempt_ && attempt_->remote_config ())
    bye.in_reply_to = attempt_->remote_config ()->attempt;
  else if (waiting_hello_)
    bye.in_reply_to = waiting_hello_->attempt;
  bye.code = code;
  bye.text = text;
  (void)agent->send_signal (peer_, bye);
}

void
Connection::peer_present (bool present) {
  if (removed_ || session_ || waiting_hello_) return;
  if (!present) {
    if (waiting_for_config ())
      change ([&] (ConnectionSnapshot &s) { s.reason = "waiting for \"" + peer_ + "\" to come"; });
    return;
  }
  if (attempt_ && attempt_->started ()) return;
  if (!attempt_ && !new_attempt ()) return;
  change ([&] (ConnectionSnapshot &s) { s.reason = "exchanging network configurations"; });
  offer ();
}

void
Connection::signaling_lost (const Error &reason) {
  if (waiting_for_config () && !waiting_hello_)
    change ([&] (ConnectionSnapshot &s) { s.reason = reason.message; });
}

bool
Connection::signal_is_for_successor (const PeerSignal &signal) const {
  return signal.kind == PeerSignal::Kind::hello && signal.in_reply_to.empty () && established () &&
         signal.attempt != newest_remote_ && !attempt_is_older (signal.attempt, newest_remote_);
}

// The attempt that ours is paired with; empty while ours waits.
std::string
Connection::remote_attempt () const {
  return attempt_ && attempt_->started () ? attempt_->remote_config ()->attempt : std::string ();
}

void
Connection::receive_signal (const PeerSignal &signal) {
  if (removed_) return;
  if (signal.kind == PeerSignal::Kind::hello) {
    receive_hello (signal);
    return;
  }
  if (signal.kind == PeerSignal::Kind::bye) {
    receive_bye (signal);
    return;
  }
  if (!attempt_ || remote_attempt () != signal.attempt) {
    ++signals_rejected_;  // of an attempt that is over
    return;
  }
  if (signal.kind == PeerSignal::Kind::candidate) {
    if (attempt_->add_remote_candidate (signal.candidate)) ++signals_rejected_;
    change ([&] (ConnectionSnapshot &s) {
      if (s.remote_config && s.remote_config->candidates.size () < kMaxCandidates)
        s.remote_config->candidates.push_back (signal.candidate);
    });
  } else if (signal.kind == PeerSignal::Kind::candidates_done) {
    attempt_->remote_gathering_done ();
  } else {
    attempt_->path_message (signal.source, ByteView (std::string_view (signal.data)));
  }
}

// A hello offers an attempt that waits, or answers our offer with an attempt that is paired with
// it. Both sides may offer at the same time, begin anew, and hear of each other late: an offer is
// always followed, unless it is older than what was followed before; an answer to anything but the
// attempt that waits is too late.
void
Connection::receive_hello (const PeerSignal &hello) {
  const bool is_offer = hello.in_reply_to.empty ();
  if (snapshot ().state == P2P_CONNECTION_STATE_INCOMING) {
    if (is_offer && waiting_hello_ && !attempt_is_older (hello.attempt, waiting_hello_->attempt))
      waiting_hello_ = hello;
    return;
  }
  const bool answers_ours = attempt_ && hello.in_reply_to == attempt_->id ();
  if (hello.attempt == remote_attempt ()) {
    // It has not seen ours, or ours came before it knew what to do with it.
    if (!established () && !answers_ours) say_hello (hello.attempt);
    return;
  }
  const bool waits = attempt_ && !attempt_->started ();
  const bool used_up = hello.attempt == newest_remote_ && !(answers_ours && waits);
  if (established () || (!is_offer && !answers_ours) || used_up ||
      attempt_is_older (hello.attempt, newest_remote_)) {
    ++signals_rejected_;
    return;
  }
  if (answers_ours && !waits) {
    // The peer's attempt is paired with one of ours that has found another meanwhile: neither can
    // change its mind, so that both sides need new ones.
    newest_remote_ = hello.attempt;
    if (new_attempt ()) offer ();
    return;
  }
  // A peer that begins anew is answered with a new generation: libnice cannot change its mind.
  if (!waits && !new_attempt ()) return;
  if (!start_attempt (*hello.config, false)) return;
  if (attempt_ && !answers_ours) say_hello (hello.attempt);
}

void
Connection::receive_bye (const PeerSignal &bye) {
  if (established ()) return;  // the transport tells, and cannot be forged
  const std::string remote = remote_attempt ();
  bool ours = attempt_ && bye.in_reply_to == attempt_->id ();
  if (!remote.empty () && bye.attempt == remote) ours = true;
  if (bye.in_reply_to.empty () && waiting_for_config ()) ours = true;
  if (attempt_is_older (bye.attempt, newest_remote_)) ours = false;
  const bool before_accept = waiting_hello_ && bye.attempt == waiting_hello_->attempt;
  if (!ours && !before_accept) {
    ++signals_rejected_;
    return;
  }
  if (bye.code == P2P_ERROR_CLOSED && !incoming_) {
    // It went away before anything was up; it may come again.
    drop_attempt ();
    change ([&] (ConnectionSnapshot &s) {
      s.reason = "\"" + peer_ + "\" has gone; waiting for it to come again";
    });
    return;
  }
  std::string text = "\"" + peer_ + "\" ends the attempt to connect";
  if (bye.code == P2P_ERROR_NOT_AUTHORIZED)
    text = "\"" + peer_ + "\" does not accept our identity: the secret or the fingerprint differs";
  else if (bye.code == P2P_ERROR_REFUSED)
    text = "\"" + peer_ + "\" refuses the connection";
  if (!bye.text.empty ()) text += " (it says: " + bye.text + ")";
  remove (Error{bye.code, text + "."}, text, true);
}

bool
Connection::start_attempt (const NetworkConfig &remote, bool out_of_band) {
  const auto agent = agent_.lock ();
  if (!agent || !attempt_) return false;
  const PeerCredentials credentials = agent->credentials (peer_);
  if (!credentials.fingerprint.empty () && credentials.fingerprint != remote.fingerprint) {
    const std::string text = "\"" + peer_ + "\" shows the certificate " + remote.fingerprint +
                             ", not the expected " + credentials.fingerprint + ".";
    say_bye (P2P_ERROR_NOT_AUTHORIZED, "this certificate is not the expected one", remote.attempt);
    remove (Error{P2P_ERROR_NOT_AUTHORIZED, text}, text, false);
    return false;
  }
  if (remote.id != peer_) {
    fail ({P2P_ERROR_INVALID_ARGUMENT,
           "The network configuration is of \"" + remote.id + "\", not of \"" + peer_ + "\"."});
    return false;
  }
  out_of_band_ = out_of_band;
  newest_remote_ = remote.attempt;
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_CONNECTING;
    s.reason = "checking paths";
    s.remote_config = remote;
    s.peer_fingerprint = remote.fingerprint;
    s.authentication = authentication (out_of_band);
  });
  Attempt *attempt = attempt_.get ();
  const Ref<GBytes> greeting = Session::greeting (session_config (remote.attempt));
  if (const Status bad = attempt->start (remote, is_client (), greeting)) {
    ++signals_rejected_;
    fail ({bad->code,
           "The network configuration of \"" + peer_ + "\" is of no use. " + bad->message});
    return false;
  }
  return attempt_.get () == attempt;
}

void
Connection::attempt_candidate (const std::string &sdp) {
  publish_local_config ();
  const auto agent = agent_.lock ();
  if (!agent || out_of_band_) return;
  PeerSignal signal;
  signal.kind = PeerSignal::Kind::candidate;
  signal.attempt = attempt_->id ();
  signal.candidate = sdp;
  (void)agent->send_signal (peer_, signal);
}

void
Connection::attempt_gathered () {
  publish_local_config ();
  const auto agent = agent_.lock ();
  if (!agent || out_of_band_) return;
  PeerSignal signal;
  signal.kind = PeerSignal::Kind::candidates_done;
  signal.attempt = attempt_->id ();
  (void)agent->send_signal (peer_, signal);
}

void
Connection::attempt_path_message (const std::string &source, ByteView message) {
  const auto agent = agent_.lock ();
  if (!agent) return;
  PeerSignal signal;
  signal.kind = PeerSignal::Kind::path;
  signal.attempt = attempt_->id ();
  signal.source = source;
  signal.data = message.to_string ();
  (void)agent->send_signal (peer_, signal);
}

void
Connection::attempt_warning (const Error &warning) {
  if (const auto observer = observer_.lock ()) observer->connection_warning (warning);
}

void
Connection::attempt_won (Transport &transport, Path &path) {
  transport_ = &transport;
  path_ = &path;
  session_ = Session::create (session_config (attempt_->remote_config ()->attempt), *this);
  session_->attach (transport);
}

SessionConfig
Connection::session_config (const std::string &remote_attempt) const {
  SessionConfig config;
  config.max_message_bytes = max_message_bytes_;
  config.id = is_client () ? make_session_id (attempt_->id (), remote_attempt)
                           : make_session_id (remote_attempt, attempt_->id ());
  return config;
}

void
Connection::attempt_lost (const Error &error) {
  retry_or_fail (error, error.code == P2P_ERROR_UNREACHABLE || error.code == P2P_ERROR_TIMED_OUT);
}

void
Connection::retry_or_fail (const Error &error, bool worth_it) {
  const auto agent = agent_.lock ();
  if (!agent || removed_) return;
  if (worth_it && retries_left_ > 0 && !out_of_band_ && agent->peer_present (peer_)) {
    --retries_left_;
    attempt_warning ({error.code, error.message + " Trying again."});
    if (!new_attempt ()) return;
    change ([&] (ConnectionSnapshot &s) { s.reason = "trying again: " + error.message; });
    offer ();
    return;
  }
  fail (error);
}

void
Connection::attempt_path_changed () {
  if (path_) change ([&] (ConnectionSnapshot &s) { s.path = path_->info (); });
}

void
Connection::session_established () {
  established_at_ = clock_.now ();
  waiting_hello_.reset ();
  use_channels ();
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_CONNECTED;
    s.reason = "connected";
    s.path = path_->info ();
    s.path_attempts = attempt_->report ();
  });
  if (const auto agent = agent_.lock ()) agent->connection_established (*this);
}

void
Connection::session_detached (const Error &error, bool by_peer, std::uint64_t code) {
  if (by_peer && code == 0)
    remove ({}, "closed by the peer", true);
  else if (established_at_ == 0)
    // Attempts that are not each other's may meet where a path does not tell them apart; their
    // sessions do.
    retry_or_fail (error, error.code != P2P_ERROR_NOT_AUTHORIZED);
  else
    remove (error, error.message, by_peer);
}

void
Connection::fail (const Error &error) {
  if (removed_) return;
  if (attempt_ || waiting_hello_) say_bye (error.code, error.message);
  remove (error, error.message, false);
}

void
Connection::shut_down (const std::string &reason) {
  if (removed_) return;
  confirm_taken ();
  if (transport_)
    transport_->close (0, reason);
  else if (attempt_ || waiting_hello_)
    say_bye (waiting_hello_ ? P2P_ERROR_REFUSED : P2P_ERROR_CLOSED, reason);
  remove ({}, reason, false);
}

void
Connection::remove (const Status &error, const std::string &reason, bool by_peer) {
  const auto keep = weak_from_this ().lock ();
  if (removed_ || !keep) return;
  removed_ = true;
  waiting_hello_.reset ();
  if (session_) session_->detach ();
  const Error closed = error ? *error : Error{P2P_ERROR_CLOSED, "The connection is closed."};
  for (const Entry &entry : std::exchange (entries_, {})) entry.pump->closed (closed);
  const std::vector<std::string> report =
      attempt_ ? attempt_->report () : std::vector<std::string> ();
  drop_attempt ();
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_REMOVED;
    s.reason = reason;
    s.error = error;
    s.removed_by_peer = by_peer;
    if (!report.empty ()) s.path_attempts = report;
  });
  if (const auto agent = agent_.lock ()) agent->connection_removed (*this);
}

}  // namespace p2p
