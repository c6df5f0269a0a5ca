#include "core/negotiation.hpp"

#include <algorithm>

#include "core/attempt_id.hpp"

namespace p2p {

namespace {

// Signaling of an application may lose an offer: it is made again until it is answered, from a
// wait above any usual round trip on.
constexpr TimeUs kFirstRepeat = 2 * kSecond, kLongestRepeat = 32 * kSecond;

}  // namespace

Negotiation::Negotiation (Host &host, Scheduler &clock)
    : host_ (host), clock_ (clock), repeat_ (clock.make_timer ([this] { repeat_offer (); })) {}

bool
Negotiation::begin () {
  auto next = host_.negotiation_generation ();
  drop ();
  current_ = std::move (next);
  return current_ != nullptr;
}

void
Negotiation::drop () {
  repeat_->disarm ();
  current_.reset ();
}

std::unique_ptr<Generation>
Negotiation::take () {
  repeat_->disarm ();
  return std::move (current_);
}

// A hello that answers nothing: the peer pairs its attempt with ours, which waits for it.
void
Negotiation::offer () {
  host_.negotiation_hello (current_->hello (""));
  repeat_after_ = kFirstRepeat;
  repeat_->arm (clock_.now () + repeat_after_);
}

void
Negotiation::repeat_offer () {
  if (!waits ()) return;
  // One that went away is told when it comes.
  if (host_.negotiation_peer_there ()) host_.negotiation_hello (current_->hello (""));
  repeat_after_ = std::min (2 * repeat_after_, kLongestRepeat);
  repeat_->arm (clock_.now () + repeat_after_);
}

// A hello offers an attempt that waits, or answers our offer with an attempt that is paired with
// it. Both sides may offer at the same time, begin anew, and hear of each other late: an offer is
// always followed, unless it is older than what was followed before; an answer to anything but the
// attempt that waits is too late.
bool
Negotiation::receive (const PeerSignal &hello) {
  const bool is_offer = hello.in_reply_to.empty ();
  const bool answers_ours = current_ && hello.in_reply_to == current_->id ();
  if (current_ && current_->started () && hello.attempt == current_->remote_id ()) {
    // It has not seen ours, or ours came before it knew what to do with it.
    if (!answers_ours) host_.negotiation_hello (current_->hello (hello.attempt));
    (void)current_->add_candidates (*hello.config);
    return true;
  }
  const bool used_up = hello.attempt == newest_remote_ && !(answers_ours && waits ());
  if ((!is_offer && !answers_ours) || used_up || attempt_is_older (hello.attempt, newest_remote_))
    return false;
  if (answers_ours && !waits ()) {
    // The peer's attempt is paired with one of ours that has found another meanwhile: neither can
    // change its mind, so that both sides need new ones.
    newest_remote_ = hello.attempt;
    if (begin ()) offer ();
    return true;
  }
  // A peer that begins anew is answered with a new generation: libnice cannot change its mind.
  if (!waits () && !begin ()) return true;
  if (!host_.negotiation_start (hello)) return true;
  if (!answers_ours) host_.negotiation_hello (current_->hello (hello.attempt));
  return true;
}

}  // namespace p2p
