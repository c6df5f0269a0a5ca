#include "store/sqlite_owner.hpp"

#include "store/sqlite_schema.hpp"

namespace p2p {

namespace {

// After a checkpoint the log shrinks to this much; it grows with the largest transaction.
constexpr char kSettings[] =
    "PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 16777216;";

// Asked for only where it is not so: the switch wants the file for itself.
Status
use_log (SqliteDatabase &database, const std::string &path) {
  auto statement = SqliteStatement::prepare (database, "PRAGMA journal_mode");
  if (!statement) return statement.error ();
  auto row = statement->step ();
  if (!row) return row.error ();
  if (statement->blob (0) == "wal") return {};
  statement->reset ();
  statement = SqliteStatement::prepare (database, "PRAGMA journal_mode = WAL");
  if (!statement) return statement.error ();
  row = statement->step ();
  if (!row) return row.error ();
  if (statement->blob (0) == "wal") return {};
  return Error{P2P_ERROR_STORE, "The session store " + path +
                                    " cannot have a write-ahead log there. Put it on a disk of "
                                    "this machine."};
}

Result<std::unique_ptr<SqliteStatement>>
keep (Result<SqliteStatement> statement) {
  if (!statement) return statement.error ();
  return {std::make_unique<SqliteStatement> (std::move (*statement))};
}

}  // namespace

Result<std::unique_ptr<SqliteOwner>>
SqliteOwner::open (const SqliteOptions &options, const std::string &owner,
                   SqliteDatabase::Wait wait) {
  std::unique_ptr<SqliteOwner> self (new SqliteOwner (options, owner));
  if (Status status = prepare_store_file (options.path)) return *status;
  auto lock = OwnerLock::take (options.path, owner);
  if (!lock) return lock.error ();
  self->lock_ = std::move (*lock);
  auto database = SqliteDatabase::open (options.path, wait);
  if (!database) return database.error ();
  self->database_ = std::move (*database);
  for (int tries = 0;; ++tries) {
    const Status status = self->prepare ();
    if (!status) return {std::move (self)};
    // SQLite asks the busy handler not always: not for a log that is being recovered or made.
    const bool again = status->code == P2P_ERROR_WOULD_BLOCK && wait (tries);
    if (!again)
      return Error{status->code == P2P_ERROR_WOULD_BLOCK ? P2P_ERROR_STORE : status->code,
                   status->message};
  }
}

Status
SqliteOwner::prepare () {
  if (Status status = database_->run (kSettings)) return status;
  if (Status status = use_log (*database_, options_.path)) return status;
  if (Status status = migrate (*database_, options_.path, store_migrations ())) return status;
  const struct {
    std::unique_ptr<SqliteStatement> &statement;
    const char *sql;
  } statements[] = {
      {put_,
       "INSERT INTO item (owner, key, value) VALUES (?1, ?2, ?3) "
       "ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value"},
      {erase_, "DELETE FROM item WHERE owner = ?1 AND key = ?2"},
      {erase_range_, "DELETE FROM item WHERE owner = ?1 AND key >= ?2 AND key < ?3"},
      {read_term_, "SELECT term FROM owner WHERE id = ?1"},
  };
  for (const auto &[statement, sql] : statements) {
    auto prepared = keep (SqliteStatement::prepare (*database_, sql));
    if (!prepared) return prepared.error ();
    statement = std::move (*prepared);
  }
  return take_term ();
}

// On the disk before anybody hears of it, whatever the option says: a term that a power cut took
// back would be handed out twice.
Status
SqliteOwner::take_term () {
  if (Status status = database_->run ("PRAGMA synchronous = FULL")) return status;
  auto take = SqliteStatement::prepare (*database_,
                                        "INSERT INTO owner (name, term) VALUES (?1, 1) "
                                        "ON CONFLICT (name) DO UPDATE SET term = term + 1 "
                                        "RETURNING id, term");
  if (!take) return take.error ();
  take->bind (1, std::string_view (owner_));
  auto row = take->step ();
  if (!row) return row.error ();
  id_ = take->number (0);
  term_ = static_cast<std::uint64_t> (take->number (1));
  if (Status status = take->finish ()) return status;
  return options_.full_sync ? Status () : database_->run ("PRAGMA synchronous = NORMAL");
}

Result<std::vector<StoreItem>>
SqliteOwner::items () {
  auto read = SqliteStatement::prepare (
      *database_, "SELECT key, value FROM item WHERE owner = ?1 ORDER BY key");
  if (!read) return read.error ();
  read->bind (1, id_);
  std::vector<StoreItem> items;
  for (;;) {
    auto row = read->step ();
    if (!row) return row.error ();
    if (!*row) return items;
    const std::string_view value = read->blob (1);
    items.push_back ({std::string (read->blob (0)),
                      Ref<GBytes>::adopt (g_bytes_new (value.data (), value.size ()))});
  }
}

Status
SqliteOwner::check_term () {
  read_term_->bind (1, id_);
  auto row = read_term_->step ();
  const bool ours = row && *row && static_cast<std::uint64_t> (read_term_->number (0)) == term_;
  read_term_->reset ();
  if (!row) return row.error ();
  if (!ours)
    return Error{P2P_ERROR_FENCED, "Another agent took over the sessions of \"" + owner_ +
                                       "\" in " + options_.path +
                                       "; this one has stopped using them."};
  return {};
}

Status
SqliteOwner::apply (const StoreBatch &batch) {
  for (const StoreChange &change : batch) {
    SqliteStatement *statement = nullptr;
    switch (change.kind) {
      case StoreChange::Kind::put:
        statement = put_.get ();
        statement->bind (3, change.value.get ());
        break;
      case StoreChange::Kind::erase:
        statement = erase_.get ();
        break;
      case StoreChange::Kind::erase_range:
        statement = erase_range_.get ();
        statement->bind (3, std::string_view (change.end));
        break;
    }
    statement->bind (1, id_);
    statement->bind (2, std::string_view (change.key));
    if (Status status = statement->finish ()) return status;
  }
  return {};
}

Status
SqliteOwner::write (const std::vector<const StoreBatch *> &batches) {
  if (database_->moved ())
    return Error{P2P_ERROR_STORE, "The session store " + options_.path +
                                      " was moved or deleted while it was in use. Put it back and "
                                      "start again."};
  Status status = database_->run ("BEGIN IMMEDIATE");
  if (!status) status = check_term ();
  for (const StoreBatch *batch : batches)
    if (!status) status = apply (*batch);
  if (!status) status = database_->run ("COMMIT");
  // Fails where SQLite has rolled back already, which is as good.
  if (status) (void)database_->run ("ROLLBACK");
  return status;
}

}  // namespace p2p
