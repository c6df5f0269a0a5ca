// One owner's part of a store in SQLite, held by this process. Calls wait for the disk; one thread
// at a time.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "store/session_store.hpp"
#include "store/sqlite_database.hpp"
#include "store/sqlite_file.hpp"

namespace p2p {

struct SqliteOptions {
  std::string path;
  // In WAL mode, what was committed outlives the process in either case, because it is in the
  // kernel's hands. `normal` leaves the disk to the checkpoints: after a power cut the file is
  // whole, and the last commits may be missing. `full` waits for the disk at each commit.
  bool full_sync = false;
};

class SqliteOwner {
 public:
  // `wait` as of SqliteDatabase. Takes the lock, the next term, and what is there.
  static Result<std::unique_ptr<SqliteOwner>> open (const SqliteOptions &options,
                                                    const std::string &owner,
                                                    SqliteDatabase::Wait wait);

  std::uint64_t term () const { return term_; }
  Result<std::vector<StoreItem>> items ();
  // All of the batches or none of them. P2P_ERROR_FENCED when the term is no longer ours.
  Status write (const std::vector<const StoreBatch *> &batches);
  void keep_log_on_close () { database_->keep_log_on_close (); }

 private:
  SqliteOwner (const SqliteOptions &options, const std::string &owner)
      : options_ (options), owner_ (owner) {}

  Status prepare ();
  Status take_term ();
  Status check_term ();
  Status apply (const StoreBatch &batch);

  const SqliteOptions options_;
  const std::string owner_;
  // The lock is free only after the database is closed.
  std::unique_ptr<OwnerLock> lock_;
  std::unique_ptr<SqliteDatabase> database_;
  std::int64_t id_ = 0;
  std::uint64_t term_ = 0;
  std::unique_ptr<SqliteStatement> put_, erase_, erase_range_, read_term_;
};

}  // namespace p2p
