#include "store/redis_store.hpp"

#include "store/redis_scripts.hpp"

namespace p2p {

namespace {

// One value may have so much; a server takes half a gigabyte.
constexpr std::size_t kMaxValueBytes = 128 * 1024 * 1024;

RedisOptions
connection_options () {
  RedisOptions options;
  options.max_queue_bytes = 2 * kMaxValueBytes;
  options.max_reply_bytes = kMaxValueBytes;
  return options;
}

void
add_change (std::vector<std::string> &words, const StoreChange &change) {
  switch (change.kind) {
    case StoreChange::Kind::put: {
      gsize size = 0;
      const auto *data = static_cast<const char *> (g_bytes_get_data (change.value.get (), &size));
      words.insert (words.end (), {"put", change.key, std::string (data ? data : "", size)});
      break;
    }
    case StoreChange::Kind::erase:
      words.insert (words.end (), {"erase", change.key, ""});
      break;
    case StoreChange::Kind::erase_range:
      words.insert (words.end (), {"range", change.key, change.end});
      break;
  }
}

// A server says so while it loads, persists badly, is out of memory, or is about to be replaced.
bool
passes (const std::string &text) {
  for (const char *word : {"LOADING", "BUSY", "OOM", "MISCONF", "READONLY", "MASTERDOWN",
                           "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"})
    if (text.find (word) != std::string::npos) return true;
  return false;
}

}  // namespace

RedisStore::RedisStore (GMainContext *context, Scheduler &scheduler, const RedisAddress &address,
                        const Options &options)
    : scheduler_ (scheduler),
      options_ (options),
      connection_ (context, scheduler, address, connection_options ()),
      open_limit_ (scheduler.make_timer ([this] {
        opened (Error{P2P_ERROR_STORE, last_reason_.empty ()
                                           ? where () + " does not answer. Start it, or correct "
                                                        "the session store's URI."
                                           : last_reason_});
      })),
      look_ (scheduler.make_timer ([this] { look (); })),
      retry_ (scheduler.make_timer ([this] {
        pausing_ = false;
        go_on ();
      })),
      finish_ (scheduler.make_timer ([this] { finish (); })),
      self_ (std::make_shared<RedisStore *> (this)) {
  connection_.set_observer (this);
}

RedisStore::~RedisStore () {
  connection_.set_observer (nullptr);
}

bool
RedisStore::send (const std::vector<std::string> &words, Then then) {
  // The connection calls nobody after its end, which is ours.
  return !connection_.command (
      words, [this, then = std::move (then), round = round_] (Result<RedisReply> answer) {
        if (round != round_) return;
        if (answer)
          then (*this, *answer);
        else
          refused (answer.error ());
      });
}

// All that is under way goes again: of commits, nothing after this one is applied, as its number is
// missing there.
void
RedisStore::refused (const Error &error) {
  ++round_;
  sent_ = 0;
  sent_bytes_ = 0;
  last_reason_ = error.message;
  if (!connection_.ready ()) return;  // once it is back
  if (passes (error.message)) {
    pausing_ = true;
    retry_->arm (scheduler_.now () + options_.retry_us);
    return;
  }
  const Error final = {P2P_ERROR_STORE, error.message};
  if (open_done_)
    opened (final);
  else
    lose (final);
}

void
RedisStore::go_on () {
  if (pausing_ || !connection_.ready ()) return;
  if (open_done_)
    take_term ();
  else
    pump ();
}

void
RedisStore::open (const std::string &owner, OpenDone done) {
  owner_ = owner;
  open_done_ = std::move (done);
  open_limit_->arm (scheduler_.now () + options_.open_within_us);
  connection_.start ();
}

void
RedisStore::redis_ready () {
  last_reason_.clear ();
  if (term_ != 0 && !lost_) look_->arm (scheduler_.now ());
  go_on ();
}

void
RedisStore::redis_lost (const Error &reason) {
  last_reason_ = reason.message;
  look_->disarm ();
  // Nobody but the user can mend these.
  if (open_done_ &&
      (reason.code == P2P_ERROR_NOT_AUTHORIZED || reason.code == P2P_ERROR_INVALID_ARGUMENT))
    opened (Error{P2P_ERROR_STORE, reason.message});
}

void
RedisStore::opened (Result<Opened> result) {
  open_limit_->disarm ();
  ++round_;
  if (const OpenDone done = std::exchange (open_done_, nullptr)) done (std::move (result));
}

void
RedisStore::take_term () {
  send ({"EVAL", kTakeTermScript, "1", key ("holder")}, [] (RedisStore &self, RedisReply &term) {
    self.opened_ = Opened ();
    self.opened_.term = static_cast<std::uint64_t> (term.number);
    self.send ({"ZRANGE", self.key ("order"), "0", "-1"},
               [] (RedisStore &store, RedisReply &keys) { store.read_items (keys.items); });
  });
}

// One by one: so each answer stays within its limit, however much there is.
void
RedisStore::read_items (const std::vector<RedisReply> &keys) {
  for (const RedisReply &item : keys) read_item (item.text, keys.size ());
  if (opened_.items.size () < keys.size ()) return;
  term_ = static_cast<std::int64_t> (opened_.term);
  look_->arm (scheduler_.now () + options_.look_after_us);
  opened (std::exchange (opened_, Opened ()));
}

void
RedisStore::read_item (const std::string &item, std::size_t all) {
  send ({"HGET", key ("items"), item}, [item, all] (RedisStore &self, RedisReply &value) {
    if (value.kind != RedisReply::Kind::text) {
      self.opened (
          Error{P2P_ERROR_STORE, "The sessions of \"" + self.owner_ + "\" in " + self.where () +
                                     " are damaged: a value is missing. Delete the keys p2p:{" +
                                     self.owner_ + "}:*; the sessions begin anew."});
      return;
    }
    self.opened_.items.push_back (
        {item, Ref<GBytes>::adopt (g_bytes_new (value.text.data (), value.text.size ()))});
    if (self.opened_.items.size () == all) self.read_items ({});
  });
}

void
RedisStore::commit (StoreBatch batch, Done done) {
  Batch one;
  one.bytes = batch_bytes (batch);
  one.done = std::move (done);
  one.words = {"EVAL",
               kCommitScript,
               "3",
               key ("holder"),
               key ("items"),
               key ("order"),
               std::to_string (term_),
               std::to_string (next_number_++)};
  for (const StoreChange &change : batch) add_change (one.words, change);
  waiting_bytes_ += one.bytes;
  waiting_.push_back (std::move (one));
  if (term_ == 0 && !lost_) lost_ = Error{P2P_ERROR_STORE, "The session store is not open."};
  pump ();
}

void
RedisStore::close (Done done) {
  Batch end;
  end.done = std::move (done);
  waiting_.push_back (std::move (end));
  pump ();
}

// Sends what may be under way. What needs no server answers later: all of a lost store, and a close
// with nothing before it.
void
RedisStore::pump () {
  if (lost_ || (!waiting_.empty () && waiting_.front ().words.empty ())) {
    finish_->arm (scheduler_.now ());
    return;
  }
  if (pausing_ || !connection_.ready ()) return;
  while (sent_ < waiting_.size () && !waiting_[sent_].words.empty ()) {
    Batch &batch = waiting_[sent_];
    if (sent_ > 0 && sent_bytes_ + batch.bytes > options_.in_flight_bytes) return;
    if (!send (batch.words,
               [] (RedisStore &self, RedisReply &answer) { self.answered (answer.text); }))
      return;
    sent_bytes_ += batch.bytes;
    ++sent_;
  }
}

void
RedisStore::answered (const std::string &answer) {
  if (answer != "OK") {
    if (answer == "FENCED")
      lose_to_another ();
    else
      lose_what_was_confirmed ();
    return;
  }
  const Batch batch = std::move (waiting_.front ());
  waiting_.pop_front ();
  waiting_bytes_ -= batch.bytes;
  sent_bytes_ -= batch.bytes;
  --sent_;
  const std::weak_ptr<RedisStore *> self = self_;
  batch.done ({});
  if (!self.expired ()) pump ();
}

void
RedisStore::look () {
  look_->arm (scheduler_.now () + options_.look_after_us);
  if (sent_ > 0) return;  // what is under way will tell
  send ({"HGET", key ("holder"), "term"},
        [] (RedisStore &self, RedisReply &answer) { self.check_term (answer); });
}

void
RedisStore::check_term (const RedisReply &answer) {
  const std::int64_t term = g_ascii_strtoll (answer.text.c_str (), nullptr, 10);
  if (term > term_)
    lose_to_another ();
  else if (term < term_)
    lose_what_was_confirmed ();
}

void
RedisStore::lose_to_another () {
  lose ({P2P_ERROR_FENCED, "Another server took over the sessions of \"" + owner_ + "\" in " +
                               where () + "; this one has stopped using them."});
}

void
RedisStore::lose_what_was_confirmed () {
  lose ({P2P_ERROR_STORE, where () + " has lost what it had confirmed of the sessions of \"" +
                              owner_ +
                              "\": it was emptied, or restarted without its data. Start again; set "
                              "appendonly in the server's configuration to prevent it."});
}

void
RedisStore::lose (Error error) {
  if (lost_) return;
  lost_ = std::move (error);
  ++round_;
  sent_ = 0;
  sent_bytes_ = 0;
  look_->disarm ();
  retry_->disarm ();
  finish_->arm (scheduler_.now ());
  if (observer_) observer_->store_lost (*lost_);
}

void
RedisStore::finish () {
  const std::weak_ptr<RedisStore *> self = self_;
  while (!waiting_.empty () && (lost_ || waiting_.front ().words.empty ())) {
    const Batch batch = std::move (waiting_.front ());
    waiting_.pop_front ();
    waiting_bytes_ -= batch.bytes;
    batch.done (lost_);
    if (self.expired ()) return;
  }
}

}  // namespace p2p
