#include "doctor/relay_check.hpp"

#include <algorithm>
#include <cstring>

namespace p2p::doctor {

namespace {

// Sizes from what every way takes to what this one should; enough to tell a tunnel's from
// Ethernet's.
constexpr std::size_t kSmallestBytes = 548, kStepBytes = 16;  // RFC 791's 576 without headers
constexpr std::size_t kMostSizes = 96;
constexpr TimeUs kPumpEvery = 10 * kMillisecond;

}  // namespace

RelayCheck::RelayCheck (GMainContext *context, Scheduler &scheduler, turn::RelayConfig config,
                        Done done)
    : scheduler_ (scheduler),
      done_ (std::move (done)),
      begun_ (scheduler.now ()),
      limit_ (scheduler.make_timer ([this] { timed_out (); })),
      tell_ (scheduler.make_timer ([this] { done_ (); })),
      relay_ (std::make_unique<turn::Relay> (context, scheduler, std::move (config),
                                             static_cast<turn::Relay::Observer &> (*this))) {
  enter (Stage::allocating, kAllocateLimit);
  relay_->client ().start ();
}

void
RelayCheck::enter (Stage stage, TimeUs limit) {
  stage_ = stage;
  limit_->arm (scheduler_.now () + limit);
}

void
RelayCheck::relay_event (const turn::Event &event) {
  using Kind = turn::Event::Kind;
  switch (event.kind) {
    case Kind::allocated:
      if (stage_ != Stage::allocating) return;
      outcome_.took_us = scheduler_.now () - begun_;
      outcome_.relay.relayed = relay_->client ().relayed ();
      enter (Stage::granting, kEchoLimit);
      if (const Status refused = relay_->client ().add_peer (outcome_.relay.relayed.front ()))
        probed (refused->message);
      return;
    case Kind::peer_granted:
      if (stage_ == Stage::granting) send_sizes ();
      return;
    case Kind::peer_refused:
      probed (event.message);
      return;
    case Kind::network_bad:
    case Kind::server_failed:
    case Kind::failed:
      fail (event.message);
      return;
    case Kind::recovered:
    case Kind::redirected:
    case Kind::closed:
      return;
  }
}

void
RelayCheck::relay_credentials_wanted (const turn::Server &) {
  relay_->client ().keep_credentials ();
}

// All sizes at once: the largest that comes back is the answer.
void
RelayCheck::send_sizes () {
  enter (Stage::echoing, kEchoLimit);
  const std::size_t most =
      std::min (relay_->max_datagram_bytes (), kSmallestBytes + kMostSizes * kStepBytes);
  datagram_.assign (most, 0);
  for (std::size_t size = most;; size -= kStepBytes) {
    relay_->client ().send (outcome_.relay.relayed.front (), ByteView (datagram_.data (), size));
    largest_sent_ = std::max (largest_sent_, size);
    if (size < kSmallestBytes + kStepBytes) return;
  }
}

void
RelayCheck::relay_received (const Address &, ByteView data) {
  if (stage_ == Stage::echoing) {
    auto &largest = outcome_.relay.largest_datagram_bytes;
    largest = std::max (largest.value_or (0), data.size);
    if (*largest == largest_sent_) timed_out ();
    return;
  }
  if (stage_ != Stage::bursting || data.size != datagram_.size ()) return;
  std::uint32_t number;
  std::memcpy (&number, data.data, sizeof number);
  burst_->received (number, scheduler_.now ());
  pump ();
}

void
RelayCheck::burst () {
  datagram_.assign (*outcome_.relay.largest_datagram_bytes, 0);
  burst_.emplace (datagram_.size (), scheduler_.now ());
  enter (Stage::bursting, 0);
}

void
RelayCheck::pump () {
  const TimeUs now = scheduler_.now ();
  burst_->tick (now);
  while (const auto number = burst_->next (now)) {
    std::memcpy (datagram_.data (), &*number, sizeof *number);
    // A full connection has room again when something has come back.
    if (relay_->client ().send (outcome_.relay.relayed.front (), datagram_) != turn::Sent::sent)
      break;
    burst_->sent ();
  }
  if (burst_->done (now)) {
    outcome_.relay.burst = burst_->result ();
    stage_ = Stage::probed;
    limit_->disarm ();
    tell_->arm (now);
  } else {
    limit_->arm (now + kPumpEvery);
  }
}

void
RelayCheck::timed_out () {
  switch (stage_) {
    case Stage::allocating:
      fail ("It did not answer within " + std::to_string (kAllocateLimit / kSecond) +
            " s; check host, port and transport, and that a firewall lets them through.");
      return;
    case Stage::granting:
      probed ("It does not tell whether this machine may send to its own relayed address.");
      return;
    case Stage::echoing:
      probed (outcome_.relay.largest_datagram_bytes
                  ? ""
                  : "Nothing comes back from its own relayed address: the relay, or its network, "
                    "does not carry data to itself, or carries none.");
      return;
    case Stage::bursting:
      pump ();
      return;
    case Stage::probed:
    case Stage::failed:
      return;
  }
}

// A relay need not send to itself in order to be one: what cannot be measured is no failure.
void
RelayCheck::probed (const std::string &note) {
  if (stage_ != Stage::granting && stage_ != Stage::echoing) return;
  stage_ = Stage::probed;
  outcome_.relay.note = note;
  // Once the kernel has learned of a smaller MTU it sends in fragments, which is not what is asked.
  if (auto &largest = outcome_.relay.largest_datagram_bytes)
    largest = std::min (*largest, relay_->max_datagram_bytes ());
  limit_->disarm ();
  tell_->arm (scheduler_.now ());
}

void
RelayCheck::fail (const std::string &why) {
  if (stage_ == Stage::failed) return;
  // A relay that is lost in the burst was one before.
  if (burst_) outcome_.relay.burst = burst_->result ();
  stage_ = Stage::failed;
  outcome_.problem = why;
  limit_->disarm ();
  tell_->arm (scheduler_.now ());
}

}  // namespace p2p::doctor
