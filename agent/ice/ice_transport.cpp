#include "ice/ice_transport.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "base/loop_thread.hpp"
#include "base/packed_memory.hpp"
#include "ice/candidate_sdp.hpp"
#include "ice/gathering.hpp"
#include "ice/local_addresses.hpp"
#include "ice/name_lookup.hpp"
#include "ice/nice_handle.hpp"
#include "ice/nice_path.hpp"
#include "ice/pair_check.hpp"
#include "ice/peer_follower.hpp"

namespace p2p {

namespace {

// A resolver asks its second server after 5 s; whoever needs that long gets candidates without the
// server rather than none, because libnice can gather only once.
constexpr TimeUs kNameTimeout = 3 * kSecond;
constexpr TimeUs kMdnsTimeout = 2 * kSecond;  // RFC 6762 section 5.2: asked at 0 s and 1 s
// A peer with many interfaces has 20; each costs up to one check per local candidate.
constexpr std::size_t kMaxRemoteCandidates = 64;
constexpr std::size_t kMaxMdnsCandidates = 8;  // each is a look-up that the peer causes here
// For how long the peer's TCP candidates wait for UDP: the first retransmission of a check (RFC
// 8489 section 6.2.1). With one of them libnice nominates regularly, which takes a round trip and
// two of its ticks more; on most ways they are never needed.
constexpr TimeUs kTcpDelay = 500 * kMillisecond;
// What comes to the peer before the first check of its pair is dropped there: libnice sends that at
// its next tick, and one for another pair each 5 ms.
constexpr TimeUs kEarlyDelay = 10 * kMillisecond;

const char *
state_name (IceState state) {
  switch (state) {
    case IceState::gathering:
      return "gathering";
    case IceState::connecting:
      return "connecting";
    case IceState::connected:
      return "connected";
    case IceState::ready:
      return "ready";
    case IceState::failed:
      return "failed";
  }
  return "unknown";
}

class NiceIceTransport final : public Packed,
                               public IceTransport,
                               private NiceEvents,
                               private Gathering::Observer {
 public:
  using Observer = IceTransport::Observer;

  NiceIceTransport (const IceConfig &config, LocalAddresses addresses, Observer &observer)
      : config_ (config),
        addresses_ (std::move (addresses)),
        observer_ (observer),
        alive_ (std::make_shared<NiceIceTransport *> (this)),
        nice_ (config_, *this),
        gathering_ (config_, addresses_, nice_, static_cast<Gathering::Observer &> (*this)),
        tcp_timer_ (core_loop ().scheduler ().make_timer ([this] { try_tcp (); })),
        early_timer_ (core_loop ().scheduler ().make_timer ([this] { send_early (); })),
        path_ (nice_.agent (), nice_.stream (), core_loop ().scheduler (), core_loop ().context (),
               config.fast_udp),
        follower_ (nice_.agent (), nice_.stream (), core_loop ().scheduler ()),
        tie_breaker_ ((std::uint64_t{g_random_int ()} << 32) | g_random_int ()) {}

  Status start ();

  IceCredentials local_credentials () const override;
  std::vector<std::string> local_candidates () const override { return local_candidates_; }
  bool gathering_done () const override { return gathering_.done (); }
  Status set_remote_credentials (const IceCredentials &credentials) override;
  Status add_remote_candidate (const std::string &sdp) override;
  void remote_gathering_done () override;
  void send_before_checks () override;
  std::optional<IceCredentials> remote_credentials () const override { return remote_credentials_; }
  std::vector<std::string> remote_candidates () const override { return remote_candidates_; }
  IceState state () const override { return state_; }
  std::optional<IcePair> selected_pair () const override { return pair_; }
  void check_pair () override;
  void follow_peer (bool on) override { follower_.follow (on); }
  bool go_back () override { return follower_.go_back (); }
  IceMoves moves () const override { return follower_.moves (); }
  Path &path () override { return path_; }
  void move_relays () override;
  std::vector<TurnRelayState> relays () const override { return gathering_.relays (); }

 private:
  void nice_candidate (const std::string &sdp) override;
  void nice_gathering_done () override { gathering_.nice_done (); }
  void nice_state (NiceComponentState state) override;
  void nice_selected (const NicePair &pair) override;
  // While the first checks run, a new address is one of the peer's other candidates behind its NAT,
  // and not a move.
  void nice_learned (const NiceAddress &remote) override {
    if (state_ == IceState::ready) follower_.learned (remote);
  }
  void nice_received (ByteView datagram) override { path_.received (datagram); }
  void gathering_done () override;
  void gathering_received (ByteView datagram) override { path_.received (datagram); }
  void gathering_relay_lost (const TurnFront &relay) override {
    if (&relay == relay_)
      advance (IceState::failed);
    else if (relay.lost ())
      warn (*relay.lost ());
  }
  void gathering_relay_back () override { observer_.ice_relay_back (); }
  void gathering_warning (const Error &warning) override { warn (warning); }

  // The observer is never called from inside of a call to this object.
  template <class Work>
  void later (Work work);
  void warn (Error warning);
  void gathering_failed (const Error &error);
  void resolve_remote (RemoteCandidate candidate);
  void pass_to_libnice (const RemoteCandidate &candidate);
  void try_tcp ();
  void pass_on_remote_end ();
  void plan_early_sends ();
  void send_early ();
  bool note_relays ();
  void resume_pair ();
  void give_up ();
  void advance (IceState next);

  const IceConfig config_;
  const LocalAddresses addresses_;
  Observer &observer_;
  std::shared_ptr<NiceIceTransport *> alive_;  // posted work holds it weakly
  NiceHandle nice_;
  Gathering gathering_;
  const std::unique_ptr<Scheduler::Timer> tcp_timer_, early_timer_;
  NicePath path_;
  PeerFollower follower_;
  const std::uint64_t tie_breaker_;
  std::unique_ptr<NameLookup> server_lookup_;

  std::vector<std::string> local_candidates_;

  std::optional<IceCredentials> remote_credentials_;
  std::vector<RemoteCandidate> waiting_;      // for the credentials
  std::vector<RemoteCandidate> tcp_waiting_;  // for UDP to fail
  bool tcp_tried_ = false, udp_tried_ = false;
  std::vector<std::string> remote_candidates_;
  std::set<std::string> remote_seen_;  // by transport and address: the same counts once
  std::size_t remote_ignored_ = 0;
  bool remote_limit_told_ = false;
  std::map<std::size_t, std::unique_ptr<NameLookup>> mdns_lookups_;
  std::size_t mdns_count_ = 0;
  bool remote_ended_ = false, remote_end_passed_on_ = false;
  bool resumed_ = false;
  bool early_wanted_ = false;   // and not sent yet
  bool early_planned_ = false;  // the timer is armed

  IceState state_ = IceState::gathering;
  std::optional<IceState> state_without_pair_;  // connected or more, but the pair is still to come
  std::optional<NicePair> pair_;
  TurnFront *relay_ = nullptr;  // of pair_, when it has one
};

template <class Work>
void
NiceIceTransport::later (Work work) {
  core_loop ().post ([alive = std::weak_ptr<NiceIceTransport *> (alive_), work = std::move (work)] {
    if (const auto self = alive.lock ()) work (**self);
  });
}

void
NiceIceTransport::warn (Error warning) {
  g_debug ("ice: %s", warning.message.c_str ());
  later ([warning = std::move (warning)] (NiceIceTransport &self) {
    self.observer_.ice_warning (warning);
  });
}

// ---------------------------------------------------------------------------------- gathering

Status
NiceIceTransport::start () {
  if (addresses_.left_out > 0)
    warn ({P2P_ERROR_LIMIT, std::to_string (addresses_.left_out) +
                                " of this machine's addresses get no candidates; name the ones to "
                                "use with local addresses."});
  std::vector<std::string> names;
  for (const auto &server : config_.turn_servers) names.push_back (server.host);
  for (const auto &server : config_.stun_servers) names.push_back (server.host);
  if (names.empty ()) return gathering_.begin ({});
  server_lookup_ = std::make_unique<NameLookup> (
      names, core_loop ().scheduler (), kNameTimeout, [this] (const NameLookup::Answers &answers) {
        if (const auto error = gathering_.begin (answers)) gathering_failed (*error);
      });
  return {};
}

void
NiceIceTransport::gathering_failed (const Error &error) {
  warn (error);
  later ([] (NiceIceTransport &self) { self.nice_gathering_done (); });
  later ([] (NiceIceTransport &self) { self.advance (IceState::failed); });
}

void
NiceIceTransport::nice_candidate (const std::string &sdp) {
  if (sdp.empty ()) return;
  // With relays only, nothing may tell the peer where this machine is.
  if (config_.relay_only && sdp.find (" typ relay") == std::string::npos) return;
  const std::string shown = config_.relay_only ? without_related_address (sdp) : sdp;
  local_candidates_.push_back (shown);
  observer_.ice_candidate (shown);
}

void
NiceIceTransport::gathering_done () {
  if (config_.resume) later ([] (NiceIceTransport &self) { self.resume_pair (); });
  g_debug ("ice: gathering done, %zu candidates", local_candidates_.size ());
  observer_.ice_gathering_done ();
}

IceCredentials
NiceIceTransport::local_credentials () const {
  char *ufrag = nullptr, *pwd = nullptr;
  nice_agent_get_local_credentials (nice_.agent (), nice_.stream (), &ufrag, &pwd);
  const UniqueChars own_ufrag (ufrag), own_pwd (pwd);
  return {ufrag ? ufrag : "", pwd ? pwd : ""};
}

// --------------------------------------------------------------------------------- remote side

Status
NiceIceTransport::set_remote_credentials (const IceCredentials &credentials) {
  if (auto error = check_ice_credentials (credentials, "remote")) return error;
  if (remote_credentials_) {
    if (remote_credentials_->ufrag == credentials.ufrag &&
        remote_credentials_->pwd == credentials.pwd)
      return {};
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The remote ufrag and pwd cannot change any more; other ones need a new ICE "
                 "generation on both sides."};
  }
  remote_credentials_ = credentials;
  nice_agent_set_remote_credentials (nice_.agent (), nice_.stream (), credentials.ufrag.c_str (),
                                     credentials.pwd.c_str ());
  for (const auto &candidate : std::exchange (waiting_, {})) pass_to_libnice (candidate);
  pass_on_remote_end ();
  if (config_.resume) later ([] (NiceIceTransport &self) { self.resume_pair (); });
  return {};
}

// The peer's side of it lives on: no check is needed before the first datagram, and a peer that is
// silent on its way to us must not make libnice give up.
void
NiceIceTransport::resume_pair () {
  if (resumed_ || !gathering_.done () || !remote_credentials_) return;
  resumed_ = true;
  const IceResume &pair = *config_.resume;
  const std::string sdp = "candidate:resumed 1 UDP 2130706431 " + pair.remote_address + " " +
                          std::to_string (pair.remote_port) + " typ host";
  NiceAddress remote;
  nice_address_init (&remote);
  const bool good = nice_address_set_from_string (&remote, pair.remote_address.c_str ());
  nice_address_set_port (&remote, pair.remote_port);
  (void)add_remote_candidate (sdp);
  if (!good || !follower_.begin_at (remote)) {
    warn ({P2P_ERROR_UNREACHABLE, "The pair of addresses that was kept cannot be used again."});
    advance (IceState::failed);
  }
}

Status
NiceIceTransport::add_remote_candidate (const std::string &sdp) {
  auto parsed = parse_remote_candidate (sdp);
  if (!parsed) return parsed.error ();
  RemoteCandidate &candidate = *parsed;
  if (candidate.use == RemoteCandidate::Use::ignore) {
    ++remote_ignored_;
    return {};
  }
  const std::string key = candidate.transport + candidate.tcp_type + " " + candidate.address + " " +
                          std::to_string (candidate.port);
  if (remote_seen_.count (key) > 0) return {};
  if (remote_seen_.size () >= kMaxRemoteCandidates) {
    ++remote_ignored_;
    if (!std::exchange (remote_limit_told_, true))
      warn ({P2P_ERROR_LIMIT, "The peer has more than 64 candidates; the rest is ignored."});
    return {};
  }
  remote_seen_.insert (key);
  remote_candidates_.push_back (sdp);
  if (note_relays ())
    later ([] (NiceIceTransport &self) { self.observer_.ice_selected_pair (*self.pair_); });
  if (candidate.use == RemoteCandidate::Use::resolve)
    resolve_remote (std::move (candidate));
  else
    pass_to_libnice (candidate);
  return {};
}

void
NiceIceTransport::resolve_remote (RemoteCandidate candidate) {
  if (mdns_count_ == kMaxMdnsCandidates) {
    ++remote_ignored_;
    return;
  }
  const std::size_t id = mdns_count_++;
  const std::string name = candidate.address;
  mdns_lookups_[id] = std::make_unique<NameLookup> (
      std::vector<std::string>{name}, core_loop ().scheduler (), kMdnsTimeout,
      [this, id, candidate = std::move (candidate)] (const NameLookup::Answers &answers) mutable {
        const LookedUp answer = answers.begin ()->second;
        const bool ipv4 = !answer.ipv4.empty () && addresses_.has_ipv4;
        candidate.address = ipv4 ? answer.ipv4 : answer.ipv6;
        if (is_peer_address (candidate.address))
          pass_to_libnice (candidate);
        else
          warn ({P2P_ERROR_UNREACHABLE,
                 "A candidate of the peer is not used: its name \"" + answers.begin ()->first +
                     "\" does not resolve; it needs mDNS on this machine (libnss-mdns)."});
        mdns_lookups_.erase (id);
        pass_on_remote_end ();
      });
}

void
NiceIceTransport::pass_to_libnice (const RemoteCandidate &candidate) {
  if (!remote_credentials_) {
    waiting_.push_back (candidate);
    return;
  }
  if (candidate.transport == "TCP" && !tcp_tried_) {
    if (pair_) return;
    if (tcp_waiting_.empty ()) tcp_timer_->arm (core_loop ().scheduler ().now () + kTcpDelay);
    tcp_waiting_.push_back (candidate);
    return;
  }
  if (candidate.transport != "TCP") {
    udp_tried_ = true;
    plan_early_sends ();
  }
  NiceCandidate *parsed = nice_agent_parse_remote_candidate_sdp (nice_.agent (), nice_.stream (),
                                                                 candidate.to_nice_sdp ().c_str ());
  if (!parsed) {
    ++remote_ignored_;
    return;
  }
  GSList list = {parsed, nullptr};
  nice_agent_set_remote_candidates (nice_.agent (), nice_.stream (), kNiceComponent, &list);
  nice_candidate_free (parsed);
}

void
NiceIceTransport::try_tcp () {
  tcp_timer_->disarm ();
  tcp_tried_ = !pair_;
  for (const auto &candidate : std::exchange (tcp_waiting_, {}))
    if (tcp_tried_) pass_to_libnice (candidate);
  pass_on_remote_end ();
}

void
NiceIceTransport::remote_gathering_done () {
  remote_ended_ = true;
  pass_on_remote_end ();
}

void
NiceIceTransport::pass_on_remote_end () {
  if (!remote_ended_ || !remote_credentials_ || !mdns_lookups_.empty () || remote_end_passed_on_)
    return;
  if (!tcp_waiting_.empty ()) {
    // There is nothing to wait for where the peer has no other candidates; this comes back then.
    if (!udp_tried_) try_tcp ();
    return;
  }
  remote_end_passed_on_ = true;
  nice_agent_peer_candidate_gathering_done (nice_.agent (), nice_.stream ());
}

// ---------------------------------------------------------------------------- before the checks

void
NiceIceTransport::send_before_checks () {
  if (pair_ || config_.relay_only || config_.resume) return;
  early_wanted_ = true;
  plan_early_sends ();
}

void
NiceIceTransport::plan_early_sends () {
  if (!early_wanted_ || !remote_credentials_ || !udp_tried_) return;
  if (std::exchange (early_planned_, true)) return;
  early_timer_->arm (core_loop ().scheduler ().now () + kEarlyDelay);
}

void
NiceIceTransport::send_early () {
  early_planned_ = false;
  auto targets = EarlySends::targets (nice_.agent (), nice_.stream (), remote_candidates_);
  if (targets.empty ()) return;  // another candidate may come
  early_wanted_ = false;
  path_.send_early (std::make_unique<EarlySends> (std::move (targets)));
  observer_.ice_unproven_path ();
}

// ---------------------------------------------------------------------------------------- state

void
NiceIceTransport::nice_state (NiceComponentState state) {
  switch (state) {
    case NICE_COMPONENT_STATE_DISCONNECTED:
    case NICE_COMPONENT_STATE_GATHERING:
    case NICE_COMPONENT_STATE_LAST:
      return;
    case NICE_COMPONENT_STATE_CONNECTING:
      advance (IceState::connecting);
      return;
    case NICE_COMPONENT_STATE_CONNECTED:
      advance (IceState::connected);
      return;
    case NICE_COMPONENT_STATE_READY:
      advance (IceState::ready);
      return;
    case NICE_COMPONENT_STATE_FAILED:
      give_up ();
      return;
  }
}

// After we have selected a pair, libnice has no good one in its list of checks; when a late check
// of another one is not answered, it says that all has failed. The socket in use knows better.
void
NiceIceTransport::give_up () {
  if (!pair_ || !follower_.select_again ()) advance (IceState::failed);
}

// States only go forward: libnice falls back from READY whenever it checks a pair again, while the
// selected one carries on. From failed there is a way back, when the peer is heard again.
void
NiceIceTransport::advance (IceState next) {
  const bool usable = next == IceState::connected || next == IceState::ready;
  if (next == state_ || (next < state_ && !(state_ == IceState::failed && usable))) return;
  // What libnice still believes of a relay that is lost is nothing to go by.
  if (usable && relay_ && relay_->lost ()) return;
  if (usable && !pair_) {
    state_without_pair_ = next;
    return;
  }
  state_without_pair_.reset ();
  const bool recovered = state_ == IceState::failed;
  g_debug ("ice: %s -> %s", state_name (state_), state_name (next));
  state_ = next;
  if (next == IceState::failed) {
    std::string message = "No pair of candidates reaches the peer; a TURN server may help.";
    if (relay_ && relay_->lost ())
      message = relay_->lost ()->message;
    else if (pair_)
      message = "The TCP connection to the peer has ended.";
    path_.failed ({P2P_ERROR_UNREACHABLE, message});
  } else if (recovered) {
    path_.recovered ();
  }
  observer_.ice_state (next);
}

void
NiceIceTransport::nice_selected (const NicePair &pair) {
  // The peer has to hear of it: libnice's own next check comes in up to 6 s, and a controlled peer
  // waits for it.
  const bool own = follower_.selected (pair);
  if (own) later ([] (NiceIceTransport &self) { self.check_pair (); });
  if (pair_ && pair_->local_sdp == pair.local_sdp && pair_->remote_sdp == pair.remote_sdp) return;
  g_debug ("ice: pair %s - %s", pair.local.c_str (), pair.remote.c_str ());
  pair_ = pair;
  const auto local = turn::Address::from_sockaddr (pair.local_address);
  relay_ = local && pair.local_type == "relay" ? gathering_.find (*local) : nullptr;
  (void)note_relays ();
  path_.pair_selected (pair, relay_);
  early_wanted_ = false;
  early_timer_->disarm ();
  if (!tcp_waiting_.empty ()) try_tcp ();  // which it does not, with a pair
  // Posted: after the observer's call nothing may be left to do here.
  if (state_without_pair_)
    later ([next = *state_without_pair_] (NiceIceTransport &self) { self.advance (next); });
  if (relay_ && relay_->lost ())
    later ([] (NiceIceTransport &self) { self.advance (IceState::failed); });
  observer_.ice_selected_pair (pair);
}

// What the peer's check told of before its candidate did is a relay as well.
bool
NiceIceTransport::note_relays () {
  if (!pair_) return false;
  std::vector<std::string> relays;
  if (const auto local = turn::Address::from_sockaddr (pair_->local_address);
      local && pair_->local_type == "relay")
    relays.push_back (local->ip_text ());
  const auto remote = turn::Address::from_sockaddr (pair_->remote_address);
  const std::string end =
      remote ? " " + remote->ip_text () + " " + std::to_string (remote->port) + " typ relay" : "";
  const bool relayed =
      remote &&
      std::any_of (remote_candidates_.begin (), remote_candidates_.end (),
                   [&] (const std::string &sdp) { return sdp.find (end) != std::string::npos; });
  if (relayed && (relays.empty () || relays.front () != remote->ip_text ()))
    relays.push_back (remote->ip_text ());
  return path_.set_relays (relays);
}

void
NiceIceTransport::move_relays () {
  gathering_.move_relays ([this] (const TurnFront &relay, const turn::Address &source) {
    if (&relay == relay_ && pair_) pair_->local_base_address = source.ip_text ();
  });
}

void
NiceIceTransport::check_pair () {
  if (relay_) relay_->doubt ();
  if (!pair_ || pair_->tcp || !remote_credentials_) return;
  gboolean controlling = FALSE;
  g_object_get (nice_.agent (), "controlling-mode", &controlling, nullptr);
  const PairCheck check{local_credentials (), *remote_credentials_, controlling != FALSE,
                        tie_breaker_, pair_->local_priority};
  path_.send_beside (ByteView (make_pair_check (check)));
}

}  // namespace

Result<std::unique_ptr<IceTransport>>
IceTransport::create (const IceConfig &config, Observer &observer) {
  if (config.relay_only && config.turn_servers.empty ())
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "Only relays may be used, but there is no TURN server; name one, or allow every "
                 "kind of candidate."};
  if (config.port_min > config.port_max || (config.port_min == 0 && config.port_max != 0))
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The range of local ports is malformed: it goes from a port of at least 1 to one "
                 "that is not lower."};
  if (config.credentials)
    if (auto error = check_ice_credentials (*config.credentials, "local")) return *error;
  IceConfig used = config;
  if (config.resume) {
    used.tcp = used.relay_only = false;
    used.stun_servers.clear ();
    used.turn_servers.clear ();
    used.local_addresses = {config.resume->local_address};
    used.port_min = used.port_max = config.resume->local_port;
  }
  auto addresses = find_local_addresses (used.local_addresses);
  if (!addresses) return addresses.error ();
  auto transport = std::make_unique<NiceIceTransport> (used, *addresses, observer);
  if (auto error = transport->start ()) return *error;
  return std::unique_ptr<IceTransport> (std::move (transport));
}

}  // namespace p2p
