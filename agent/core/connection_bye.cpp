// How one side tells the other by signaling that a connection, or an attempt to make one, is over.
#include "core/attempt_id.hpp"
#include "core/connection.hpp"

namespace p2p {

void
Connection::say_bye (P2pError code, const std::string &text, const std::string &in_reply_to) {
  const auto agent = agent_.lock ();
  if (!agent) return;
  const Generation *building = negotiation_.current ();
  PeerSignal bye;
  bye.kind = PeerSignal::Kind::bye;
  bye.attempt = building ? building->id () : "none";
  if (!in_reply_to.empty ())
    bye.in_reply_to = in_reply_to;
  else if (building && building->started ())
    bye.in_reply_to = building->remote_id ();
  else if (waiting_hello_)
    bye.in_reply_to = waiting_hello_->attempt;
  if (established ()) bye.session = session_name_;
  bye.code = code;
  bye.text = text;
  (void)agent->send_signal (peer_, bye);
}

void
Connection::receive_bye (const PeerSignal &bye) {
  if (established ()) {
    if (ends_attempt (bye))
      remove (bye.code == P2P_ERROR_CLOSED ? Status () : Status (ended_by_peer (bye)),
              "closed by the peer", true);
    else if (!ends_session (bye))
      ++signals_rejected_;
    else if (bye.code == P2P_ERROR_CLOSED)
      remove ({}, "closed by the peer", true);
    else
      remove (Error{P2P_ERROR_CLOSED,
                    "\"" + peer_ +
                        "\" does not know this session any longer: it was restarted, or "
                        "has given up waiting. Connect again."},
              "the peer has forgotten the session", true);
    return;
  }
  const Generation *building = negotiation_.current ();
  const std::string remote = building ? building->remote_id () : std::string ();
  bool ours = building && bye.in_reply_to == building->id ();
  if (!remote.empty () && bye.attempt == remote) ours = true;
  if (bye.in_reply_to.empty () && waiting_for_config ()) ours = true;
  if (attempt_is_older (bye.attempt, negotiation_.newest_remote ())) ours = false;
  const bool before_accept = waiting_hello_ && bye.attempt == waiting_hello_->attempt;
  if (!ours && !before_accept) {
    ++signals_rejected_;
    return;
  }
  if (bye.code == P2P_ERROR_CLOSED && !incoming_) {
    // It went away before anything was up; it may come again.
    drop_all ();
    change ([&] (ConnectionSnapshot &s) {
      s.reason = "\"" + peer_ + "\" has gone; waiting for it to come again";
    });
    return;
  }
  const Error error = ended_by_peer (bye);
  remove (error, error.message, true);
}

Error
Connection::ended_by_peer (const PeerSignal &bye) const {
  std::string text = "\"" + peer_ + "\" ends the attempt to connect";
  if (bye.code == P2P_ERROR_NOT_AUTHORIZED)
    text = "\"" + peer_ + "\" does not accept our identity: the secret or the fingerprint differs";
  else if (bye.code == P2P_ERROR_REFUSED)
    text = "\"" + peer_ + "\" refuses the connection";
  if (!bye.text.empty ()) text += " (it says: " + bye.text + ")";
  return {bye.code, text + "."};
}

bool
Connection::is_genuine (const PeerSignal &bye) const {
  const auto agent = agent_.lock ();
  return bye.sealed || (agent && !agent->credentials (peer_).secret);
}

// Of a server that has no session yet, and so no transport that could tell.
bool
Connection::ends_attempt (const PeerSignal &bye) const {
  return is_client () && !line_->met () && bye.session.empty () && bye.in_reply_to == attempt_ &&
         is_genuine (bye);
}

// While the line carries, the transport tells of its end, and cannot be forged.
bool
Connection::ends_session (const PeerSignal &bye) const {
  return line_->broken () && bye.session == session_name_ && is_genuine (bye);
}

}  // namespace p2p
