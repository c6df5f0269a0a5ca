// What a connection does as the line below its session breaks, moves and comes back.
#include "core/connection.hpp"

namespace p2p {

namespace {

P2pBreakReason
public_reason (BreakReason reason) {
  switch (reason) {
    case BreakReason::silence:
      return P2P_BREAK_REASON_SILENCE;
    case BreakReason::network_down:
      return P2P_BREAK_REASON_NETWORK_DOWN;
    case BreakReason::peer:
      return P2P_BREAK_REASON_PEER;
    case BreakReason::relay_lost:
      return P2P_BREAK_REASON_RELAY_LOST;
    case BreakReason::transport:
      return P2P_BREAK_REASON_TRANSPORT;
  }
  return P2P_BREAK_REASON_SILENCE;
}

const char *
sentence (BreakReason reason) {
  switch (reason) {
    case BreakReason::silence:
      return "nothing comes from the peer";
    case BreakReason::network_down:
      return "this machine has lost the address that the connection uses";
    case BreakReason::peer:
      return "the peer hears nothing of this side";
    case BreakReason::relay_lost:
      return "the relay is gone";
    case BreakReason::transport:
      return "the path has failed";
  }
  return "";
}

std::string
milliseconds (TimeUs span) {
  return std::to_string (span / kMillisecond) + " ms";
}

}  // namespace

Result<std::unique_ptr<Attempt>>
Connection::line_attempt (Attempt::Observer *observer, const NetworkConfig *twin,
                          const IceResume *resume) {
  const auto agent = agent_.lock ();
  if (!agent) return Error{P2P_ERROR_CLOSED, "The agent is gone."};
  return twin ? agent->make_twin (peer_, *twin, resume, observer)
              : agent->make_attempt (peer_, false, observer);
}

Result<std::unique_ptr<Attempt>>
Connection::line_standby_attempt (Attempt::Observer *observer,
                                  const std::vector<std::string> &without_relays) {
  const auto agent = agent_.lock ();
  if (!agent) return Error{P2P_ERROR_CLOSED, "The agent is gone."};
  return agent->make_standby (peer_, without_relays, observer);
}

bool
Connection::line_peer_present () const {
  return negotiation_peer_there ();
}

void
Connection::line_signal (const PeerSignal &signal) {
  generation_says (signal);
}

bool
Connection::line_signal_in_band (const PeerSignal &signal) {
  const auto agent = agent_.lock ();
  // TLS seals it already.
  return agent && session_->send_signal (encode_peer_signal (signal, nullptr, agent->id (), peer_));
}

void
Connection::session_signal (const std::string &text) {
  const auto agent = agent_.lock ();
  if (!agent || !established () || removed_) return;
  auto signal = decode_peer_signal (text, nullptr, peer_, agent->id ());
  const bool of_session =
      signal && signal->kind != PeerSignal::Kind::bye &&
      (signal->kind != PeerSignal::Kind::hello || signal->session == session_name_);
  if (!of_session || !line_->receive_signal (*signal, true)) ++signals_rejected_;
}

// Whoever brings another way must be whom the session was made with.
Status
Connection::line_check (const NetworkConfig &remote) const {
  const std::string known = snapshot ().peer_fingerprint;
  if (remote.id == peer_ && remote.fingerprint == known) return {};
  return Error{P2P_ERROR_NOT_AUTHORIZED, "A network configuration for the session with \"" + peer_ +
                                             "\" is of another peer, \"" + remote.id + "\" with " +
                                             remote.fingerprint + "; it is not used."};
}

void
Connection::line_config_changed (const NetworkConfig &local) {
  change ([&] (ConnectionSnapshot &s) { s.local_config = local; });
  update_record ();
}

void
Connection::line_remote_config (const NetworkConfig &remote) {
  change ([&] (ConnectionSnapshot &s) { s.remote_config = remote; });
}

void
Connection::line_path_changed () {
  if (!established () || !line_->transport ()) return;
  change ([&] (ConnectionSnapshot &s) { s.path = line_->path (); });
  update_record ();
}

void
Connection::line_warning (const Error &warning) {
  generation_warning (warning);
}

void
Connection::line_broken (BreakReason reason, const std::string &detail) {
  if (!established ()) {
    // The client has the session already: another one would lose what it has sent.
    if (!is_client ()) return;
    retry_or_fail ({P2P_ERROR_TIMED_OUT, "The peer fell silent before the session was up."}, true);
    return;
  }
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_BROKEN;
    s.break_reason = public_reason (reason);
    s.reason = detail.empty () ? sentence (reason) : sentence (reason) + (": " + detail);
    ++s.breaks;
  });
}

void
Connection::line_detach () {
  session_->detach ();
}

void
Connection::line_transport (Transport &transport) {
  session_->attach (transport);
}

void
Connection::line_restored (const Line::Restored &restored) {
  if (!established ()) return;
  const Session::Replay replay = session_->last_replay ();
  change ([&] (ConnectionSnapshot &s) {
    s.state = P2P_CONNECTION_STATE_CONNECTED;
    s.break_reason = P2P_BREAK_REASON_NONE;
    s.restored = {};
    s.restored.outage_us = restored.outage;
    s.restored.new_transport = restored.new_transport;
    if (restored.new_transport) {
      s.restored.replayed_messages = replay.messages;
      s.restored.replayed_bytes = replay.bytes;
    }
    s.path = line_->path ();
    s.reason = "restored after " + milliseconds (restored.outage);
  });
}

void
Connection::line_over (const Error &error) {
  fail (error);
}

void
Connection::network_changed (const NetworkView &now, const NetworkChange &change) {
  if (line_) line_->network_changed (now, change);
}

void
Connection::network_lost (const NetworkView &now) {
  if (line_) line_->network_lost (now);
}

void
Connection::look_at_once () {
  if (line_) line_->look_at_once ();
}

void
Connection::settings_changed () {
  const auto agent = agent_.lock ();
  if (agent && line_) line_->set_settings (agent->liveness_settings ());
}

}  // namespace p2p
