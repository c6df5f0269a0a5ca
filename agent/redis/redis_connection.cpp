#include "redis/redis_connection.hpp"

#include <algorithm>

namespace p2p {

namespace {

constexpr std::size_t kMaxQuotedBytes = 160;
// When time has passed because this process stood still, the answer lies in the socket already.
constexpr TimeUs kLastChanceUs = 50 * kMillisecond;

// RESP2: an array of strings, each with its length before it, so that any byte may stand in it.
std::string
encoded (const std::vector<std::string> &words) {
  std::string out = "*" + std::to_string (words.size ()) + "\r\n";
  for (const std::string &word : words)
    out += "$" + std::to_string (word.size ()) + "\r\n" + word + "\r\n";
  return out;
}

bool
starts_with (const std::string &text, const char *start) {
  return text.rfind (start, 0) == 0;
}

}  // namespace

RedisConnection::RedisConnection (GMainContext *context, Scheduler &scheduler,
                                  const RedisAddress &address, const RedisOptions &options)
    : scheduler_ (scheduler),
      address_ (address),
      options_ (options),
      link_ (context, address_, options.max_reply_bytes, *this),
      random_ (std::random_device{}()),
      retry_ (scheduler.make_timer ([this] { connect (); })),
      deadline_ (scheduler.make_timer ([this] { on_deadline (); })),
      quiet_ (scheduler.make_timer ([this] { on_quiet (); })) {}

RedisConnection::~RedisConnection () = default;

void
RedisConnection::start () {
  retry_->arm (scheduler_.now ());
}

void
RedisConnection::connect () {
  last_chance_ = true;  // nobody is there to be heard yet
  deadline_->arm (scheduler_.now () + options_.answer_within_us);
  link_.open ();
}

void
RedisConnection::link_open () {
  open_ = true;
  greet ();
}

// The first commands of a connection, in one go: what follows a refusal is never read.
void
RedisConnection::greet () {
  const bool subscriber = options_.role == RedisOptions::Role::subscriber;
  if (!address_.password.empty ()) {
    std::vector<std::string> words = {"AUTH"};
    if (!address_.user.empty ()) words.push_back (address_.user);
    words.push_back (address_.password);
    send_greeting (words, P2P_ERROR_NOT_AUTHORIZED,
                   "does not take the user or password of its URI");
  }
  // Messages are published to all databases.
  if (address_.database != 0 && !subscriber)
    send_greeting ({"SELECT", std::to_string (address_.database)}, P2P_ERROR_INVALID_ARGUMENT,
                   "does not give the database of its URI");
  // A server that loads its data refuses this, and all that may follow.
  send_greeting ({"PING"}, P2P_ERROR_REFUSED, "takes no commands");
  for (const std::string &channel : channels_) send_subscribe ("SUBSCRIBE", channel);
}

void
RedisConnection::send_greeting (const std::vector<std::string> &words, P2pError code,
                                const char *wrong) {
  send (
      words,
      [this, code, wrong] (const Result<RedisReply> &answer) { on_greeted (code, wrong, answer); },
      true);
}

void
RedisConnection::send_subscribe (const char *command, const std::string &channel) {
  send_greeting ({command, channel}, P2P_ERROR_REFUSED, "does not let its messages be read");
}

void
RedisConnection::on_greeted (P2pError code, const char *wrong, const Result<RedisReply> &answer) {
  if (answer) {
    if (!ready_ && pending_.empty ()) become_ready ();
    return;
  }
  const std::string &text = answer.error ().message;
  if (starts_with (text, "LOADING"))
    lose ({P2P_ERROR_REFUSED, where () + " still loads its data; it is tried again."});
  else if (starts_with (text, "NOAUTH"))
    lose ({P2P_ERROR_NOT_AUTHORIZED,
           where () + " wants a password; put it into the URI, as in redis://:password@host. It is "
                      "tried again."});
  else
    lose ({code, where () + " " + wrong + ": " + quoted (text) + ". It is tried again."});
}

void
RedisConnection::become_ready () {
  ready_ = true;
  failures_ = 0;
  last_reason_.clear ();
  ++stats_.connections;
  quiet_->arm (scheduler_.now () + options_.quiet_us);
  if (observer_) observer_->redis_ready ();
}

Status
RedisConnection::command (const std::vector<std::string> &words, Done done) {
  std::size_t bytes = 0;
  for (const std::string &word : words) bytes += word.size ();
  if (!ready_) {
    ++stats_.refused;
    return Error{P2P_ERROR_NOT_CONNECTED, "There is no connection to " + where () +
                                              "; the command was not sent. It is tried again."};
  }
  if (pending_bytes_ + bytes > options_.max_queue_bytes) {
    ++stats_.refused;
    return Error{P2P_ERROR_WOULD_BLOCK,
                 where () + " takes commands too slowly; this one was not sent. Try again later."};
  }
  ++stats_.commands;
  send (words, [this, done = std::move (done), name = words[0]] (Result<RedisReply> answer) {
    if (!done) return;
    if (!answer && answer.error ().code == P2P_ERROR_REFUSED)
      answer = Error{P2P_ERROR_REFUSED,
                     where () + " refuses " + name + ": " + quoted (answer.error ().message) + "."};
    done (std::move (answer));
  });
  return std::nullopt;
}

void
RedisConnection::send (const std::vector<std::string> &words, Done done, bool greeting) {
  const std::string text = encoded (words);
  pending_.push_back ({words[0], text.size (), std::move (done), greeting});
  pending_bytes_ += text.size ();
  link_.write (text);
  if (pending_.size () == 1) watch_pending ();
}

void
RedisConnection::subscribe (const std::string &channel) {
  if (channels_.insert (channel).second && open_) send_subscribe ("SUBSCRIBE", channel);
}

void
RedisConnection::unsubscribe (const std::string &channel) {
  if (channels_.erase (channel) != 0 && open_) send_subscribe ("UNSUBSCRIBE", channel);
}

void
RedisConnection::link_reply (RedisReply reply) {
  last_chance_ = false;
  if (ready_) quiet_->arm (scheduler_.now () + options_.quiet_us);
  if (options_.role == RedisOptions::Role::subscriber && reply.is_array_of (3) &&
      reply.items[0].text == "message") {
    // Messages may keep an answer from us for a while; they show as well that somebody is there.
    watch_pending ();
    if (ready_ && observer_ && channels_.count (reply.items[1].text) != 0)
      observer_->redis_message (reply.items[1].text, reply.items[2].text);
    return;
  }
  if (pending_.empty ()) {
    lose ({P2P_ERROR_PROTOCOL, where () + " has answered what nobody asked; it is tried again."});
    return;
  }
  const Pending answered = std::move (pending_.front ());
  pending_.pop_front ();
  pending_bytes_ -= answered.bytes;
  watch_pending ();
  if (!answered.done) return;
  if (reply.kind == RedisReply::Kind::error)
    answered.done (Error{P2P_ERROR_REFUSED, std::move (reply.text)});
  else
    answered.done (std::move (reply));
}

void
RedisConnection::link_closed (P2pError code, const std::string &why) {
  if (code == P2P_ERROR_PROTOCOL)
    lose ({code, "What answers at " + address_.text +
                     " does not speak as Redis does: " + quoted (why) + ". It is tried again."});
  else if (!open_)
    lose ({code, where () + " cannot be reached: " + why + ". It is tried again."});
  else
    lose ({code, "The connection to " + where () + " is lost: " + why + ". It is tried again."});
}

// A long queue may take its time, as long as it moves.
void
RedisConnection::watch_pending () {
  if (pending_.empty ())
    deadline_->disarm ();
  else
    deadline_->arm (scheduler_.now () + options_.answer_within_us);
}

void
RedisConnection::on_deadline () {
  if (!std::exchange (last_chance_, true)) {
    deadline_->arm (scheduler_.now () + kLastChanceUs);
    return;
  }
  const std::string limit = std::to_string (options_.answer_within_us / kMillisecond) + " ms";
  lose ({P2P_ERROR_TIMED_OUT, where () + " has not answered within " + limit +
                                  "; it is away, stopped or overloaded. It is tried again."});
}

void
RedisConnection::on_quiet () {
  if (pending_.empty ()) send ({"PING"}, {});
  quiet_->arm (scheduler_.now () + options_.quiet_us);
}

void
RedisConnection::lose (const Error &reason) {
  link_.close ();
  open_ = false;
  if (std::exchange (ready_, false)) ++stats_.losses;
  deadline_->disarm ();
  quiet_->disarm ();
  // Half of each wait is random, so that many clients do not come back at the same moment.
  const TimeUs span =
      std::min (options_.first_retry_us << std::min (failures_++, 16u), options_.longest_retry_us);
  retry_->arm (scheduler_.now () +
               std::uniform_int_distribution<TimeUs> (span / 2, span) (random_));
  const std::deque<Pending> pending = std::exchange (pending_, {});
  pending_bytes_ = 0;
  const bool news = std::exchange (last_reason_, reason.message) != reason.message;
  const std::weak_ptr<bool> alive = alive_;
  for (const Pending &one : pending) {
    if (one.greeting || !one.done) continue;
    ++stats_.unanswered;
    one.done (Error{reason.code,
                    reason.message + " Whether " + one.name + " was carried out is not known."});
    if (alive.expired ()) return;
  }
  if (news && observer_) observer_->redis_lost (reason);
}

// A server's text as part of a message of ours: short, in one line, and never with the password,
// which a server that is none may send back.
std::string
RedisConnection::quoted (const std::string &text) const {
  // Redis quotes the arguments of a command that it does not know.
  std::string safe = text.substr (0, text.find (", with args beginning with"));
  const std::string &secret = address_.password;
  for (std::size_t at = 0; !secret.empty () && (at = safe.find (secret, at)) != std::string::npos;)
    safe.replace (at, secret.size (), "*");
  safe.resize (std::min (safe.size (), kMaxQuotedBytes));
  for (char &c : safe)
    if (!g_ascii_isprint (c)) c = ' ';
  return "\"" + safe + "\"";
}

}  // namespace p2p
