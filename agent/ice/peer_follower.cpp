#include "ice/peer_follower.hpp"

#include <netinet/in.h>

#include <memory>
#include <utility>

namespace p2p {

namespace {

constexpr TimeUs kRememberedFor = 10 * kSecond;
// Above all that RFC 8445 section 5.1.2.1 gives to a candidate (126 << 24 and a bit), and rising:
// libnice then makes no pair that would win against the selected one.
constexpr guint32 kTopPriority = 127U << 24;
constexpr const char *kRenamedFoundation = "renamed";

bool
is_link_local (const NiceAddress &address) {
  sockaddr_in6 six{};
  if (nice_address_ip_version (&address) != 6) return false;
  nice_address_copy_to_sockaddr (&address, reinterpret_cast<sockaddr *> (&six));
  return IN6_IS_ADDR_LINKLOCAL (&six.sin6_addr);
}

bool
matches (const NiceAddress &local, const NiceAddress &remote) {
  return nice_address_ip_version (&local) == nice_address_ip_version (&remote) &&
         is_link_local (local) == is_link_local (remote);
}

struct FreeCandidate {
  void operator() (NiceCandidate *candidate) const { nice_candidate_free (candidate); }
};

}  // namespace

// A copy of a list of libnice's, in its order, which is the one in which it searches.
class PeerFollower::Candidates {
 public:
  explicit Candidates (GSList *list) : list_ (list) {}
  ~Candidates () {
    g_slist_free_full (
        list_, [] (gpointer one) { FreeCandidate () (static_cast<NiceCandidate *> (one)); });
  }
  Candidates (const Candidates &) = delete;
  Candidates &operator= (const Candidates &) = delete;

  template <class Condition>
  const NiceCandidate *first (Condition condition) const {
    for (const GSList *at = list_; at; at = at->next) {
      const auto *candidate = static_cast<const NiceCandidate *> (at->data);
      if (condition (*candidate)) return candidate;
    }
    return nullptr;
  }
  const NiceCandidate *at (const NiceAddress &address) const {
    return first ([&] (const NiceCandidate &one) {
      return one.transport == NICE_CANDIDATE_TRANSPORT_UDP &&
             nice_address_equal (&one.addr, &address);
    });
  }
  const NiceCandidate *named (const std::string &foundation) const {
    return first ([&] (const NiceCandidate &one) { return foundation == one.foundation; });
  }

 private:
  GSList *const list_;
};

PeerFollower::PeerFollower (NiceAgent *agent, guint stream, Scheduler &scheduler)
    : agent_ (agent), stream_ (stream), scheduler_ (scheduler) {}

PeerFollower::~PeerFollower () = default;

bool
PeerFollower::selected (const NicePair &pair) {
  const bool own = selections_ahead_ > 0;
  // Only the last one is in use.
  if (own && --selections_ahead_ > 0) return true;
  Target target;
  target.local_foundation = pair.local_foundation;
  target.udp = !pair.tcp;
  nice_address_set_from_sockaddr (&target.remote,
                                  reinterpret_cast<const sockaddr *> (&pair.remote_address));
  in_use_ = std::move (target);
  return own;
}

void
PeerFollower::learned (const NiceAddress &remote) {
  // Before there is a pair, libnice checks it like any other.
  if (!in_use_) return;
  if (++moves_.learned > kMaxLearnedAddresses) {
    ++moves_.ignored;
    return;
  }
  if (on_)
    go_along (remote);
  else
    newest_ = Learned{remote, scheduler_.now ()};
}

bool
PeerFollower::begin_at (const NiceAddress &remote) {
  const auto local = local_for (remote);
  return local && select ({*local, remote, true});
}

void
PeerFollower::follow (bool on) {
  on_ = on;
  if (!on) return;
  const auto newest = std::exchange (newest_, {});
  if (newest && scheduler_.now () - newest->at <= kRememberedFor) go_along (newest->remote);
}

void
PeerFollower::go_along (const NiceAddress &remote) {
  // libnice may have come to it by itself.
  if (in_use_->udp && nice_address_equal (&in_use_->remote, &remote)) return;
  const auto local = local_for (remote);
  const Target target{local.value_or (""), remote, true};
  if (!local || !select (target)) {
    ++moves_.ignored;
    return;
  }
  ++moves_.followed;
  before_.push_back (*std::exchange (in_use_, target));
}

bool
PeerFollower::go_back () {
  while (!before_.empty ()) {
    const Target target = std::move (before_.back ());
    before_.pop_back ();
    const bool here = in_use_->udp && nice_address_equal (&target.remote, &in_use_->remote);
    // The connection of a TCP pair is not libnice's to find again.
    if (here || !target.udp || !select (target)) continue;
    in_use_ = target;
    ++moves_.returned;
    return true;
  }
  return false;
}

bool
PeerFollower::select_again () {
  if (!in_use_ || !in_use_->udp) return false;
  const Candidates remotes (nice_agent_get_remote_candidates (agent_, stream_, kNiceComponent));
  const NiceCandidate *remote = remotes.at (in_use_->remote);
  if (!remote) return false;
  if (remotes.named (remote->foundation) == remote)
    return select_named (*in_use_, remote->foundation);
  return select (*in_use_);
}

// The socket that is in use, when it can reach the address at all.
std::optional<std::string>
PeerFollower::local_for (const NiceAddress &remote) const {
  const Candidates locals (nice_agent_get_local_candidates (agent_, stream_, kNiceComponent));
  gboolean relay_only = FALSE;
  g_object_get (agent_, "force-relay", &relay_only, nullptr);
  const auto usable = [&] (const NiceCandidate &one) {
    return one.transport == NICE_CANDIDATE_TRANSPORT_UDP && matches (one.addr, remote) &&
           (!relay_only || one.type == NICE_CANDIDATE_TYPE_RELAYED);
  };
  const NiceCandidate *found = locals.first ([&] (const NiceCandidate &one) {
    return usable (one) && in_use_ && in_use_->local_foundation == one.foundation;
  });
  if (!found)
    found = locals.first ([&] (const NiceCandidate &one) {
      return usable (one) && (relay_only || one.type == NICE_CANDIDATE_TYPE_HOST);
    });
  if (!found) return std::nullopt;
  return found->foundation;
}

bool
PeerFollower::select (const Target &target) {
  const Candidates remotes (nice_agent_get_remote_candidates (agent_, stream_, kNiceComponent));
  const NiceCandidate *known = remotes.at (target.remote);
  if (!known) return false;
  // A changed candidate makes libnice look for a nominated pair above the selected one; without a
  // selected one (its TCP connection has ended) it would abort. Selecting drops all pairs.
  NiceCandidate *selected_local = nullptr, *selected_remote = nullptr;
  if (!nice_agent_get_selected_pair (agent_, stream_, kNiceComponent, &selected_local,
                                     &selected_remote) &&
      !select_named (target, known->foundation))
    return false;

  const bool reflexive = known->type == NICE_CANDIDATE_TYPE_PEER_REFLEXIVE ||
                         g_str_has_prefix (known->foundation, kFollowedFoundation);
  std::string name;
  do {
    name = (reflexive ? kFollowedFoundation : kRenamedFoundation) + std::to_string (++names_);
  } while (remotes.named (name));
  const std::unique_ptr<NiceCandidate, FreeCandidate> changed (nice_candidate_copy (known));
  if (changed->type == NICE_CANDIDATE_TYPE_PEER_REFLEXIVE) changed->type = NICE_CANDIDATE_TYPE_HOST;
  changed->priority = kTopPriority + names_;
  g_strlcpy (changed->foundation, name.c_str (), sizeof changed->foundation);
  GSList list = {changed.get (), nullptr};
  nice_agent_set_remote_candidates (agent_, stream_, kNiceComponent, &list);
  return select_named (target, name);
}

bool
PeerFollower::select_named (const Target &target, const std::string &remote_foundation) {
  if (!nice_agent_set_selected_pair (agent_, stream_, kNiceComponent,
                                     target.local_foundation.c_str (), remote_foundation.c_str ()))
    return false;
  ++selections_ahead_;
  return true;
}

}  // namespace p2p
