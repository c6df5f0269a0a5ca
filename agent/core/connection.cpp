#include "core/connection.hpp"

#include <gnutls/crypto.h>

#include <algorithm>

#include "base/loop_thread.hpp"
#include "core/attempt_id.hpp"
#include "core/session_name.hpp"
#include "session/wire.hpp"

namespace p2p {

namespace {

// A transport that ends within this time of its beginning, so often in a row, will not get better.
constexpr TimeUs kShortTransport = 10 * kSecond;
constexpr unsigned kMaxShortTransports = 3;

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

// Whether a session may go on over another transport than the one that ended so. What the peer says
// of QUIC is about that transport alone.
bool
outlives (const Error &error, bool by_peer) {
  return error.code == P2P_ERROR_FAILED || error.code == P2P_ERROR_TIMED_OUT ||
         error.code == P2P_ERROR_UNREACHABLE || (error.code == P2P_ERROR_PROTOCOL && by_peer);
}

}  // namespace

Connection::Connection (std::string peer, std::weak_ptr<AgentLink> agent,
                        std::uint64_t max_message_bytes, Scheduler &clock)
    : peer_ (std::move (peer)),
      agent_ (std::move (agent)),
      max_message_bytes_ (max_message_bytes),
      clock_ (clock),
      negotiation_ (*this, clock) {}

Connection::~Connection () {
  drop_all ();
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
  const Generation *building = negotiation_.current ();
  return !removed_ && !session_ && !(building && building->started ());
}

void
Connection::start_outgoing (const std::optional<NetworkConfig> &remote) {
  const auto agent = agent_.lock ();
  if (!agent) return;
  asked_at_ = clock_.now ();
  if (remote) {
    if (negotiation_.begin ()) start_generation (*remote, true);
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
  if (predecessor)
    negotiation_.set_newest_remote (predecessor->line_
                                        ? predecessor->line_->newest_remote ()
                                        : predecessor->negotiation_.newest_remote ());
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

std::unique_ptr<Generation>
Connection::negotiation_generation () {
  const auto agent = agent_.lock ();
  if (!agent) return nullptr;
  // What the one before had brought.
  drop_session ();
  auto generation = Generation::create (*this, [&] (Attempt::Observer *observer) {
    return agent->make_attempt (peer_, retries_left_ == 2, observer);
  });
  if (!generation) {
    fail (generation.error ());
    return nullptr;
  }
  generation_config_changed (**generation);
  return std::move (*generation);
}

// The session first: it knows the transport of the line, as that knows the paths of generations.
void
Connection::drop_session () {
  if (keeper_) keeper_->set_session (nullptr);
  if (session_) session_->detach ();
  retire (std::move (session_));
  session_name_.clear ();
  if (!line_) return;
  line_->end ();
  retire (std::move (line_));
}

void
Connection::drop_all () {
  drop_session ();
  negotiation_.drop ();
}

void
Connection::negotiation_hello (PeerSignal hello) {
  const auto agent = agent_.lock ();
  // An absent peer gets its hello when it comes.
  if (agent) (void)agent->send_signal (peer_, hello);
}

bool
Connection::negotiation_peer_there () const {
  const auto agent = agent_.lock ();
  return agent && agent->peer_present (peer_);
}

bool
Connection::negotiation_start (const PeerSignal &hello) {
  return start_generation (*hello.config, false);
}

void
Connection::peer_present (bool present) {
  if (removed_ || waiting_hello_) return;
  if (established ()) {
    if (present) line_->peer_present ();
    return;
  }
  if (session_) return;
  if (!present) {
    peer_left_ = true;
    if (waiting_for_config ())
      change ([&] (ConnectionSnapshot &s) { s.reason = "waiting for \"" + peer_ + "\" to come"; });
    return;
  }
  // It may be another process by now, which knows nothing of what was begun with it. One that asked
  // to connect asks again.
  const bool begun = negotiation_.current () && !negotiation_.waits ();
  const bool anew = std::exchange (peer_left_, false) && !incoming_ && !out_of_band_;
  if (begun && !anew) return;
  if ((begun || !negotiation_.current ()) && !negotiation_.begin ()) return;
  change ([&] (ConnectionSnapshot &s) { s.reason = "exchanging network configurations"; });
  negotiation_.offer ();
}

void
Connection::signaling_lost (const Error &reason) {
  if (waiting_for_config () && !waiting_hello_)
    change ([&] (ConnectionSnapshot &s) { s.reason = reason.message; });
}

bool
Connection::knows_session (const std::string &name) const {
  if (!session_name_.empty ()) return name == session_name_;
  const Generation *building = negotiation_.current ();
  return building && building->started () &&
         name == session_name_of (session_config (*building, building->remote_id ()).id);
}

bool
Connection::signal_is_for_successor (const PeerSignal &signal) const {
  if (signal.kind != PeerSignal::Kind::hello || !signal.in_reply_to.empty () || !established () ||
      !signal.session.empty ())
    return false;
  const std::string &newest = line_->newest_remote ();
  return signal.attempt != newest && !attempt_is_older (signal.attempt, newest);
}

void
Connection::receive_signal (const PeerSignal &signal) {
  if (removed_) return;
  bool taken = true;
  if (signal.kind == PeerSignal::Kind::bye) {
    receive_bye (signal);
  } else if (established ()) {
    const bool of_session =
        signal.kind != PeerSignal::Kind::hello || signal.session == session_name_;
    taken = of_session && line_->receive_signal (signal, false);
  } else if (signal.kind == PeerSignal::Kind::hello) {
    // A client has its session a little earlier than the server, and says it again.
    if (signal.session.empty ()) receive_hello (signal);
  } else {
    Generation *building = negotiation_.current ();
    taken = building && building->started () && building->remote_id () == signal.attempt &&
            building->receive (signal);
    if (taken && signal.kind == PeerSignal::Kind::candidate)
      change ([&] (ConnectionSnapshot &s) {
        if (s.remote_config && s.remote_config->candidates.size () < kMaxCandidates)
          s.remote_config->candidates.push_back (signal.candidate);
      });
  }
  if (!taken) ++signals_rejected_;
}

void
Connection::receive_hello (const PeerSignal &hello) {
  if (snapshot ().state == P2P_CONNECTION_STATE_INCOMING) {
    if (hello.in_reply_to.empty () && waiting_hello_ &&
        !attempt_is_older (hello.attempt, waiting_hello_->attempt))
      waiting_hello_ = hello;
    return;
  }
  if (!negotiation_.receive (hello)) ++signals_rejected_;
}

bool
Connection::start_generation (const NetworkConfig &remote, bool out_of_band) {
  const auto agent = agent_.lock ();
  if (!agent || !negotiation_.current ()) return false;
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
  negotiation_.set_newest_remote (remote.attempt);
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_CONNECTING;
    s.reason = "checking paths";
    s.remote_config = remote;
    s.peer_fingerprint = remote.fingerprint;
    s.authentication = authentication (out_of_band);
  });
  Generation *building = negotiation_.current ();
  Attempt::Start how;
  how.client = is_client ();
  if (!how.client) how.greeting = Session::greeting (session_config (*building, remote.attempt));
  if (const Status bad = building->start (remote, how, out_of_band)) {
    ++signals_rejected_;
    fail ({bad->code,
           "The network configuration of \"" + peer_ + "\" is of no use. " + bad->message});
    return false;
  }
  return negotiation_.current () == building;
}

void
Connection::generation_says (const PeerSignal &signal) {
  const auto agent = agent_.lock ();
  if (agent) (void)agent->send_signal (peer_, signal);
}

void
Connection::generation_config_changed (Generation &generation) {
  change ([&] (ConnectionSnapshot &s) { s.local_config = generation.attempt ().local_config (); });
}

void
Connection::generation_warning (const Error &warning) {
  if (const auto observer = observer_.lock ()) observer->connection_warning (warning);
}

void
Connection::generation_connected (Generation &generation, Carrier carrier) {
  const auto agent = agent_.lock ();
  if (!agent) return;
  const SessionConfig config = session_config (generation, generation.remote_id ());
  session_name_ = session_name_of (config.id);
  attempt_ = generation.id ();
  Line::Config below;
  below.watch.settings = agent->liveness_settings ();
  secret_ = carrier.transport->shared_secret ();
  below.watch.secret = secret_;
  below.watch.client = is_client ();
  below.watch.epoch = config.epoch;
  below.session = session_name_;
  below.network = agent->network ();
  below.builds_standby = agent->builds_standby ();
  Line::Host &host = *this;
  line_ = std::make_unique<Line> (below, std::move (carrier), clock_, host);
  session_ = Session::create (config, *this);
  session_->attach (*line_->transport ());
}

SessionConfig
Connection::session_config (const Generation &generation, const std::string &remote_attempt) const {
  SessionConfig config;
  config.max_message_bytes = max_message_bytes_;
  if (const auto agent = agent_.lock ()) {
    config.epoch = agent->epoch ();
    config.kept = agent->keeps ();
  }
  config.id = is_client () ? make_session_id (generation.id (), remote_attempt)
                           : make_session_id (remote_attempt, generation.id ());
  return config;
}

void
Connection::generation_lost (Generation &, const Error &error) {
  retry_or_fail (error, error.code == P2P_ERROR_UNREACHABLE || error.code == P2P_ERROR_TIMED_OUT);
}

void
Connection::retry_or_fail (const Error &error, bool worth_it) {
  const auto agent = agent_.lock ();
  if (!agent || removed_) return;
  if (worth_it && retries_left_ > 0 && !out_of_band_ && agent->peer_present (peer_)) {
    --retries_left_;
    generation_warning ({error.code, error.message + " Trying again."});
    if (!negotiation_.begin ()) return;
    change ([&] (ConnectionSnapshot &s) { s.reason = "trying again: " + error.message; });
    negotiation_.offer ();
    return;
  }
  fail (error);
}

void
Connection::generation_pair_changed (Generation &) {
  line_path_changed ();
}

void
Connection::session_established () {
  if (established_at_ > 0) {
    line_->session_attached (std::exchange (peer_epoch_, session_->peer_epoch ()) !=
                             session_->peer_epoch ());
    update_record ();
    // Restored channels know their numbers now.
    std::vector<std::shared_ptr<ChannelPump>> pumps;
    for (const Entry &entry : entries_) pumps.push_back (entry.pump);
    for (const auto &pump : pumps) pump->released ();
    return;
  }
  established_at_ = clock_.now ();
  peer_epoch_ = session_->peer_epoch ();
  waiting_hello_.reset ();
  line_->live (negotiation_.take (), negotiation_.newest_remote ());
  begin_keeping ();
  use_channels ();
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_CONNECTED;
    s.reason = "connected";
    s.path = line_->path ();
    s.path_attempts = line_->report ();
  });
  if (const auto agent = agent_.lock ()) agent->connection_established (*this);
}

void
Connection::session_detached (const Error &error, bool by_peer, std::uint64_t code) {
  if (by_peer && code == 0) {
    remove ({}, "closed by the peer", true);
  } else if (established_at_ == 0) {
    // Attempts that are not each other's may meet where a path does not tell them apart; their
    // sessions do.
    retry_or_fail (error, error.code != P2P_ERROR_NOT_AUTHORIZED);
  } else if (by_peer && code == static_cast<std::uint64_t> (wire::Code::stale_epoch)) {
    abandon (
        {P2P_ERROR_FENCED, "Another process goes on with the session with \"" + peer_ +
                               "\"; this one has stopped. Nothing was sent or confirmed since."});
  } else if (by_peer && code == static_cast<std::uint64_t> (wire::Code::state_lost)) {
    remove (error, error.message, true);
  } else if (outlives (error, by_peer)) {
    lose_transport (error);
  } else {
    remove (error, error.message, by_peer);
  }
}

void
Connection::lose_transport (const Error &error) {
  if (!established () || removed_) return;
  const TimeUs now = clock_.now ();
  short_transports_ = now - transport_ended_at_ < kShortTransport ? short_transports_ + 1 : 0;
  transport_ended_at_ = now;
  if (short_transports_ >= kMaxShortTransports) {
    fail (error);
    return;
  }
  session_->detach ();
  line_->transport_ended (error);
}

void
Connection::fail (const Error &error) {
  if (removed_) return;
  if (negotiation_.current () || waiting_hello_) say_bye (error.code, error.message);
  if (established () && line_->transport ())
    line_->transport ()->close (static_cast<std::uint64_t> (wire::Code::closed), error.message);
  remove (error, error.message, false);
}

void
Connection::shut_down (const std::string &reason) {
  if (removed_) return;
  confirm_taken ();
  if (line_ && line_->transport ()) line_->transport ()->close (0, reason);
  // Over a broken line that does not arrive.
  if (established () ? line_->broken () : !session_ && (negotiation_.current () || waiting_hello_))
    say_bye (waiting_hello_ ? P2P_ERROR_REFUSED : P2P_ERROR_CLOSED, reason);
  remove ({}, reason, false);
}

void
Connection::remove (const Status &error, const std::string &reason, bool by_peer) {
  const auto keep = weak_from_this ().lock ();
  if (removed_ || !keep) return;
  removed_ = true;
  waiting_hello_.reset ();
  if (keeper_) keeper_->forget ();
  if (session_) session_->detach ();
  {
    // First: who finds a channel closed can ask why.
    const MutexLock lock (mutex_);
    snapshot_.error = error;
  }
  const Error closed = error ? *error : Error{P2P_ERROR_CLOSED, "The connection is closed."};
  for (const Entry &entry : std::exchange (entries_, {})) entry.pump->closed (closed);
  std::vector<std::string> report;
  if (established ())
    report = line_->report ();
  else if (const Generation *building = negotiation_.current ())
    report = building->attempt ().report ();
  drop_all ();
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_REMOVED;
    s.break_reason = P2P_BREAK_REASON_NONE;
    s.reason = reason;
    s.removed_by_peer = by_peer;
    if (!report.empty ()) s.path_attempts = report;
  });
  if (const auto agent = agent_.lock ()) agent->connection_removed (*this);
}

}  // namespace p2p
