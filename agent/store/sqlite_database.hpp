// One connection to an SQLite file, with errors as sentences. For one thread at a time.
#pragma once
#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/ptr.hpp"

namespace p2p {

class SqliteDatabase {
 public:
  // Called while another connection writes, with the number of calls before: waits a while and
  // answers whether to try again. If not, the call fails with P2P_ERROR_WOULD_BLOCK.
  using Wait = std::function<bool (int tries)>;

  // The file must exist.
  static Result<std::unique_ptr<SqliteDatabase>> open (const std::string &path, Wait wait);
  ~SqliteDatabase ();
  SqliteDatabase (const SqliteDatabase &) = delete;
  SqliteDatabase &operator= (const SqliteDatabase &) = delete;

  Status run (const char *sql);
  Result<std::int64_t> number (const char *sql);  // the first column of the first row; 0 without
  bool moved () const;  // the file has gone or is another one: what is written is lost
  // Of the call that failed last.
  Error error () const;
  // Faster, for somebody who waits: what the log holds stays there for the next one who opens.
  void keep_log_on_close ();

 private:
  friend class SqliteStatement;
  SqliteDatabase (std::string path, Wait wait)
      : path_ (std::move (path)), wait_ (std::move (wait)) {}

  const std::string path_;
  const Wait wait_;
  sqlite3 *handle_ = nullptr;
};

// A prepared statement. Parameters and columns are numbered as SQLite does: from 1, and from 0.
class SqliteStatement {
 public:
  static Result<SqliteStatement> prepare (SqliteDatabase &database, const char *sql);

  // What is bound must live until reset().
  void bind (int index, std::int64_t value);
  void bind (int index, std::string_view blob);
  void bind (int index, GBytes *blob);
  Result<bool> step ();  // whether there is a row
  Status finish ();      // steps to the end, and is ready for the next use
  void reset ();
  std::int64_t number (int column) const;
  std::string_view blob (int column) const;  // until the next step

 private:
  struct Finalize {
    void operator() (sqlite3_stmt *statement) const { sqlite3_finalize (statement); }
  };

  explicit SqliteStatement (SqliteDatabase &database) : database_ (&database) {}

  SqliteDatabase *database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

}  // namespace p2p
