#include "turn/requester.hpp"

namespace p2p::turn {

namespace {

constexpr int kUnauthorized = 401, kStaleNonce = 438;

Reply
nonsense (const Message &message, std::string text) {
  return {Reply::Kind::error, 0, std::move (text), &message};
}

}  // namespace

Requester::Requester (Scheduler &scheduler, const TransactionTimes &times, Credentials credentials,
                      std::string software, Transactions::Send send)
    : authenticator_ (std::move (credentials)),
      software_ (std::move (software)),
      send_ (std::move (send)),
      transactions_ (scheduler, times, send_) {}

void
Requester::reset (bool reliable) {
  transactions_.reset (reliable);
}

std::vector<std::uint8_t>
Requester::build (Asked *asked, TransactionId *id) {
  *id = random_transaction_id ();
  MessageWriter writer (MessageClass::request, asked->method, *id);
  if (!software_.empty ()) writer.add_text (kSoftware, software_);
  asked->fill (&writer);
  asked->was_signed = authenticator_.challenged ();
  asked->with = authenticator_.credentials ();
  authenticator_.sign (&writer);
  writer.add_fingerprint ();
  return writer.take ();
}

void
Requester::request (Method method, Fill fill, Done done) {
  send ({method, std::move (fill), std::move (done)});
}

void
Requester::tell (Method method, const Fill &fill) {
  Asked asked{method, fill, {}};
  TransactionId id;
  send_ (build (&asked, &id));
}

void
Requester::send (Asked asked) {
  TransactionId id;
  auto bytes = build (&asked, &id);
  transactions_.start (
      id, std::move (bytes),
      [this, asked = std::move (asked)] (const Message *message) { answered (asked, message); });
}

bool
Requester::receive (const Message &message) {
  if (message.message_class () != MessageClass::success &&
      message.message_class () != MessageClass::error)
    return false;
  if (!transactions_.waits_for (message.id ())) return false;
  // Of a signed request a success must be signed as well. Errors come without a signature from
  // many servers; a signature that is wrong is somebody else's. The request goes on waiting.
  const auto verdict = authenticator_.check (message);
  const bool success = message.message_class () == MessageClass::success;
  const int code = message.error_code ().value_or (0);
  const bool challenge = !success && (code == kUnauthorized || code == kStaleNonce);
  if ((success && verdict != Authenticator::Verdict::good) ||
      (!success && !challenge && verdict == Authenticator::Verdict::bad)) {
    ++rejected_;
    return true;
  }
  return transactions_.receive (message);
}

void
Requester::answered (Asked asked, const Message *message) {
  if (!message) {
    asked.done ({Reply::Kind::timeout, 0, "the server did not answer", nullptr});
    return;
  }
  if (message->method () != asked.method) {
    asked.done (nonsense (*message, "the answer is to another method"));
    return;
  }
  if (const auto unknown = message->incomprehensible ()) {
    asked.done (nonsense (*message, "the answer has the attribute " + std::to_string (*unknown) +
                                        ", which must be understood and is not"));
    return;
  }
  if (message->message_class () == MessageClass::success) {
    asked.done ({Reply::Kind::success, 0, {}, message});
    return;
  }
  const auto code = message->error_code ();
  if (!code) {
    asked.done (nonsense (*message, "the answer is an error without a code"));
    return;
  }
  const Reply error{Reply::Kind::error, *code, message->error_reason (), message};
  // Only who has shown nothing yet, or has other credentials by now, is asked by a 401.
  const bool first = *code == kUnauthorized &&
                     (!asked.was_signed || !(asked.with == authenticator_.credentials ()));
  if (!first && *code != kStaleNonce) {
    asked.done (error);
    return;
  }
  if (*code == kStaleNonce && ++asked.stale_nonces > kMaxStaleNonces) {
    asked.done (error);
    return;
  }
  if (authenticator_.credentials ().user.empty ()) {
    asked.done (error);
    return;
  }
  if (const auto wrong = authenticator_.read_challenge (*message)) {
    asked.done (nonsense (*message, "the server's challenge is not to be answered: " + *wrong));
    return;
  }
  send (std::move (asked));
}

}  // namespace p2p::turn
