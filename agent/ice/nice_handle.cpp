#include "ice/nice_handle.hpp"

#include <array>

#include "base/loop_thread.hpp"
#include "ice/ice_contexts.hpp"

namespace p2p {

namespace {

// Between two checks, and before the first one: the least that RFC 8445 section 14.2 allows.
// libnice's own 20 ms were most of the time that it takes to connect on a short way.
constexpr guint kPacingMs = 5;

using Listener = std::weak_ptr<NiceEvents *>;

template <class Work>
void
tell (gpointer data, Work work) {
  core_loop ().post ([listener = *static_cast<Listener *> (data), work = std::move (work)] {
    if (const auto events = listener.lock ()) work (**events);
  });
}

template <class Handler>
void
connect (NiceAgent *agent, const char *signal, Handler *handler,
         const std::shared_ptr<NiceEvents *> &listener) {
  // A box per handler: GLib keeps it while the handler runs on another thread.
  g_signal_connect_data (
      agent, signal, reinterpret_cast<GCallback> (handler), new Listener (listener),
      [] (gpointer data, GClosure *) { delete static_cast<Listener *> (data); },
      static_cast<GConnectFlags> (0));
}

std::string
to_sdp (NiceAgent *agent, NiceCandidate *candidate) {
  const UniqueChars line (nice_agent_generate_local_candidate_sdp (agent, candidate));
  if (!line) return {};
  return g_str_has_prefix (line.get (), "a=") ? line.get () + 2 : line.get ();
}

const char *
type_name (NiceCandidateType type) {
  switch (type) {
    case NICE_CANDIDATE_TYPE_HOST:
      return "host";
    case NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE:
      return "srflx";
    case NICE_CANDIDATE_TYPE_PEER_REFLEXIVE:
      return "prflx";
    case NICE_CANDIDATE_TYPE_RELAYED:
      return "relay";
  }
  return "unknown";
}

std::string
ip_text (const NiceAddress &address) {
  std::array<gchar, NICE_ADDRESS_STRING_LEN> ip{};
  nice_address_to_string (&address, ip.data ());
  return ip.data ();
}

std::string
describe (const NiceCandidate &candidate, NiceCandidateType type) {
  const bool ipv6 = nice_address_ip_version (&candidate.addr) == 6;
  std::string out = type_name (type);
  out.append (ipv6 ? " [" : " ").append (ip_text (candidate.addr)).append (ipv6 ? "]:" : ":");
  out += std::to_string (nice_address_get_port (&candidate.addr));
  return out + (candidate.transport == NICE_CANDIDATE_TRANSPORT_UDP ? "/udp" : "/tcp");
}

void
on_candidate (NiceAgent *agent, NiceCandidate *candidate, gpointer data) {
  tell (data, [sdp = to_sdp (agent, candidate)] (NiceEvents &to) { to.nice_candidate (sdp); });
}

void
on_gathering_done (NiceAgent *, guint, gpointer data) {
  tell (data, [] (NiceEvents &to) { to.nice_gathering_done (); });
}

void
on_state (NiceAgent *, guint, guint, guint state, gpointer data) {
  tell (data,
        [state] (NiceEvents &to) { to.nice_state (static_cast<NiceComponentState> (state)); });
}

void
on_selected (NiceAgent *agent, guint, guint, NiceCandidate *local, NiceCandidate *remote,
             gpointer data) {
  NicePair pair;
  const NiceCandidateType remote_type = g_str_has_prefix (remote->foundation, kFollowedFoundation)
                                            ? NICE_CANDIDATE_TYPE_PEER_REFLEXIVE
                                            : remote->type;
  pair.local_foundation = local->foundation;
  pair.local_priority = local->priority;
  pair.local_sdp = to_sdp (agent, local);
  pair.remote_sdp = to_sdp (agent, remote);
  pair.local = describe (*local, local->type);
  pair.remote = describe (*remote, remote_type);
  pair.local_type = type_name (local->type);
  pair.remote_type = type_name (remote_type);
  pair.relayed =
      local->type == NICE_CANDIDATE_TYPE_RELAYED || remote->type == NICE_CANDIDATE_TYPE_RELAYED;
  pair.tcp = local->transport != NICE_CANDIDATE_TRANSPORT_UDP;
  pair.local_base_address = ip_text (local->base_addr);
  pair.local_base_port = static_cast<std::uint16_t> (nice_address_get_port (&local->base_addr));
  nice_address_copy_to_sockaddr (&local->addr, reinterpret_cast<sockaddr *> (&pair.local_address));
  nice_address_copy_to_sockaddr (&remote->addr,
                                 reinterpret_cast<sockaddr *> (&pair.remote_address));
  tell (data, [pair] (NiceEvents &to) { to.nice_selected (pair); });
}

void
on_learned (NiceAgent *, NiceCandidate *remote, gpointer data) {
  if (remote->transport != NICE_CANDIDATE_TRANSPORT_UDP) return;
  tell (data, [address = remote->addr] (NiceEvents &to) { to.nice_learned (address); });
}

void
on_received (NiceAgent *, guint, guint, guint size, gchar *bytes, gpointer data) {
  static_cast<NiceEvents *> (data)->nice_received (ByteView (bytes, size));
}

// What an agent that closes by itself still needs; the agent goes first.
struct Closing {
  std::shared_ptr<void> below;
  std::shared_ptr<NestedContext> timers;
  Ref<NiceAgent> agent;
};

void
on_closed (GObject *, GAsyncResult *, gpointer data) {
  const std::unique_ptr<Closing> closing (static_cast<Closing *> (data));
  // The last reference must not go inside of a callback of libnice.
  ice_loop ().post ([last = std::move (*closing)] {});
}

}  // namespace

std::optional<std::pair<std::string, std::uint16_t>>
IcePair::remote_endpoint () const {
  NiceAddress address;
  nice_address_init (&address);
  if (remote_address.ss_family != AF_INET && remote_address.ss_family != AF_INET6) return {};
  nice_address_set_from_sockaddr (&address, reinterpret_cast<const sockaddr *> (&remote_address));
  std::array<char, NICE_ADDRESS_STRING_LEN> text{};
  nice_address_to_string (&address, text.data ());
  return std::pair (std::string (text.data ()),
                    static_cast<std::uint16_t> (nice_address_get_port (&address)));
}

NiceHandle::NiceHandle (const IceConfig &config, NiceEvents &events)
    : sockets_ (take_socket_context ()),
      timers_ (take_timer_context ()),
      agent_ (Ref<NiceAgent>::adopt (nice_agent_new_full (
          timers_->context (), NICE_COMPATIBILITY_RFC5245, NICE_AGENT_OPTION_ICE_TRICKLE))),
      listener_ (std::make_shared<NiceEvents *> (&events)) {
  // keepalive-conncheck: off, because a pair that is given up after 50 s while another check is
  // under way lets libnice abort when that one is answered, because 200 requests without an answer
  // end all checks, and because liveness is decided above. The mapping of a NAT is kept by an
  // indication each 25 s. consent-freshness: the same, after 10 s. stun-max-retransmissions: every
  // retransmission delays READY while a pair of higher priority has no answer.
  g_object_set (agent_.get (), "controlling-mode", gboolean{config.controlling}, "upnp", FALSE,
                "ice-udp", TRUE, "ice-tcp", gboolean{config.tcp}, "keepalive-conncheck", FALSE,
                "force-relay", gboolean{config.relay_only}, "stun-max-retransmissions", 2,
                "stun-pacing-timer", kPacingMs, nullptr);
  stream_ = nice_agent_add_stream (agent_.get (), 1);
  if (config.credentials)
    nice_agent_set_local_credentials (agent_.get (), stream_, config.credentials->ufrag.c_str (),
                                      config.credentials->pwd.c_str ());

  connect (agent_.get (), "new-candidate-full", on_candidate, listener_);
  connect (agent_.get (), "candidate-gathering-done", on_gathering_done, listener_);
  connect (agent_.get (), "component-state-changed", on_state, listener_);
  connect (agent_.get (), "new-selected-pair-full", on_selected, listener_);
  connect (agent_.get (), "new-remote-candidate-full", on_learned, listener_);

  // From the first moment: without a receiver libnice does not even see the answers of servers. On
  // core, so that a flood of datagrams cannot make libnice's timers late.
  nice_agent_attach_recv (agent_.get (), stream_, kNiceComponent, sockets_->context (), on_received,
                          &events);
}

NiceHandle::~NiceHandle () {
  listener_.reset ();
  const auto disconnect = [this] (auto *handler) {
    g_signal_handlers_disconnect_matched (agent_.get (), G_SIGNAL_MATCH_FUNC, 0, 0, nullptr,
                                          reinterpret_cast<gpointer> (handler), nullptr);
  };
  disconnect (on_candidate);
  disconnect (on_gathering_done);
  disconnect (on_state);
  disconnect (on_selected);
  disconnect (on_learned);
  // The barrier, in two halves. This call moves the sockets from core's context to that of ICE: we
  // are on core and outside of libnice, so none of their callbacks can be running or come later.
  // What follows is a task of the ICE thread, so no timer of libnice can be in the middle of
  // anything when the stream goes.
  nice_agent_attach_recv (agent_.get (), stream_, kNiceComponent, timers_->context (), nullptr,
                          nullptr);
  ice_loop ().post (
      [closing = Closing{std::move (below_), timers_, std::move (agent_)}, stream = stream_] {
        nice_agent_remove_stream (closing.agent.get (), stream);
        nice_agent_close_async (closing.agent.get (), on_closed, new Closing (closing));
      });
}

}  // namespace p2p
