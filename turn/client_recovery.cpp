// What the client does when its allocation, its server or its credentials fail.
#include <algorithm>

#include "turn/client.hpp"

namespace p2p::turn {

namespace {

// Without the message, which is valid inside of its call alone.
Reply
kept (const Reply &reply) {
  return {reply.kind, reply.code, reply.text, nullptr};
}

}  // namespace

void
Client::lost (const Reply &reply, Tuple tuple) {
  lost (reason_of (reply), reply.code, reply.text, tuple);
}

void
Client::lost (P2pTurnReason reason, int code, const std::string &text, Tuple tuple) {
  if (state_ != State::allocated) return;
  ++losses_;
  peers_.lost ();
  requester_.forget_all ();
  refreshing_ = false;
  // A server that grants and takes away at once would have us run in circles.
  const bool quick = scheduler_.now () - allocated_at_ < kQuickLoss;
  quick_losses_ = quick ? quick_losses_ + 1 : 0;
  state_ = State::opening;
  rearm ();
  tell (Event::Kind::network_bad, reason, code, "The allocation is lost", text);
  if (state_ != State::opening) return;  // the application has closed or reset it
  if (quick_losses_ > kMaxQuickLosses) {
    quick_losses_ = 0;
    fail_server (reason, code, text, false);
    return;
  }
  if (tuple == Tuple::same) {
    allocate ();
    return;
  }
  // With a ticket the allocation is moved; the server that did not answer is asked first.
  resuming_ = allocation_.has_ticket () && reason != P2P_TURN_REASON_WRONG_CREDENTIALS;
  tuples_ = 0;
  if (code == 438) {
    requester_.authenticator ().reset ();
    requester_.authenticator ().set_credentials (credentials_[server_]);
  }
  open ();
}

void
Client::fail_server (const Reply &reply, bool exclude) {
  fail_server (reason_of (reply), reply.code, reply.text, exclude);
}

void
Client::fail_server (P2pTurnReason reason, int code, const std::string &text, bool exclude) {
  requester_.forget_all ();
  host_.close_transport ();
  state_ = State::waiting;
  wait_until_ = kNever;
  wanting_.reset ();
  resuming_ = false;
  if (exclude) excluded_.insert (server_);
  failed_in_round_.insert (server_);

  const std::size_t count = config_.servers.size ();
  std::optional<std::size_t> next;
  for (std::size_t i = 1; i < count && !next; ++i) {
    const std::size_t candidate = (server_ + i) % count;
    if (!excluded_.count (candidate) && !failed_in_round_.count (candidate)) next = candidate;
  }
  TimeUs wait = 0;
  if (!next && excluded_.size () < count && ++rounds_ < kMaxRounds) {
    failed_in_round_.clear ();
    wait = std::min (kFirstWait << (rounds_ - 1), kLongestWait);
    for (std::size_t i = 0; i < count && !next; ++i)
      if (!excluded_.count (i)) next = i;
  }
  const Server &from = server ();
  const std::string what =
      "The TURN server " + from.host + ":" + std::to_string (from.port) + " gave no relay";
  if (!next) {
    state_ = State::failed;
    peers_.lost ();
    rearm ();
    tell (Event::Kind::failed, reason, code, what + ", and none is left to ask", text);
    return;
  }
  server_ = *next;
  wait_until_ = scheduler_.now () + wait;
  rearm ();
  tell (Event::Kind::server_failed, reason, code, what, text);
}

void
Client::ask_credentials (const Reply &reply) {
  // A success in between allows for one more question.
  if (credentials_asked_) {
    if (state_ == State::allocated)
      lost (reply, Tuple::other);
    else
      fail_server (reply, true);
    return;
  }
  credentials_asked_ = true;
  wanting_ = kept (reply);
  wait_until_ = scheduler_.now () + kCredentialsLimit;
  rearm ();
  Server asked = server ();
  asked.credentials = credentials_[server_];
  host_.credentials_wanted (asked);
}

void
Client::set_credentials (Credentials credentials) {
  const bool others = !(credentials_[server_] == credentials);
  credentials_[server_] = credentials;
  requester_.authenticator ().set_credentials (std::move (credentials));
  credentials_known (others);
}

void
Client::keep_credentials () {
  credentials_known (false);
}

void
Client::credentials_known (bool others) {
  if (!wanting_) return;
  const Reply reply = *wanting_;
  wanting_.reset ();
  wait_until_ = kNever;
  if (!others) {
    // Nothing better: an allocation that there is lives on until it ends by itself.
    if (state_ == State::allocated) {
      allocation_.postpone_refresh (std::min (5 * kSecond, allocation_.lifetime () / 4));
      credentials_asked_ = false;
      if (allocation_.expired ()) lost (reply, Tuple::other);
    } else {
      fail_server (reply, true);
    }
    rearm ();
    return;
  }
  if (state_ == State::allocated) {
    peers_.retry_soon ();
    refresh ();
  } else if (state_ == State::allocating) {
    allocate ();
  }
  rearm ();
}

void
Client::peer_trouble (PeerStep step, const Reply &reply) {
  if (state_ != State::allocated) return;
  switch (step) {
    case PeerStep::credentials:
      if (!wanting_) ask_credentials (reply);
      return;
    case PeerStep::verify:
      if (!refreshing_ && !wanting_) refresh ();
      return;
    case PeerStep::lost:
      lost (reply, Tuple::same);
      return;
    case PeerStep::other_tuple:
      lost (reply, Tuple::other);
      return;
    case PeerStep::refuse:
    case PeerStep::retry:
      return;
  }
}

}  // namespace p2p::turn
