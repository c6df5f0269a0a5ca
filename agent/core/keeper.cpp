#include "core/keeper.hpp"

#include <algorithm>

namespace p2p {

namespace {

// Ids have no such character, so that prefixes of two peers never mix.
constexpr char kSeparator = '/', kAfterSeparator = '0';
constexpr const char *kRecordKey = "session";
// Between batches of positions alone: a store is not to be busy with what the next one overtakes.
// What a fast sender sends in that time fits its buffer.
constexpr TimeUs kPositionsEvery = 4 * kMillisecond;

}  // namespace

Keeper::Keeper (std::weak_ptr<SessionStore> store, Scheduler &clock, std::string peer)
    : store_ (std::move (store)),
      clock_ (clock),
      prefix_ (std::move (peer) + kSeparator),
      timer_ (clock.make_timer ([this] { turn (); })) {}

void
Keeper::set_session (Session *session) {
  if (session_) session_->set_keeper (nullptr);
  session_ = session;
  if (session_) session_->set_keeper (this);
}

void
Keeper::set_record (const SessionRecord &record) {
  record_ = record;
  record_dirty_ = true;
  session_has_changes (true);
}

void
Keeper::begin () {
  erase_first_ = true;
  session_has_changes (true);
}

void
Keeper::forget () {
  if (std::exchange (over_, true)) return;
  set_session (nullptr);
  timer_->disarm ();
  commit ({erase_all ()}, false);
}

StoreChange
Keeper::erase_all () const {
  std::string end = prefix_;
  end.back () = kAfterSeparator;
  return StoreChange::erase_range (prefix_, end);
}

void
Keeper::session_has_changes (bool urgent) {
  changes_ = true;
  urgent_ = urgent_ || urgent;
  if (!busy_ && !over_) arm ();
}

// Not from inside of the session.
void
Keeper::arm () {
  const TimeUs now = clock_.now ();
  timer_->arm (urgent_ ? now : std::max (now, committed_at_ + kPositionsEvery));
}

void
Keeper::turn () {
  if (busy_ || over_ || !std::exchange (changes_, false)) return;
  urgent_ = false;
  StoreBatch batch;
  if (std::exchange (erase_first_, false)) batch.push_back (erase_all ());
  if (std::exchange (record_dirty_, false)) {
    std::string text = session_record_to_json (*record_, Secrets::shown);
    if (text != record_text_)
      batch.push_back (StoreChange::put (
          prefix_ + kRecordKey, Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()))));
    record_text_ = std::move (text);
  }
  if (session_)
    for (MemoryChange &change : session_->take_changes ()) {
      if (change.value)
        batch.push_back (StoreChange::put (prefix_ + change.key, std::move (change.value)));
      else if (change.end.empty ())
        batch.push_back (StoreChange::erase (prefix_ + change.key));
      else
        batch.push_back (StoreChange::erase_range (prefix_ + change.key, prefix_ + change.end));
    }
  if (!batch.empty ()) commit (std::move (batch), true);
}

void
Keeper::commit (StoreBatch batch, bool of_session) {
  const auto store = store_.lock ();
  if (!store) return;
  busy_ = true;
  committed_at_ = clock_.now ();
  store->commit (std::move (batch),
                 [this, alive = std::weak_ptr<bool> (alive_), of_session] (const Status &failed) {
                   if (alive.expired ()) return;
                   busy_ = false;
                   // Whoever has the store is told of its loss, once for all sessions.
                   if (failed) return;
                   if (session_ && of_session) session_->changes_kept ();
                   if (changes_ && !over_) arm ();
                 });
}

std::vector<Keeper::Kept>
Keeper::sort (const std::vector<StoreItem> &items) {
  std::vector<Kept> all;
  for (const StoreItem &item : items) {
    const std::size_t at = item.key.find (kSeparator);
    if (at == std::string::npos) continue;
    const std::string peer = item.key.substr (0, at), rest = item.key.substr (at + 1);
    if (all.empty () || all.back ().peer != peer) all.push_back ({peer, {}, {}});
    if (rest == kRecordKey) {
      gsize size = 0;
      const auto *data = static_cast<const char *> (g_bytes_get_data (item.value.get (), &size));
      all.back ().record.assign (data, size);
    } else {
      all.back ().items.push_back ({rest, item.value});
    }
  }
  return all;
}

}  // namespace p2p
