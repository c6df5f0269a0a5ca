#include "store/sqlite_database.hpp"

#include <cerrno>

namespace p2p {

namespace {

// What happened and what to do, after "The session store PATH ".
std::string
sentence (int code, int number, const char *message) {
  if (code == SQLITE_FULL || (code == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT)))
    return "is on a disk that is full. Free some space and start again; what was confirmed is "
           "kept.";
  switch (code) {
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return "may only be read. Let this user write the file and its folder, or name another one.";
    case SQLITE_CORRUPT:
      return "is damaged. Move it away, together with its -wal file; its sessions must be begun "
             "anew.";
    case SQLITE_NOTADB:
      return "is not an SQLite database. Name another file, or move this one away.";
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      return std::string ("cannot be ") +
             (code == SQLITE_IOERR ? "read or written: " : "opened: ") +
             (number != 0 ? g_strerror (number) : message) +
             ". Look after the disk and its limits, and start again.";
    default:
      return std::string ("failed: ") + message + ".";
  }
}

int
on_busy (void *data, int tries) {
  return (*static_cast<const SqliteDatabase::Wait *> (data)) (tries) ? 1 : 0;
}

}  // namespace

Result<std::unique_ptr<SqliteDatabase>>
SqliteDatabase::open (const std::string &path, Wait wait) {
  std::unique_ptr<SqliteDatabase> database (new SqliteDatabase (path, std::move (wait)));
  // Even a connection that failed to open is there to be asked why, and to be closed.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened = sqlite3_open_v2 (path.c_str (), &database->handle_, flags, nullptr);
  if (!database->handle_)
    return Error{P2P_ERROR_STORE,
                 "The session store " + path + " cannot be opened: out of memory."};
  if (opened != SQLITE_OK) return database->error ();
  sqlite3_busy_handler (database->handle_, on_busy, const_cast<Wait *> (&database->wait_));
  // What stands in a file that somebody else made is data, never code.
  sqlite3_db_config (database->handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config (database->handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (sqlite3_db_readonly (database->handle_, "main") == 1)
    return Error{P2P_ERROR_STORE,
                 "The session store " + path + " " + sentence (SQLITE_READONLY, 0, "")};
  return {std::move (database)};
}

SqliteDatabase::~SqliteDatabase () {
  sqlite3_close (handle_);
}

Error
SqliteDatabase::error () const {
  const int code = sqlite3_errcode (handle_) & 0xff;
  const bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
  return {busy ? P2P_ERROR_WOULD_BLOCK : P2P_ERROR_STORE,
          "The session store " + path_ + " " +
              (busy ? "is locked by another program for too long. End that program's transaction."
                    : sentence (code, sqlite3_system_errno (handle_), sqlite3_errmsg (handle_)))};
}

Status
SqliteDatabase::run (const char *sql) {
  if (sqlite3_exec (handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return error ();
}

Result<std::int64_t>
SqliteDatabase::number (const char *sql) {
  auto statement = SqliteStatement::prepare (*this, sql);
  if (!statement) return statement.error ();
  auto row = statement->step ();
  if (!row) return row.error ();
  return *row ? statement->number (0) : 0;
}

bool
SqliteDatabase::moved () const {
  int moved = 0;
  sqlite3_file_control (handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved != 0;
}

void
SqliteDatabase::keep_log_on_close () {
  sqlite3_db_config (handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

Result<SqliteStatement>
SqliteStatement::prepare (SqliteDatabase &database, const char *sql) {
  SqliteStatement statement (database);
  sqlite3_stmt *handle = nullptr;
  if (sqlite3_prepare_v3 (database.handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr) !=
      SQLITE_OK)
    return database.error ();
  statement.handle_.reset (handle);
  return {std::move (statement)};
}

void
SqliteStatement::bind (int index, std::int64_t value) {
  sqlite3_bind_int64 (handle_.get (), index, value);
}

void
SqliteStatement::bind (int index, std::string_view blob) {
  sqlite3_bind_blob64 (handle_.get (), index, blob.data (), blob.size (), SQLITE_STATIC);
}

void
SqliteStatement::bind (int index, GBytes *blob) {
  gsize size = 0;
  const void *data = g_bytes_get_data (blob, &size);
  // A null pointer would be NULL, which is no value.
  sqlite3_bind_blob64 (handle_.get (), index, size > 0 ? data : "", size, SQLITE_STATIC);
}

Result<bool>
SqliteStatement::step () {
  switch (sqlite3_step (handle_.get ())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return database_->error ();
  }
}

Status
SqliteStatement::finish () {
  for (;;) {
    auto row = step ();
    if (row && *row) continue;
    reset ();
    return row ? Status () : Status (row.error ());
  }
}

void
SqliteStatement::reset () {
  sqlite3_reset (handle_.get ());
  sqlite3_clear_bindings (handle_.get ());
}

std::int64_t
SqliteStatement::number (int column) const {
  return sqlite3_column_int64 (handle_.get (), column);
}

std::string_view
SqliteStatement::blob (int column) const {
  const auto *data = static_cast<const char *> (sqlite3_column_blob (handle_.get (), column));
  const int size = sqlite3_column_bytes (handle_.get (), column);
  return {data ? data : "", static_cast<std::size_t> (size)};
}

}  // namespace p2p
