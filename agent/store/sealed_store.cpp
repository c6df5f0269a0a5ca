#include "store/sealed_store.hpp"

namespace p2p {

namespace {

// Stands in every encrypted store, so that a wrong key is told from a damaged value. No key of a
// session begins so.
constexpr char kMark[] = ".sealed";

Error
refused (const std::string &what) {
  return {P2P_ERROR_STORE, what};
}

}  // namespace

SealedStore::SealedStore (std::unique_ptr<SessionStore> below, std::unique_ptr<StoreKey> key)
    : key_ (std::move (key)), below_ (std::move (below)) {}

SealedStore::~SealedStore () = default;

StoreChange
SealedStore::mark () {
  const auto nothing = Ref<GBytes>::adopt (g_bytes_new_static ("", 0));
  return StoreChange::put (kMark, key_->seal (owner_, kMark, nothing.get ()));
}

void
SealedStore::open (const std::string &owner, OpenDone done) {
  owner_ = owner;
  below_->open (owner, [this, done = std::move (done)] (Result<Opened> result) {
    if (result)
      opened (std::move (*result), done);
    else
      done (std::move (result));
  });
}

void
SealedStore::opened (Opened all, const OpenDone &done) {
  auto mark_item = all.items.begin ();
  while (mark_item != all.items.end () && mark_item->key != kMark) ++mark_item;
  const bool sealed = mark_item != all.items.end ();
  if (!key_) {
    if (sealed)
      done (refused ("The sessions of \"" + owner_ +
                     "\" are encrypted. Name the key file of the session store."));
    else
      done (std::move (all));
    return;
  }
  if (!sealed && !all.items.empty ()) {
    done (refused ("The sessions of \"" + owner_ +
                   "\" are not encrypted, and a key file is given. Leave it out, or name another "
                   "session store."));
    return;
  }
  if (!sealed) {
    below_->commit ({mark ()}, [all = std::move (all), done] (const Status &status) mutable {
      if (status)
        done (*status);
      else
        done (std::move (all));
    });
    return;
  }
  if (!key_->open (owner_, kMark, mark_item->value.get ())) {
    done (refused ("The sessions of \"" + owner_ +
                   "\" were encrypted with another key than that of the given file. Name the file "
                   "that they were begun with."));
    return;
  }
  all.items.erase (mark_item);
  for (StoreItem &item : all.items) {
    auto value = key_->open (owner_, item.key, item.value.get ());
    if (!value) {
      done (refused ("The value \"" + item.key + "\" of the sessions of \"" + owner_ +
                     "\" was changed by somebody without the key, or is damaged. Its session "
                     "must be begun anew, in another session store."));
      return;
    }
    item.value = std::move (value);
  }
  done (std::move (all));
}

void
SealedStore::commit (StoreBatch batch, Done done) {
  if (key_) {
    bool marked = true;
    for (StoreChange &change : batch) {
      if (change.value) change.value = key_->seal (owner_, change.key, change.value.get ());
      if (change.kind == StoreChange::Kind::erase_range && change.key <= kMark &&
          change.end > kMark)
        marked = false;
    }
    if (!marked) batch.push_back (mark ());
  }
  below_->commit (std::move (batch), std::move (done));
}

}  // namespace p2p
