// How a session gets another transport over the ways that there are: its own has ended, or the
// peer's process has. Pings ask for it, so that no signaling is needed; a name that only grows says
// which one is meant.
#include <glib.h>

#include <algorithm>

#include "base/loop_thread.hpp"
#include "core/line.hpp"

namespace p2p {

namespace {

// After a handshake that failed, another one is begun.
constexpr TimeUs kBetweenHandshakes = 200 * kMillisecond;
// A handshake takes two round trips; whoever is asked for one may not have read the ping yet.
constexpr TimeUs kHandshakeTimeout = 3 * kSecond;
// Of a name, what is random: two sides that count from different points do not mean the same one.
constexpr unsigned kRandomBits = 16;

}  // namespace

std::uint64_t
Line::name_after (std::uint64_t name) {
  return ((name >> kRandomBits) + 1) << kRandomBits | (g_random_int () & 0xffff);
}

void
Line::transport_ended (const Error &error) {
  transport_ended_ = true;
  transport_here_ = 0;
  break_detail_ = error.message;
  drop_generation (negotiation_.current ());
  watch_.follow (nullptr);
  want_transport ();
  if (broken_ && !watch_.broken ())
    renewal_->arm (clock_.now () + kBetweenHandshakes);
  else
    watch_.break_now (BreakReason::transport);
}

void
Line::want_transport () {
  transport_wanted_ = true;
  transport_name_ = name_after (transport_name_);
  watch_.set_transport (transport_name_, true);
  if (!carrier_) return;
  for (const WayEntry &entry : ways_) watch_.prove (entry.way);
  // A server waits from now on; a client begins when the peer has answered.
  if (!client_) transport_timer_->arm (clock_.now ());
}

void
Line::watch_transport (std::uint64_t name, bool anew) {
  if (!live_ || over_ || !carrier_) return;
  if (name > transport_name_ && anew) {
    transport_name_ = name;
    transport_wanted_ = false;
    watch_.set_transport (name, false);
    transport_timer_->arm (clock_.now ());
  } else if (name > transport_name_ && transport_wanted_) {
    // The peer has one that this process does not know of.
    transport_name_ = name;
    want_transport ();
  } else if (name < transport_name_ && anew) {
    // Before the answer, on which a client begins: once it had begun under its own name, and then
    // again under ours, our handshake would be left with the first one.
    watch_.tell ();
  }
}

// From a timer alone: no callback of the old transport can be running.
void
Line::begin_transport () {
  if (over_ || !carrier_) return;
  if (std::exchange (want_again_, false)) {
    want_transport ();
    return;
  }
  if (!transport_ended_) {
    transport_ended_ = true;
    break_detail_ = "the peer has begun anew";
    watch_.follow (nullptr);
    watch_.break_now (BreakReason::transport);
    if (over_ || !carrier_) return;
  }
  const WayEntry *entry = way_in_use ();
  const Generation *generation = entry ? entry->generation : nullptr;
  if (!generation && !generations_.empty ()) generation = generations_.front ().get ();
  if (!generation) return;
  handshake_.reset ();
  // One that has not said hello yet may be attached all the same.
  host_.line_detach ();
  watch_.follow (nullptr);
  carrier_->transport.reset ();
  transport_here_ = 0;
  QuicConfig config = generation->attempt ().quic_config (client_);
  config.handshake_timeout_us = kHandshakeTimeout;
  g_debug ("line %s: a handshake over way %u", session_.c_str (), carrier_->ways->in_use ());
  handshake_ = std::make_unique<TransportHandshake> (
      make_quic_transport (config, *carrier_->ways), [this] { transport_ready (); },
      [this] (const Error &error, bool) { transport_failed (error); });
}

void
Line::transport_ready () {
  carrier_->transport = handshake_->take ();
  retire (std::move (handshake_));
  transport_wanted_ = false;
  transport_here_ = transport_name_;
  watch_.set_transport (transport_name_, false);
  watch_.follow (carrier_->transport.get ());
  if (client_) {
    // The server takes what the client has: another one that is finished now would break the
    // session again where the server has heard our hello and we have not heard its own.
    drop_building_transport ();
    attach_until_ = clock_.now () + kTransportFirst;
    if (broken_) renewal_->arm (attach_until_);
  }
  host_.line_transport (*carrier_->transport);
}

bool
Line::attaching () const {
  return transport_here_ > 0 && clock_.now () < attach_until_;
}

// What is still being built for another transport would take the place of the one that there is.
void
Line::drop_building_transport () {
  Generation *building = negotiation_.current ();
  if (building && building->started () && building->attempt ().aim () == Attempt::Aim::connection)
    drop_generation (building);
}

void
Line::transport_failed (const Error &error) {
  g_debug ("line %s: no transport: %s", session_.c_str (), error.message.c_str ());
  handshake_->stop ();
  retire (std::move (handshake_));
  if (error.code == P2P_ERROR_NOT_AUTHORIZED) {
    over_ = true;
    host_.line_over (error);
    return;
  }
  const TimeUs limit = watch_.settings ().comeback_timeout;
  if (limit > 0 && clock_.now () - broken_at_ > limit) {
    over_ = true;
    host_.line_over (
        {P2P_ERROR_TIMED_OUT,
         "The peer can be heard, but no new transport to it could be made: " + error.message});
    return;
  }
  want_again_ = true;
  transport_timer_->arm (clock_.now () + kBetweenHandshakes);
}

// What may be calling is retired.
void
Line::end_handshake () {
  transport_timer_->disarm ();
  if (!handshake_) return;
  handshake_->stop ();
  retire (std::move (handshake_));
}

// ---------------------------------------------------------------------------- after a restart

void
Line::restore (const Memory &memory) {
  live_ = transport_ended_ = true;
  memory_ = memory;
  negotiation_.set_newest_remote (memory.remote.attempt);
  transport_name_ = memory.transport_name;
  want_transport ();
  watch_.start_broken (BreakReason::transport);
  resume_ways ();
}

// In the name of the generation that the peer knows: at the old addresses, where the peer still
// sends to, or else from those that there are now, which it learns from the checks.
void
Line::resume_ways () {
  if (!memory_ || memory_->local.ufrag.empty ()) return;
  drop_fruitless ();
  auto begin = [this] (const IceResume *pair) {
    auto twin = Generation::create (*this, [&] (Attempt::Observer *observer) {
      return host_.line_attempt (observer, &memory_->local, pair);
    });
    if (!twin || !(*twin)->attempt ().ice ()) return false;
    Generation &started = **twin;
    generations_.push_back (std::move (*twin));
    Attempt::Start how;
    how.client = client_;
    how.aim = Attempt::Aim::path;
    NetworkConfig remote = memory_->remote;
    remote.complete = true;
    if (pair) remote.candidates.clear ();
    if (!started.start (remote, how, true)) return true;
    drop_generation (&started);
    return false;
  };
  const bool at_the_pair = memory_->pair && !std::exchange (pair_resumed_, true);
  if (!at_the_pair || !begin (&*memory_->pair)) (void)begin (nullptr);
}

std::optional<Line::Memory>
Line::memory () const {
  const WayEntry *entry = nullptr;
  for (const WayEntry &one : ways_)
    if (carrier_ && one.way == carrier_->ways->in_use ()) entry = &one;
  if (!entry || !entry->generation || !entry->generation->attempt ().remote_config ()) return {};
  const Attempt &attempt = entry->generation->attempt ();
  Memory memory;
  memory.local = attempt.local_config ();
  memory.remote = *attempt.remote_config ();
  memory.transport_name = transport_name_;
  const IceTransport *ice = attempt.ice ();
  if (!ice) return memory;
  memory.remote.candidates = ice->remote_candidates ();
  const auto pair = ice->selected_pair ();
  if (!pair || pair->tcp || pair->local_type == "relay" || pair->local_base_address.empty ())
    return memory;
  auto remote = pair->remote_endpoint ();
  if (!remote) return memory;
  memory.pair =
      IceResume{pair->local_base_address, remote->first, pair->local_base_port, remote->second};
  return memory;
}

}  // namespace p2p
