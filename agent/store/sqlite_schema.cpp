#include "store/sqlite_schema.hpp"

namespace p2p {

namespace {

// "p2ps", by which file(1) and we know our own.
constexpr std::int64_t kApplicationId = 0x70327073;

Status
run_steps (SqliteDatabase &database, std::int64_t version,
           const std::vector<Migration> &migrations) {
  for (const Migration &migration : migrations) {
    if (migration.version <= version) continue;
    if (Status status = database.run (migration.sql)) return status;
  }
  const std::string mark =
      "PRAGMA application_id = " + std::to_string (kApplicationId) +
      "; PRAGMA user_version = " + std::to_string (migrations.back ().version) + ";";
  return database.run (mark.c_str ());
}

// Answers the version; an error for what is not ours, or not ours yet.
Result<std::int64_t>
checked_version (SqliteDatabase &database, const std::string &path, std::int64_t newest) {
  auto version = database.number ("PRAGMA user_version");
  if (!version) return version;
  auto application = database.number ("PRAGMA application_id");
  if (!application) return application;
  auto objects = database.number ("SELECT count(*) FROM sqlite_master");
  if (!objects) return objects;
  const bool fresh = *version == 0 && *application == 0 && *objects == 0;
  if (!fresh && *application != kApplicationId)
    return Error{P2P_ERROR_STORE, "The database " + path +
                                      " belongs to another program. Name another file for the "
                                      "session store."};
  if (*version > newest)
    return Error{P2P_ERROR_STORE, "The session store " + path +
                                      " was written by a newer version of gst-p2p (format " +
                                      std::to_string (*version) + ", this one knows " +
                                      std::to_string (newest) +
                                      "). Update gst-p2p, or name another file."};
  return version;
}

// All of one moment: another process may be making the file between one question and the next.
Result<std::int64_t>
version_now (SqliteDatabase &database, const std::string &path, std::int64_t newest) {
  if (Status status = database.run ("BEGIN")) return *status;
  auto version = checked_version (database, path, newest);
  if (Status status = database.run ("ROLLBACK"); status && version) return *status;
  return version;
}

}  // namespace

const std::vector<Migration> &
store_migrations () {
  // A step that was released is never changed: another one follows it.
  static const std::vector<Migration> migrations = {
      {1, R"(
        CREATE TABLE owner (
          id INTEGER PRIMARY KEY,
          name BLOB NOT NULL UNIQUE,
          term INTEGER NOT NULL);
        CREATE TABLE item (
          owner INTEGER NOT NULL REFERENCES owner (id),
          key BLOB NOT NULL,
          value BLOB NOT NULL,
          PRIMARY KEY (owner, key));
      )"},
  };
  return migrations;
}

Status
migrate (SqliteDatabase &database, const std::string &path,
         const std::vector<Migration> &migrations) {
  const std::int64_t newest = migrations.back ().version;
  auto version = version_now (database, path, newest);
  if (!version) return version.error ();
  if (*version == newest) return {};
  if (Status status = database.run ("BEGIN IMMEDIATE")) return status;
  // Another process may have done it while this one waited.
  version = checked_version (database, path, newest);
  Status status = version ? run_steps (database, *version, migrations) : Status (version.error ());
  if (!status) status = database.run ("COMMIT");
  // Fails where SQLite has rolled back already, which is as good.
  if (status) (void)database.run ("ROLLBACK");
  return status;
}

}  // namespace p2p
