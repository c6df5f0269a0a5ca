// The tables of a store in SQLite, and how a file of an older version gets those of this one.
#pragma once
#include <vector>

#include "store/sqlite_database.hpp"

namespace p2p {

struct Migration {
  int version;  // what the file has afterwards: 1, 2, 3, …
  const char *sql;
};

const std::vector<Migration> &store_migrations ();

// All steps that are missing, in one transaction: a file has the old version or the new one, and
// never half of it. P2P_ERROR_STORE for a file of a newer version, or of another program.
Status migrate (SqliteDatabase &database, const std::string &path,
                const std::vector<Migration> &migrations);

}  // namespace p2p
