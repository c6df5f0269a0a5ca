#include "core/agent.hpp"

#include <algorithm>

#include "base/loop_thread.hpp"
#include "core/attempt_id.hpp"

namespace p2p {

namespace {

// How long after the machine's sleep it may be noticed at the latest.
constexpr TimeUs kSleepCheckEvery = 5 * kSecond;
// What a stranger can make us hold; each incoming connection costs sockets and memory.
constexpr std::size_t kMaxWaitingIncoming = 64;

std::optional<StunServer>
parse_host_port (const std::string &text) {
  if (text.empty ()) return {};
  auto server = parse_stun_uri ("stun:" + text);
  return server ? std::optional (*server) : std::nullopt;
}

}  // namespace

Status
check_agent_id (const std::string &id, const char *whose) {
  // The meeting point takes no other ids, and a path without it should not either.
  static constexpr char kAllowed[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@:+-";
  if (!id.empty () && id.size () <= 128 && id.find_first_not_of (kAllowed) == std::string::npos)
    return {};
  return Error{P2P_ERROR_INVALID_ARGUMENT,
               std::string (whose) + " id \"" + id +
                   "\" is not 1 to 128 letters, digits or characters of \"._@:+-\"."};
}

std::shared_ptr<AgentCore>
AgentCore::create (const AgentSettings &settings) {
  return make_core_object<Agent> (settings);
}

Agent::Agent (const AgentSettings &settings, Scheduler &clock)
    : settings_ (settings),
      id_ (settings.id),
      clock_ (clock),
      instance_ (make_instance_id ()),
      sleep_check_ (clock.make_timer ([this] {
        if (network_) network_->check_suspend ();
        sleep_check_->arm (clock_.now () + kSleepCheckEvery);
      })) {}

Agent::~Agent () {
  if (network_) network_->remove (this);
  if (signaling_) signaling_->set_observer (nullptr);
  if (store_) store_->set_observer (nullptr);
  for (const auto &connection : living ()) connection->shut_down ("the agent is gone");
  for (const auto &[peer, connection] : successors_) connection->shut_down ("the agent is gone");
  // What has ended is not to come back.
  close_store ([] {});
}

// With the first connection: the monitor is the core thread's.
void
Agent::watch_network () {
  if (network_) return;
  network_ = NetworkMonitor::shared ();
  network_->add (this);
  seen_ = std::make_shared<NetworkSnapshot> (network_->snapshot ());
  sleep_check_->arm (clock_.now () + kSleepCheckEvery);
  if (const auto observer = observer_.lock ()) observer->agent_network_available (seen_->usable ());
}

void
Agent::network_changed (const NetworkSnapshot &now, const NetworkChange &change) {
  const auto keep = weak_from_this ().lock ();
  if (!keep || closed_) return;
  if (const auto observer = observer_.lock ()) observer->agent_network_available (now.usable ());
  seen_ = std::make_shared<NetworkSnapshot> (now);
  // Signaling first: what is said of new ways may have to go by it.
  if (signaling_) signaling_->network_changed (now.usable ());
  for (const auto &connection : living ()) connection->network_changed (seen_, change);
}

void
Agent::network_lost (const NetworkSnapshot &now) {
  const auto keep = weak_from_this ().lock ();
  if (!keep || closed_) return;
  seen_ = std::make_shared<NetworkSnapshot> (now);
  for (const auto &connection : living ()) connection->network_lost (seen_);
}

void
Agent::network_woke () {
  const auto keep = weak_from_this ().lock ();
  if (!keep || closed_) return;
  if (signaling_) signaling_->network_changed (true);
  for (const auto &connection : living ()) connection->look_at_once ();
}

LivenessSettings
Agent::liveness_settings () const {
  const MutexLock lock (mutex_);
  return settings_.liveness;
}

AgentSettings
Agent::settings () const {
  const MutexLock lock (mutex_);
  return settings_;
}

PeerCredentials
Agent::credentials (const std::string &peer) const {
  const MutexLock lock (mutex_);
  PeerCredentials result = settings_.credentials;
  const auto own = settings_.peers.find (peer);
  if (own == settings_.peers.end ()) return result;
  if (own->second.secret) result.secret = own->second.secret;
  if (!own->second.fingerprint.empty ()) result.fingerprint = own->second.fingerprint;
  return result;
}

bool
Agent::has_signaling () const {
  const MutexLock lock (mutex_);
  return starting_;
}

std::uint64_t
Agent::max_message_bytes () const {
  const MutexLock lock (mutex_);
  return settings_.max_message_bytes;
}

Result<std::shared_ptr<Identity>>
Agent::identity () {
  const MutexLock lock (mutex_);
  if (identity_) return identity_;
  auto loaded = Identity::load_or_create (
      settings_.identity_path.empty () ? Identity::default_path () : settings_.identity_path);
  if (loaded) identity_ = *loaded;
  return loaded;
}

std::shared_ptr<Connection>
Agent::find (const std::string &peer) const {
  const MutexLock lock (mutex_);
  const auto found = connections_.find (peer);
  return found == connections_.end () ? nullptr : found->second;
}

std::vector<std::shared_ptr<Connection>>
Agent::living () const {
  const MutexLock lock (mutex_);
  std::vector<std::shared_ptr<Connection>> all;
  for (const auto &[peer, connection] : connections_) all.push_back (connection);
  return all;
}

Status
Agent::send_signal (const std::string &peer, const PeerSignal &signal) {
  if (!signaling_) return Error{P2P_ERROR_NOT_CONNECTED, "This agent has no signaling."};
  const PeerCredentials credentials = this->credentials (peer);
  // Whoever cannot open our seal must at least learn that.
  const bool in_clear =
      signal.kind == PeerSignal::Kind::bye && signal.code == P2P_ERROR_NOT_AUTHORIZED;
  const SecretKey *secret = credentials.secret && !in_clear ? &*credentials.secret : nullptr;
  return signaling_->send (peer, encode_peer_signal (signal, secret, id_, peer));
}

std::vector<StunServer>
Agent::stun_servers (const AgentSettings &settings) const {
  std::vector<StunServer> servers = settings.stun_servers;
  if (servers.empty () && signaling_)
    if (const auto own = parse_host_port (signaling_->stun_server ())) servers.push_back (*own);
  return servers;
}

Result<AttemptConfig>
Agent::attempt_config (const std::string &peer) {
  auto identity = this->identity ();
  if (!identity) return identity.error ();
  const AgentSettings settings = this->settings ();
  AttemptConfig config;
  config.id = id_;
  config.attempt = make_attempt_id (instance_, ++attempts_);
  config.clock = &clock_;
  config.ice.controlling = id_ > peer;
  config.ice.tcp = settings.ice_tcp;
  config.ice.relay_only = settings.relay_only;
  config.ice.fast_udp = settings.fast_udp;
  config.ice.local_addresses = settings.local_addresses;
  config.ice.port_min = settings.port_min;
  config.ice.port_max = settings.port_max;
  config.ice.stun_servers = stun_servers (settings);
  config.ice.turn_servers = settings.turn_servers;
  config.ice.one_relay = !settings.turn_standby;
  config.quic.identity = *identity;
  config.quic.congestion_control = settings.congestion_control;
  // Whether the peer lives is for the line to say (LineWatch).
  config.quic.idle_timeout_us = config.quic.keep_alive_us = 0;
  config.sources = sources_;
  config.order = settings.path_order;
  if (config.order.empty ()) {
    config.order.push_back (kIceWay);
    for (const auto &source : sources_) config.order.push_back (source->name ());
  }
  return config;
}

Result<std::unique_ptr<Attempt>>
Agent::make_attempt (const std::string &peer, bool prepared, Attempt::Observer *observer) {
  if (prepared) {
    auto found = preparations_.find (peer);
    if (found == preparations_.end ()) found = preparations_.find ("");
    if (found != preparations_.end ()) {
      const auto preparation = found->second;
      preparations_.erase (found);
      if (auto attempt = preparation->take (observer)) return attempt;
    }
  }
  auto config = attempt_config (peer);
  if (!config) return config.error ();
  return std::make_unique<Attempt> (*config, observer);
}

// A side that wants no other relay of its own still has its addresses for a relay of the peer's.
Result<std::unique_ptr<Attempt>>
Agent::make_standby (const std::string &peer, const std::vector<std::string> &without_relays,
                     Attempt::Observer *observer) {
  auto config = attempt_config (peer);
  if (!config) return config.error ();
  config->ice.without_relays = without_relays;
  if (!settings ().turn_standby && !config->ice.relay_only) config->ice.turn_servers.clear ();
  return std::make_unique<Attempt> (*config, observer);
}

bool
Agent::builds_standby () const {
  const AgentSettings now = settings ();
  return now.turn_standby && now.turn_servers.size () > 1;
}

Result<std::unique_ptr<Attempt>>
Agent::make_twin (const std::string &peer, const NetworkConfig &twin, const IceResume *resume,
                  Attempt::Observer *observer) {
  auto config = attempt_config (peer);
  if (!config) return config.error ();
  config->attempt = twin.attempt;
  config->ice.credentials = IceCredentials{twin.ufrag, twin.pwd};
  if (resume) config->ice.resume = *resume;
  config->order = {kIceWay};
  return std::make_unique<Attempt> (*config, observer);
}

void
Agent::ask_for_peers () {
  if (!signaling_) return;
  for (const auto &connection : living ()) signaling_->ask (connection->peer ());
  apply_accept_policy ();
}

void
Agent::apply_accept_policy () {
  const bool listen = settings ().accept_policy != P2P_ACCEPT_POLICY_NONE;
  if (!signaling_ || listen == listening_) return;
  listening_ = listen;
  if (listen)
    signaling_->ask (kAnyPeer);
  else
    signaling_->unask (kAnyPeer);
}

void
Agent::signaling_state (Signaling::State state, const Error *reason) {
  const auto keep = weak_from_this ().lock ();
  if (!keep) return;
  const Status status = reason ? Status (*reason) : Status ();
  if (state != Signaling::State::registered) present_.clear ();
  refused_ = state == Signaling::State::refused ? status : Status ();
  if (reason) {
    for (const auto &connection : living ()) {
      // An id that is refused stays refused: whoever waits for it would wait for ever.
      if (state == Signaling::State::refused && !connection->established ())
        connection->fail (*reason);
      else
        connection->signaling_lost (*reason);
    }
  }
  const bool decided = state == Signaling::State::registered || state == Signaling::State::refused;
  if (decided)
    if (const Done done = std::exchange (registered_, nullptr)) done (status);
  if (const auto observer = observer_.lock ()) observer->agent_signaling_state (state, status);
}

void
Agent::signaling_peer (const std::string &peer, bool present) {
  if (present)
    present_.insert (peer);
  else
    present_.erase (peer);
  if (const auto connection = find (peer)) connection->peer_present (present);
}

void
Agent::signaling_message (const std::string &from, const std::string &message) {
  const auto keep = weak_from_this ().lock ();
  if (!keep || closed_ || check_agent_id (from, "The peer's") || from == id_) return;
  present_.insert (from);
  const PeerCredentials credentials = this->credentials (from);
  auto signal =
      decode_peer_signal (message, credentials.secret ? &*credentials.secret : nullptr, from, id_);
  const auto connection = find (from);
  if (!signal) {
    if (signal.error ().code == P2P_ERROR_NOT_AUTHORIZED)
      reject (from, signal.error ());
    else if (connection)
      connection->signal_rejected ();
    return;
  }
  if (signal->kind == PeerSignal::Kind::hello && !signal->session.empty ()) {
    const auto successor = successors_.find (from);
    if (connection && connection->knows_session (signal->session))
      connection->receive_signal (*signal);
    else if (successor != successors_.end () && successor->second->knows_session (signal->session))
      successor->second->receive_signal (*signal);
    else
      disown_session (from, *signal);
    return;
  }
  if (signal->kind == PeerSignal::Kind::bye && connection && !signal->session.empty ()) {
    connection->receive_signal (*signal);
    return;
  }
  const auto successor = successors_.find (from);
  if (successor != successors_.end ())
    successor->second->receive_signal (*signal);
  else if (connection && !connection->signal_is_for_successor (*signal))
    connection->receive_signal (*signal);
  else if (signal->kind == PeerSignal::Kind::hello && signal->in_reply_to.empty ())
    receive_hello (from, *signal);
}

// The peer looks for another way for a session that is none here, or none any longer.
void
Agent::disown_session (const std::string &from, const PeerSignal &hello) {
  PeerSignal bye;
  bye.kind = PeerSignal::Kind::bye;
  bye.attempt = "none";
  bye.in_reply_to = hello.attempt;
  bye.session = hello.session;
  bye.code = P2P_ERROR_NOT_FOUND;
  (void)send_signal (from, bye);
}

void
Agent::reject (const std::string &from, const Error &reason) {
  const auto connection = find (from);
  PeerSignal bye;
  bye.kind = PeerSignal::Kind::bye;
  bye.attempt = "none";
  bye.code = P2P_ERROR_NOT_AUTHORIZED;
  bye.text = "the secret differs";
  if (connection) {
    if (connection->established ()) return;  // a living session is not touched by what anyone says
    (void)send_signal (from, bye);
    connection->fail (reason);
    return;
  }
  if (settings ().accept_policy == P2P_ACCEPT_POLICY_NONE) return;
  (void)send_signal (from, bye);
  if (const auto observer = observer_.lock ()) observer->agent_rejected (from, reason);
}

void
Agent::receive_hello (const std::string &from, const PeerSignal &hello) {
  const auto current = find (from);
  const P2pAcceptPolicy policy = settings ().accept_policy;
  if (!current) {
    if (policy == P2P_ACCEPT_POLICY_NONE) return;
    std::size_t waiting = 0;
    for (const auto &connection : living ())
      if (!connection->established ()) ++waiting;
    if (waiting >= kMaxWaitingIncoming) return;
  }
  watch_network ();
  const auto connection =
      make_core_object<Connection> (from, weak_from_this (), max_message_bytes (), clock_);
  if (current) {
    // The peer has begun anew, and takes the place of its old session once it has proved itself.
    successors_[from] = connection;
    connection->start_incoming (hello, true, current.get ());
    return;
  }
  {
    const MutexLock lock (mutex_);
    connections_[from] = connection;
  }
  if (signaling_) signaling_->ask (from);
  connection->start_incoming (hello, policy == P2P_ACCEPT_POLICY_ALL, nullptr);
  if (const auto observer = observer_.lock ()) observer->agent_incoming (connection);
}

void
Agent::connection_established (Connection &connection) {
  const auto successor = successors_.find (connection.peer ());
  if (successor == successors_.end () || successor->second.get () != &connection) return;
  const auto next = successor->second;
  successors_.erase (successor);
  const auto old = find (connection.peer ());
  {
    const MutexLock lock (mutex_);
    connections_[connection.peer ()] = next;
  }
  if (old) old->fail ({P2P_ERROR_CLOSED, "\"" + old->peer () + "\" has started a new session."});
  if (const auto observer = observer_.lock ()) observer->agent_incoming (next);
}

void
Agent::connection_removed (Connection &connection) {
  const std::string &peer = connection.peer ();
  const auto successor = successors_.find (peer);
  if (successor != successors_.end () && successor->second.get () == &connection) {
    successors_.erase (successor);
    return;
  }
  const auto heir = successor == successors_.end () ? nullptr : successor->second;
  std::shared_ptr<Connection> removed;
  bool replaced = false, inherits = false;
  {
    const MutexLock lock (mutex_);
    const auto found = connections_.find (peer);
    replaced = found == connections_.end () || found->second.get () != &connection;
    inherits = heir && !closed_ && !replaced && settings_.accept_policy != P2P_ACCEPT_POLICY_NONE;
    if (!replaced) {
      removed = found->second;
      if (inherits)
        found->second = heir;
      else
        connections_.erase (found);
    }
  }
  if (inherits)
    successors_.erase (successor);
  else if (heir)
    heir->shut_down ("the connection that this one follows was closed");
  if (!replaced && !inherits && signaling_) signaling_->unask (peer);
  if (!removed) removed = connection.shared_from_this ();
  const auto observer = observer_.lock ();
  if (observer) observer->agent_connection_removed (removed);
  if (observer && inherits) observer->agent_incoming (heir);
}

}  // namespace p2p
