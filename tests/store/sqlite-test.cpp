// What a file on a disk may be and become, beyond what every store promises.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "store/sqlite_owner.hpp"
#include "store/sqlite_schema.hpp"
#include "store/store_factory.hpp"
#include "support/store_driver.hpp"
#include "support/temp_folder.hpp"

namespace p2p {
namespace {

using test::store_bytes;
using test::StoreDriver;

class SqliteStoreTest : public testing::Test {
 protected:
  std::unique_ptr<StoreDriver> driver (const std::string &options = "") {
    return std::make_unique<StoreDriver> (
        [&] { return std::move (*make_session_store ("sqlite:" + path_ + options, "")); });
  }
  void write_file (const std::string &content) {
    ASSERT_TRUE (g_file_set_contents_full (path_.c_str (), content.data (),
                                           static_cast<gssize> (content.size ()),
                                           G_FILE_SET_CONTENTS_CONSISTENT, 0600, nullptr));
  }
  // By hand, as another program would.
  void sql (const std::string &text) {
    sqlite3 *handle = nullptr;
    ASSERT_EQ (sqlite3_open (path_.c_str (), &handle), SQLITE_OK);
    char *message = nullptr;
    EXPECT_EQ (sqlite3_exec (handle, text.c_str (), nullptr, nullptr, &message), SQLITE_OK)
        << message;
    sqlite3_free (message);
    sqlite3_close (handle);
  }
  Error must_refuse () {
    auto store = driver ();
    auto opened = store->open ();
    EXPECT_FALSE (opened.ok ());
    return opened ? Error{} : opened.error ();
  }
  void expect_refusal (P2pError code, const char *part) {
    const Error error = must_refuse ();
    EXPECT_EQ (error.code, code);
    EXPECT_NE (error.message.find (part), std::string::npos) << error.message;
    EXPECT_NE (error.message.find (path_), std::string::npos) << error.message;
  }
  mode_t mode (const std::string &end) {
    struct stat info = {};
    EXPECT_EQ (stat ((path_ + end).c_str (), &info), 0) << end;
    return info.st_mode & 0777;
  }
  // In a process of its own, which may spoil itself.
  void in_child (const std::function<bool ()> &work, bool *possible = nullptr) {
    const pid_t child = fork ();
    ASSERT_GE (child, 0);
    if (child == 0) _exit (work () && !HasFailure () ? 0 : 1);
    int status = 0;
    ASSERT_EQ (waitpid (child, &status, 0), child);
    EXPECT_TRUE (WIFEXITED (status));
    if (possible) *possible = WEXITSTATUS (status) != 77;
    if (possible && !*possible) return;
    EXPECT_EQ (WEXITSTATUS (status), 0);
  }

  test::TempFolder folder_;
  std::string path_ = folder_.file ("s.db");
};

TEST_F (SqliteStoreTest, FilesAreForTheirOwnerAlone) {
  const mode_t before = umask (0);
  path_ = folder_.file ("new/folder/s.db");
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->put ("k", "v"));
  umask (before);
  for (const char *end : {"", "-wal", "-shm", "-lock"}) EXPECT_EQ (mode (end), 0600u) << end;
  struct stat folder = {};
  ASSERT_EQ (stat (folder_.file ("new").c_str (), &folder), 0);
  EXPECT_EQ (folder.st_mode & 0777, 0700u);
}

TEST_F (SqliteStoreTest, AFileThatOthersMayReadIsRefused) {
  write_file ("");
  chmod (path_.c_str (), 0640);
  expect_refusal (P2P_ERROR_STORE, "chmod 600");
}

TEST_F (SqliteStoreTest, WhatIsNoFileIsRefused) {
  ASSERT_EQ (mkdir (path_.c_str (), 0700), 0);
  expect_refusal (P2P_ERROR_STORE, "not a regular file");
}

TEST_F (SqliteStoreTest, WhatIsNoDatabaseIsRefused) {
  write_file (std::string (8192, 'x'));
  expect_refusal (P2P_ERROR_STORE, "not an SQLite database");
}

TEST_F (SqliteStoreTest, ADatabaseOfAnotherProgramIsRefusedAndLeftAlone) {
  write_file ("");
  sql ("CREATE TABLE bookmarks (url TEXT)");
  expect_refusal (P2P_ERROR_STORE, "belongs to another program");
  sql ("INSERT INTO bookmarks VALUES ('still there')");
}

TEST_F (SqliteStoreTest, AFileOfANewerVersionIsRefusedAndLeftAlone) {
  driver ()->must_open ();
  sql ("PRAGMA user_version = 1000");
  expect_refusal (P2P_ERROR_STORE, "newer version");
  sql ("PRAGMA user_version = 1");
  driver ()->must_open ();
}

TEST_F (SqliteStoreTest, ADamagedFileIsRefused) {
  {
    auto store = driver ();
    store->must_open ();
    for (int i = 0; i < 50; ++i)
      EXPECT_FALSE (store->put ("k" + std::to_string (i), std::string (3000, 'v')));
    store->close ();
  }
  const auto size = std::filesystem::file_size (path_);
  const int fd = open (path_.c_str (), O_WRONLY);
  const std::string noise (size - 4096, '\x5a');  // all but the header
  ASSERT_EQ (pwrite (fd, noise.data (), noise.size (), 4096), static_cast<ssize_t> (noise.size ()));
  close (fd);
  expect_refusal (P2P_ERROR_STORE, "is damaged");
}

TEST_F (SqliteStoreTest, ATruncatedFileIsRefused) {
  {
    auto store = driver ();
    store->must_open ();
    for (int i = 0; i < 50; ++i)
      EXPECT_FALSE (store->put ("k" + std::to_string (i), std::string (3000, 'v')));
    store->close ();
  }
  ASSERT_EQ (truncate (path_.c_str (), 10000), 0);
  expect_refusal (P2P_ERROR_STORE, "is damaged");
}

TEST_F (SqliteStoreTest, AFileThatMayOnlyBeReadIsRefused) {
  driver ()->must_open ();
  if (geteuid () == 0) {
    chmod (folder_.path ().c_str (), 0777);
    ASSERT_EQ (chown (path_.c_str (), 65534, 65534), 0);
  }
  chmod (path_.c_str (), 0400);
  for (const char *end : {"-wal", "-shm", "-lock"}) g_unlink ((path_ + end).c_str ());
  in_child ([&] {
    // To root every file is writable.
    if (geteuid () == 0 &&
        (setresgid (65534, 65534, 65534) != 0 || setresuid (65534, 65534, 65534) != 0))
      return false;
    // Threads do not survive a fork: the store's own thread is spared.
    auto owner = SqliteOwner::open ({path_, false}, "alice", [] (int) { return false; });
    return !owner && owner.error ().code == P2P_ERROR_STORE &&
           owner.error ().message.find ("may only be read") != std::string::npos;
  });
}

// A file system of its own, in namespaces of the child's.
bool
mount_small (const std::string &folder) {
  if (unshare (CLONE_NEWNS) != 0) {
    const uid_t uid = getuid ();
    if (unshare (CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    const std::string map = "0 " + std::to_string (uid) + " 1";
    const int fd = open ("/proc/self/uid_map", O_WRONLY);
    const bool mapped =
        fd >= 0 && write (fd, map.data (), map.size ()) == static_cast<ssize_t> (map.size ());
    if (fd >= 0) close (fd);
    if (!mapped) return false;
  }
  return mount (nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount ("tmpfs", folder.c_str (), "tmpfs", 0, "size=600k") == 0;
}

TEST_F (SqliteStoreTest, AFullDiskEndsTheStoreAndKeepsWhatWasConfirmed) {
  bool possible = true;
  in_child (
      [&] {
        if (!mount_small (folder_.path ())) _exit (77);
        Status status;
        int confirmed = -1;
        {
          auto owner = SqliteOwner::open ({path_, false}, "alice", [] (int) { return false; });
          if (!owner) return false;
          for (int i = 0; i < 1000 && !status; ++i) {
            const StoreBatch batch = {
                StoreChange::put ("count", store_bytes (std::to_string (i))),
                StoreChange::put ("k" + std::to_string (i), store_bytes (std::string (5000, 'v')))};
            status = (*owner)->write ({&batch});
            if (!status) confirmed = i;
          }
        }
        if (!status || status->code != P2P_ERROR_STORE ||
            status->message.find ("disk that is full") == std::string::npos)
          return false;
        // Somebody makes room: more memory for the file system.
        if (mount ("tmpfs", folder_.path ().c_str (), "tmpfs", MS_REMOUNT, "size=4m") != 0)
          return false;
        auto owner = SqliteOwner::open ({path_, false}, "alice", [] (int) { return false; });
        if (!owner) return false;
        auto items = (*owner)->items ();
        for (const StoreItem &item : *items)
          if (item.key == "count")
            return test::store_text (item.value) == std::to_string (confirmed);
        return false;
      },
      &possible);
  if (!possible) GTEST_SKIP () << "mount namespaces are not allowed here";
}

TEST_F (SqliteStoreTest, AWriteThatFailsEndsTheStoreAndKeepsWhatWasConfirmed) {
  in_child ([&] {
    auto owner = SqliteOwner::open ({path_, false}, "alice", [] (int) { return false; });
    if (!owner) return false;
    const rlimit limit = {256 * 1024, 256 * 1024};
    signal (SIGXFSZ, SIG_IGN);
    setrlimit (RLIMIT_FSIZE, &limit);
    Status status;
    for (int i = 0; i < 1000 && !status; ++i) {
      const StoreBatch batch = {
          StoreChange::put ("count", store_bytes (std::to_string (i))),
          StoreChange::put ("k" + std::to_string (i), store_bytes (std::string (5000, 'v')))};
      status = (*owner)->write ({&batch});
      if (!status) {
        const StoreBatch acked = {StoreChange::put ("acked", store_bytes (std::to_string (i)))};
        status = (*owner)->write ({&acked});
      }
    }
    return status && status->code == P2P_ERROR_STORE &&
           status->message.find ("start again") != std::string::npos;
  });
  std::string count, acked;
  for (const auto &[key, value] : driver ()->must_open ()) {
    if (key == "count") count = value;
    if (key == "acked") acked = value;
  }
  EXPECT_GE (atoi (acked.c_str ()), 1);
  EXPECT_GE (atoi (count.c_str ()), atoi (acked.c_str ()));
}

TEST_F (SqliteStoreTest, AFailureIsToldOnceAndFailsAllThatFollows) {
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->put ("k", "v"));
  ASSERT_EQ (rename (path_.c_str (), (path_ + ".away").c_str ()), 0);
  const Status status = store->put ("k", "w");
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_STORE);
  EXPECT_NE (status->message.find ("moved or deleted"), std::string::npos);
  EXPECT_TRUE (store->put ("k", "x"));
  EXPECT_EQ (store->losses (), 1);
}

TEST_F (SqliteStoreTest, AHolderWithoutTheLockIsFencedByItsTerm) {
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->put ("k", "v"));
  // As when the lock file was deleted: a second holder comes in, with a higher term.
  ASSERT_EQ (g_unlink ((path_ + "-lock").c_str ()), 0);
  auto second = driver ();
  EXPECT_EQ (second->must_open (), (StoreDriver::Items{{"k", "v"}}));
  EXPECT_EQ (second->term, 2u);
  const Status status = store->put ("k", "old");
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_FENCED);
  EXPECT_EQ (store->lost ()->code, P2P_ERROR_FENCED);
  EXPECT_FALSE (second->put ("k", "new"));
  second->close ();
  EXPECT_EQ (driver ()->must_open (), (StoreDriver::Items{{"k", "new"}}));
}

TEST_F (SqliteStoreTest, ManyWritersShareOneFile) {
  constexpr int kWriters = 8, kBatches = 50;
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w)
    threads.emplace_back ([this, w] {
      auto store = driver ();
      store->must_open ("owner" + std::to_string (w));
      for (int i = 0; i < kBatches; ++i) EXPECT_FALSE (store->put ("k", std::to_string (i)));
      EXPECT_FALSE (store->close ());
    });
  for (std::thread &thread : threads) thread.join ();
  for (int w = 0; w < kWriters; ++w)
    EXPECT_EQ (driver ()->must_open ("owner" + std::to_string (w)),
               (StoreDriver::Items{{"k", std::to_string (kBatches - 1)}}));
}

TEST_F (SqliteStoreTest, WaitsForAnotherProgramsTransaction) {
  auto store = driver ();
  store->must_open ();
  sqlite3 *other = nullptr;
  ASSERT_EQ (sqlite3_open (path_.c_str (), &other), SQLITE_OK);
  ASSERT_EQ (sqlite3_exec (other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  std::promise<void> done;
  std::atomic<bool> ended{false};
  store->with ([&] (SessionStore &s) {
    s.commit ({StoreChange::put ("k", store_bytes ("v"))}, [&] (const Status &status) {
      EXPECT_FALSE (status);
      EXPECT_TRUE (ended);
      done.set_value ();
    });
  });
  ended = true;
  ASSERT_EQ (sqlite3_exec (other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  done.get_future ().wait ();
  sqlite3_close (other);
}

TEST_F (SqliteStoreTest, IsDestroyedWhileAnotherProgramLocksTheFile) {
  auto store = driver ();
  store->must_open ();
  sqlite3 *other = nullptr;
  ASSERT_EQ (sqlite3_open (path_.c_str (), &other), SQLITE_OK);
  ASSERT_EQ (sqlite3_exec (other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  store->with ([] (SessionStore &s) {
    s.commit ({StoreChange::put ("k", store_bytes ("v"))}, [] (const Status &) {});
  });
  store->destroy ();
  sqlite3_close (other);
  EXPECT_EQ (driver ()->must_open (), StoreDriver::Items ());
}

class SqliteMigration : public SqliteStoreTest {
 protected:
  std::unique_ptr<SqliteDatabase> database () {
    EXPECT_FALSE (prepare_store_file (path_));
    auto database = SqliteDatabase::open (path_, [] (int) { return false; });
    EXPECT_TRUE (database.ok ());
    return std::move (*database);
  }
};

TEST_F (SqliteMigration, RunsTheStepsThatAreMissing) {
  std::vector<Migration> steps = {{1, "CREATE TABLE a (x); INSERT INTO a VALUES (7);"}};
  auto db = database ();
  EXPECT_FALSE (migrate (*db, path_, steps));
  steps.push_back ({2, "ALTER TABLE a RENAME TO b;"});
  steps.push_back ({3, "UPDATE b SET x = x + 1;"});
  EXPECT_FALSE (migrate (*db, path_, steps));
  EXPECT_FALSE (migrate (*db, path_, steps));
  EXPECT_EQ (db->number ("SELECT x FROM b").value (), 8);
  EXPECT_EQ (db->number ("PRAGMA user_version").value (), 3);
}

TEST_F (SqliteMigration, AStepThatFailsLeavesTheOldVersionWhole) {
  std::vector<Migration> steps = {{1, "CREATE TABLE a (x); INSERT INTO a VALUES (7);"}};
  auto db = database ();
  EXPECT_FALSE (migrate (*db, path_, steps));
  steps.push_back ({2, "ALTER TABLE a RENAME TO b;"});
  steps.push_back ({3, "INSERT INTO nowhere VALUES (1);"});
  EXPECT_TRUE (migrate (*db, path_, steps));
  EXPECT_EQ (db->number ("SELECT x FROM a").value (), 7);
  EXPECT_EQ (db->number ("PRAGMA user_version").value (), 1);
  steps.pop_back ();
  EXPECT_FALSE (migrate (*db, path_, steps));
  EXPECT_EQ (db->number ("SELECT x FROM b").value (), 7);
}

// Called by SQLite before each statement; the other one comes between two questions.
int
be_overtaken (unsigned, void *data, void *, void *text) {
  auto &overtake = *static_cast<std::function<void ()> *> (data);
  const std::string_view sql = static_cast<const char *> (text);
  if (sql != "SELECT count(*) FROM sqlite_master" || !overtake) return 0;
  std::exchange (overtake, nullptr) ();
  return 0;
}

TEST_F (SqliteMigration, AnotherMayMakeTheFileMeanwhile) {
  const std::vector<Migration> steps = {{1, "CREATE TABLE a (x);"}};
  static std::function<void ()> overtake;
  overtake = nullptr;
  const auto watch = reinterpret_cast<void (*) ()> (+[] (sqlite3 *handle, char **, const void *) {
    return sqlite3_trace_v2 (handle, SQLITE_TRACE_STMT, be_overtaken, &overtake);
  });
  sqlite3_auto_extension (watch);
  auto db = database ();
  sqlite3_cancel_auto_extension (watch);
  EXPECT_FALSE (db->run ("PRAGMA journal_mode = WAL"));
  auto other = database ();
  bool overtaken = false;
  overtake = [&] {
    overtaken = true;
    EXPECT_FALSE (migrate (*other, path_, steps));
  };
  const Status status = migrate (*db, path_, steps);
  EXPECT_FALSE (status) << status->message;
  EXPECT_TRUE (overtaken);
  EXPECT_EQ (db->number ("PRAGMA user_version").value (), 1);
}

TEST_F (SqliteMigration, TheStepsAreNumberedWithoutAGap) {
  int version = 0;
  for (const Migration &step : store_migrations ()) EXPECT_EQ (step.version, ++version);
}

}  // namespace
}  // namespace p2p
